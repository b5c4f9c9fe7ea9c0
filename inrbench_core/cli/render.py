"""`inrbench render`: look at a trained field, at any resolution."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.suggest import did_you_mean
from inrbench_core.cli.common import AsJson, PluginFiles, get_catalog, make_console, print_json
from inrbench_core.plugins.catalog import Catalog

if TYPE_CHECKING:
    from inrbench_core.runs.record import RunRecord


def render(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run's .h5 file, or a folder of results: then its best field.")
    ],
    size: Annotated[
        int | None,
        typer.Option(min=1, help="Samples along the longest axis; default: those of the signal, with metrics."),
    ] = None,
    field: Annotated[str | None, typer.Option(help="In a folder of results, the field of this name.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the files; default: renders/ of RUN.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    as_json: AsJson = False,
    plugin_files: PluginFiles = None,
) -> None:
    """Evaluate a trained field and write what it gives as files: pictures, wav, gif, ply, and the arrays as npz."""
    from inrbench_core.runs.restore import restore

    catalog = get_catalog(plugin_files)
    records = [_read_file(run)] if run.is_file() else _choose(run, field, catalog)
    folder = out if out is not None else _home(run) / "renders"
    folder.mkdir(parents=True, exist_ok=True)
    console = make_console()
    rendered = []
    for record in records:
        problem, model = restore(record, catalog, device)
        evaluation = problem.evaluate(model) if size is None else problem.render(model, size)
        words = [record.spec["task_label"], record.spec["label"], f"seed{record.spec['seed']}"]
        stem = re.sub(r"[^\w.+-]+", "_", "-".join([*words, *([str(size)] if size else [])]))
        paths = [str(path) for path in problem.save(evaluation, folder, stem)]
        metrics = {name: value if math.isfinite(value) else None for name, value in evaluation.metrics.items()}
        rendered.append({"id": record.id, "title": " / ".join(words), "metrics": metrics, "files": paths})
        if not as_json:
            figures = ", ".join(f"{name} {value:.6g}" for name, value in metrics.items() if value is not None)
            lines = [" / ".join(words) + (f": {figures}" if figures else ""), *(f"  {path}" for path in paths)]
            console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    if as_json:
        print_json({"schema": "inrbench.render/1", "rendered": rendered})


def _home(run: Path) -> Path:
    """The folder of results that a run's file, or the folder itself, belongs to."""
    if run.is_dir():
        return run
    folder = run.resolve().parent
    return folder.parent if folder.name == "runs" else folder


def _read_file(file: Path) -> RunRecord:
    from inrbench_core.runs.store import read_run

    record = read_run(file)
    if record is None:
        raise InrbenchError(f"{file}: not the file of a run")
    return record


def _choose(folder: Path, field: str | None, catalog: Catalog) -> list[RunRecord]:
    """For each task the first good run of the field of that name, or of the best one."""
    from inrbench_core.results.load import load_leaderboards
    from inrbench_core.runs.store import RunStore

    store = RunStore(folder)
    boards = load_leaderboards(store, catalog)
    # A baseline with parameters is a field, too.
    names = {row.label for board in boards for row in board.rows if row.parameters or not row.baseline}
    if field is not None and field not in names:
        raise InrbenchError(
            f"{folder}: no field {field!r}{did_you_mean(field, names)}; there are {', '.join(sorted(names))}"
        )
    chosen = []
    for board in boards:
        rows = [row for row in board.rows if (not row.baseline if field is None else row.label == field)]
        ids = [run_id for row in rows for run_id in row.ids]
        good = (store.read(run_id) for run_id in ids)
        record = next((record for record in good if record is not None and record.status == "ok"), None)
        if record is not None:
            chosen.append(record)
    if not chosen:
        raise InrbenchError(f"{folder}: no run of {field or 'any field'} went well")
    return chosen
