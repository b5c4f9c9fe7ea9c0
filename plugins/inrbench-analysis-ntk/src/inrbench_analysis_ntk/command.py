"""`inrbench ntk`: all fields of a spec side by side. At its top it imports neither torch nor matplotlib nor numpy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inrbench_core.api.errors import InrbenchError
from inrbench_core.cli.common import (
    AsJson,
    PluginFiles,
    all_plugin_files,
    get_catalog,
    make_console,
    print_json,
    say,
    warn_of_broken_plugins,
)
from inrbench_core.cli.eval import (
    Device,
    Fresh,
    Jobs,
    Out,
    Quiet,
    Set,
    SpecFile,
    Wait,
    carry_out_watched,
    changes,
    picture_file,
)

if TYPE_CHECKING:
    from inrbench_analysis_ntk.overview import FieldCurves
    from inrbench_analysis_ntk.table import NtkTable

ANALYSIS = "ntk"


def add_command(app: typer.Typer) -> None:
    """Add `ntk` to the command line."""
    app.command("ntk")(compare_fields)


def compare_fields(
    spec: SpecFile,
    steps: Annotated[
        int | None,
        typer.Option(min=0, help="Train every field for so many steps, whatever the spec says; 0: not at all."),
    ] = None,
    out: Out = None,
    settings: Set = None,
    jobs: Jobs = None,
    device: Device = None,
    fresh: Fresh = False,
    wait: Wait = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    plugin_files: PluginFiles = None,
) -> None:
    """Compare the neural tangent kernels of all fields of a spec: a table, response by frequency, spectra.

    The spec is carried out as `inrbench eval` does it, with the analysis ntk; finished runs are kept.
    """
    from inrbench_core.results.evaluate import Options, results_folder
    from inrbench_core.spec.builder import build_experiment
    from inrbench_core.spec.settings import with_settings
    from inrbench_core.spec.yaml_io import load_yaml

    if find_spec("matplotlib") is None:
        raise InrbenchError("inrbench ntk needs matplotlib: pip install matplotlib")
    catalog = get_catalog(plugin_files)
    warn_of_broken_plugins(catalog)
    document, asked = load_yaml(spec), changes(settings, device)
    # What is wrong with a setting is told when the experiment is built.
    data = with_settings(document.data, asked, lambda path, message: None)
    experiment = build_experiment(document, catalog, [*asked, *own_settings(data, steps)])
    options = Options(out, jobs, fresh, wait)
    results = carry_out_watched(experiment, catalog, options, all_plugin_files(plugin_files), quiet=quiet)

    from inrbench_analysis_ntk.table import make_tables

    print_comparison(make_tables(results), results_folder(experiment, options), as_json=as_json)
    if results.failed:
        raise typer.Exit(1)


def own_settings(data: Any, steps: int | None) -> Iterator[str]:
    """The changes that make a spec one for this command, as "dotted.key=value"; what is malformed stays as it is.

    Args:
        data: the spec with the user's own changes.
        steps: of training, for all fields; None: as the spec says.
    """
    if not isinstance(data, Mapping):
        return
    analyses = data.get("analyses")
    listed = analyses if isinstance(analyses, list) else [] if analyses is None else [analyses]
    names = [one.get("name") if isinstance(one, Mapping) else one for one in listed]
    # A name may have its distribution before it.
    if not any(isinstance(name, str) and name.rpartition(":")[2] == ANALYSIS for name in names):
        yield f"analyses={json.dumps([*listed, ANALYSIS], ensure_ascii=False)}"
    if steps is not None:
        yield from _with_steps("fields", data.get("fields"), steps)


def _with_steps(path: str, fields: Any, steps: int) -> Iterator[str]:
    """Set the steps of each field by itself: what a field or its recipe says counts more than the shared training."""
    if isinstance(fields, list):
        for index, field in enumerate(fields):
            yield from _with_steps(f"{path}.{index}", field, steps)
    elif isinstance(fields, str):
        yield f"{path}={json.dumps({'name': fields, 'training': {'steps': steps}}, ensure_ascii=False)}"
    elif isinstance(fields, Mapping) and isinstance(fields.get("training", {}), Mapping):
        yield f"{path}.training.steps={steps}"


def print_comparison(tables: Sequence[NtkTable], folder: Path, *, as_json: bool) -> None:
    """Draw the pictures into a folder and print the tables, or all of it as JSON."""
    from inrbench_analysis_ntk.table import SCHEMA, print_ntk_tables, table_data
    from inrbench_core.results.tables import WIDE

    drawn = [_draw(table, folder, stem) for table, stem in zip(tables, _stems(tables, folder), strict=True)]
    if as_json:
        tasks = [{**table_data(table), "pictures": pictures} for table, pictures in zip(tables, drawn, strict=True)]
        print_json({"schema": SCHEMA, "folder": str(folder), "tasks": tasks})
        return
    console = make_console(width=WIDE)
    print_ntk_tables(console, tables)
    console.print(f"results: {folder}", highlight=False, markup=False, soft_wrap=True)
    for pictures in drawn:
        for name in ("responses", "spectra"):
            if pictures[name]:
                console.print(f"picture: {pictures[name]}", highlight=False, markup=False, soft_wrap=True)
        if pictures["fields"]:
            place = Path(next(iter(pictures["fields"].values()))).parent
            console.print(f"pictures of each field: {place}", highlight=False, markup=False, soft_wrap=True)


def _stems(tables: Sequence[NtkTable], folder: Path) -> list[str]:
    """What tells the pictures of the tasks apart in their files' names; "" for a single task."""
    files: list[Path] = []
    for table in tables:
        files.append(picture_file(folder, table.board.task_label, files))
    return [file.stem for file in files] if len(files) > 1 else [""]


def _draw(table: NtkTable, folder: Path, stem: str) -> dict[str, Any]:
    """Draw what is known; a picture that fails is a warning, and None.

    Args:
        table: of one task.
        folder: of the results.
        stem: of the files' names, or "".

    Returns:
        paths: `responses`, `spectra`, and `fields` by the label of each.
    """
    from inrbench_analysis_ntk.overview import draw_responses, draw_spectra

    task = table.board.task_label
    pictures: dict[str, Any] = {}
    overviews = {
        "responses": (draw_responses, "response by frequency"),
        "spectra": (draw_spectra, "eigenvalues of the kernel"),
    }
    for name, (draw_all, what) in overviews.items():
        target = folder / f"ntk_{name}{stem and '_' + stem}.png"
        heading = f"{task}: {what}"
        pictures[name] = _tried(target, partial(draw_all, table.curves, target, heading))
    fields: dict[str, str] = {}
    taken: list[Path] = []
    for row in table.rows:
        if row.curves is None:
            continue
        target = picture_file(folder / "ntk" / stem, row.label, taken)
        taken.append(target)
        heading = f"{task} / {row.label}" + (f" / {row.source}" if row.source else "")
        if (path := _tried(target, partial(_draw_one, row.curves, target, heading))) is not None:
            fields[row.label] = path
    return {**pictures, "fields": fields}


def _draw_one(row: FieldCurves, target: Path, title: str) -> bool:
    from PIL import Image

    from inrbench_analysis_ntk.figures import draw_field

    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw_field(row.seen, title)).save(target)
    return True


def _tried(target: Path, draw: Callable[[], bool]) -> str | None:
    """The path of a picture; None if there is nothing to draw, or with a warning if that fails."""
    try:
        return str(target) if draw() else None
    except Exception as error:
        say(f"warning: {target} is not drawn: {error}")
        return None
