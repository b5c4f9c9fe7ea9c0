"""The ct task: fit line integrals, be measured on the slice."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import torch
from inrbench_task_image.base import PictureProblem
from inrbench_task_image.metrics import SSIM_WINDOW, psnr, squared_error, ssim_map
from inrbench_task_image.pictures import Picture
from inrbench_task_image.renderer import to_unit
from torch import Tensor, nn
from torch.nn import functional

from inrbench_core import Batch, Index, SeedStreams, cached_arrays
from inrbench_task_ct.beam import ParallelBeam, inside_disc
from inrbench_task_ct.plugin import CtSpec
from inrbench_task_ct.reconstruction import METHODS
from inrbench_task_ct.renderer import CtRenderer
from inrbench_task_ct.scan import make_scan
from inrbench_task_ct.slices import load_slice

Array = np.ndarray[Any, Any]

# The slice is measured with finer steps than fields are trained with, and in parts of this many points.
MEASURING_SAMPLES_PER_PIXEL = 2
POINTS_AT_A_TIME = 1 << 20


def prepare(spec: CtSpec, *, device: torch.device, seeds: SeedStreams) -> CtProblem:
    """Load the slice and measure its sinogram. Raises DataError if it cannot be used."""
    return CtProblem(load_slice(spec), spec, device=device, seeds=seeds)


class CtProblem(PictureProblem):
    """The sinogram's bins, views x size of them, counted view by view.

    A field's -1 is air, and 1 the slice's greatest attenuation; negative attenuation is not forbidden
    in training. What lies outside the disc that every view sees is air, in the truth and in every answer.

    Args:
        picture: the slice, (N, N, 1).
        spec: views, samples, noise and regulariser; `seeds` draws the noise.
    """

    renderer_type = CtRenderer

    def __init__(self, picture: Picture, spec: CtSpec, *, device: torch.device, seeds: SeedStreams) -> None:
        size = len(picture.pixels)
        self.beam = ParallelBeam(size, spec.views, device)
        self.disc = inside_disc(size, self.beam.pixels, self.beam.pixels).cpu().numpy()
        cut = int(np.count_nonzero(picture.pixels[~self.disc]))
        seen = Picture(picture.pixels * self.disc[..., None], picture.record)
        super().__init__(seen, device=device, seeds=seeds, scored=self.disc, regulariser=spec.regulariser)
        self.elements = spec.views * size
        self.samples = spec.samples or size
        self.points_per_element = self.samples + self.penalty_points
        sinogram = _measured(self.picture[..., 0], self.beam)
        noise_std = spec.noise * float(sinogram.max())
        noise = noise_std * seeds.numpy("noise").standard_normal(sinogram.shape)
        self.sinogram = (sinogram + noise).astype(np.float32)
        self._values = torch.from_numpy(self.sinogram).reshape(-1).to(device)
        self.record = {
            **self.record,
            "views": spec.views,
            "bins": size,
            "samples": self.samples,
            "bin_unit": "attenuation of value 1 times half the slice's width",
            "largest_bin": float(self.sinogram.max()),
            "noise_std": noise_std,
            "pixels_outside_the_disc_set_to_air": cut,
        }

    def batch(self, index: Index) -> Batch:
        """angle, offset and values of bins, (n,) each: points are made from them in the loss, chunk by chunk.

        And what a regulariser looks at.
        """
        angle, offset = self.beam.rays(self.index(index))
        rays = {"angle": angle, "offset": offset, "values": self._values[index]}
        return {**rays, **self.regulariser_batch(index)}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Squared error of the bins' integrals, and what a regulariser adds."""
        integrals = self.beam.integrals(
            lambda coords: to_unit(model(coords)), batch["angle"], batch["offset"], self.samples
        )
        return (integrals - batch["values"]).square() + self.penalty(model, batch)

    def value_names(self) -> tuple[str, ...]:
        return ("attenuation",)

    def measure(self, answer: Array) -> dict[str, float]:
        """Means over the disc; of the similarity without the margin where its window leaves the picture."""
        margin = SSIM_WINDOW // 2
        inner = np.zeros_like(self.disc)
        inner[margin:-margin, margin:-margin] = self.disc[margin:-margin, margin:-margin]
        similarity = ssim_map(self.device_picture, answer).cpu().numpy()
        return {
            "psnr": psnr(squared_error(self.picture, answer)[self.disc]),
            "ssim": float(similarity[inner].mean()),
        }

    def classical(self, name: str) -> Array:
        """One of `METHODS`; or constant: the mean that the bins tell."""
        if name in METHODS:
            answer = self._reconstructed(name)
        elif name == "constant":
            mass = float(self.sinogram.sum(axis=1, dtype=np.float64).mean()) * self.beam.spacing
            answer = np.full(self.disc.shape, mass / (math.pi * self.beam.radius**2))
        else:
            raise self.unknown_baseline(name)
        return (answer * self.disc)[..., None]

    def _reconstructed(self, name: str) -> Array:
        """The slice that a classical method makes of the bins, (N, N); from the cache if it was made before."""

        def make() -> dict[str, Array]:
            scan = make_scan(self.beam, self.sinogram, self.disc, self.samples)
            return {"answer": METHODS[name].reconstruct(scan)}

        bins = hashlib.sha256(self.sinogram.tobytes()).hexdigest()
        key = {"bins": bins, "views": self.beam.views, "samples": self.samples, "method": name}
        return cached_arrays(__name__, key, make)["answer"]


def _measured(attenuation: Array, beam: ParallelBeam) -> Array:
    """Integrals of a slice, (N, N), linear between its pixels, along all rays: (views, N), float64.

    They are taken from the cache if they were made before.
    """
    key = {"pixels": hashlib.sha256(attenuation.tobytes()).hexdigest(), "views": beam.views}
    return cached_arrays(__name__, key, lambda: {"sinogram": _sinogram(attenuation, beam)})["sinogram"]


def _sinogram(attenuation: Array, beam: ParallelBeam) -> Array:
    pixels = torch.from_numpy(attenuation)[None, None]

    def between(coords: Tensor) -> Tensor:
        # grid_sample wants (column, row).
        grid = coords.flip(-1)[None, None]
        return functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=True)

    on_cpu = ParallelBeam(beam.size, beam.views)
    samples = MEASURING_SAMPLES_PER_PIXEL * beam.size
    parts = torch.arange(beam.views * beam.size).split(max(1, POINTS_AT_A_TIME // samples))
    integrals = [on_cpu.integrals(between, *on_cpu.rays(part), samples) for part in parts]
    return torch.cat(integrals).reshape(beam.views, beam.size).double().numpy()
