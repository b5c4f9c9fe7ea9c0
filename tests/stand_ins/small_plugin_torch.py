"""The torch half of small_plugin."""

from __future__ import annotations

import math
import os
import signal
import time
from typing import Any

import numpy as np
import torch
from torch import nn

from inrbench_core import Activation, Encoding, Evaluation, FieldShape, Problem, grid_coords, predict


class Plain(Encoding):
    def __init__(self, spec: Any, in_features: int, resolution: Any = None) -> None:
        super().__init__(spec, in_features, resolution)
        self.out_features = in_features

    def forward(self, coords: torch.Tensor) -> torch.Tensor:
        return coords


class Waves(Encoding):
    def __init__(self, spec: Any, in_features: int, resolution: Any = None) -> None:
        super().__init__(spec, in_features, resolution)
        self.omega = spec.omega
        self.out_features = 2 * in_features

    def forward(self, coords: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.sin(self.omega * coords), torch.cos(self.omega * coords)], dim=1)


class Wave(Activation):
    def __init__(self, spec: Any, **options: Any) -> None:
        super().__init__(spec, **options)
        self.omega = spec.omega

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(self.omega * x)


class Kink(Activation):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x)


class Shallow(nn.Module):
    def __init__(self, spec: Any, shape: FieldShape) -> None:
        super().__init__()
        self.encoding = spec.encoding.build(shape.in_features, shape.resolution)
        self.activation = spec.activation.build(position="first")
        self.first = self.activation.linear(self.encoding.out_features, spec.width)
        self.last = spec.activation.build(position="last").linear(spec.width, shape.out_features)

    def forward(self, coords: torch.Tensor) -> torch.Tensor:
        return self.last(self.activation(self.first(self.encoding(coords))))


class Line(Problem):
    def __init__(self, spec: Any, device: torch.device) -> None:
        self.trouble = spec.trouble
        self.points = grid_coords((spec.samples,), device)
        self.values = torch.sin(3 * self.points)
        self.shapes = {"line": FieldShape(1, 1, (spec.samples,))}
        self.elements = spec.samples
        self.record = {"source": "sin(3x)"}

    def batch(self, index: Any) -> Any:
        return {"coords": self.points[index], "values": self.values[index]}

    def loss(self, model: nn.Module, batch: Any) -> torch.Tensor:
        return (model(batch["coords"]) - batch["values"]).square().mean(dim=1)

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        if self.trouble == "raise":
            raise ValueError("trouble was asked for")
        if self.trouble == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.trouble == "sleep":
            time.sleep(60)
        return self._score(predict(model, self.points))

    def _score(self, values: torch.Tensor) -> Evaluation:
        error = values - self.values
        mse = error.square().mean().item()
        psnr = math.nan if self.trouble == "nan" else 10 * math.log10(4 / mse) if mse > 0 else math.inf
        metrics = {"psnr": psnr, "mae": error.abs().mean().item()}
        return Evaluation(metrics, {"values": values.cpu().numpy()}, self._picture(values))

    def _picture(self, values: torch.Tensor) -> np.ndarray:
        grey = ((values.clamp(-1, 1) + 1) * 127.5).to(torch.uint8).cpu().numpy()
        return np.broadcast_to(grey.T[..., None], (16, len(grey), 3)).copy()

    def target(self, coords: torch.Tensor, field: str = "") -> torch.Tensor:
        return torch.sin(3 * coords)

    def baseline(self, name: str) -> Evaluation:
        return self._score(torch.zeros_like(self.values))

    def truth(self) -> np.ndarray:
        return self._picture(self.values)


def prepare(spec: Any, *, device: torch.device, seeds: Any) -> Line:
    return Line(spec, device)
