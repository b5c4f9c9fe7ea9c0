"""What docs/python.md shows works as it is written there, block by block, and gives what it says."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

PAGE = Path(__file__).parent.parent / "docs" / "python.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    """The names that the page defines, after all of its blocks have run in an empty folder."""
    folder = tmp_path_factory.mktemp("docs")
    defined = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for number, block in enumerate(BLOCKS):
            exec(compile(block, f"{PAGE.name}, block {number + 1}", "exec"), defined)
    return {**defined, "folder": folder}


def test_every_block_of_the_page_is_run():
    assert len(BLOCKS) == PAGE.read_text(encoding="utf-8").count("```") / 2 == 13


def test_all_runs_are_ok_and_the_frame_has_each_of_them(names):
    frame = names["frame"]
    assert set(frame.status) == {"ok"}
    assert {"relu", "sine"} < set(frame.field)
    assert names["held_out"].loc["sine"].notna().all()
    assert names["best"].field == next(row.label for row in names["board"].rows if row.rank == 1)
    assert names["board"].rank_by.name == "psnr_held_out"


def test_the_field_gives_the_picture_at_its_pixels_and_something_alike_between_them(names):
    rings = 255 * names["rings"]
    assert np.abs(names["at_pixels"] - rings).mean() < 12
    with Image.open(names["folder"] / "enlarged.png") as enlarged:
        assert enlarged.size == (200, 200)
        smaller = np.asarray(enlarged.resize((64, 64), Image.Resampling.BOX), float)
    assert np.abs(smaller - rings).mean() < 25
    assert names["along_a_line"].shape == (500, 1)


def test_model_and_field_agree_in_the_middle(names):
    # A value of -1 is black and of 1 is white; both ends of the pixels' centres are at -1 and 1.
    expected = (names["value"].item() + 1) * 127.5
    assert names["middle"].item() == pytest.approx(expected, abs=1e-2)
    assert isinstance(names["middle"], torch.Tensor)
    step = 1e-3
    with torch.no_grad():
        there = names["field"].model(torch.tensor([[step, 0.0], [-step, 0.0]]))
    assert names["slope"][0, 0].item() == pytest.approx((there[0] - there[1]).item() / (2 * step), rel=0.05, abs=0.05)
