"""Probes of what the records of a table say, each beside the others. Imports no torch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

from pydantic import ValidationError

from inrbench_core.api.spec import ParameterBudget
from inrbench_core.results.merging import every_run
from inrbench_core.results.results import ResultRun
from inrbench_core.results.verify.report import FIT_AGAIN, Finding, Note, Remark, Unchecked, finding, title
from inrbench_core.results.verify.subject import Subject, record_of
from inrbench_core.runs.identity import group_of, streams_seed
from inrbench_core.spec.experiment import plain_identity
from inrbench_core.spec.variants import canonical, flatten


def check_writer(subject: Subject) -> Iterator[Remark]:
    """Say that an experiment is under way in the folder."""
    if subject.writer:
        yield Note(f"{subject.writer} is writing into the folder: what it has not made yet is listed as missing")


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
    # One run may serve several rows.
    for run in {run.id: run for run in every_run(subject.results) if run.origin}.values():
        reason = f"known from {run.origin}: its weights are not here; --refit fits such runs, too"
        yield Unchecked((title(run),), reason)


def check_code(subject: Subject) -> Iterator[Remark]:
    """The runs of a table that use a distribution were made by the same code of it."""
    for board in subject.results.boards:
        runs = subject.board_runs(board)
        for distribution in sorted({name for run in runs for name in record_of(run).run["code"]}):
            users = [run for run in runs if distribution in record_of(run).run["code"]]
            yield from _odd_ones(
                users,
                lambda run, name=distribution: record_of(run).run["code"][name],  # type: ignore[misc]
                "code",
                f"made by other code of {distribution} than the rest of the table",
            )


def check_devices(subject: Subject) -> Iterator[Remark]:
    """The runs of a table were made on one kind of device."""
    for board in subject.results.boards:
        runs = subject.board_runs(board)
        yield from _odd_ones(
            runs,
            lambda run: record_of(run).run["device"].partition(":")[0],
            "devices",
            "made on another kind of device than the rest of the table",
            of_baselines="devices",
        )


def check_same_data(subject: Subject) -> Iterator[Remark]:
    """The runs of a table on one signal with one data seed saw the same data."""
    for board in subject.results.boards:
        groups = defaultdict(list)
        for run in subject.board_runs(board):
            if run.status == "ok":
                groups[run.signal, streams_seed(record_of(run).run["data_seed"], run.seed)].append(run)
        for runs in groups.values():
            yield from _odd_ones(runs, _data, "data", "its data are not those of the rest of the table")


def check_budgets(subject: Subject) -> Iterator[Remark]:
    """Parameters are within the tolerance of a budget, and all steps asked for were taken, but no more."""
    for board in subject.results.boards:
        for run in subject.board_runs(board):
            record = record_of(run)
            field, training = record.run["field"], record.run["training"]
            if run.status != "ok" or field is None:
                continue
            for value in field.values():
                asked, tolerance = _budget(value, record.values)
                if asked and abs(record.parameters - asked) > tolerance * asked:
                    what = "not the parameters of its budget"
                    yield finding("budget", [run], what, FIT_AGAIN, stored=asked, found=record.parameters)
            if record.step != training["steps"]:
                what = "not the steps that were asked for"
                yield finding("steps", [run], what, FIT_AGAIN, stored=training["steps"], found=record.step)


def _budget(option: object, values: int) -> tuple[int, float]:
    """The parameters that an option of a field asks for, 0 if it is no budget; and by what share they may differ."""
    try:
        budget = ParameterBudget.model_validate(option)
    except ValidationError:
        return 0, 0.0
    return budget.target(values), budget.tolerance


def check_rows(subject: Subject) -> Iterator[Remark]:
    """The runs of a row have the same settings but for signal and seed, and on one signal as many parameters."""
    for board in subject.results.boards:
        for row in board.rows:
            runs = subject.made_here(row)
            groups = Counter(group_of(record_of(run).run) for run in runs)
            usual = next((run for run in runs if group_of(record_of(run).run) == groups.most_common(1)[0][0]), None)
            for run in runs:
                if usual is not None and group_of(record_of(run).run) != group_of(record_of(usual).run):
                    yield from settings_findings(run, record_of(usual).run, "the rest of its row")
            for signal in dict.fromkeys(run.signal for run in runs):
                like = [run for run in runs if run.signal == signal and run.status == "ok"]
                yield from _odd_ones(
                    like, lambda run: record_of(run).parameters, "budget", "other parameters than the rest of its row"
                )


def settings_findings(run: ResultRun, wanted: Mapping[str, object], by: str) -> list[Finding]:
    """One finding for each option in which a run differs from what it was to be; of options that both have.

    Args:
        run: with a record.
        wanted: plain data of a run as it should be; its signal does not count.
        by: what says how it should be.
    """
    data = record_of(run).run
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


def _data(run: ResultRun) -> str:
    record = record_of(run)
    return canonical([plain_identity(record.run["task"], record.run["files"]), _files(record.run), record.data])


def _files(data: Mapping[str, object]) -> list[object]:
    files = data["files"]
    assert isinstance(files, Mapping)
    return sorted(files.values())


def _options(data: Mapping[str, object]) -> dict[str, object]:
    """What was asked for, with dotted keys."""
    files = data["files"]
    assert isinstance(files, Mapping)
    kept = {key: data[key] for key in ("task", "field", "baseline", "training") if data[key] is not None}
    return flatten(plain_identity(kept, files))


def _is_budget(key: str) -> bool:
    last = key.rpartition(".")[2]
    return key == "training.batch" or last in ("parameters", "values_per_parameter", "tolerance", "width", "points")
