"""What is said below a table: what is sure, what more data would show, and what rows are made of. Imports no torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from inrbench_core.api.entries import Metric
from inrbench_core.api.text import one_line
from inrbench_core.results.leaderboard import Leaderboard, Row
from inrbench_core.results.numbers import format_number, with_unit
from inrbench_core.results.results import Chosen
from inrbench_core.results.samples import samples_of
from inrbench_core.results.statistics.comparisons import ALPHA, MOST_REPEATS, Difference
from inrbench_core.results.statistics.variances import LEAST_SEEDS, LEAST_SIGNALS, SCOPES, Scope
from inrbench_core.spec.lists import OWN_DATA

TIED = "="
KNOWN = "†"
# Rows that a line about where figures come from names.
MOST_NAMED = 5
ABOUT: Mapping[Scope, str] = {"these signals": "on these signals", "such signals": "for such signals"}
REPEATS: Mapping[Scope, str] = {"these signals": "seeds", "such signals": "signals"}


def remark_lines(board: Leaderboard) -> list[str]:
    """Every line that belongs below a table, each complete by itself."""
    problems = [f"{row.label}: {problem}" for row in board.rows for problem in row.problems]
    return [
        one_line(line)
        for line in (*_statistics(board), *_data(board), *_choices(board), *origin_lines(board), *problems)
    ]


def is_known(row: Row) -> bool:
    """Whether some of its figures come from elsewhere."""
    return any(run.origin for run in row.runs)


def difference_text(difference: Difference, metric: Metric, pairs: int = 1) -> str:
    """A difference with its 95 % interval, such as "0.31 dB [0.10, 0.52]"; see `Difference.interval` for `pairs`."""
    ends = ", ".join(format_number(value, metric.unit) for value in difference.interval(pairs))
    return f"{with_unit(difference.value, metric)} [{ends}]"


def _statistics(board: Leaderboard) -> list[str]:
    rows = board.ranked
    if not rows:
        return []
    values = samples_of(rows, board.rank_by).values
    if values.shape[2] < LEAST_SEEDS:
        return ["one seed: no interval, and no order is sure; `seeds: 3` in the spec gives both"]
    methods = "; ".join(f"{ABOUT[scope]} by {method}" for scope, method in board.methods.items())
    lines = [f"± and [ ] are 95 % intervals of the mean: {methods}"] if methods else []
    if len(rows) > 1 and np.isnan(values).any():
        return [*lines, f"{board.rank_by.name} is infinite in some run: ranks have no intervals"]
    for scope in SCOPES:
        if scope in board.comparisons:
            lines.append(_comparison(board, scope))
        elif scope == "such signals" and len(rows) > 1:
            lines.append(f"{ABOUT[scope]}: nothing is known with fewer than {LEAST_SIGNALS} signals")
    if any(standing.tied for row in rows[1:] for standing in row.standing.values()):
        lines.append(f"{TIED} cannot be told apart from the first row")
    return lines


def _data(board: Leaderboard) -> list[str]:
    """Which signals are made by a program, and whether all seeds have the same data."""
    runs = [(run, run.record) for row in board.rows for run in row.runs if run.record is not None]
    made = dict.fromkeys(run.signal for run, record in runs if record.data.get("synthetic"))
    lines = [f"synthetic data: {', '.join(made)}"] if made else []
    seeds = {record.run["data_seed"] for run, record in runs if not run.serves_all_seeds}
    if board.counts[1] > 1 and len(seeds) == 1 and OWN_DATA not in seeds:
        lines.append(f"noise, masks and other random data are those of data_seed {seeds.pop()} for all seeds")
    return lines


def _comparison(board: Leaderboard, scope: Scope) -> str:
    comparison, metric = board.comparisons[scope], board.rank_by
    first, second = (row.label for row in board.ranked[:2])
    gap = with_unit(comparison.resolution, metric)
    text = f"{ABOUT[scope]} ({comparison.method}): measured gaps above about {gap} are told apart"
    difference = comparison.difference(0, 1)
    if difference.value == 0:
        return f"{text}; {first} and {second} are equal"
    lead = difference_text(difference, metric, comparison.pairs)
    if comparison.surely_better[0, 1]:
        return f"{text}; {first} leads {second} by {lead}"
    return f"{text}; {first} and {second} ({lead}) are not: {_needed(difference, comparison.pairs)}"


def _needed(difference: Difference, pairs: int) -> str:
    needed, repeats = difference.needed(pairs), REPEATS[difference.scope]
    if needed:
        return f"that takes about {needed:,} {repeats}"
    more = "more seeds, not only more signals" if difference.narrow else f"more than {MOST_REPEATS:,} {repeats}"
    return f"that takes {more}"


def verdict(difference: Difference, labels: tuple[str, str], metric: Metric, pairs: int = 1) -> str:
    """What two rows come to, in one sentence.

    Args:
        difference: of the first to the second.
        labels: what to call them.
        metric: whose figures were compared.
        pairs: how many pairs are compared at once: p is multiplied by it (Bonferroni).
    """
    scope, p = difference.scope, min(1.0, difference.p * pairs)
    corrected = f" corrected for {pairs} rows" if pairs > 1 else ""
    figure = "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"
    about = f"{ABOUT[scope]}, {figure}{corrected}, {difference.repeats} {REPEATS[scope]}"
    if difference.value == 0:
        return f"{labels[0]} and {labels[1]} are equal by {metric.name} ({about})"
    text = difference_text(difference, metric, pairs)
    if p > ALPHA:
        needed = _needed(difference, pairs)
        return f"{labels[0]} and {labels[1]} cannot be told apart by {metric.name}: {text} ({about}); {needed}"
    words = ("higher", "lower") if metric.higher_is_better is None else ("better", "worse")
    word = words[0] if difference.value > 0 else words[1]
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
            f"{row.label}: {options}; best of {_tried(chosen)} by {chosen.metric} on {where}{gain_text(board, row)}"
        )
    return lines


def _tried(chosen: Chosen) -> str:
    counts = {"diverged": chosen.diverged, "failed": chosen.failed}
    lost = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return f"{chosen.trials} ({lost})" if lost else str(chosen.trials)


def _option(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def gain_text(board: Leaderboard, row: Row) -> str:
    """By how much a tuned row is better than the published one, where both have a rank."""
    labels = [item.label for item in board.ranked]
    published = row.chosen.published if row.chosen else ""
    if row.label not in labels or published not in labels:
        return ""
    one, other = labels.index(row.label), labels.index(published)
    if {run.id for run in row.runs} == {run.id for run in board.ranked[other].runs}:
        return "; the published options are the best"
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
        lines.append(
            f"{KNOWN} {count} run{'s' * (count != 1)} of {', '.join(labels[:MOST_NAMED])}{more}: from {origin}"
        )
    return lines
