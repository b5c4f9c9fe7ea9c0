"""The mri task: fit samples of k-space, be measured on the slice."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import torch
from inrbench_task_image.base import PictureProblem
from inrbench_task_image.metrics import squared_error
from inrbench_task_image.pictures import Picture
from inrbench_task_image.regularisation import total_variation
from inrbench_task_image.renderer import to_unit
from torch import Tensor, nn

from inrbench_core import Batch, DataError, Index, SeedStreams, cached_arrays, decibels
from inrbench_task_mri.kspace import KSpace, Lines, Spokes, draw_lines, spoke_angles
from inrbench_task_mri.plugin import MriSpec
from inrbench_task_mri.slices import load_slice
from inrbench_task_mri.solvers import NormalEquations, least_squares, least_total_variation

Array = np.ndarray[Any, Any]

# The operator of spokes holds four numbers for each sample and pixel of a side: 1 GiB while float64s are needed.
MOST_PRODUCTS = 1 << 25
# Of the probe that the weight of the baseline `total_variation` is chosen with.
PROBE_SEED = 0


def prepare(spec: MriSpec, *, device: torch.device, seeds: SeedStreams) -> MriProblem:
    """Load the slice and measure its k-space. Raises DataError if it cannot be used."""
    return MriProblem(load_slice(spec), spec, device=device, seeds=seeds)


class MriProblem(PictureProblem):
    """Samples of the Fourier transform of the picture that a field gives on the slice's pixels.

    An element is a part of k-space that depends on pixels of its own, see `KSpace`: of lines of the grid a row of the
    slice, with as many pixels as it has columns; of spokes everything, with all pixels.

    A field's -1 is air, and 1 the slice's largest magnitude; negative values are not forbidden in training.

    Args:
        picture: the slice, (N, N, 1).
        spec: what is sampled; `seeds` draws the lines and the noise.
    """

    def __init__(self, picture: Picture, spec: MriSpec, *, device: torch.device, seeds: SeedStreams) -> None:
        super().__init__(picture, device=device, seeds=seeds, regulariser=spec.regulariser)
        self.trajectory = spec.trajectory
        self.places = _places(spec, self.height, seeds)
        self.kspace = self._operator(device, torch.float32)
        self.elements = self.kspace.parts
        # The regulariser looks at the row below, too.
        self._rows_seen = self.kspace.rows + (spec.regulariser is not None)
        self.points_per_element = self._rows_seen * self.width
        picture_parts = torch.from_numpy(self.picture).double().reshape(self.elements, -1, self.width)
        clean = self._operator(None, torch.float64).forward(picture_parts).numpy()
        self.noise = spec.noise
        self.measured = clean + spec.noise * seeds.numpy("noise").standard_normal(clean.shape)
        self._samples = torch.from_numpy(self.measured).float().to(device)
        # Of a complex number both parts count.
        self._power = 2.0 * float((self.measured**2).mean())
        self.record = {
            **self.record,
            "trajectory": spec.trajectory,
            "lines": len(self.places),
            "samples": self.measured.size // 2,
            "noise_std": spec.noise,
        }

    def _operator(self, device: torch.device | None, dtype: torch.dtype) -> KSpace:
        kind = Lines if self.trajectory == "cartesian" else Spokes
        return kind(self.width, self.places, device, dtype)

    def batch(self, index: Index) -> Batch:
        """Numbers of parts, int64 (n,), and their samples, (n, M, 2): points are made in the loss, chunk by chunk."""
        return {"part": self.index(index), "samples": self._samples[index]}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Squared error of the samples over their mean squared magnitude, a mean over those of a part."""
        picture = self._seen(model, batch["part"])
        error = self.kspace.forward(picture[:, : self.kspace.rows]) - batch["samples"]
        loss = error.square().sum(dim=-1).mean(dim=1) / self._power
        return loss if self.regulariser is None else loss + self.regulariser.weight * _variation(picture)

    def _seen(self, model: nn.Module, part: Tensor) -> Tensor:
        """The rows of a field's picture that the loss of parts, (n,), depends on: (n, rows, N), black is 0."""
        row = part[:, None] * self.kspace.rows + torch.arange(self._rows_seen, device=part.device)
        pixel = row.clamp(max=self.height - 1)[..., None] * self.width + torch.arange(self.width, device=part.device)
        return to_unit(model(self.pixel_coords(pixel.flatten()))).reshape(pixel.shape)

    def value_names(self) -> tuple[str, ...]:
        return ("magnitude",)

    def measure(self, answer: Array) -> dict[str, float]:
        parts = torch.from_numpy(answer).reshape(self.elements, -1, self.width).to(self.device)
        error = (self.kspace.forward(parts) - self._samples).double().square().mean().item()
        wrong = float(squared_error(self.picture, answer).sum(dtype=np.float64))
        return {
            **super().measure(answer),
            "nmse": wrong / float((self.picture**2).sum(dtype=np.float64)),
            "snr_kspace": decibels(self._power, 2.0 * error),
        }

    def classical(self, name: str) -> Array:
        """zero_filled: 0 for what is not measured, samples weighted by the area that they stand for; least_squares and
        total_variation: see `solvers`; constant: the mean that the middle of k-space tells.
        """
        if name == "constant":
            mean = float(self.measured[:, self.kspace.at_centre(), 0].mean()) / math.sqrt(self.kspace.rows * self.width)
            return np.full(self.picture.shape, mean)
        if name == "zero_filled":
            return self._adjoint(self.measured * self.kspace.density_weights()[:, None])[..., None]
        if name not in ("least_squares", "total_variation"):
            raise self.unknown_baseline(name)
        key = {"name": name, "trajectory": self.trajectory, "noise": self.noise}
        key |= {"samples": _digest(self.measured), "places": _digest(self.places)}
        return cached_arrays(__name__, key, lambda: {"picture": self._solved(name)})["picture"][..., None]

    def _solved(self, name: str) -> Array:
        probe = np.random.default_rng(PROBE_SEED).standard_normal(self.measured.shape)
        equations = NormalEquations(
            self.kspace.spectrum(),
            self._adjoint(self.measured),
            float((self.measured**2).sum()),
            self.measured.size,
            self.noise,
            self._adjoint(probe),
        )
        return least_squares(equations) if name == "least_squares" else least_total_variation(equations)

    def _adjoint(self, samples: Array) -> Array:
        pictures = self._operator(None, torch.float64).adjoint(torch.from_numpy(samples))
        return pictures.reshape(self.height, self.width).numpy()


def _variation(picture: Tensor) -> Tensor:
    """Mean total variation of rows, (n, rows + 1, N), without the last of them: (n,)."""
    here, below = picture[:, :-1], picture[:, 1:]
    right = torch.cat([here[..., 1:], here[..., -1:]], dim=-1)
    return total_variation(torch.stack([here, below, right], dim=-1).unsqueeze(-1)).mean(dim=(1, 2))


def _places(spec: MriSpec, size: int, seeds: SeedStreams) -> Array:
    """The lines that are measured, or the angles of the spokes. Raises DataError if they are too many."""
    if spec.trajectory == "cartesian":
        return draw_lines(size, spec.acceleration, spec.centre_share, seeds.numpy("mask"))
    spokes = spec.spokes or max(1, round(size / spec.acceleration))
    most = MOST_PRODUCTS // size**2
    if spokes > most:
        raise DataError(f"{spokes} spokes of {size} samples need too much memory; at this size there may be {most}")
    return spoke_angles(spec.trajectory, spokes)


def _digest(values: Array) -> str:
    return hashlib.sha256(values.tobytes()).hexdigest()
