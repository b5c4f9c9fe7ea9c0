"""A signal of known values at the samples of a grid, some of which are trained on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev

from inrbench_core import Evaluation, FieldShape, Problem, grid_coords


class Regression(Problem):
    """Least squares at every `period`th sample left out, from the second on.

    Args:
        values: (*sizes, C).
        period: of the samples that are held out.
        known: whether it tells the values.
        regression: whether it tells which samples are trained on.
        on_grid: whether it tells its resolution.
    """

    def __init__(
        self, values: Tensor, period: int, *, known: bool = True, regression: bool = True, on_grid: bool = True
    ) -> None:
        self.known, self.regression = known, regression
        self.sizes, outputs = tuple(values.shape[:-1]), values.shape[-1]
        self.points, self.values = grid_coords(self.sizes), values.reshape(-1, outputs)
        self.trained = torch.arange(math.prod(self.sizes)) % period != 1
        self.index = torch.nonzero(self.trained).squeeze(1)
        self.shapes = {"field": FieldShape(len(self.sizes), outputs, self.sizes if on_grid else None)}
        self.elements, self.record = len(self.index), {}

    def _nearest(self, coords: Tensor) -> Tensor:
        places = ((coords + 1.0) / 2.0 * (torch.tensor(self.sizes) - 1)).round().long()
        return torch.arange(math.prod(self.sizes)).reshape(self.sizes)[tuple(places.T)]

    def target(self, coords: Tensor, field: str = "") -> Tensor | None:
        return self.values[self._nearest(coords)] if self.known else None

    def is_trained(self, coords: Tensor, field: str = "") -> Tensor | None:
        return self.trained[self._nearest(coords)] if self.regression else None

    def batch(self, index: Any) -> dict[str, Tensor]:
        return {"coords": self.points[self.index[index]], "values": self.values[self.index[index]]}

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        return (model(batch["coords"]) - batch["values"]).square().mean(dim=1)

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        return Evaluation({"mse": float(self.loss(model, self.batch(slice(None))).mean())})

    def baseline(self, name: str) -> Evaluation:
        raise NotImplementedError

    def truth(self) -> np.ndarray[Any, Any]:
        raise NotImplementedError


def picture(outputs: int = 2, sizes: tuple[int, int] = (8, 6), **options: Any) -> Regression:
    """One or two smooth functions of the plane, every third sample held out."""
    x, y = grid_coords(sizes).T
    values = torch.stack([torch.sin(3 * x) + y, torch.cos(5 * x * y) - 0.5 * x], dim=1)[:, :outputs]
    return Regression(values.reshape(*sizes, outputs), 3, **options)


def line(outputs: int) -> Regression:
    """One or two smooth functions at 40 samples, every fourth held out."""
    x = grid_coords((40,))
    return Regression(torch.cat([torch.sin(3.0 * x) + 0.4 * torch.cos(8.0 * x), 0.5 * x**2 - x][:outputs], dim=1), 4)


def network(outputs: int = 2, width: int = 24) -> nn.Module:
    """The same small network of two coordinates at each call."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, outputs))


def rows_of(model: nn.Module, coords: Tensor) -> np.ndarray[Any, Any]:
    """The Jacobian, float64 (N, C, P), by torch.func."""
    parameters = {name: p.detach().double() for name, p in model.named_parameters()}
    found = jacrev(lambda p: functional_call(model, p, (coords.double(),)))(parameters)
    return torch.cat([j.flatten(2) for j in found.values()], dim=2).numpy()


def mean_kernel(model: nn.Module, coords: Tensor) -> np.ndarray[Any, Any]:
    rows = rows_of(model, coords)
    return np.einsum("ncp,mcp->nm", rows, rows) / rows.shape[1]
