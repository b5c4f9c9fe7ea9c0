"""The published settings: every spec resolves, and every figure belongs to a row of it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from flit_core.wheel import make_wheel_in
from inrbench_published import settings
from inrbench_published.settings import Figure, find, load_settings
from pydantic import ValidationError

from inrbench_core import InrbenchError
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.spec.builder import load_experiment

PLUGIN = Path(__file__).parent.parent
CATALOG = load_catalog()
SETTINGS = load_settings()


def board_of(name):
    (board,) = load_experiment(SETTINGS[name].spec, CATALOG).boards
    return board


def rows_of(name):
    return {row.label: row for row in board_of(name).rows}


def test_there_is_a_spec_for_each_setting_and_a_setting_for_each_spec():
    assert {path.stem for path in settings.SPECS.iterdir()} == set(SETTINGS)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_resolves_and_each_figure_has_its_row(name):
    published = SETTINGS[name].published
    experiment = load_experiment(SETTINGS[name].spec, CATALOG)
    assert experiment.name == name
    (board,) = experiment.boards
    assert published.metric in {metric.name for metric in board.entry.metrics}
    labels = {row.label for row in board.rows} | set(board.entry.baselines)
    assert {label for label, figure in published.figures.items() if not figure.not_here} <= labels
    assert not labels & {label for label, figure in published.figures.items() if figure.not_here}
    assert bool(published.figures) == (published.grade != "none")
    assert [row.skip for row in board.rows] == [""] * len(board.rows)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_spec_begins_with_its_source_and_says_how_signals_are_given(name):
    setting = SETTINGS[name]
    assert len(setting.notes) > 100
    assert "signals:" in setting.spec.read_text()
    if setting.published.signals != "own":
        assert "Not as there: " in setting.notes
    if isinstance(setting.published.signals, tuple) and setting.published.grade != "none":
        assert f"inrbench reproduce {name} --signals " in setting.notes


@pytest.mark.parametrize("name", SETTINGS)
def test_a_recipe_stands_in_its_own_setting_as_it_is(name):
    rows = rows_of(name)
    for recipe, label in SETTINGS[name].published.recipes.items():
        entry = CATALOG.recipe(recipe)
        # WIRE is a field.
        own = recipe if entry is None else dict(entry.stands_for)
        assert rows[label].field == CATALOG.resolve("field", own)
        assert label in SETTINGS[name].published.figures


def test_a_recipe_has_one_setting_of_its_own():
    recipes = [recipe for setting in SETTINGS.values() for recipe in setting.published.recipes]
    assert len(recipes) == len(set(recipes))


def test_the_cells_of_inr_bench_have_the_sizes_and_the_budget_of_the_paper():
    board = board_of("inr-bench-image")
    assert {row.label: figure for row in board.rows if (figure := row.field.spec.depth + 2) != 6} == {}
    assert [row.field.spec.width for row in board.rows] == [256, 256, 256, 64, 64]
    for row in board.rows:
        assert row.training.steps * row.training.batch == 1000 * 256 * 256
        assert (row.training.lr, row.training.schedule, row.training.final_lr) == (4e-4, "cosine", 0.01)
    figures = SETTINGS["inr-bench-image"].published.figures
    assert [figures[row.label].value for row in board.rows] == [44.44, 34.70, 33.65, 33.56, 21.99]


def test_rates_are_those_of_the_sources():
    assert {label: row.training.lr for label, row in rows_of("finer-image").items()} == {
        "FINER": 5e-4,
        "SIREN": 5e-4,
        "Gauss": 5e-3,
        "WIRE": 5e-3,
        "PE-MLP": 5e-4,
    }
    # The rate that a row of its own setting names, and not that of a recipe.
    assert {row.training.lr for label, row in rows_of("incode-image").items() if label != "WIRE"} == {9e-4}
    assert {
        label: f"lr {row.training.lr:.0e}".replace("e-0", "e-") for label, row in rows_of("finer-wire-rates").items()
    } == {label: label for label in SETTINGS["finer-wire-rates"].published.figures}


@pytest.mark.parametrize("task", ["image", "denoising"])
def test_the_fields_of_voilalab_have_the_parameters_of_their_labels(task):
    rows = rows_of(f"voilalab-{task}")
    assert len(rows) == 24
    for label, row in rows.items():
        size = int(label.split()[1].replace("k", "000").replace("M", "000000"))
        spec = row.field.spec
        assert (spec.points if row.field.name == "grid" else spec.width).parameters == size


def test_wheels_carry_every_spec_and_the_figures(tmp_path):
    with zipfile.ZipFile(make_wheel_in(PLUGIN / "pyproject.toml", tmp_path).file) as wheel:
        names = set(wheel.namelist())
    assert {f"inrbench_published/specs/{name}.yaml" for name in SETTINGS} | {"inrbench_published/figures.yaml"} <= names


def test_specs_published_is_the_same_folder():
    link = PLUGIN.parent.parent / "specs" / "published"
    assert not Path(link.readlink()).is_absolute()
    assert link.resolve() == settings.SPECS.resolve()


def test_a_setting_is_found_by_its_name_and_by_its_recipe():
    assert find("incode-image", SETTINGS, CATALOG) == (SETTINGS["incode-image"], "")
    assert find("incode", SETTINGS, CATALOG) == (SETTINGS["incode-image"], "INCODE")
    assert find("inr-bench/bspline", SETTINGS, CATALOG) == (SETTINGS["inr-bench-image"], "B-spline KAN")
    # WIRE is a field.
    assert find("wire", SETTINGS, CATALOG) == (SETTINGS["published-code-mlp"], "wire")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("incode-imag", "did you mean 'incode-image'"), ("inr-bench/bsplin", "'inr-bench/bspline'"), ("?", "lists them")],
)
def test_an_unknown_name_is_one_line_with_a_suggestion(name, hint):
    with pytest.raises(InrbenchError, match="no published setting or recipe") as caught:
        find(name, SETTINGS, CATALOG)
    assert hint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_of_a_recipe_without_a_setting_of_its_own_the_settings_are_named():
    with pytest.raises(InrbenchError, match="recipe 'gauss' has no published setting of its own") as caught:
        find("gauss", SETTINGS, CATALOG)
    assert set(SETTINGS) <= set(str(caught.value).replace(",", "").split())
    assert "\n" not in str(caught.value)


def test_files_at_a_quarter_of_the_size_are_those_of_sources_that_used_them():
    quarter = {name for name, setting in SETTINGS.items() if setting.published.suffix == "x4"}
    assert quarter == {"incode-image", "incode-denoising", "voilalab-image", "voilalab-denoising"}
    assert all(
        "DIV2K" in data and "a quarter of the size" in data for data in (SETTINGS[n].published.data for n in quarter)
    )


def test_a_figure_is_a_number_or_a_mapping():
    assert Figure.model_validate(31.5) == Figure(value=31.5)
    with pytest.raises(ValidationError):
        Figure.model_validate({"value": 31.5, "above": True})
