"""The torch half of wrong_plugin: each class is sound but for what its name says."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inrbench_core import (
    Activation,
    Encoding,
    Evaluation,
    ExpansionBasis,
    FieldShape,
    Frame,
    Problem,
    Renderer,
    SeedStreams,
    grid_coords,
    linear_frame,
    predict,
)
from inrbench_core.api.initialisation import siren_linear


class Waves(Encoding):
    """Sines and cosines in six random directions."""

    def __init__(self, spec: Any, in_features: int, resolution: Any = None) -> None:
        super().__init__(spec, in_features, resolution)
        self.out_features = 12
        self.keep(3 * torch.randn(in_features, 6))

    def keep(self, directions: Tensor) -> None:
        self.register_buffer("directions", directions)

    def forward(self, coords: Tensor) -> Tensor:
        phase = coords @ self.directions
        return torch.cat([torch.sin(phase), torch.cos(phase)], dim=1)


class WrongShape(Waves):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.out_features = 13


class Unseeded(Waves):
    def keep(self, directions: Tensor) -> None:
        generator = torch.Generator()
        generator.seed()
        super().keep(torch.randn(directions.shape, generator=generator))


class Pinned(Waves):
    def keep(self, directions: Tensor) -> None:
        super().keep(torch.randn(directions.shape, generator=torch.Generator().manual_seed(0)))


class NotSaved(Waves):
    def keep(self, directions: Tensor) -> None:
        self.directions = directions

    def forward(self, coords: Tensor) -> Tensor:
        phase = coords @ self.directions.to(coords)
        return torch.cat([torch.sin(phase), torch.cos(phase)], dim=1)


class NanValue(Waves):
    def forward(self, coords: Tensor) -> Tensor:
        return super().forward(coords) + torch.log(coords[:, :1] + 1.5) / 10


class NanGradient(Waves):
    def forward(self, coords: Tensor) -> Tensor:
        return super().forward(torch.arccos(coords.clamp(-1, 1)))


class OneCoordinate(Waves):
    def forward(self, coords: Tensor) -> Tensor:
        return super().forward(coords[:, :1].expand_as(coords))


class HiddenParameter(Waves):
    def keep(self, directions: Tensor) -> None:
        super().keep(directions)
        self.hidden = [torch.ones(1, requires_grad=True)]

    def forward(self, coords: Tensor) -> Tensor:
        return super().forward(coords) * self.hidden[0]


class Squeezed(Waves):
    def forward(self, coords: Tensor) -> Tensor:
        return super().forward(coords).squeeze()


class SinglePrecision(Waves):
    def forward(self, coords: Tensor) -> Tensor:
        return super().forward(coords).float()


class Sine(Activation):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(10 * x)

    def linear(self, in_features: int, out_features: int) -> nn.Module:
        return siren_linear(in_features, out_features, 10.0, first=self.position == "first")


class BatchDependent(Sine):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x - x.mean(dim=0))


class SaysBatchDependent(BatchDependent):
    pointwise = False


class UnusedParameter(Sine):
    def __init__(self, spec: Any, **options: Any) -> None:
        super().__init__(spec, **options)
        self.unused = nn.Parameter(torch.ones(1))


class NearlyConstant(Activation):
    def forward(self, x: Tensor) -> Tensor:
        return 1 / (1 + (0.05 * x).square())


class RandomForward(Sine):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + 1e-3 * torch.rand(())


class Detached(Sine):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.detach())


class NotCompilable(Sine):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.sum() < float("inf") else x


class Powers(ExpansionBasis):
    """1, x, x^2, x^3."""

    size = 4

    def expand(self, x: Tensor) -> Tensor:
        return torch.stack([torch.ones_like(x), x, x**2, x**3], dim=1).transpose(1, 2)


class DeadFunction(Powers):
    def expand(self, x: Tensor) -> Tensor:
        return torch.stack([torch.zeros_like(x), torch.ones_like(x), x, x**2], dim=1).transpose(1, 2)


class Confined(Powers):
    def layer(self, in_features: int, out_features: int, *, position: Any) -> nn.Module:
        return nn.Sequential(super().layer(in_features, out_features, position=position), nn.Tanh())


class Network(nn.Module):
    def __init__(self, spec: Any, shape: FieldShape) -> None:
        super().__init__()
        self.activation = spec.activation.build(position="first")
        self.first = self.activation.linear(shape.in_features, spec.width)
        self.last = spec.activation.build(position="last").linear(spec.width, shape.out_features)

    def forward(self, coords: Tensor) -> Tensor:
        return self.last(self.activation(self.first(coords)))


class DeafToWidth(Network):
    def __init__(self, spec: Any, shape: FieldShape) -> None:
        super().__init__(spec.model_copy(update={"width": 32}), shape)


class WithMethods(Network):
    """A field with every optional method."""

    progress = 0.0

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return [{"params": list(self.first.parameters()), "lr": 0.1 * lr, "weight_decay": 0.1}]

    def regularisation(self) -> Tensor:
        return 1e-3 * self.last.weight.square().sum()

    def set_progress(self, share: float) -> None:
        self.progress = share


class DoubledGroup(WithMethods):
    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return 2 * super().parameter_groups(lr)


class DeafGroup(WithMethods):
    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        return super().parameter_groups(1.0 / lr)


class VectorRegularisation(WithMethods):
    def regularisation(self) -> Tensor:
        return self.last.weight.square().sum(dim=1)


class BadProgress(WithMethods):
    def forward(self, coords: Tensor) -> Tensor:
        return super().forward(coords) / (1.0 - self.progress)


class Line(Problem):
    """sin(3x) with a little noise."""

    def __init__(self, spec: Any, *, device: torch.device, seeds: Any) -> None:
        self.points = grid_coords((spec.samples,), device)
        noise = 0.1 * torch.randn(spec.samples, 1, generator=self.generator(seeds))
        self.values = torch.sin(3 * self.points) + noise.to(device)
        self.shapes = {"line": FieldShape(1, 1, (spec.samples,))}
        self.elements = spec.samples
        self.record = {"source": "sin(3x)"}

    def generator(self, seeds: Any) -> torch.Generator | None:
        return seeds.generator("noise")

    def batch(self, index: Any) -> Any:
        return {"coords": self.points[index], "values": self.values[index]}

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        return (model(batch["coords"]) - batch["values"]).square().mean(dim=1)

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        return self.score(predict(model, self.points))

    def score(self, values: Tensor) -> Evaluation:
        error = values - self.values
        return Evaluation({"mse": error.square().mean().item(), "mae": error.abs().mean().item()})

    def baseline(self, name: str) -> Evaluation:
        return self.score(torch.zeros_like(self.values))

    def truth(self) -> Any:
        raise NotImplementedError

    @property
    def frame(self) -> Frame:
        coords, values = {"time": ("s", 0.0, 2.0)}, {"sound": ("", -1.0, 1.0)}
        return Frame({"line": linear_frame(coords, values, (self.elements,))}, {"rate": self.elements / 2})

    def target(self, coords: Tensor, field: str = "") -> Tensor | None:
        place = (coords[:, 0] + 1) / 2 * (self.elements - 1)
        return self.values[place.round().long()]


class LineRenderer(Renderer):
    def render(self, model: nn.Module, size: int | None = None) -> Evaluation:
        evaluation = super().render(model, size)
        return Evaluation({}, {**evaluation.outputs, "rate": np.array(self.frame.facts["rate"])})


class OtherFacts(Line):
    @property
    def frame(self) -> Frame:
        return Frame(super().frame.fields, {"speed": 1.0})


class OneValueMore(Line):
    @property
    def frame(self) -> Frame:
        coords, values = {"time": ("s", 0.0, 2.0)}, {"left": ("", -1.0, 1.0), "right": ("", -1.0, 1.0)}
        return Frame({"line": linear_frame(coords, values, (self.elements,))}, {"rate": 1.0})


class FarCoords(Line):
    def coords(self, count: int, seeds: SeedStreams, field: str = "") -> Tensor:
        return 2 * super().coords(count, seeds, field)


class ShiftedTarget(Line):
    def target(self, coords: Tensor, field: str = "") -> Tensor | None:
        return super().target((coords + 0.1).clamp(-1, 1), field)


class GrowingValues(Line):
    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        losses = super().loss(model, batch)
        if torch.is_grad_enabled():
            self.values *= 1.01
        return losses


class MeanLoss(Line):
    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        return super().loss(model, batch).mean()


class BatchLoss(Line):
    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        losses = super().loss(model, batch)
        return losses / len(losses)


class UnseededData(Line):
    def generator(self, seeds: Any) -> torch.Generator | None:
        return None


class MissingMetric(Line):
    def score(self, values: Tensor) -> Evaluation:
        return Evaluation({"mse": super().score(values).metrics["mse"]})
