"""Every component learns: it fits a small real picture to near the figure it reached when it was measured."""

import json
import sys
from pathlib import Path

import pytest

from inrbench_core.plugins.loading import load_catalog

sys.path.append(str(Path(__file__).parent))
import learning

CATALOG = load_catalog()
FIELDS = learning.fields(CATALOG)
MEASURED = json.loads(learning.FIGURES.read_text(encoding="utf-8"))
# Beyond this the last bits decide, which differ from machine to machine.
ENOUGH_DB = 60.0
# Of what a field gains over the mean colour.
SHARE = 0.85
# What an encoding gives a quick relu, at the least; plain coordinates, written ten times over, give 0 and less.
ENCODING_GAIN_DB = 4.0


@pytest.mark.parametrize("name", FIELDS)
def test_it_fits_a_small_picture(name):
    field, lr = FIELDS[name]
    constant, measured = MEASURED["constant"], min(MEASURED[name], ENOUGH_DB)
    # Where 150 steps bring a component hardly above the mean, which sigmoid is known for, beating it is all there is.
    assert measured > constant
    required = constant + SHARE * (measured - constant)
    if name.endswith(learning.QUICK) and name != f"identity+{learning.QUICK}":
        required = max(required, MEASURED[f"identity+{learning.QUICK}"] + ENCODING_GAIN_DB)
    assert learning.fit_crop(field, lr, CATALOG) >= required


def test_nothing_measured_is_of_the_past():
    assert MEASURED.keys() == {*FIELDS, "constant"}


def test_the_paper_is_covered():
    assert len(learning.PAPER_ENCODINGS) * len(learning.PAPER_ACTIVATIONS) == 56
    assert len(learning.PAPER_BASES) == 22
    assert {f"kan {basis}" for basis in learning.PAPER_BASES} <= FIELDS.keys()
    for item in CATALOG.registered:
        if item.entry.kind == "recipe" and item.entry.name.startswith("inr-bench/"):
            assert CATALOG.resolve("field", dict(item.entry.stands_for)).name in {"mlp", "kan"}
