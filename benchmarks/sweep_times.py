"""Where the time of a sweep went, before and after a change: two folders of results of the same spec, side by side.

    python benchmarks/sweep_times.py BEFORE [AFTER]

For each field, in s over the runs that both folders have: preparation, training, compiling, evaluation and total,
before and after; before over after of the total; and the largest difference of the primary metric at equal signal and
seed. Then the same for each family of fields and for all. With one folder only its times are printed.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from inrbench_core.results.load import load_results
from inrbench_core.results.results import ResultRun
from inrbench_core.runs.record import RunRecord

PHASES = ("prepare", "train", "compile", "evaluate", "total")
Key = tuple[str, str, str, int]
Pair = tuple[RunRecord, RunRecord]


def records_of(folder: Path) -> dict[Key, RunRecord]:
    """The good fits of a folder, by task, signal, field and seed."""
    runs: Iterable[ResultRun] = load_results(folder).runs
    return {
        (run.task, run.signal, run.field, run.seed): run.record
        for run in runs
        if run.record is not None and run.status == "ok" and not run.baseline
    }


def seconds(records: Iterable[RunRecord], phase: str) -> float:
    return sum(record.times.get(phase, 0.0) for record in records)


def difference(pairs: list[Pair]) -> float:
    """The largest difference of the primary metric between the two of a pair."""
    name = str(pairs[0][0].declared[0]["name"])
    return max(abs(one.metrics.get(name, math.nan) - other.metrics.get(name, math.nan)) for one, other in pairs)


def line(label: str, pairs: list[Pair], *, both: bool) -> str:
    """A row of the table: sums over the pairs."""
    before, after = zip(*pairs, strict=True)
    cells = []
    for phase in PHASES:
        cells.append(f"{seconds(before, phase):.1f}" + (f" / {seconds(after, phase):.1f}" if both else ""))
    if both:
        cells += [f"{seconds(before, 'total') / seconds(after, 'total'):.2f}", f"{difference(pairs):.3f}"]
    return f"| {label} | {len(pairs)} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="folder of results")
    parser.add_argument("after", type=Path, nargs="?", help="folder of results of the same spec")
    options = parser.parse_args()
    both = options.after is not None
    before = records_of(options.before)
    after = records_of(options.after) if both else before
    pairs = {key: (record, after[key]) for key, record in before.items() if key in after}
    if not pairs:
        parser.exit(1, "sweep_times.py: the folders have no good run of the same task, signal, field and seed\n")

    fields: dict[str, list[Pair]] = defaultdict(list)
    families: dict[str, list[Pair]] = defaultdict(list)
    for key, pair in pairs.items():
        fields[key[2]].append(pair)
        families[str(pair[0].run["field"]["name"])].append(pair)
    rest = ["before / after", "largest difference of the metric"] if both else []
    heads = ["field", "runs", *(f"{phase} [s]" for phase in PHASES), *rest]
    print("| " + " | ".join(heads) + " |\n| --- |" + " ---: |" * (len(heads) - 1))
    for groups in (fields, families):
        for label, group in sorted(groups.items(), key=lambda item: -seconds((pair[0] for pair in item[1]), "total")):
            print(line(label, group, both=both))
    print(line("all", list(pairs.values()), both=both))
    if both:
        print(f"\nonly before: {len(before) - len(pairs)} runs, only after: {len(after) - len(pairs)}")


if __name__ == "__main__":
    main()
