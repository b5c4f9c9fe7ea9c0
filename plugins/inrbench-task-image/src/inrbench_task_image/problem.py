"""The image task: fit colour over place, with some pixels held out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inrbench_core import Batch, Evaluation, Index, SeedStreams
from inrbench_task_image.base import PictureProblem, constant
from inrbench_task_image.interpolation import fill_biharmonic, fill_linear, fill_thin_plate
from inrbench_task_image.metrics import psnr, psnr_luma, squared_error
from inrbench_task_image.pictures import Picture, load_picture
from inrbench_task_image.plugin import ImageSpec
from inrbench_task_image.transform_coding import dct_coded

Array = np.ndarray[Any, Any]

FILLINGS = {"linear": fill_linear, "biharmonic": fill_biharmonic, "thin_plate": fill_thin_plate}
# By whether positions are counted.
CODES = {"dct": False, "dct_counted": True}


def prepare(spec: ImageSpec, *, device: torch.device, seeds: SeedStreams) -> ImageProblem:
    """Load the picture and choose the pixels to hold out. Raises DataError if it cannot be used."""
    return ImageProblem(load_picture(spec), spec, device=device, seeds=seeds)


class ImageProblem(PictureProblem):
    """The picture itself, without the held-out pixels.

    Args:
        picture: the picture to fit.
        spec: `held_out` is the share of the pixels never trained on; `seeds` decides which. One pixel at least is
            trained on. `values_per_parameter` says how many numbers transform coding may keep.
    """

    def __init__(self, picture: Picture, spec: ImageSpec, *, device: torch.device, seeds: SeedStreams) -> None:
        super().__init__(picture, device=device, seeds=seeds)
        self.numbers = max(1, int(self.picture.size / spec.values_per_parameter))
        count = min(round(spec.held_out * self.pixels), self.pixels - 1)
        self.held_out = np.zeros((self.height, self.width), bool)
        order = torch.randperm(self.pixels, generator=seeds.generator("mask"))
        self.held_out.reshape(-1)[order[:count].numpy()] = True
        self._train = order[count:].sort().values.to(device)
        self._values = torch.from_numpy(self.picture).reshape(self.pixels, -1).to(device)
        self.elements = self._train.numel()
        self.record = {**self.record, "held_out_pixels": count}

    def batch(self, index: Index) -> Batch:
        """coords (n, 2) and values (n, C) of training pixels."""
        pixel = self._train[index]
        return {"coords": self.pixel_coords(pixel), "values": self._values[pixel] * 2.0 - 1.0}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Squared error of the colour, averaged over its channels."""
        return (model(batch["coords"]) - batch["values"]).square().mean(dim=1)

    def is_trained(self, coords: Tensor, field: str = "") -> Tensor:
        """Whether the nearest pixel is not held out."""
        return torch.from_numpy(~self.held_out[self.nearest_pixels(coords)]).to(coords.device)

    def measure(self, answer: Array) -> dict[str, float]:
        error = squared_error(self.picture, answer)
        return {
            **super().measure(answer),
            "psnr_train": psnr(error[~self.held_out]),
            "psnr_held_out": psnr(error[self.held_out]),
            "psnr_luma": psnr_luma(self.picture, answer),
        }

    def classical(self, name: str) -> Array:
        if name == "constant":
            return constant(self.picture.shape, self.picture[~self.held_out].mean(axis=0, dtype=np.float64))
        if name in FILLINGS:
            return FILLINGS[name](self.picture, ~self.held_out)
        if name in CODES:
            return dct_coded(self.picture, self.numbers, counted=CODES[name])
        raise self.unknown_baseline(name)

    def baseline(self, name: str) -> Evaluation:
        """constant: the mean colour of the training pixels; or held-out pixels filled in from the others, linearly,
        by a biharmonic surface or by thin-plate splines; or all pixels coded as in `dct_coded`, in `numbers` numbers,
        dct_counted counting positions.

        Filling copies the training pixels, so that only its psnr_held_out means something. Coding sees all pixels, so
        that its psnr_held_out means nothing. What means nothing is NaN.
        """
        evaluation = super().baseline(name)
        if name in FILLINGS:
            nothing = set(evaluation.metrics) - {"psnr_held_out"}
        elif name in CODES:
            nothing = {"psnr_held_out"}
            evaluation = replace(evaluation, parameters=self.numbers)
        else:
            return evaluation
        evaluation.metrics.update(dict.fromkeys(nothing, math.nan))
        return evaluation
