"""The picture of a table."""

from dataclasses import replace

import numpy as np
from PIL import Image

from inrbench_core.api.errors import InrbenchError
from inrbench_core.results.picture import GAP, PANEL_WIDTH, Panel, contact_sheet, draw_leaderboard
from inrbench_core.results.results import Results
from inrbench_core.runs.record import RunArrays

GREY = np.full((20, 40, 3), 128, np.uint8)
HEIGHT = PANEL_WIDTH // 2


def test_a_long_name_is_folded_and_never_clipped():
    short, long = (contact_sheet([Panel(GREY, (text, "psnr 1 dB"))] * 2) for text in ("relu", "x" * 90 + " and more"))
    assert short.width == long.width == 2 * (PANEL_WIDTH + GAP) + GAP
    assert long.height > short.height
    ink = np.asarray(long.convert("L")) < 100
    assert ink.any()
    assert not ink[:, -GAP:].any()
    assert not ink[-2:].any()


def test_one_pixel_and_very_flat_pictures_have_a_panel():
    for shape in ((1, 1, 3), (1, 5000, 3)):
        sheet = contact_sheet([Panel(np.zeros(shape, np.uint8), ("a", ""))])
        assert (np.asarray(sheet)[GAP, GAP : GAP + PANEL_WIDTH] == 0).all()


def with_pictures(row, colours, truth):
    """The row with a preview of each colour and a truth; an exception instead of a colour is raised on reading."""

    def arrays(colour):
        if isinstance(colour, Exception):
            raise colour
        preview = None if colour is None else np.full((20, 40, 3), colour, np.uint8)
        return RunArrays(preview=preview, truth=np.full((20, 40, 3), truth, np.uint8))

    runs = [
        replace(run, record=replace(run.record, read_arrays=lambda colour=colour: arrays(colour)))
        for run, colour in zip(row.runs, colours, strict=True)
    ]
    return replace(row, runs=tuple(runs))


def panels(path):
    """The grey of each panel's picture, from left to right."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("L"))
    columns = range(GAP + PANEL_WIDTH // 2, pixels.shape[1], PANEL_WIDTH + GAP)
    return [int(pixels[GAP + HEIGHT // 2, column]) for column in columns]


def test_the_truth_comes_first_then_the_fields_best_first(make_board, make_row, tmp_path):
    rows = [
        with_pictures(make_row("worse", [{"chamfer": 0.3}]), [30], truth=200),
        with_pictures(make_row("better", [{"chamfer": 0.1}]), [10], truth=200),
    ]
    (board,) = Results((make_board(*rows),)).leaderboards()
    assert draw_leaderboard(board, tmp_path / "x.png")
    assert panels(tmp_path / "x.png") == [200, 10, 30]


def test_a_run_whose_picture_is_missing_or_not_readable_has_no_panel_of_its_own(make_board, make_row, tmp_path):
    outcomes = [{"chamfer": 0.1}, {"chamfer": 0.1}]
    rows = [
        with_pictures(make_row("gone", outcomes), [InrbenchError("no such file")] * 2, truth=200),
        with_pictures(make_row("second", outcomes), [InrbenchError("no such file"), 40], truth=200),
        with_pictures(make_row("none", outcomes), [None, None], truth=200),
    ]
    (board,) = Results((make_board(*rows),)).leaderboards()
    assert draw_leaderboard(board, tmp_path / "x.png")
    assert panels(tmp_path / "x.png") == [200, 40]


def test_without_any_picture_nothing_is_written(make_board, make_row, tmp_path):
    (board,) = Results((make_board(make_row("a", ["failed: why"])),)).leaderboards()
    assert not draw_leaderboard(board, tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_all_panels_show_the_signal_of_the_truth(make_board, make_row, tmp_path):
    row = make_row("a", [{"chamfer": 0.1}], signals=("csg", "bunny"))
    first = with_pictures(replace(row, runs=row.runs[1:]), [50], truth=60)
    both = with_pictures(make_row("b", [{"chamfer": 0.2}], signals=("csg", "bunny")), [10, 20], truth=60)
    (board,) = Results((make_board(first, both),)).leaderboards()
    assert draw_leaderboard(board, tmp_path / "x.png")
    assert panels(tmp_path / "x.png") == [60, 50, 20]


def test_rows_that_share_a_run_share_a_panel(make_board, make_row, tmp_path):
    published = with_pictures(make_row("siren", [{"chamfer": 0.1}]), [10], truth=200)
    other = with_pictures(make_row("relu", [{"chamfer": 0.2}]), [30], truth=200)
    rows = [published, replace(published, label="siren (tuned)"), other]
    (board,) = Results((make_board(*rows),)).leaderboards()
    assert draw_leaderboard(board, tmp_path / "x.png")
    assert panels(tmp_path / "x.png") == [200, 10, 30]
