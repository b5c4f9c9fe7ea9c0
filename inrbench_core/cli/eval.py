"""`inrbench eval`: carry out a spec and rank the fields."""

from __future__ import annotations

import re
import signal
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inrbench_core.api.entries import AnalysisEntry
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
from inrbench_core.cli.duration import seconds_of
from inrbench_core.cli.reporting import FormatName, FormatOptions, Reporter, Sort, find_reporter

if TYPE_CHECKING:
    from inrbench_core.plugins.catalog import Catalog
    from inrbench_core.results.evaluate import Options
    from inrbench_core.results.leaderboard import Leaderboard
    from inrbench_core.results.results import Results
    from inrbench_core.spec.experiment import Experiment

# A label names all options that differ; file systems allow 255 bytes.
LONGEST_STEM = 100

# The options of every command that carries out a spec.
SpecFile = Annotated[Path, typer.Option("--spec", help="The YAML file that says what to compare.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for results; default: results/<name of the spec>.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change the spec, as in training.steps=50; repeatable."),
]
Jobs = Annotated[int | None, typer.Option(min=1, help="Jobs at a time.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Repeat runs that have a good result.")]
Wait = Annotated[bool, typer.Option("--wait", help="Wait while another process writes into the folder.")]
MaxTime = Annotated[
    float | None,
    typer.Option(
        "--max-time",
        metavar="DURATION",
        parser=seconds_of,
        help="Stop after 90s, 30m, 8h or 1h30m; the same command continues from there.",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="PATTERN",
        help="Carry out only runs of which the label of the field, the task or the signal matches; repeatable.",
    ),
]
KnownFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--known",
        metavar="FILE",
        help="Count the good runs of this exported table as done, whoever made them; repeatable.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]


def evaluate(
    spec: SpecFile,
    out: Out = None,
    settings: Set = None,
    jobs: Jobs = None,
    device: Device = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print the runs, with parameter counts and the time they will take.")
    ] = False,
    fresh: Fresh = False,
    wait: Wait = False,
    max_time_s: MaxTime = None,
    only: Only = None,
    known: KnownFiles = None,
    quiet: Quiet = False,
    format_name: FormatName = None,
    format_options: FormatOptions = None,
    sort: Sort = None,
    as_json: AsJson = False,
    plugin_files: PluginFiles = None,
) -> None:
    """Fit every field of a spec on every task with every seed, and print the ranked tables.

    Finished runs are kept: after a stop, the same command continues.
    """
    from inrbench_core.results.evaluate import Options, results_folder
    from inrbench_core.results.leaderboard import check_metric
    from inrbench_core.spec.builder import load_experiment

    catalog = get_catalog(plugin_files)
    reporter = find_reporter(catalog, format_name, format_options, sort, as_json=as_json)
    warn_of_broken_plugins(catalog)
    experiment = load_experiment(spec, catalog, changes(settings, device))
    check_metric(reporter.sort, _metric_names(experiment))
    options = Options(out, jobs, fresh, wait, max_time_s, tuple(only or ()), tuple(known or ()))
    if dry_run:
        from inrbench_core.cli.dry_run import print_plan

        print_plan(experiment, catalog, options, all_plugin_files(plugin_files), as_json=as_json)
        return

    results = carry_out_watched(experiment, catalog, options, all_plugin_files(plugin_files), quiet=quiet)
    if reporter.is_table:
        _print_results(results, results_folder(experiment, options), reporter, as_json=as_json)
    else:
        reporter.write(results, as_json=as_json)
    if results.failed:
        raise typer.Exit(1)


def changes(settings: Sequence[str] | None, device: str | None) -> list[str]:
    """What `--set` and `--device` change in a spec, as "dotted.key=value"."""
    return [*(settings or []), *([f"device={device}"] if device is not None else [])]


def carry_out_watched(
    experiment: Experiment, catalog: Catalog, options: Options, plugin_files: Sequence[Path], *, quiet: bool
) -> Results:
    """Carry out an experiment, with its progress and warnings on stderr.

    Raises:
        typer.Exit: with status 130, after one line on stderr, if the user or a scheduler stops it.
    """
    from inrbench_core.cli.progress import listening
    from inrbench_core.results.evaluate import Stopped, carry_out, results_folder

    try:
        with _interruptible(), listening(catalog.manager, quiet=quiet):
            results = carry_out(experiment, catalog, options, plugin_files)
    except Stopped as stopped:
        folder = results_folder(experiment, options)
        say(f"stopped: {stopped} and kept in {folder}; the same command continues from there")
        raise typer.Exit(130) from None
    for line in results.warnings:
        say(f"warning: {line}")
    return results


def _metric_names(experiment: Experiment) -> set[str]:
    """Of its tasks, and of its analyses as tables call them."""
    names = {metric.name for board in experiment.boards for metric in board.entry.metrics}
    for analysis in experiment.analyses:
        assert isinstance(analysis.entry, AnalysisEntry)
        names |= {f"{analysis.name}.{metric.name}" for metric in analysis.entry.metrics}
    return names


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM, as from a cluster's scheduler, stops as Ctrl-C does: workers are ended and what is done is kept."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _print_results(results: Results, folder: Path, reporter: Reporter, *, as_json: bool) -> None:
    from inrbench_core.results.formats import json_data

    boards = results.leaderboards(reporter.sort)
    pictures = _draw(boards, folder)
    if as_json:
        print_json({**json_data(boards), "folder": str(folder), "pictures": [str(path) for path in pictures]})
        return
    reporter.write(results)
    console = make_console()
    console.print(f"results: {folder}", highlight=False, markup=False, soft_wrap=True)
    for path in pictures:
        console.print(f"picture: {path}", highlight=False, markup=False, soft_wrap=True)


def _draw(boards: list[Leaderboard], folder: Path) -> list[Path]:
    from inrbench_core.results.picture import draw_leaderboard

    pictures: list[Path] = []
    for board in boards:
        target = picture_file(folder, board.task_label, pictures)
        try:
            if draw_leaderboard(board, target):
                pictures.append(target)
        except Exception as error:
            say(f"warning: {target} is not drawn: {error}")
    return pictures


def picture_file(folder: Path, label: str, taken: Collection[Path]) -> Path:
    """A PNG in a folder, named by a label, that is not among those that are taken."""
    stem = re.sub(r"[^\w.-]+", "_", label).strip("_")[:LONGEST_STEM] or "picture"
    number, target = 1, folder / f"{stem}.png"
    while target in taken:
        # Labels may differ only in what a file's name cannot hold.
        number += 1
        target = folder / f"{stem}_{number}.png"
    return target
