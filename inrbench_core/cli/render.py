"""`inrbench render`: look at a trained field, at any resolution."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.suggest import did_you_mean
from inrbench_core.cli.common import AsJson, PluginFiles, get_catalog, make_console, print_json
from inrbench_core.plugins.catalog import Catalog, LookupFailure
from inrbench_core.plugins.failures import one_line

if TYPE_CHECKING:
    from inrbench_core.runs.record import RunRecord


def render(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run's .h5 file, or a folder of results: then its best field.")
    ],
    size: Annotated[
        int | None, typer.Option(min=1, help="Samples along the longest axis; default: those of the signal.")
    ] = None,
    field: Annotated[str | None, typer.Option(help="In a folder of results, the field of this name.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the files; default: renders/ of RUN.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    as_json: AsJson = False,
    plugin_files: PluginFiles = None,
) -> None:
    """Evaluate a trained field and write what it gives as files: pictures, wav, gif, ply, and the arrays as npz.

    The signal's own file is not needed.
    """
    from inrbench_core.fit.device import choose_device
    from inrbench_core.results.field import field_of, read_record
    from inrbench_core.results.render import make_renderer

    catalog = get_catalog(plugin_files)
    place = choose_device(device)
    records = _choose(run, field) if run.is_dir() else [read_record(run)]
    folder = out if out is not None else _home(run) / "renders"
    console = make_console()
    rendered = []
    for record in records:
        fitted = field_of(record, catalog, place)
        with _named_errors(record, catalog):
            renderer = make_renderer(fitted, catalog)
            evaluation = renderer.render(fitted.model, size)
        words = [record.run["task_label"], record.run["signal_label"], record.run["label"], f"seed{record.run['seed']}"]
        words = list(dict.fromkeys(words))
        stem = re.sub(r"[^\w.+-]+", "_", "-".join([*words, *([str(size)] if size else [])]))[:150]
        folder.mkdir(parents=True, exist_ok=True)
        with _named_errors(record, catalog):
            paths = [str(path) for path in renderer.save(evaluation, folder, stem)]
        metrics = {name: value if math.isfinite(value) else None for name, value in record.metrics.items()}
        rendered.append({"title": " / ".join(words), "metrics": metrics, "files": paths})
        if not as_json:
            figures = ", ".join(f"{name} {value:.6g}" for name, value in metrics.items() if value is not None)
            lines = [" / ".join(words) + (f": {figures}" if figures else ""), *(f"  {path}" for path in paths)]
            console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    if as_json:
        print_json({"schema": "inrbench.render/2", "rendered": rendered})


@contextmanager
def _named_errors(record: RunRecord, catalog: Catalog) -> Iterator[None]:
    """Tell in one line which plugin's renderer raised what; full disks and the like keep their own message."""
    try:
        yield
    except (InrbenchError, OSError):
        raise
    except (Exception, SystemExit) as error:
        task = record.run["task"]["name"]
        try:
            owner = catalog.find("task", task).distribution
        except LookupFailure:
            # Without the task's plugin core renders.
            owner = "inrbench"
        raise InrbenchError(f"the renderer of the task {task!r} of {owner} raised {one_line(error)}") from None


def _home(run: Path) -> Path:
    """The folder of results that a run's file, or the folder itself, belongs to."""
    if run.is_dir():
        return run
    folder = run.resolve().parent
    return folder.parent if folder.name == "runs" else folder


def _choose(folder: Path, field: str | None) -> list[RunRecord]:
    """For each task the first good run of the field of that name, or of the best one."""
    from inrbench_core.results.load import load_results

    boards = load_results(folder).leaderboards()
    # A baseline with parameters is a field, too.
    names = {row.label for board in boards for row in board.rows if row.parameters or not row.baseline}
    if field is not None and field not in names:
        raise InrbenchError(
            f"{folder}: no field {field!r}{did_you_mean(field, names)}; there are {', '.join(sorted(names))}"
        )
    chosen = []
    for board in boards:
        rows = [row for row in board.rows if (not row.baseline if field is None else row.label == field)]
        # Incomplete rows have no rank, and keep their place among the others by their figures.
        rows.sort(key=lambda row: row.rank or math.inf)
        good = next(filter(None, ([run for run in row.runs if run.status == "ok"] for row in rows)), [])
        # Of runs that only an exported table tells of there are no weights.
        record = next((run.record for run in sorted(good, key=lambda run: bool(run.origin))), None)
        if record is not None:
            chosen.append(record)
    if not chosen:
        raise InrbenchError(f"{folder}: no run of {field or 'any field'} is ok")
    return chosen
