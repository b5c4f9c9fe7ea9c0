"""`inrbench show`: drawings in the terminal and in files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inrbench_core import InrbenchError
from inrbench_core.cli.curves import Curves, sample_curves
from inrbench_core.cli.describe import describe_details
from inrbench_core.cli.drawing import draw
from inrbench_core.cli.plotting import plot
from inrbench_core.cli.show import wrapped

PLUGIN = ("--plugin-file", Path(__file__).parent.parent / "stand_ins" / "small_plugin.py")


def curves_of(*functions):
    x = np.linspace(-1, 1, 401)
    labels = tuple(f"k = {k}" for k in range(len(functions)))
    return Curves(x, np.stack([f(x) for f in functions]), "x", labels, "a test")


def dots(lines):
    """Where the dots of braille characters are: rows from the top, columns from the left."""
    bits = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (3, 0), (3, 1)]
    for row, line in enumerate(lines):
        for column, character in enumerate(line.partition("│")[2]):
            for bit, (down, right) in enumerate(bits):
                if ord(character) - 0x2800 >> bit & 1:
                    yield 4 * row + down, 2 * column + right


def test_a_line_is_drawn_from_the_lower_left_to_the_upper_right():
    lines = list(draw(curves_of(lambda x: 3 * x)))
    assert max(map(len, lines)) <= 80
    frame = [line for line in lines if "│" in line]
    assert frame[0].split()[0] == "3"
    assert frame[-1].split()[0] == "-3"
    assert lines[len(frame)].split() == ["-1", "x", "=", "0", "1"]
    rows, columns = np.array(list(dots(frame))).T
    height, width = rows.max(), columns.max()
    assert height == 4 * len(frame) - 1
    np.testing.assert_allclose(rows, height * (1 - columns / width), atol=1.5)
    assert set(columns) == set(range(width + 1))


def test_a_constant_and_values_that_are_not_finite_can_be_drawn():
    lines = list(draw(curves_of(lambda x: np.full_like(x, 2.0), lambda x: np.where(x > 0, np.nan, x))))
    frame = [line for line in lines if "│" in line]
    assert frame[1].split()[0] == "2"
    _, columns = np.array(list(dots(frame[3:]))).T
    assert columns.max() == 62  # the middle of 124


def test_of_a_large_family_the_first_are_drawn():
    lines = list(draw(curves_of(*[np.sin] * 8)))
    assert sum("k = " in line for line in lines) == 6
    assert "2 more are not drawn" in lines[-1]


def test_the_functions_of_a_basis_are_its_own(catalog):
    curves = sample_curves(catalog.resolve("basis", "chebyshev"))
    assert curves.labels == ("k = 0", "k = 1", "k = 2", "k = 3", "k = 4")
    assert (curves.x[0], curves.x[-1]) == (pytest.approx(-1.2), pytest.approx(1.2))
    np.testing.assert_allclose(curves.y[3], 4 * curves.x**3 - 3 * curves.x, atol=1e-5)


def test_a_fast_function_is_drawn_over_a_short_piece(catalog):
    curves = sample_curves(catalog.resolve("activation", {"name": "sine", "omega": 30.0}))
    assert curves.x[-1] == 0.5
    np.testing.assert_allclose(curves.y[0], np.sin(30 * curves.x), atol=1e-4)
    assert sample_curves(catalog.resolve("activation", "tanh")).x[-1] == 4.0


def test_show_draws_an_activation_and_not_in_json(run_cli):
    shown = run_cli("show", "activation", "wave", *PLUGIN)
    assert shown.returncode == 0, shown.stderr
    frame = [line for line in shown.stdout.splitlines() if "│" in line]
    assert len(frame) == 12
    assert "in a hidden layer, as it starts" in shown.stdout
    assert json.loads(run_cli("show", "activation", "wave", "--json", *PLUGIN).stdout)["name"] == "wave"


def test_plot_writes_a_picture_with_a_colour_for_each_function(run_cli, tmp_path):
    pytest.importorskip("matplotlib")
    file = tmp_path / "out.png"
    done = run_cli("show", "basis", "chebyshev", "--plot", file)
    assert done.returncode == 0, done.stderr
    with Image.open(file) as picture:
        assert picture.size == (1200, 750)
        counts = picture.convert("RGB").getcolors(1 << 20)
    # matplotlib's first five colours, each with a line and a place in the legend.
    tab10 = [(31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189)]
    found = {colour: count for count, colour in counts}
    assert all(found.get(colour, 0) > 200 for colour in tab10)


@pytest.mark.parametrize("name", ["x.nonsense", "no/such/x.png"])
def test_a_file_that_cannot_be_written_is_one_line(tmp_path, name):
    pytest.importorskip("matplotlib")
    with pytest.raises(InrbenchError, match="cannot write") as caught:
        plot(curves_of(np.sin), "", "", tmp_path / name)
    assert "\n" not in str(caught.value)


def test_what_has_no_functions_is_not_plotted(run_cli, tmp_path):
    done = run_cli("show", "field", "shallow", "--plot", "x.png", *PLUGIN, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("inrbench: components of kind field are not drawn")
    assert done.stderr.count("\n") == 1


def test_the_name_of_a_recipe_may_be_given_as_that_of_a_field(run_cli):
    as_field, as_recipe = (run_cli("show", kind, "inr-bench/bspline").stdout for kind in ("field", "recipe"))
    assert as_field == as_recipe
    assert as_field.startswith("inr-bench/bspline (recipe): ")
    assert "\nfields:\n- inr-bench/bspline\n" in as_field
    # The other way round the name is a field's only.
    done = run_cli("show", "recipe", "mlp")
    assert (done.returncode, done.stderr) == (2, "inrbench: no recipe named 'mlp'; that is a field\n")


def test_a_recipe_is_shown_with_the_formula_of_each_of_its_components(run_cli):
    shown = run_cli("show", "field", "inr-bench/rff+relu").stdout
    made_of = shown.partition("made of")[2].partition("distribution")[0]
    lines = [line.strip() for line in made_of.splitlines()]
    assert [line.partition(":")[0] for line in lines] == ["field mlp", "encoding rff", "activation relu"]
    assert lines[1].endswith("[sin(2 pi B x), cos(2 pi B x)], B ~ N(0, sigma)")
    assert "reference    INR-Bench 2025, arXiv:2510.10188" in shown
    assert "training     optimizer: adam, lr: 0.0004" in shown
    data = json.loads(run_cli("show", "recipe", "inr-bench/rff+relu", "--json").stdout)
    assert [(part["kind"], part["name"]) for part in data["components"]][1:] == [
        ("encoding", "rff"),
        ("activation", "relu"),
    ]
    assert data["components"][2]["formula"] == "max(0, z)"


def test_an_unknown_recipe_is_one_line_with_a_suggestion(run_cli):
    done = run_cli("show", "field", "inr-bench/bsplin")
    assert done.returncode == 2
    assert done.stderr.startswith("inrbench: no field named 'inr-bench/bsplin'; did you mean 'inr-bench/bspline'")
    assert done.stderr.count("\n") == 1


DOCUMENTED = '''
import sys
from inrbench_core import ComponentSpec, FieldEntry, hookimpl

class TableSpec(ComponentSpec):
    """A table.

    Poor where the signal has more than a thousand values, since a table of this size has one cell for several of them;
    use it as a measure of others.

        cells = 64
    """

@hookimpl
def inrbench_fields():
    yield FieldEntry("table", TableSpec, "documented_torch:Table", formula="T[x]", api=1)
'''
TARGET = '''
import torch

class Other:
    """Another class."""

class Table(torch.nn.Module):
    """One number for each cell.

    - starts at zero
    - is linear in its numbers
    """
'''


@pytest.fixture
def documented(tmp_path):
    """A plugin whose options and whose target have a docstring of several paragraphs."""
    (tmp_path / "documented.py").write_text(DOCUMENTED)
    (tmp_path / "documented_torch.py").write_text(TARGET)
    return tmp_path / "documented.py"


def test_the_whole_docstring_is_shown_folded(run_cli, documented):
    shown = run_cli("show", "field", "table", "--plugin-file", documented).stdout
    summary, _, rest = shown.partition("\n\n")
    assert summary == "table (field): A table."
    prose = rest.partition("formula")[0]
    assert max(map(len, prose.splitlines())) <= 100
    assert " ".join(prose.split()).startswith(
        "Poor where the signal has more than a thousand values, since a table of this size has one cell for several of "
        "them; use it as a measure of others."
    )
    assert "\n    cells = 64\n" in prose
    assert "One number for each cell.\n\n- starts at zero\n- is linear in its numbers\n" in prose
    assert "Another class" not in prose
    details = json.loads(run_cli("show", "field", "table", "--plugin-file", documented, "--json").stdout)["details"]
    assert details.split() == prose.split()


ENTRIES = """\
A line of prose
|z| and another.

Args:
    spec: a short one.
    context: one that is longer than the others,
        on two lines.

Raises:
    UnsupportedError: for more than four coordinates.

Returns:
    Values of every point,
    in the order of the points.

- a list of one item that is long enough to be folded
  here
- and a short one

    x = 1
    y = 2

| a table | of which the lines are longer than all the others |"""


def test_indented_text_of_a_docstring_is_folded_with_its_indent():
    assert wrapped(ENTRIES, 40).splitlines() == [
        "A line of prose |z| and another.",
        "",
        "Args:",
        "    spec: a short one.",
        "    context: one that is longer than the",
        "        others, on two lines.",
        "",
        "Raises:",
        "    UnsupportedError: for more than four",
        "        coordinates.",
        "",
        "Returns:",
        "    Values of every point,",
        "    in the order of the points.",
        "",
        "- a list of one item that is long enough",
        "  to be folded here",
        "- and a short one",
        "",
        "    x = 1",
        "    y = 2",
        "",
        "| a table | of which the lines are longer than all the others |",
    ]
    # A paragraph with an indent is filled as one.
    assert wrapped("    Values of every point,\n    in the order of points.", 24).splitlines() == [
        "    Values of every",
        "    point, in the order",
        "    of points.",
    ]


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_lists_of_a_component_are_folded_behind_their_titles(run_cli, columns):
    shown = run_cli("show", "task", "image", env={"COLUMNS": str(columns)}).stdout
    lines = shown.partition("distribution")[0].splitlines()
    assert max(map(len, lines)) <= min(columns, 100)
    start = next(index for index, line in enumerate(lines) if line.startswith("metrics"))
    end = next(index for index, line in enumerate(lines) if line.startswith("ranked by"))
    assert {line[:13].strip() for line in lines[start + 1 : end]} <= {""}
    assert (end - start > 1) == (columns < 100)
    names = [metric["name"] for metric in json.loads(run_cli("show", "task", "image", "--json").stdout)["metrics"]]
    metrics = " ".join(line[13:] for line in lines[start:end])
    assert [text.split()[0] for text in metrics.split(", ")] == names


def test_a_target_that_cannot_be_read_takes_nothing_from_the_rest(run_cli, documented):
    documented.with_name("documented_torch.py").write_text("class Table(:")
    shown = run_cli("show", "field", "table", "--plugin-file", documented)
    assert shown.returncode == 0, shown.stderr
    assert "Poor where" in shown.stdout
    assert "One number" not in shown.stdout


def test_what_a_task_says_to_authors_is_left_out(catalog):
    entry = catalog.find("task", "image").entry
    assert "Raises" in entry.load().__doc__
    assert describe_details(entry) == ""


@pytest.mark.parametrize("arguments", [("field", "siren"), ("task", "image"), ("basis", "bspline", "--json")])
def test_what_is_not_drawn_is_shown_without_torch(arguments):
    code = (
        "import sys; from inrbench_core.cli.app import main\n"
        "try: main()\n"
        "finally: assert not {'torch', 'numpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, "show", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "reference" in done.stdout


def test_show_says_what_ranks_and_which_way_is_better(run_cli):
    shown = run_cli("show", "task", "line", *PLUGIN).stdout.splitlines()
    assert "metrics      psnr [dB], mae (lower is better)" in shown
    assert "ranked by    psnr" in shown


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("optimizer", "sgd", "in a spec:\ntraining:\n  optimizer: {name: sgd, momentum: 0.9}\n"),
        ("executor", "local", "in a spec:\nexecutor: local\n"),
        ("reporter", "runs", "on the command line:\ninrbench results DIR --format runs\n"),
    ],
)
def test_show_ends_with_what_can_be_pasted(run_cli, kind, name, text):
    assert run_cli("show", kind, name).stdout.endswith(text)


def test_without_matplotlib_the_extra_is_named(catalog, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InrbenchError, match=r"pip install 'inrbench\[plot\]'"):
        plot(curves_of(np.sin), "", "", tmp_path / "x.png")
