import numpy as np

from inrbench_core.results.picture import GAP, PANEL_WIDTH, Panel, contact_sheet

GREY = np.full((20, 40, 3), 128, np.uint8)


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
