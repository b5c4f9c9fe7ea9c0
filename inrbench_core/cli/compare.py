"""`inrbench compare`: two fields, or two folders of results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inrbench_core.api.errors import InrbenchError
from inrbench_core.cli.common import AsJson, emit, print_json, say
from inrbench_core.cli.reporting import Sort

if TYPE_CHECKING:
    from inrbench_core.results.compare import Pair

SCHEMA = "inrbench.compare/1"


def compare(
    one: Annotated[str, typer.Argument(metavar="A", help="The label of a field or baseline, or a folder of results.")],
    other: Annotated[str, typer.Argument(metavar="B", help="What A is compared with; a folder if A is one.")],
    folders: Annotated[
        list[Path] | None,
        typer.Option("--in", metavar="DIR", help="Folder of results that both fields are in; repeatable."),
    ] = None,
    sort: Sort = None,
    as_json: AsJson = False,
) -> None:
    """Say which of two fields is better, by how much, how sure that is, and what more data would settle it.

    Figures are paired by signal and seed. Of two folders, rows of the same label are compared on each task.
    """
    from inrbench_core.results.compare import compare_fields, compare_folders
    from inrbench_core.results.load import load_results

    if folders:
        results = load_results(*folders)
        pairs, loaded = compare_fields(results, one, other, sort or ""), [results]
    elif Path(one).exists() and Path(other).exists():
        loaded = [load_results(one), load_results(other)]
        pairs = compare_folders(loaded[0], loaded[1], _names(one, other), sort or "")
    else:
        missing = next(name for name in (one, other) if not Path(name).exists())
        raise InrbenchError(f"{missing}: no such folder; to compare fields, say which folder they are in: --in DIR")
    for line in (line for results in loaded for line in results.warnings):
        say(f"warning: {line}")
    if as_json:
        print_json({"schema": SCHEMA, "pairs": [_data(pair) for pair in pairs]})
        return
    for pair in pairs:
        emit("".join(f"{line}\n" for line in _lines(pair)))


def _names(one: str, other: str) -> tuple[str, str]:
    names = Path(one).resolve().name, Path(other).resolve().name
    return names if names[0] != names[1] else (one, other)


def _lines(pair: Pair) -> Sequence[str]:
    from inrbench_core.results.numbers import with_unit
    from inrbench_core.results.remarks import verdict

    left_out = f"; {pair.left_out} runs without a counterpart are left out" if pair.left_out else ""
    counts = f"{_count(pair.signals, 'signal')}, {_count(pair.seeds, 'seed')} in common{left_out}"
    means = [f"{label} {with_unit(mean, pair.metric)}" for label, mean in zip(pair.labels, pair.means, strict=True)]
    lines = [f"{pair.task}: {', '.join(means)} ({pair.metric.name}; {counts})"]
    lines += [f"  {verdict(difference, pair.labels, pair.metric, pair.among)}" for difference in pair.differences]
    if not pair.differences:
        lines.append(
            "  no interval and no verdict: at least 2 seeds in common are needed; `seeds: 3` gives fields as many, and "
            "a task's own baseline has one answer to data that all seeds share"
        )
    return lines


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number != 1)}"


def _data(pair: Pair) -> dict[str, Any]:
    from inrbench_core.results.formats import difference_data
    from inrbench_core.results.remarks import verdict

    return {
        "task": pair.task,
        "labels": list(pair.labels),
        "metric": pair.metric.to_data(),
        "means": [None if math.isnan(mean) else mean for mean in pair.means],
        "signals": pair.signals,
        "seeds": pair.seeds,
        "left_out": pair.left_out,
        "differences": {
            difference.scope: {
                **difference_data(difference, pair.among),
                "needed": difference.needed(pair.among),
                "verdict": verdict(difference, pair.labels, pair.metric, pair.among),
            }
            for difference in pair.differences
        },
    }
