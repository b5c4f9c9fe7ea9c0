"""verify: every probe over a folder of results. Imports torch only where something is computed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

from inrbench_core.plugins.catalog import Catalog
from inrbench_core.results.merging import every_run
from inrbench_core.results.results import ResultRun
from inrbench_core.results.verify import planned, selection, tables
from inrbench_core.results.verify.report import Remark, Report, make_report, title
from inrbench_core.results.verify.subject import Subject, read_subject, to_refit

# Told what is done now: done, of how many, and the run.
Tell = Callable[[int, int, str], None]
CHECKS: tuple[Callable[[Subject], Iterator[Remark]], ...] = (
    tables.check_writer,
    tables.check_files,
    tables.check_complete,
    tables.check_origins,
    planned.check_plan,
    planned.check_installed_code,
    tables.check_rows,
    tables.check_budgets,
    tables.check_code,
    tables.check_devices,
    tables.check_same_data,
    selection.check_selection,
)


def verify(
    folder: str | Path,
    catalog: Catalog,
    *,
    refit: int = 0,
    seed: int = 0,
    tell: Tell = lambda done, total, what: None,
) -> Report:
    """Look for what disagrees in a folder of results: in its last experiment, and in every run file.

    Args:
        folder: as `inrbench eval` names it.
        catalog: the components that are installed; runs of others are listed as not checked.
        refit: how many runs to fit again, chosen at random among those of this folder and those known from elsewhere.
        seed: of that choice.
        tell: is told each run before it is computed or fitted again.

    Raises:
        InrbenchError: if the folder holds no results.
    """
    subject = read_subject(Path(folder), catalog)
    remarks = [remark for check in CHECKS for remark in check(subject)]
    runs = {run.id: run for run in every_run(subject.results)}
    good = sum(run.status == "ok" and not run.origin for run in runs.values())
    chosen = to_refit(subject, refit, seed)
    if not good and not chosen:
        return make_report(str(folder), len(runs), remarks)
    # Importing torch takes seconds, which a folder without a good run need not take.
    from inrbench_core.results.verify.recompute import Recomputation
    from inrbench_core.results.verify.refit import Refits
    from inrbench_core.results.verify.seeds import check_seeds

    total, done = good + len(chosen), itertools.count()

    def told(run: ResultRun) -> None:
        tell(next(done), total, title(run))

    recomputation = Recomputation(subject, told)
    remarks += recomputation.remarks()
    remarks += check_seeds(recomputation)
    refits = Refits(recomputation, told)
    remarks += refits.remarks(chosen)
    return make_report(str(folder), len(runs), remarks, recomputed=recomputation.done, refitted=refits.done)
