"""The pictures: sizes, what is drawn and what is left out."""

import functools
import math
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from inrbench_analysis_ntk import figures, overview
from inrbench_analysis_ntk.figures import draw_field
from inrbench_analysis_ntk.overview import FieldCurves, draw_responses, draw_spectra
from inrbench_analysis_ntk.seen import Seen, at_end, at_start, seen_by_part
from matplotlib.figure import Figure
from PIL import Image

# Tests are imported by their files, so what they share is no package.
sys.path.append(str(Path(__file__).parent))
from synthetic_runs import kept, observations

PANELS = ["Eigenvalues", "Response by frequency", "Steps to a tenth of the error", "Learning curve"]
ON_GRID = ["Leading eigenvectors", "K(x, x) / mean"]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are made during a test."""
    made: list[Figure] = []

    def record(original):
        def make(*arguments):
            made.append(original(*arguments))
            return made[-1]

        return make

    for module in (figures, overview):
        monkeypatch.setattr(module, "new_figure", record(module.new_figure))
    return made


def titles(figure: Figure) -> list[str]:
    """Of the panels."""
    return [part.get_suptitle() or part.axes[0].get_title() for part in figure.subfigs]


def without(seen: list[Seen], *words: str) -> list[Seen]:
    """The same without arrays of which the names begin with some words."""
    return [replace(one, arrays={n: a for n, a in one.arrays.items() if not n.startswith(words)}) for one in seen]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (observations((24, 24), decay=6, adam=True), PANELS + ON_GRID),
        (observations((300,), decay=4, hz=True, held_out=False), PANELS + ON_GRID),
        (observations((8, 12, 12), steps=300), PANELS + ON_GRID),
        (observations((10, 40)), PANELS + ON_GRID),
        (observations(steps=0), [*PANELS[:2], *ON_GRID]),
        (observations()[:1], [*PANELS[:2], "Learning curve", *ON_GRID]),
        (without(observations(), "frequency", "ring", "response", "predicted"), [PANELS[0], PANELS[3]]),
        (without(observations(), "eigen", "diagonal", "linearised", "target"), PANELS[1:4]),
    ],
    ids=["2-D", "1-D", "3-D", "wide", "no steps", "only the start", "no grid", "no spectrum"],
)
def test_a_field_has_the_panels_of_which_something_is_known(drawn, seen, expected):
    picture = draw_field(seen, "mlp rff+relu")
    assert (picture.shape, picture.dtype) == ((800, 1200, 3), np.uint8)
    assert titles(drawn[0]) == expected


def test_curves_without_a_finite_value_are_left_out(drawn):
    seen = [
        Seen(
            one.step,
            dict.fromkeys(one.metrics, math.nan),
            {n: np.full_like(a, math.nan) for n, a in one.arrays.items()},
        )
        for one in observations()
    ]
    assert draw_field(seen, "").shape == (800, 1200, 3)
    assert titles(drawn[0]) == []
    assert [text.get_text() for text in drawn[0].texts] == ["", "nothing is known of this field"]


def test_some_values_that_are_not_finite_do_no_harm(drawn):
    seen = observations()
    for one in seen:
        for name, array in one.arrays.items():
            if name not in ("frequency", "eigenvectors", "diagonal"):
                array[1::3] = [math.nan, math.inf, -math.inf, 0.0][len(name) % 4]
    assert draw_field(seen, "").shape == (800, 1200, 3)
    assert titles(drawn[0])[:2] == PANELS[:2]


def test_a_figure_has_no_text_that_is_cut_or_covered(drawn):
    draw_field(observations((24, 24), decay=6, adam=True), "a title that is long " * 9)
    (figure,) = drawn
    renderer = figure.canvas.get_renderer()
    boxes = [axes.get_tightbbox(renderer) for part in figure.subfigs for axes in part.axes]
    boxes += [legend.get_window_extent(renderer) for part in figure.subfigs for legend in part.legends]
    for box in boxes:
        assert box.x0 >= -1
        assert box.y0 >= -1
        assert box.x1 <= 1201
        assert box.y1 <= 801
    for number, box in enumerate(boxes):
        for other in boxes[:number]:
            # Pictures and their colour bars touch, but nothing lies over another.
            width = min(box.x1, other.x1) - max(box.x0, other.x0)
            height = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert min(width, height) < 2


def test_rings_that_were_not_learnt_are_marked_apart_from_those_without_a_target(drawn):
    seen = observations((24, 24), decay=6, steps=400)
    end = seen[-1].arrays
    never = np.isnan(end["measured_steps"])
    assert 1 < never.sum() < len(never)
    last = np.flatnonzero(never)[-1]
    end["ring_target"][last] = 0.0
    draw_field(seen, "")
    lines = drawn[0].subfigs[2].axes[0].get_lines()
    (marks,) = [line for line in lines if line.get_label() == "not within 400 steps"]
    assert np.isfinite(marks.get_ydata()).sum() == never.sum() - 1


def test_where_no_ring_was_learnt_what_is_left_is_shown_beside_the_prediction(drawn):
    seen = observations((24, 24), decay=6, steps=400)
    seen[-1].arrays["measured_steps"][:] = math.nan
    draw_field(seen, "")
    axes = drawn[0].subfigs[2].axes[0]
    assert axes.get_title() == "Error left at step 400"
    lines = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
    start, end = seen[0].arrays, seen[-1].arrays
    amplitudes = np.sqrt(end["ring_error"] / start["ring_error"])[1:]
    # What is left to rounding is off the scale.
    np.testing.assert_allclose(lines["measured"], np.where(amplitudes > 1e-5, amplitudes, math.nan))
    # Of a tenth every `predicted_steps`: 0.1 ** (400 / predicted_steps).
    predicted = lines["predicted"]
    known = np.isfinite(predicted)
    assert known.any()
    np.testing.assert_allclose(predicted[known], 0.1 ** (400 / start["predicted_steps"][1:][known]))


def test_the_users_settings_of_matplotlib_neither_count_nor_change():
    expected = draw_field(observations(), "a")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black"}):
        np.testing.assert_array_equal(draw_field(observations(), "a"), expected)
        assert matplotlib.rcParams["font.size"] == 30


@functools.cache
def table(count: int, **options) -> list[FieldCurves]:
    rng = np.random.default_rng(0)
    return [
        FieldCurves(
            f"field {number} $a_b$ with options (width={number}, depth=3)",
            f"group {number // 16}",
            observations((16, 16), decay=rng.uniform(1, 6), corner=rng.uniform(1, 6), seed=number, **options),
        )
        for number in range(count)
    ]


@pytest.mark.parametrize(("count", "rows"), [(1, 1), (8, 1), (20, 1), (78, 5)])
@pytest.mark.parametrize("draw", [draw_responses, draw_spectra])
def test_every_field_of_a_table_is_in_the_legend_and_on_all_axes_of_its_group(drawn, tmp_path, draw, count, rows):
    target = tmp_path / "folder" / "picture.png"
    assert draw(table(count), target, "image")
    (figure,) = drawn
    assert len(figure.subfigs) == rows
    labels = [text.get_text().replace("\n", " ") for part in figure.subfigs for text in part.legends[0].get_texts()]
    assert labels == [row.label for row in table(count)]
    for part in figure.subfigs:
        assert [axes.get_xscale() for axes in part.axes] == ["log", "log"]
        looks = {(line.get_color(), line.get_linestyle()) for line in part.legends[0].get_lines()}
        assert len(looks) == len(part.legends[0].get_texts())
    with Image.open(target) as picture:
        assert picture.width > 1000


def test_a_large_group_is_drawn_in_parts_of_the_same_size(drawn, tmp_path):
    rows = [replace(row, group="kan") for row in table(44, steps=0)]
    assert draw_responses(rows, tmp_path / "a.png")
    sizes = [len(part.legends[0].get_texts()) for part in drawn[0].subfigs]
    assert sizes == [15, 15, 14]
    assert [part.get_suptitle() for part in drawn[0].subfigs] == [f"kan ({number} of 3)" for number in (1, 2, 3)]


def test_without_training_there_is_one_panel(drawn, tmp_path):
    for draw in (draw_responses, draw_spectra):
        assert draw(table(3, steps=0), tmp_path / "a.png")
    assert [len(figure.subfigs[0].axes) for figure in drawn] == [1, 1]


def test_the_measured_panel_is_the_residuals_energy_over_the_targets(drawn, tmp_path):
    rows = table(2, steps=100)
    assert draw_responses(rows, tmp_path / "a.png")
    measured = drawn[0].subfigs[0].axes[1].get_lines()
    end = rows[0].seen[-1].arrays
    expected = end["ring_error"] / end["ring_target"]
    line = next(one for one in measured if len(one.get_ydata()) == len(expected) - 1)
    found = line.get_ydata()
    known = np.isfinite(found)
    assert known.any()
    np.testing.assert_allclose(found[known], expected[1:][known])


def test_a_mean_far_beyond_all_curves_is_a_triangle_at_the_edge(drawn, tmp_path):
    rows = table(2, steps=0)
    first, second = (row.seen[0].arrays["response"].copy() for row in rows)
    assert rows[0].seen[0].arrays["frequency"][0] == 0
    first[0], second[0] = 1e9, 1.0
    rows = [
        replace(row, seen=[replace(row.seen[0], arrays={**row.seen[0].arrays, "response": response})])
        for row, response in zip(rows, (first, second), strict=True)
    ]
    assert draw_responses(rows, tmp_path / "a.png")
    (axes,) = drawn[0].subfigs[0].axes
    marks = {line.get_marker(): line.get_ydata()[0] for line in axes.get_lines() if len(line.get_ydata()) == 1}
    assert marks["^"] == axes.get_ylim()[1]
    assert marks["o"] == pytest.approx(1.0 / second[1:].max())


def test_nothing_is_written_where_nothing_is_known(tmp_path):
    rows = [FieldCurves("a", "mlp", [Seen(0, {}, {})])]
    assert not draw_responses(rows, tmp_path / "a.png")
    assert not draw_spectra([], tmp_path / "a.png")
    assert list(Path(tmp_path).iterdir()) == []


def test_what_a_file_keeps_is_what_was_seen():
    seen = observations((8, 8), steps=200)
    found = seen_by_part({**kept({"": seen}), "preview/2": np.zeros((2, 2, 3), np.uint8)})
    assert list(found) == [""]
    assert [one.step for one in found[""]] == [0, 100, 200]
    for one, other in zip(seen, found[""], strict=True):
        assert one.arrays.keys() == other.arrays.keys()
        assert all(np.array_equal(one.arrays[name], other.arrays[name], equal_nan=True) for name in one.arrays)
        assert other.metric("fit_error") == one.metric("fit_error")
    assert at_start(seen, "drift") == 0
    assert at_end(seen, "drift") == 0.3
    assert math.isnan(at_end(observations(steps=0), "drift"))


def test_the_fields_of_a_problem_are_told_apart_by_their_names():
    density, colour = observations((8, 8), decay=2), observations((8, 8), decay=5)
    arrays = kept({"density": density, "net.colour": colour})
    # Figures of the first field stand for the problem as well.
    arrays["metrics/participation_ratio"] = arrays["metrics/density.participation_ratio"]
    found = seen_by_part(arrays)
    assert list(found) == ["density", "net.colour"]
    for part, seen in (("density", density), ("net.colour", colour)):
        assert at_start(found[part], "participation_ratio") == at_start(seen, "participation_ratio")
        np.testing.assert_array_equal(found[part][0].arrays["eigenvalues"], seen[0].arrays["eigenvalues"])
