"""Pictures of trained fields at any size, from the frame alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inrbench_core import Evaluation, Frame, Renderer, grid_coords, predict
from inrbench_task_image.previews import preview, scaled_size

Array = np.ndarray[Any, Any]

PIXELS_AT_A_TIME = 262_144


class PictureRenderer(Renderer):
    """Renders f: (row, column) -> colour. The output `reconstruction`, (H, W, C) float32, holds values as in the file.

    Args:
        frame: of a `PictureProblem`.
        device: where the model is.
    """

    def __init__(self, frame: Frame, device: torch.device) -> None:
        super().__init__(frame, device)
        field = frame.fields["field"]
        self.height, self.width = field.resolution
        self.channels = len(field.values)
        self.low, self.high = field.values[0].low, field.values[0].high

    def render(self, model: nn.Module, size: int | None = None) -> Evaluation:
        """The picture with `size` pixels along the longer side, or with as many as the task's picture has."""
        answer = self.answer(model, size)
        return Evaluation({}, {"reconstruction": self.file_values(answer)}, preview(answer))

    def answer(self, model: nn.Module, size: int | None = None) -> Array:
        """The model's picture, float32 (H, W, C), cut off at black (0) and white (1)."""
        return self.predicted(model, *self.axes(size)).clip(0.0, 1.0)

    def file_values(self, picture: Array) -> Array:
        """A picture in [0, 1] with values as in the file, float32."""
        return (self.low + picture * (self.high - self.low)).astype(np.float32)

    def axes(self, size: int | None = None) -> tuple[Tensor, Tensor]:
        """Coordinates of the rows, (H,), and of the columns, (W,), of a picture of that size."""
        sizes = (self.height, self.width) if size is None else scaled_size(self.height, self.width, size)
        return grid_coords(sizes[:1], self.device).squeeze(1), grid_coords(sizes[1:], self.device).squeeze(1)

    def predicted(self, model: nn.Module, rows: Tensor, columns: Tensor) -> Array:
        """The model's picture at these row and column coordinates, float32 (rows, columns, C).

        Black is 0 and white 1, but nothing is cut off yet.
        """
        answer = np.empty((rows.numel(), columns.numel(), self.channels), np.float32)
        block = max(1, PIXELS_AT_A_TIME // columns.numel())
        for start in range(0, rows.numel(), block):
            part = rows[start : start + block]
            values = to_unit(predict(model, torch.cartesian_prod(part, columns)))
            answer[start : start + block] = values.reshape(part.numel(), columns.numel(), -1).cpu().numpy()
        return answer


def to_unit(values: Tensor) -> Tensor:
    """A field's values, where -1 is black and 1 is white, as 0 and 1."""
    return (values.float() + 1.0) / 2.0
