"""Published settings: a runnable spec for each, and the figures that its source reports for it. Imports no torch."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.suggest import did_you_mean
from inrbench_core.plugins.catalog import Catalog, LookupFailure
from inrbench_core.spec.yaml_io import load_yaml

HERE = Path(__file__).parent
FIGURES, SPECS = HERE / "figures.yaml", HERE / "specs"


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Figure(_Data):
    """A published figure of one field; in YAML a bare number, or a mapping."""

    value: float = Field(description="in the unit of the metric")
    at_least: bool = Field(False, description="the source says that the figure is above the value")
    spread: float = Field(0.0, ge=0, description="standard deviation over draws of initial weights; 0: not known")
    differs: str = Field("", description="what is not as in the source, of this field alone")
    not_here: str = Field("", description="why the spec has no such field")

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        return {"value": value} if isinstance(value, int | float) else value


class Published(_Data):
    """What a source reports for one setting."""

    source: str = Field(description="the paper or repository, with year and arXiv id, and the place in it")
    grade: Literal["A", "measured", "note", "none"] = Field(
        description="A: a published table read as text, code or picture; measured: by published or independent code "
        "that was run for this project; note: a summary of a paper; none: the source gives a setting and no figures"
    )
    data: str = Field(description="the signals of the source")
    signals: Literal["own", "unknown"] | tuple[str, ...] = Field(
        description="own: those that the spec names; unknown: the source does not say which; else the names of the "
        "source's files, without suffixes"
    )
    suffix: str = Field(
        "", description="what the names of the source's files may also end with, as x4 of DIV2K's quarter-size pictures"
    )
    metric: str = Field(description="the metric of the task that is compared")
    tolerance: float = Field(0.5, gt=0, description="the largest gap that counts as reproduced, in the metric's unit")
    add: float = Field(0.0, description="added to our figure where the source defines the metric otherwise")
    recipes: dict[str, str] = Field(
        {}, description="recipe -> label of its row, for the recipes that are reproduced in this setting"
    )
    figures: dict[str, Figure] = Field({}, description="by the label of the row in the spec")


@dataclass(frozen=True)
class Setting:
    """A published setting.

    Args:
        name: of the setting, and of its spec.
        published: what the source reports.
        spec: the file.
    """

    name: str
    published: Published
    spec: Path

    @property
    def notes(self) -> str:
        """The comment that the spec begins with, on one line: the source, and what is not as in it."""
        lines = self.spec.read_text(encoding="utf-8").splitlines()
        return " ".join(line[1:].strip() for line in itertools.takewhile(lambda line: line.startswith("#"), lines))


@cache
def load_settings(figures: Path = FIGURES, specs: Path = SPECS) -> Mapping[str, Setting]:
    """All settings by name.

    Args:
        figures: a YAML file: name -> `Published`.
        specs: the folder with a spec NAME.yaml for each.
    """
    entries = TypeAdapter(dict[str, Published]).validate_python(load_yaml(figures).data)
    return {name: Setting(name, published, specs / f"{name}.yaml") for name, published in entries.items()}


def find(name: str, settings: Mapping[str, Setting], catalog: Catalog) -> tuple[Setting, str]:
    """A setting, and the label of the one row that is asked for, or "".

    Args:
        name: of a setting; or of a recipe, for its row in the setting that it is reproduced in.
        settings: by name.
        catalog: of recipes.

    Raises:
        InrbenchError: if there is none.
    """
    if name in settings:
        return settings[name], ""
    try:
        recipe = catalog.recipe(name)
    except LookupFailure as failure:
        raise InrbenchError(str(failure)) from None
    own = {recipe: setting for setting in settings.values() for recipe in setting.published.recipes}
    own_name = name if recipe is None else recipe.name
    if own_name in own:
        return own[own_name], own[own_name].published.recipes[own_name]
    if recipe is not None:
        raise InrbenchError(
            f"recipe {name!r} has no published setting of its own; there are the settings {', '.join(settings)}"
        )
    known = did_you_mean(name, [*settings, *own]) or "; `inrbench reproduce` lists them"
    raise InrbenchError(f"no published setting or recipe {name!r}{known}")
