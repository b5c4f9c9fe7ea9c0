"""The Poisson task: fit derivatives, and be measured on the picture that they come from."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from inrbench_task_image.base import PictureProblem, constant
from inrbench_task_image.metrics import psnr, squared_error
from inrbench_task_image.pictures import Picture, load_picture
from inrbench_task_image.renderer import to_unit
from torch import Tensor, nn

from inrbench_core import Batch, DataError, Evaluation, Index, SeedStreams, grid_coords, predict
from inrbench_task_poisson.alignment import Alignment, moments
from inrbench_task_poisson.derivatives import gradients, laplacians
from inrbench_task_poisson.differences import divergence, gradient, laplacian, solve
from inrbench_task_poisson.plugin import PoissonSpec
from inrbench_task_poisson.renderer import PoissonRenderer

Array = np.ndarray[Any, Any]


def prepare(spec: PoissonSpec, *, device: torch.device, seeds: SeedStreams) -> PoissonProblem:
    """Load the picture and take its differences. Raises DataError if it cannot be used."""
    picture = load_picture(spec)
    if min(picture.pixels.shape[:2]) < 3:
        raise DataError(f"a picture of {picture.pixels.shape[:2]} pixels is too small: poisson needs 3 x 3")
    kind = GradientProblem if spec.given == "gradient" else LaplacianProblem
    return kind(picture, device=device, seeds=seeds)


class PoissonProblem(PictureProblem):
    """A picture known by its differences, per pixel, of values in [-1, 1].

    The loss is relative to the targets' mean square: 1 for a constant field. What the differences
    leave open is taken from the true picture before anything is measured: the constant of each
    channel, and with the Laplacian a plane. The Laplacian leaves all harmonic functions open; of these only
    constant and plane are forgiven, so that a wrong border counts.
    """

    renderer_type = PoissonRenderer
    differentiates = True
    plane: bool

    def __init__(self, picture: Picture, *, device: torch.device, seeds: SeedStreams) -> None:
        super().__init__(picture, device=device, seeds=seeds)
        # Coordinate units in a pixel, for each axis: derivatives times these are per pixel.
        self.spacing = torch.tensor([2.0 / (self.height - 1), 2.0 / (self.width - 1)], device=device)
        targets = self.differences(self.picture * 2.0 - 1.0)
        mean_square = float(np.square(targets).mean(dtype=np.float64))
        # A picture of one colour has no differences to be relative to.
        self._scale = mean_square if mean_square > 0.0 else 1.0
        self._targets = torch.from_numpy(targets).to(device)
        self.elements = len(targets)
        self.record = {**self.record, "differences": self.elements, "differences_mean_square": mean_square}

    def differences(self, values: Array) -> Array:
        """All that is known of a picture (H, W, C), one row for each element: (elements, C)."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """Where in the file the picture lies, and `truth_moments`: lists of rows, of the picture in [0, 1]."""
        places = grid_coords((self.height, self.width)).numpy()
        truth_moments = moments(self.picture.reshape(-1, self.channels), places, plane=self.plane)
        return {**super().facts(), "truth_moments": truth_moments.tolist()}

    def measure_curve(self, model: nn.Module) -> dict[str, float]:
        coords = self.pixel_coords(self._curve)
        truth = self.picture.reshape(-1, self.channels)[self._curve.cpu().numpy()]
        answer = to_unit(predict(model, coords)).cpu().numpy()
        places = coords.cpu().numpy()
        alignment = Alignment(answer, moments(truth, places, plane=self.plane), places, plane=self.plane)
        return {"psnr": psnr(squared_error(truth, alignment(answer, places).clip(0.0, 1.0)))}

    def baseline(self, name: str) -> Evaluation:
        """constant: the mean colour; poisson_solver: the discrete equation solved by cosine transform.

        From the gradient the solver is exact. From the Laplacian it has to assume something of the border:
        no flow through it, and no Laplacian on it.
        """
        answer = self.renderer.aligned(self.classical(name))
        return self.present(self.measure(answer), answer)

    def classical(self, name: str) -> Array:
        if name == "constant":
            return constant(self.picture.shape, np.zeros(self.channels))
        if name == "poisson_solver":
            return solve(self.source())
        raise self.unknown_baseline(name)

    def source(self) -> Array:
        """The right-hand side of Poisson's equation, (H, W, C), as far as it is known."""
        raise NotImplementedError


class GradientProblem(PoissonProblem):
    """An element is the difference of two neighbours: first all pairs down, then all pairs across."""

    plane = False

    def differences(self, values: Array) -> Array:
        return np.concatenate([part.reshape(-1, self.channels) for part in gradient(values)])

    def batch(self, index: Index) -> Batch:
        """coords (n, 2) half-way between the pixels, axis (n,) int64, values (n, C) of the differences."""
        pair = self.index(index)
        downs = (self.height - 1) * self.width
        axis = (pair >= downs).long()
        across = pair - downs
        first = torch.where(axis == 0, pair, across + across.div(self.width - 1, rounding_mode="floor"))
        half = torch.nn.functional.one_hot(axis, 2) * (self.spacing / 2.0)
        return {"coords": self.pixel_coords(first) + half, "axis": axis, "values": self._targets[index]}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Squared error of the derivative along the pair, per pixel, relative and averaged over channels."""
        _, derivatives = gradients(model, batch["coords"])
        along = (derivatives * self.spacing).gather(2, batch["axis"][:, None, None].expand(-1, self.channels, 1))
        return (along.squeeze(2) - batch["values"]).square().mean(dim=1) / self._scale

    def source(self) -> Array:
        return divergence(*gradient(self.picture))


class LaplacianProblem(PoissonProblem):
    """An element is the five-point Laplacian at an inner pixel."""

    plane = True

    def differences(self, values: Array) -> Array:
        return laplacian(values).reshape(-1, self.channels)

    def batch(self, index: Index) -> Batch:
        """coords (n, 2) of inner pixels and values (n, C), their Laplacians."""
        inner = self.index(index)
        pixel = (inner // (self.width - 2) + 1) * self.width + inner % (self.width - 2) + 1
        return {"coords": self.pixel_coords(pixel), "values": self._targets[index]}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Squared error of the Laplacian, per pixel squared, relative and averaged over channels."""
        laplacian_of_field = laplacians(model, batch["coords"], self.spacing)
        return (laplacian_of_field - batch["values"]).square().mean(dim=1) / self._scale

    def source(self) -> Array:
        return np.pad(laplacian(self.picture), ((1, 1), (1, 1), (0, 0)))
