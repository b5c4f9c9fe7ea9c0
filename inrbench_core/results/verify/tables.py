"""Probes of what the records of a table say, each beside the others. Imports no torch."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from itertools import combinations
from statistics import fmean

from inrbench_core.results.results import ResultBoard, ResultRow, ResultRun
from inrbench_core.results.verify.report import FIT_AGAIN, Finding, Note, Remark, Unchecked, finding, title
from inrbench_core.results.verify.subject import Subject
from inrbench_core.runs.identity import group_of
from inrbench_core.runs.record import RunRecord
from inrbench_core.spec.experiment import plain_identity
from inrbench_core.spec.variants import canonical, flatten

# A parameter budget is met within this share; `inrbench_core.fit.build` solves it to that.
BUDGET_SHARE = 0.02
# Of a table that shows k of n seeds, the k best by chance: one in C(n, k). Rarer than this is a finding.
LEAST_CHANCE = 1 / 3


def check_files(subject: Subject) -> Iterator[Remark]:
    """Every file of the folder is whole and is what its name says."""
    for name, reason in subject.unusable.items():
        yield Finding("files", f"{name}: {reason}", "delete it and run the experiment again")


def check_complete(subject: Subject) -> Iterator[Remark]:
    """Every run of the table has a result, good or not."""
    for board in subject.results.boards:
        for row in board.rows:
            for run in row.runs:
                if run.record is None:
                    yield finding("missing-seed", [run], "no result", "run the experiment again")


def check_origins(subject: Subject) -> Iterator[Remark]:
    """Figures that were made elsewhere cannot be computed again."""
    for run in subject.results.runs:
        if run.origin:
            yield Unchecked((title(run),), f"known from {run.origin}: its weights are not here")


def check_code(subject: Subject) -> Iterator[Remark]:
    """The runs of a table that use a distribution were made by the same code of it."""
    for board in subject.results.boards:
        runs = subject.board_runs(board)
        for distribution in sorted({name for run in runs for name in _record(run).run["code"]}):
            users = [run for run in runs if distribution in _record(run).run["code"]]
            yield from _odd_ones(
                users,
                lambda run, name=distribution: _record(run).run["code"][name],  # type: ignore[misc]
                "code",
                f"made by other code of {distribution} than the rest of the table",
            )


def check_devices(subject: Subject) -> Iterator[Remark]:
    """The runs of a table were made on one kind of device."""
    for board in subject.results.boards:
        runs = subject.board_runs(board)
        yield from _odd_ones(
            runs,
            lambda run: _record(run).run["device"].partition(":")[0],
            "devices",
            "made on another kind of device than the rest of the table",
            of_baselines="devices",
        )


def check_same_data(subject: Subject) -> Iterator[Remark]:
    """The runs of a table on one signal with one seed saw the same data."""
    for board in subject.results.boards:
        groups = defaultdict(list)
        for run in subject.board_runs(board):
            if run.status == "ok":
                groups[run.signal, run.seed].append(run)
        for runs in groups.values():
            yield from _odd_ones(runs, _data, "data", "its data are not those of the rest of the table")


def check_budgets(subject: Subject) -> Iterator[Remark]:
    """Parameters are within 2 % of a budget, and all steps asked for were taken, but no more."""
    for board in subject.results.boards:
        for run in subject.board_runs(board):
            record = _record(run)
            field, training = record.run["field"], record.run["training"]
            if run.status != "ok" or field is None:
                continue
            for value in field.values():
                asked = value.get("parameters") if isinstance(value, Mapping) and len(value) == 1 else None
                if isinstance(asked, int) and abs(record.parameters - asked) > BUDGET_SHARE * asked:
                    what = "not the parameters of its budget"
                    yield finding("budget", [run], what, FIT_AGAIN, stored=asked, found=record.parameters)
            if record.step != training["steps"]:
                what = "not the steps that were asked for"
                yield finding("steps", [run], what, FIT_AGAIN, stored=training["steps"], found=record.step)


def check_rows(subject: Subject) -> Iterator[Remark]:
    """The runs of a row have the same settings but for signal and seed, and on one signal as many parameters."""
    for board in subject.results.boards:
        for row in board.rows:
            runs = subject.made_here(row)
            groups = Counter(group_of(_record(run).run) for run in runs)
            usual = next((run for run in runs if group_of(_record(run).run) == groups.most_common(1)[0][0]), None)
            for run in runs:
                if usual is not None and group_of(_record(run).run) != group_of(_record(usual).run):
                    yield from settings_findings(run, _record(usual).run, "the rest of its row")
            for signal in dict.fromkeys(run.signal for run in runs):
                like = [run for run in runs if run.signal == signal and run.status == "ok"]
                yield from _odd_ones(
                    like, lambda run: _record(run).parameters, "budget", "other parameters than the rest of its row"
                )


def settings_findings(run: ResultRun, wanted: Mapping[str, object], by: str) -> list[Finding]:
    """One finding for each option in which a run differs from what it was to be; of options that both have.

    Args:
        run: with a record.
        wanted: plain data of a run as it should be; its signal does not count.
        by: what says how it should be.
    """
    data = _record(run).run
    ours, theirs = _options(data), _options(wanted)
    ignored = f"task.{data['signal_option']}"
    findings = []
    for key in sorted((ours.keys() & theirs.keys()) - {ignored}):
        if canonical(ours[key]) != canonical(theirs[key]):
            probe = "steps" if key == "training.steps" else "budget" if _is_budget(key) else "spec"
            what = f"{key} is not that of {by}"
            advice = "run the experiment again, or correct the spec"
            findings.append(finding(probe, [run], what, advice, stored=ours[key], found=theirs[key]))
    return findings


def check_selection(subject: Subject) -> Iterator[Remark]:
    """No results of other seeds of a field are left out of its table while those in the table are the better ones."""
    others = defaultdict(list)
    for run_id, record in subject.records.items():
        if record.status == "ok":
            others[_row_key(record)].append((run_id, record))
    for board in subject.results.boards:
        better = next((metric.higher_is_better for metric in board.metrics if metric.name == board.rank_by), True)
        for row in board.rows:
            runs = [run for run in subject.made_here(row) if run.status == "ok"]
            if row.baseline or not runs:
                continue
            listed = {run.id for run in (*row.runs, *row.trials)}
            left = {run_id: record for run_id, record in others[_row_key(_record(runs[0]))] if run_id not in listed}
            unlisted = not subject.listed & left.keys()
            yield from _selected(board, row, runs, list(left.values()), 1.0 if better else -1.0, unlisted)


def _selected(
    board: ResultBoard,
    row: ResultRow,
    runs: Sequence[ResultRun],
    left_out: Sequence[RunRecord],
    sign: float,
    unlisted: bool,
) -> Iterator[Remark]:
    """Compare the seeds of a row with those that are left out, on the signals that both have."""
    shown, left = _by_seed([_record(run) for run in runs], board.rank_by), _by_seed(left_out, board.rank_by)
    common = {signal for found in shown.values() for signal in found} & {
        signal for found in left.values() for signal in found
    }
    inside, outside = (_means(found, common, sign) for found in (shown, left))
    outside = {seed: mean for seed, mean in outside.items() if seed not in inside}
    if not outside or not inside:
        return
    chance = _chance(list(inside.values()), list(outside.values()))
    seeds = ", ".join(map(str, sorted(outside)))
    text = f"{board.label} / {row.label}: the folder has results of seeds {seeds}, which are not in the table"
    means = fmean(inside.values()), fmean(outside.values())
    if means[0] > means[1] + 1e-9 and (unlisted or chance <= LEAST_CHANCE):
        what = f"{text} and worse by {board.rank_by} ({chance:.0%} of all choices of seeds are as good)"
        advice = "name all seeds in the spec and run it again"
        yield Finding("selected-seeds", what, advice, stored=sign * means[0], found=sign * means[1])
    else:
        yield Note(f"{text}; chance explains the difference")


def _by_seed(records: Sequence[RunRecord], metric: str) -> dict[int, dict[str, float]]:
    """Seed -> signal -> the metric."""
    found: dict[int, dict[str, float]] = {}
    for record in records:
        value = record.metrics.get(metric, math.nan)
        if math.isfinite(value):
            found.setdefault(record.run["seed"], {})[record.run["signal_label"]] = value
    return found


def _means(found: Mapping[int, Mapping[str, float]], signals: Collection[str], sign: float) -> dict[int, float]:
    """The mean over these signals of each seed that has all of them, larger is better."""
    return {
        seed: sign * fmean(values[signal] for signal in signals)
        for seed, values in found.items()
        if signals and values.keys() >= set(signals)
    }


def _chance(inside: Sequence[float], left: Sequence[float]) -> float:
    """The share of all choices of as many seeds that are at least as good as the one that was made."""
    pool, count = [*inside, *left], len(inside)
    if math.comb(len(pool), count) > 100_000:
        return 0.0 if min(inside) >= max(left) else 1.0
    sums = [sum(choice) for choice in combinations(pool, count)]
    return sum(value >= sum(inside) - 1e-12 for value in sums) / len(sums)


def _odd_ones(
    runs: Sequence[ResultRun],
    key: Callable[[ResultRun], Hashable],
    probe: str,
    what: str,
    of_baselines: str = "stale-baseline",
) -> Iterator[Finding]:
    """The runs whose key is not that of most runs; fields decide before baselines do.

    Args:
        runs: to compare.
        key: equal for runs that belong together.
        probe: finds the odd ones among fields.
        what: what is wrong with them.
        of_baselines: the probe that finds those that are baselines.
    """
    keys = {run.id: key(run) for run in runs}
    if len(set(keys.values())) < 2:
        return
    fields, everything = Counter(keys[run.id] for run in runs if not run.baseline), Counter(keys.values())
    usual = max(everything, key=lambda value: (fields[value], everything[value]))
    odd: dict[str, list[ResultRun]] = {}
    for run in runs:
        if keys[run.id] != usual:
            odd.setdefault(of_baselines if run.baseline else probe, []).append(run)
    for name, members in odd.items():
        yield finding(name, members, what, FIT_AGAIN)


def _record(run: ResultRun) -> RunRecord:
    assert run.record is not None, title(run)
    return run.record


def _data(run: ResultRun) -> str:
    record = _record(run)
    return canonical([plain_identity(record.run["task"], record.run["files"]), _files(record.run), record.data])


def _files(data: Mapping[str, object]) -> list[object]:
    files = data["files"]
    assert isinstance(files, Mapping)
    return sorted(files.values())


def _row_key(record: RunRecord) -> str:
    run = record.run
    return canonical([group_of(run), run["code"], run["targets"], run["device"].partition(":")[0]])


def _options(data: Mapping[str, object]) -> dict[str, object]:
    """What was asked for, with dotted keys."""
    files = data["files"]
    assert isinstance(files, Mapping)
    kept = {key: data[key] for key in ("task", "field", "baseline", "training") if data[key] is not None}
    return flatten(plain_identity(kept, files))


def _is_budget(key: str) -> bool:
    return key == "training.batch" or key.endswith(".parameters") or key.rpartition(".")[2] == "width"
