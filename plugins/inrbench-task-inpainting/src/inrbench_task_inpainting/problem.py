"""The inpainting task: fit the known pixels, and be measured on the missing ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from inrbench_task_image.base import PictureProblem, constant
from inrbench_task_image.interpolation import fill_biharmonic, fill_linear, fill_thin_plate
from inrbench_task_image.metrics import psnr, psnr_luma, squared_error, ssim_map
from inrbench_task_image.pictures import Picture, load_picture
from inrbench_task_image.spec import TotalVariation
from torch import Tensor, nn

from inrbench_core import Batch, Evaluation, Index, SeedStreams
from inrbench_task_inpainting.masks import missing_pixels
from inrbench_task_inpainting.plugin import InpaintingSpec

Array = np.ndarray[Any, Any]

FILLINGS = {"linear": fill_linear, "biharmonic": fill_biharmonic, "thin_plate": fill_thin_plate}


def prepare(spec: InpaintingSpec, *, device: torch.device, seeds: SeedStreams) -> InpaintingProblem:
    """Load the picture and take pixels away. Raises DataError if it cannot be used."""
    picture = load_picture(spec)
    missing = missing_pixels(spec, *picture.pixels.shape[:2], seeds.numpy("mask"))
    return InpaintingProblem(picture, missing, device=device, seeds=seeds, regulariser=spec.regulariser)


class InpaintingProblem(PictureProblem):
    """The known pixels are trained on, the missing ones never.

    Args:
        picture: the whole picture.
        missing: (H, W), bool.
        regulariser: a term of the loss, or None.
    """

    primary = "psnr_missing"

    def __init__(
        self,
        picture: Picture,
        missing: Array,
        *,
        device: torch.device,
        seeds: SeedStreams,
        regulariser: TotalVariation | None = None,
    ) -> None:
        super().__init__(picture, device=device, seeds=seeds, scored=missing, regulariser=regulariser)
        self.missing = missing
        self._known = torch.from_numpy(np.flatnonzero(~missing)).to(device)
        self._values = torch.from_numpy(self.picture[~missing]).to(device)
        self.elements = self._known.numel()
        self.points_per_element = 1 + self.penalty_points
        self.record = {**self.record, "missing_pixels": int(missing.sum())}

    def batch(self, index: Index) -> Batch:
        """coords (n, 2) and values (n, C) of known pixels; see `regulariser_batch` too."""
        return {
            "coords": self.pixel_coords(self._known[index]),
            "values": self._values[index] * 2.0 - 1.0,
            **self.regulariser_batch(index),
        }

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Squared error of the colour, averaged over its channels, and the regulariser."""
        return (model(batch["coords"]) - batch["values"]).square().mean(dim=1) + self.penalty(model, batch)

    def is_trained(self, coords: Tensor, field: str = "") -> Tensor | None:
        """Whether the nearest pixel is known; None with a regulariser, which looks at all of them."""
        if self.regulariser is not None:
            return None
        return torch.from_numpy(~self.missing[self.nearest_pixels(coords)]).to(coords.device)

    def measure(self, answer: Array) -> dict[str, float]:
        error = squared_error(self.picture, answer)
        similarity = ssim_map(self.device_picture, answer).cpu().numpy()
        return {
            "psnr_missing": psnr(error[self.missing]),
            "ssim_missing": float(similarity[self.missing].mean()),
            **super().measure(answer),
            "psnr_known": psnr(error[~self.missing]),
            "psnr_luma": psnr_luma(self.picture, answer),
        }

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        """As for any picture; the mask is among the outputs."""
        evaluation = super().evaluate(model, full=full)
        return replace(evaluation, outputs={**evaluation.outputs, "missing": self.missing}) if full else evaluation

    def classical(self, name: str) -> Array:
        """constant: the mean colour of the known pixels; or missing pixels filled in from the others, linearly, by a
        biharmonic surface or by thin-plate splines.

        None of them sees a missing pixel, and all but the first keep the known ones.
        """
        if name == "constant":
            return constant(self.picture.shape, self.picture[~self.missing].mean(axis=0, dtype=np.float64))
        if name in FILLINGS:
            return FILLINGS[name](self.picture, ~self.missing)
        raise self.unknown_baseline(name)
