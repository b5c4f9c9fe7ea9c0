"""The super-resolution task: fit the coarse pixels, and be measured on the fine ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from inrbench_task_image.base import PictureProblem, constant
from inrbench_task_image.metrics import psnr, squared_error
from inrbench_task_image.pictures import Picture, load_picture
from torch import Tensor, nn

from inrbench_core import Batch, DataError, Index, SeedStreams
from inrbench_task_superresolution.downsampling import bicubic, downsample, footprint
from inrbench_task_superresolution.plugin import SuperresolutionSpec

Array = np.ndarray[Any, Any]


def prepare(spec: SuperresolutionSpec, *, device: torch.device, seeds: SeedStreams) -> SuperresolutionProblem:
    """Load the picture, cut off what is over a multiple of the factor, and downsample.

    Raises:
        DataError: if it cannot be used, or is smaller than one coarse pixel.
    """
    picture = load_picture(spec)
    rows, columns = (side // spec.factor for side in picture.pixels.shape[:2])
    if rows == 0 or columns == 0:
        raise DataError(f"a picture of {picture.pixels.shape[:2]} pixels is smaller than factor {spec.factor}")
    height, width = rows * spec.factor, columns * spec.factor
    share = height / picture.pixels.shape[0], width / picture.pixels.shape[1]
    record = {
        **picture.record,
        "height": height,
        "width": width,
        "crop_height": picture.record["crop_height"] * share[0],
        "crop_width": picture.record["crop_width"] * share[1],
    }
    cut = Picture(np.ascontiguousarray(picture.pixels[:height, :width]), record)
    return SuperresolutionProblem(cut, spec.factor, device=device, seeds=seeds)


class SuperresolutionProblem(PictureProblem):
    """An element is a coarse pixel; its loss takes the field at all the fine pixels that it covers.

    Args:
        picture: the fine picture, sides multiples of the factor.
        factor: fine pixels along a side of a coarse one.
    """

    def __init__(self, picture: Picture, factor: int, *, device: torch.device, seeds: SeedStreams) -> None:
        super().__init__(picture, device=device, seeds=seeds)
        self.factor = factor
        self.coarse = downsample(self.picture, factor)
        self._values = torch.from_numpy(self.coarse).reshape(-1, self.channels).to(device)
        self.elements = self._values.shape[0]
        self.points_per_element = factor**2
        self.record = {**self.record, "downsampling": f"mean of {factor} x {factor} pixels"}

    def batch(self, index: Index) -> Batch:
        """coords (n, factor^2, 2) of the fine pixels, and values (n, C) of the coarse ones."""
        fine = footprint(self.index(index), self.factor, self.width // self.factor)
        return {
            "coords": self.pixel_coords(fine.flatten()).unflatten(0, fine.shape),
            "values": self._values[index] * 2.0 - 1.0,
        }

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Squared error of the coarse colour, averaged over its channels."""
        coords = batch["coords"]
        fine = model(coords.flatten(0, 1)).unflatten(0, coords.shape[:2])
        return (fine.mean(dim=1) - batch["values"]).square().mean(dim=1)

    def measure(self, answer: Array) -> dict[str, float]:
        coarse = downsample(answer, self.factor)
        return {**super().measure(answer), "psnr_coarse": psnr(squared_error(self.coarse, coarse))}

    def classical(self, name: str) -> Array:
        """constant: the mean colour; bicubic: cubic convolution of the coarse picture."""
        if name == "constant":
            return constant(self.picture.shape, self.coarse.mean(axis=(0, 1), dtype=np.float64))
        if name == "bicubic":
            return bicubic(self.coarse, self.factor)
        raise self.unknown_baseline(name)
