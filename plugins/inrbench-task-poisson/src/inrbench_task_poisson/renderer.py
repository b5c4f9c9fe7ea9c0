"""Pictures of fields trained on derivatives, from the frame alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from inrbench_task_image.renderer import PictureRenderer
from torch import nn

from inrbench_core import Frame
from inrbench_task_poisson.alignment import Alignment

Array = np.ndarray[Any, Any]


class PoissonRenderer(PictureRenderer):
    """As for any picture, with what the derivatives leave open added.

    The frame's fact `truth_moments`, see `moments`, says what the true picture tells of that: one row for a constant,
    three for a plane.
    """

    def __init__(self, frame: Frame, device: torch.device) -> None:
        super().__init__(frame, device)
        self.truth_moments = np.array(frame.facts["truth_moments"])
        self.plane = len(self.truth_moments) > 1
        self.places = torch.cartesian_prod(*self.axes()).cpu().numpy()

    def answer(self, model: nn.Module, size: int | None = None) -> Array:
        picture = self.predicted(model, *self.axes())
        if size is None:
            return self.aligned(picture)
        alignment, axes = self.alignment(picture), self.axes(size)
        finer = self.predicted(model, *axes)
        places = torch.cartesian_prod(*axes).cpu().numpy()
        return alignment(finer.reshape(-1, self.channels), places).reshape(finer.shape).clip(0.0, 1.0)

    def aligned(self, picture: Array) -> Array:
        """A picture of the task's size, in [0, 1], with what was open added and then cut off."""
        flat = picture.reshape(-1, self.channels)
        return self.alignment(picture)(flat, self.places).reshape(picture.shape).clip(0.0, 1.0)

    def alignment(self, picture: Array) -> Alignment:
        """What a picture of the task's size lacks."""
        return Alignment(picture.reshape(-1, self.channels), self.truth_moments, self.places, plane=self.plane)
