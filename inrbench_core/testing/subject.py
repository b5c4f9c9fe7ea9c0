"""What the checks work on: an entry's default component, its modules, and a small network around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from inrbench_core.api.components import FieldShape, Position
from inrbench_core.api.entries import Entry
from inrbench_core.api.errors import DataError, UnsupportedError
from inrbench_core.api.problem import Problem, SeedStreams
from inrbench_core.api.spec import Component, ParameterBudget
from inrbench_core.plugins.catalog import Catalog, Registered
from inrbench_core.testing.outcome import Skipped

POINTS = 256
# Small enough to be quick, and wide enough that no check passes or fails by a single unit.
WIDTH = 32
POSITIONS: tuple[Position, ...] = ("first", "hidden", "last")


@dataclass(frozen=True)
class Part:
    """One module that a component makes.

    Args:
        label: which of them, for messages.
        make: builds it; draws from torch's global generator.
        in_features: columns of its input.
        on_coords: its input are coordinates; else features of an earlier layer.
    """

    label: str
    make: Callable[[], nn.Module]
    in_features: int
    on_coords: bool

    def build(self, seed: int = 0) -> nn.Module:
        """The module as that seed initialises it."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.make()

    def inputs(self, points: int = POINTS) -> Tensor:
        """Points that cover the domain: the corners, then U(-1, 1) for coordinates, N(0, 1) for features."""
        generator = torch.Generator().manual_seed(20)
        shape = (points, self.in_features)
        if not self.on_coords:
            return torch.randn(shape, generator=generator)
        x = 2.0 * torch.rand(shape, generator=generator) - 1.0
        corners = min(points, 2)
        x[:corners] = torch.tensor([-1.0, 1.0])[:corners, None]
        return x


@dataclass(frozen=True)
class Subject:
    """An entry under test.

    Args:
        item: the entry and its distribution.
        catalog: where the components that it needs are looked up.
        options: values for its spec, in place of the defaults.
    """

    item: Registered
    catalog: Catalog
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return self.item.entry.kind

    @property
    def name(self) -> str:
        return self.item.entry.name

    @property
    def distribution(self) -> str:
        return self.item.distribution

    @property
    def entry(self) -> Entry:
        """The entry, for the kinds that have a target."""
        return cast(Entry, self.item.entry)

    @property
    def reference(self) -> str:
        """The name that picks this entry, whoever else claims its bare name."""
        name = self.item.entry.name
        return f"{self.item.distribution}:{name}" if self.catalog.rivals(self.item) else name

    @cached_property
    def component(self) -> Component:
        """The component with its defaults, but for the options."""
        return self.catalog.resolve(self.kind, {"name": self.reference, **self.options})

    @cached_property
    def problem(self) -> Problem:
        """What the task prepares, once for all checks that change nothing in it."""
        return self.prepare()

    def prepare(self) -> Problem:
        """Prepare the task anew, on the CPU, for seed 0."""
        try:
            return cast(Problem, self.component.build(device=torch.device("cpu"), seeds=SeedStreams(0)))
        except DataError as error:
            raise Skipped(f"its data are not here: {error}") from None

    @property
    def width_name(self) -> str | None:
        """The field of the spec that takes a width or a parameter budget."""
        for name, info in self.entry.spec.model_fields.items():
            if ParameterBudget in getattr(info.annotation, "__args__", ()):
                return name
        return None

    @cached_property
    def small(self) -> Component:
        """The component, narrow where it has a width to choose."""
        name = self.width_name
        return self.component if name is None else self.component.with_spec(**{name: WIDTH})

    @cached_property
    def parts(self) -> list[Part]:
        """The modules the component makes: one for each number of coordinates, or each place in a network."""
        if self.kind == "activation":
            return [self._layer(position, self._activated) for position in POSITIONS]
        if self.kind == "basis":
            return [self._layer(position, self._expanded) for position in POSITIONS]
        candidates = [
            Part(f"with {dimensions} coordinates", partial(self._on_coords, dimensions), dimensions, True)
            for dimensions in (2, 1, 3)
        ]
        parts = [part for part in candidates if _is_supported(part)]
        if not parts:
            raise Skipped("it supports neither one, two nor three coordinates")
        return parts

    @property
    def part(self) -> Part:
        """The first of the parts: on two coordinates where that is possible."""
        return self.parts[0]

    def _layer(self, position: Position, make: Callable[[Position], nn.Module]) -> Part:
        first = position == "first"
        return Part(f"as {position} layer", lambda: make(position), 2 if first else WIDTH, first)

    def _activated(self, position: Position) -> nn.Module:
        activation = self.component.build(position=position)
        layer = activation.linear(2 if position == "first" else WIDTH, WIDTH)
        return cast(nn.Module, layer) if position == "last" else nn.Sequential(layer, activation)

    def _expanded(self, position: Position) -> nn.Module:
        layer = self.component.build().layer(2 if position == "first" else WIDTH, WIDTH, position=position)
        return cast(nn.Module, layer)

    def _on_coords(self, dimensions: int) -> nn.Module:
        if self.kind == "encoding":
            return cast(nn.Module, self.component.build(dimensions, (WIDTH,) * dimensions))
        return cast(nn.Module, self.small.build(FieldShape(dimensions, WIDTH, (WIDTH,) * dimensions)))

    def network(
        self, out_features: int, *, width: int = WIDTH, depth: int = 1, in_features: int | None = None
    ) -> nn.Module:
        """A field: the component itself, or the plainest network with it; depth + 2 layers."""
        dimensions = self.dimensions if in_features is None else in_features
        if self.kind == "field":
            return cast(nn.Module, self.small.build(FieldShape(dimensions, out_features, (WIDTH,) * dimensions)))
        return nn.Sequential(*self._stack(dimensions, out_features, width, depth))

    @property
    def dimensions(self) -> int:
        """Coordinates of the networks: two, where the component can have two."""
        return self.part.in_features

    def _stack(self, features: int, out_features: int, width: int, depth: int) -> Iterator[nn.Module]:
        if self.kind == "encoding":
            encoding = self.component.build(features, (WIDTH,) * features)
            yield from (encoding, nn.Linear(encoding.out_features, width), nn.ReLU())
            for _ in range(depth):
                yield from (nn.Linear(width, width), nn.ReLU())
            yield nn.Linear(width, out_features)
            return
        for index in range(depth + 2):
            position = "first" if index == 0 else "hidden" if index <= depth else "last"
            out = out_features if position == "last" else width
            if self.kind == "basis":
                yield self.component.build().layer(features, out, position=position)
            else:
                activation = self.component.build(position=position)
                yield activation.linear(features, out)
                if position != "last":
                    yield activation
            features = width


def _is_supported(part: Part) -> bool:
    try:
        part.build()
    except (UnsupportedError, DataError):
        return False
    return True
