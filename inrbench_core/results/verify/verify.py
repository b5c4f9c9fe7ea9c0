"""verify: every probe over a folder of results. Imports torch only where something is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from inrbench_core.plugins.catalog import Catalog
from inrbench_core.results.results import ResultRun
from inrbench_core.results.verify import planned, tables
from inrbench_core.results.verify.report import Remark, Report, make_report, title
from inrbench_core.results.verify.subject import Subject, read_subject

# Told what is done now: done, of how many, and the run.
Tell = Callable[[int, int, str], None]
CHECKS: tuple[Callable[[Subject], Iterator[Remark]], ...] = (
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
    tables.check_selection,
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
        refit: how many runs to fit again, chosen at random.
        seed: of that choice.
        tell: is told each run before it is computed or fitted again.

    Raises:
        InrbenchError: if the folder holds no results.
    """
    subject = read_subject(Path(folder), catalog)
    remarks = [remark for check in CHECKS for remark in check(subject)]
    runs = {run.id: run for run in subject.results.runs}
    fits = sum(run.status == "ok" and not run.origin for run in runs.values())
    if not fits:
        return make_report(str(folder), len(runs), 0, remarks)
    # Importing torch takes seconds, which a folder without a good run need not take.
    from inrbench_core.results.verify.recompute import Recomputation
    from inrbench_core.results.verify.refit import check_refits
    from inrbench_core.results.verify.seeds import check_seeds

    total, done = fits + min(refit, fits), iter(range(fits + refit + 1))

    def told(run: ResultRun) -> None:
        tell(next(done), total, title(run))

    recomputation = Recomputation(subject, told)
    remarks += recomputation.remarks()
    remarks += check_seeds(recomputation)
    remarks += check_refits(recomputation, refit, seed, told)
    return make_report(str(folder), len(runs), recomputation.done, remarks)
