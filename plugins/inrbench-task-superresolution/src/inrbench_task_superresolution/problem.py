"""The super-resolution task: fit the coarse pixels, and be measured on the fine ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from inrbench_task_image.base import PictureProblem, constant
from inrbench_task_image.metrics import psnr, psnr_luma, squared_error
from inrbench_task_image.pictures import Picture, load_picture
from torch import Tensor, nn

from inrbench_core import Batch, DataError, Index, SeedStreams
from inrbench_task_superresolution.downsampling import Downsampling
from inrbench_task_superresolution.plugin import SuperresolutionSpec
from inrbench_task_superresolution.upsampling import back_projection, bicubic, lanczos

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
    return SuperresolutionProblem(cut, spec, device=device, seeds=seeds)


class SuperresolutionProblem(PictureProblem):
    """An element is a coarse pixel; its loss takes the field at all the fine pixels that it is made of.

    Args:
        picture: the fine picture, sides multiples of the factor.
        spec: factor, operator and regulariser.
    """

    def __init__(
        self, picture: Picture, spec: SuperresolutionSpec, *, device: torch.device, seeds: SeedStreams
    ) -> None:
        super().__init__(picture, device=device, seeds=seeds, regulariser=spec.regulariser)
        self.downsampling = Downsampling(spec.factor, "mean" if spec.operator == "none" else spec.operator)
        self.at_centres = spec.operator == "none"
        self.coarse = self.downsampling(self.picture)
        self._values = torch.from_numpy(self.coarse).reshape(-1, self.channels).to(device)
        weights = np.ones(1) if self.at_centres else self.downsampling.footprint_weights()
        self._weights = torch.from_numpy(weights.astype(np.float32)).to(device)
        self.elements = self._values.shape[0]
        self.points_per_element = self._weights.numel() + self.penalty_points
        self.record = {**self.record, "downsampling": self.downsampling.operator, "factor": spec.factor}

    def batch(self, index: Index) -> Batch:
        """coords (n, p, 2) of the fine pixels that coarse ones are made of, and values (n, C) of the coarse ones; see
        `regulariser_batch` too. Without an operator p is 1, the middle of a coarse pixel.
        """
        fine = self.downsampling.footprint(self.index(index), self.height, self.width)
        coords = self.pixel_coords(fine.flatten()).unflatten(0, fine.shape)
        return {
            "coords": coords.mean(dim=1, keepdim=True) if self.at_centres else coords,
            "values": self._values[index] * 2.0 - 1.0,
            **self.regulariser_batch(index),
        }

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Squared error of the coarse colour, averaged over its channels, and the regulariser."""
        coords = batch["coords"]
        fine = model(coords.flatten(0, 1)).unflatten(0, coords.shape[:2])
        coarse = (fine * self._weights[:, None]).sum(dim=1)
        return (coarse - batch["values"]).square().mean(dim=1) + self.penalty(model, batch)

    def measure(self, answer: Array) -> dict[str, float]:
        return {
            **super().measure(answer),
            "psnr_coarse": psnr(squared_error(self.coarse, self.downsampling(answer))),
            "psnr_luma": psnr_luma(self.picture, answer),
        }

    def classical(self, name: str) -> Array:
        """constant: the mean colour; else the coarse picture upsampled by that kernel, or by back-projection."""
        if name == "constant":
            return constant(self.picture.shape, self.coarse.mean(axis=(0, 1), dtype=np.float64))
        if name == "bicubic":
            return bicubic(self.coarse, self.downsampling.factor)
        if name == "lanczos":
            return lanczos(self.coarse, self.downsampling.factor)
        if name == "back_projection":
            return back_projection(self.coarse, self.downsampling)
        raise self.unknown_baseline(name)
