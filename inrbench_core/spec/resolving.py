"""Looking up and validating the parts of a spec, with every problem collected. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from inrbench_core.api.entries import Entry, RecipeEntry
from inrbench_core.api.spec import Component
from inrbench_core.plugins.catalog import Catalog, LookupFailure, validate
from inrbench_core.plugins.failures import one_line
from inrbench_core.spec.training import TrainingSpec
from inrbench_core.spec.variants import Variant, canonical, expand
from inrbench_core.spec.yaml_io import Document, SpecError, SpecProblem, YamlPath

T = TypeVar("T")

# More than anyone reads at once; a sweep may repeat one mistake ten thousand times.
MOST_PROBLEMS = 1000


@dataclass(frozen=True)
class Resolved:
    """A component, or a training, and its plain data as one text: equal ones have equal texts."""

    value: Any
    text: str


class Resolver:
    """Resolves values of one document, equal ones once.

    Args:
        document: what problems are told about.
        catalog: where names are looked up.
    """

    def __init__(self, document: Document, catalog: Catalog) -> None:
        self.document = document
        self.catalog = catalog
        self.context: dict[str, Any] = {"catalog": catalog, "folder": str(document.folder)}
        self.problems: list[SpecProblem] = []
        self._known: dict[tuple[str, str], Resolved | ValidationError] = {}

    def problem(self, path: YamlPath, message: str, *, broken: bool = False) -> None:
        """Add a problem with the value at a path. Raises SpecError if that is one too many."""
        self.problems.append(self.document.problem(path, message, broken=broken))
        if len(self.problems) >= MOST_PROBLEMS:
            self.stop_on_problems()

    def stop_on_problems(self) -> None:
        """Raise SpecError if there are problems."""
        if self.problems:
            raise SpecError(self.document.file, self.problems)

    def invalid(self, error: ValidationError, variant: Variant) -> None:
        """Add what validation found, where it is written."""
        for detail in error.errors(include_url=False):
            message = "required, but not given" if detail["type"] == "missing" else detail["msg"]
            self.problem(variant.origin(detail["loc"]), message, broken=detail["type"] == "broken_plugin")

    def expand(self, kind: str, value: Any, path: YamlPath) -> list[Variant]:
        """All variants of a component's value."""
        return expand(self.catalog, kind, value, path, self.problem)

    def component(self, kind: str, variant: Variant) -> Resolved | None:
        """The component of a value; None, and problems, if it is none."""
        return self._resolved(
            kind, variant, lambda: self.catalog.resolve(kind, variant.value, self.context), Component.to_data
        )

    def training(self, values: Mapping[str, Any], origins: Mapping[YamlPath, YamlPath]) -> Resolved | None:
        """The training of plain options; None, and problems, if they are not valid."""
        return self._resolved(
            "training",
            Variant(values, origins),
            lambda: validate(TrainingSpec, dict(values), self.context),
            lambda training: training.model_dump(mode="json"),
        )

    def _resolved(
        self, kind: str, variant: Variant, make: Callable[[], T], to_data: Callable[[T], Any]
    ) -> Resolved | None:
        key = kind, canonical(variant.value)
        if key not in self._known:
            try:
                value = make()
                self._known[key] = Resolved(value, canonical(to_data(value)))
            except ValidationError as error:
                self._known[key] = error
        known = self._known[key]
        if isinstance(known, Resolved):
            return known
        self.invalid(known, variant)
        return None

    def entry(self, kind: str, value: Any) -> Entry | RecipeEntry | None:
        """The entry that a value names; None for one that is not there, which resolving it tells."""
        name = value.get("name") if isinstance(value, Mapping) else value
        try:
            return self.catalog.find(kind, name).entry if isinstance(name, str) else None
        except LookupFailure:
            return None

    def asked(self, component: Component, question: Callable[[], T], path: YamlPath) -> T | None:
        """What the code of a component's plugin answers; None, and a problem, if it raises."""
        try:
            return question()
        except (Exception, SystemExit) as error:
            text = f"{component.kind} {component.name!r} of {component.distribution} raised {one_line(error)}"
            self.problem(path, text, broken=True)
            return None
