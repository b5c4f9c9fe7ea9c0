"""What is said below a table: what is sure, what more data would show, and what rows are made of. Imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from inrbench_core.api.entries import Metric
from inrbench_core.api.text import one_line
from inrbench_core.results.leaderboard import Leaderboard, Row
from inrbench_core.results.numbers import format_number, with_unit
from inrbench_core.results.statistics.comparisons import ALPHA, MOST_REPEATS, Difference
from inrbench_core.results.statistics.variances import LEAST_SEEDS, LEAST_SIGNALS, SCOPES, Scope

TIED = "="
KNOWN = "†"
# Rows that a line about where figures come from names.
MOST_NAMED = 5
ABOUT: Mapping[Scope, str] = {"these signals": "on these signals", "such signals": "for signals like them"}
REPEATS: Mapping[Scope, str] = {"these signals": "seeds", "such signals": "signals"}


def remark_lines(board: Leaderboard) -> list[str]:
    """Every line that belongs below a table, each complete by itself."""
    problems = [f"{row.label}: {problem}" for row in board.rows for problem in row.problems]
    return [one_line(line) for line in (*_statistics(board), *_choices(board), *origin_lines(board), *problems)]


def is_known(row: Row) -> bool:
    """Whether some of its figures come from elsewhere."""
    return any(run.origin for run in row.runs)


def difference_text(difference: Difference, metric: Metric) -> str:
    """A difference with its interval, such as "0.31 dB [0.10, 0.52]"."""
    ends = ", ".join(format_number(value, metric.unit) for value in difference.interval)
    return f"{with_unit(difference.value, metric)} [{ends}]"


def _statistics(board: Leaderboard) -> list[str]:
    rows = board.ranked
    if not rows:
        return []
    seeds = board.counts[1]
    if seeds < LEAST_SEEDS:
        return ["one seed: no interval, and no order is sure; `seeds: 3` in the spec gives both"]
    lines = []
    for scope in SCOPES:
        if scope in board.comparisons:
            lines.append(_comparison(board, scope))
        elif scope == "such signals" and len(rows) > 1:
            lines.append(f"{ABOUT[scope]}: nothing is known with fewer than {LEAST_SIGNALS} signals")
    if any(standing.tied for row in rows[1:] for standing in row.standing.values()):
        lines.append(f"{TIED} cannot be told apart from the first row")
    return lines


def _comparison(board: Leaderboard, scope: Scope) -> str:
    comparison, metric = board.comparisons[scope], board.rank_by
    first, second = (row.label for row in board.ranked[:2])
    text = f"{ABOUT[scope]} ({comparison.method}): gaps of {with_unit(comparison.resolution, metric)} are told apart"
    difference = comparison.difference(0, 1)
    lead = difference_text(difference, metric)
    if comparison.surely_better[0, 1]:
        return f"{text}; {first} leads {second} by {lead}"
    return f"{text}; {first} and {second} ({lead}) are not: {_needed(difference, comparison.pairs)}"


def _needed(difference: Difference, pairs: int) -> str:
    needed, repeats = difference.needed(pairs), REPEATS[difference.scope]
    return f"that takes about {needed:,} {repeats}" if needed else f"that takes more than {MOST_REPEATS:,} {repeats}"


def verdict(difference: Difference, labels: tuple[str, str], metric: Metric) -> str:
    """What two rows that were chosen beforehand come to, in one sentence.

    Args:
        difference: of the first to the second.
        labels: what to call them.
        metric: whose figures were compared.
    """
    text, scope = difference_text(difference, metric), difference.scope
    about = f"{ABOUT[scope]}, p = {difference.p:.2g}, {difference.repeats} {REPEATS[scope]}"
    if difference.p > ALPHA:
        needed = _needed(difference, pairs=1)
        return f"{labels[0]} and {labels[1]} cannot be told apart by {metric.name}: {text} ({about}); {needed}"
    word = "better" if difference.value > 0 else "worse"
    return f"{labels[0]} is {word} than {labels[1]} by {metric.name}: {text} ({about})"


def _choices(board: Leaderboard) -> list[str]:
    lines = []
    for row in board.rows:
        if (chosen := row.chosen) is None:
            continue
        options = ", ".join(f"{key}={_option(value)}" for key, value in chosen.options.items()) or "nothing changed"
        seeds = f"seed{'s' if len(chosen.seeds) > 1 else ''} {', '.join(map(str, chosen.seeds))}"
        where = f"{', '.join(chosen.signals)}, {seeds}"
        lines.append(
            f"{row.label}: {options}; best of {chosen.trials} by {chosen.metric} on {where}{gain_text(board, row)}"
        )
    return lines


def _option(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def gain_text(board: Leaderboard, row: Row) -> str:
    """By how much a tuned row is better than the published one, where both have a rank."""
    labels = [item.label for item in board.ranked]
    published = row.chosen.published if row.chosen else ""
    if row.label not in labels or published not in labels:
        return ""
    one, other = labels.index(row.label), labels.index(published)
    if "these signals" in board.comparisons:
        gain = difference_text(board.comparisons["these signals"].difference(one, other), board.rank_by)
    else:
        means = [item.metrics[board.rank_by.name].mean for item in (row, board.ranked[other])]
        gain = with_unit((means[0] - means[1]) * (-1 if board.rank_by.higher_is_better is False else 1), board.rank_by)
    return f"; gain over {published} {gain}"


def origin_lines(board: Leaderboard) -> list[str]:
    """One line for each place that figures come from, with the rows that have them."""
    runs = [(run.origin, row.label) for row in board.rows for run in row.runs if run.origin]
    lines = []
    for origin, count in Counter(origin for origin, _ in runs).items():
        labels = list(dict.fromkeys(label for place, label in runs if place == origin))
        more = f" and {len(labels) - MOST_NAMED} more" if len(labels) > MOST_NAMED else ""
        lines.append(f"{KNOWN} {count} run{'s' * (count != 1)} of {', '.join(labels[:MOST_NAMED])}{more}: from {origin}")
    return lines
