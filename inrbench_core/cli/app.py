"""The typer application and its entry point."""

from __future__ import annotations

import codecs
import io
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

import inrbench_core
from inrbench_core.api.errors import InrbenchError, StorageError
from inrbench_core.cli import check as check_command
from inrbench_core.cli import compare as compare_command
from inrbench_core.cli import eval as eval_command
from inrbench_core.cli import list as list_command
from inrbench_core.cli import new as new_command
from inrbench_core.cli import render as render_command
from inrbench_core.cli import results as results_command
from inrbench_core.cli import schema as schema_command
from inrbench_core.cli import show as show_command
from inrbench_core.cli import verify as verify_command
from inrbench_core.cli.common import PluginFiles, add_plugin_files, emit, get_catalog, say
from inrbench_core.plugins.failures import one_line
from inrbench_core.spec.yaml_io import SpecError

# The base of what typer raises for wrong arguments; it has no public name there.
UsageError: Any = typer.BadParameter.__bases__[0]
EPILOG = "Start with: inrbench list, then inrbench show task image, whose YAML is the beginning of a spec."


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"inrbench {inrbench_core.__version__}")
        raise typer.Exit()


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    plugin_files: PluginFiles = None,
) -> None:
    """Benchmark implicit neural representations: which field fits your signal best, and by how much?"""


def build_app(plugin_files: Sequence[Path] = ()) -> typer.Typer:
    """The application with core's commands and those of plugins."""
    app = typer.Typer(
        name="inrbench",
        epilog=EPILOG,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(_options)
    app.command("list")(list_command.list_components)
    app.command("show")(show_command.show)
    app.command("eval")(eval_command.evaluate)
    app.command("results")(results_command.results)
    app.command("compare")(compare_command.compare)
    app.command("verify")(verify_command.verify)
    app.command("render")(render_command.render)
    app.command("schema")(schema_command.schema)
    app.command("check")(check_command.check)
    app.command("new")(new_command.new)
    for implementation in get_catalog(plugin_files).manager.hook.inrbench_commands.get_hookimpls():
        try:
            implementation.function(app)
        except (Exception, SystemExit) as error:
            say(f"warning: the commands of {implementation.plugin_name} are left out: {one_line(error)}")
    return app


def _plugin_files(arguments: Sequence[str]) -> list[Path]:
    """The plugin files among the arguments: they may add commands, so they are needed before the others are read."""
    files = []
    for index, argument in enumerate(arguments):
        if argument == "--plugin-file" and index + 1 < len(arguments):
            files.append(Path(arguments[index + 1]))
        elif argument.startswith("--plugin-file="):
            files.append(Path(argument.partition("=")[2]))
    return files


def main() -> None:
    """Run the command line. Errors made for people are one line each; all else is a bug of ours."""
    warnings.showwarning = _show_warning
    codecs.register_error("inrbench", _write_out)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="inrbench")
    arguments = sys.argv[1:]
    try:
        files = _plugin_files(arguments)
        add_plugin_files(files)
        # Not standalone, because typer's own error messages are not made printable.
        code = build_app(files)(arguments or ["--help"], standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except UsageError as error:
        place = f"; see {error.ctx.command_path} --help" if error.ctx else ""
        say(f"{error.format_message().rstrip('.')}{place}")
        sys.exit(2)
    except typer.Abort:
        sys.exit(1)
    except SpecError as error:
        emit(f"{error}\n", stderr=True)
        sys.exit(3 if error.broken else 2)
    except StorageError as error:
        say(str(error))
        sys.exit(1)
    except InrbenchError as error:
        say(str(error))
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader, such as `head`, has had enough.
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        say(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        sys.exit(1)


def _write_out(error: UnicodeError) -> tuple[str, int]:
    """What the encoding of the terminal lacks, as \\uXXXX: in JSON that stands for the character itself."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    say(f"warning: {message}")


if __name__ == "__main__":
    main()
