"""What is verified: a folder's last experiment, every run file beside it, and the plan made again. Imports no torch."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inrbench_core.api.errors import InrbenchError
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.results.load import ids_of, load_results
from inrbench_core.results.merging import every_run
from inrbench_core.results.results import ResultBoard, ResultRow, ResultRun, Results
from inrbench_core.runs.identity import group_of, settings_of
from inrbench_core.runs.plan import Plan, make_plan
from inrbench_core.runs.record import RunRecord
from inrbench_core.runs.runfile import NotARun, read_file
from inrbench_core.runs.store import RunStore
from inrbench_core.runs.tuning import grown
from inrbench_core.spec.builder import build_experiment
from inrbench_core.spec.yaml_io import Document, parse_value


@dataclass(frozen=True)
class Subject:
    """A folder of results, read once.

    Args:
        results: of the experiment that was started last.
        records: by id, of every run file that is whole, whether a table shows it or not; each file was read in full.
        unusable: name of each other file -> why it is not usable.
        listed: the ids that any experiment of the folder names.
        catalog: the components that are installed.
        plan: what the stored spec asks for, planned anew with what is installed, and with what the stored trials
            choose; None if that is not possible.
        no_plan: why there is no plan, or "".
        writer: the process that was writing into the folder when it was read, or "".
    """

    results: Results
    records: Mapping[str, RunRecord]
    unusable: Mapping[str, str]
    listed: frozenset[str]
    catalog: Catalog
    plan: Plan | None
    no_plan: str
    writer: str

    def made_here(self, row: ResultRow) -> list[ResultRun]:
        """The final runs of a row that have a record and were made in this folder."""
        return [run for run in row.runs if run.record is not None and not run.origin]

    def board_runs(self, board: ResultBoard) -> list[ResultRun]:
        """The runs of a table that have a record and were made in this folder, trials after all final runs.

        A run that serves several rows is listed once.
        """
        runs: dict[str, ResultRun] = {}
        finals = (run for row in board.rows for run in row.runs)
        for run in (*finals, *(run for row in board.rows for run in row.trials)):
            if run.record is not None and not run.origin:
                runs.setdefault(run.id, run)
        return list(runs.values())


def record_of(run: ResultRun) -> RunRecord:
    """The record of a run that has one."""
    assert run.record is not None, run.id
    return run.record


def read_subject(folder: Path, catalog: Catalog) -> Subject:
    """Read a folder of results. Raises InrbenchError if it holds none."""
    store = RunStore(folder)
    writer = store.writer()
    experiments = store.experiments()
    results = load_results(folder)
    records, unusable = {}, dict(store.unusable)
    for path in sorted(store.runs.glob("*.h5")):
        try:
            records[path.stem] = read_file(path)
        except (NotARun, FileNotFoundError) as error:
            unusable[path.name] = str(error)
    listed = frozenset(run_id for data in experiments for run_id in ids_of(data))
    kinds = Counter(record.run["device"] for record in records.values())
    device = kinds.most_common(1)[0][0] if kinds else "cpu"
    plan, no_plan = _planned(experiments[-1], device, catalog)
    if plan is not None:
        plan = _with_choices(plan, results)
    return Subject(results, records, unusable, listed, catalog, plan, no_plan, writer)


def to_refit(subject: Subject, count: int, seed: int) -> list[ResultRun]:
    """Runs of fields that are ok, trials and those known from elsewhere among them.

    Args:
        subject: the folder.
        count: how many at most.
        seed: of the choice.
    """
    runs = {
        run.id: run
        for run in every_run(subject.results)
        if run.status == "ok" and record_of(run).run["field"] is not None
    }
    return [runs[run_id] for run_id in random.Random(seed).sample(sorted(runs), min(count, len(runs)))]


def _planned(data: Mapping[str, Any], device: str, catalog: Catalog) -> tuple[Plan | None, str]:
    """The plan of a stored experiment, or None and the reason."""
    try:
        document = Document(Path(data["spec_folder"], "spec"), data["spec"], parse_value(data["spec"]), {(): 1})
        return make_plan(build_experiment(document, catalog, data["settings"]), catalog, device), ""
    except KeyError:
        return None, "its settings were not compared with the spec: it was started by an older version of inrbench"
    except (InrbenchError, ValueError) as error:
        first = str(error).splitlines()[0]
        return None, f"its settings were not compared with the spec, which cannot be planned here: {first}"


def _with_choices(plan: Plan, results: Results) -> Plan:
    """The plan with what the stored trials choose, whatever code they were made by."""
    records = [run.record for run in every_run(results) if run.record is not None]
    by_settings = {settings_of(group_of(record.run), record.run): record for record in records}
    trials = [run for board in plan.boards for row in board.rows for trial in row.trials for run in trial.runs]
    return grown(plan, {run.id: by_settings[run.settings] for run in trials if run.settings in by_settings})
