"""PictureProblem: what every task whose answer is a picture shares."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inrbench_core import DataError, Evaluation, FieldShape, Index, Problem, SeedStreams, grid_coords, predict
from inrbench_task_image.metrics import psnr, squared_error, ssim
from inrbench_task_image.pictures import Picture
from inrbench_task_image.previews import preview, scaled_size

Array = np.ndarray[Any, Any]

# Beyond this many pixels, the training curve is measured on as many random ones.
CURVE_PIXELS = 262_144
PIXELS_AT_A_TIME = 262_144


class PictureProblem(Problem):
    """f: (row, column) -> colour, both in [-1, 1], the centres of the outer pixels at the ends.

    Pixels are counted row by row. Subclasses give `batch` and `loss`, say in `elements` how many
    elements there are, and answer to their baselines in `classical`.

    Args:
        picture: the picture that a perfect answer equals.
        device: where training tensors stay.
        seeds: decides which pixels the curve looks at, if there are too many.
        scored: (H, W), bool: the pixels that the primary metric, a PSNR, is taken over; default all.
    """

    primary = "psnr"

    def __init__(
        self, picture: Picture, *, device: torch.device, seeds: SeedStreams, scored: Array | None = None
    ) -> None:
        self.picture = picture.pixels
        self.height, self.width, self.channels = picture.pixels.shape
        self.pixels = self.height * self.width
        self.device = device
        self._rows, self._columns = self.axes((self.height, self.width))
        self.shapes = {"field": FieldShape(2, self.channels, (self.height, self.width))}
        self.elements = self.pixels
        candidates = torch.arange(self.pixels) if scored is None else torch.from_numpy(np.flatnonzero(scored))
        self._curve = _curve_pixels(candidates, seeds).to(device)
        self.record = {**picture.record, "curve_pixels": self._curve.numel()}

    @abstractmethod
    def classical(self, name: str) -> Array:
        """The picture, (H, W, C) in [0, 1], that a baseline of the entry answers with."""

    def coords(self, pixel: Tensor) -> Tensor:
        """Coordinates (n, 2) of pixels, int64 (n,): computed here, since a stored grid costs 8 bytes a pixel."""
        return torch.stack([self._rows[pixel // self.width], self._columns[pixel % self.width]], dim=1)

    def index(self, index: Index) -> Tensor:
        """The elements' numbers, int64 (n,)."""
        if isinstance(index, slice):
            return torch.arange(*index.indices(self.elements), device=self.device)
        return index

    def measure(self, answer: Array) -> dict[str, float]:
        """The metrics of a picture (H, W, C) in [0, 1]."""
        return {"psnr": psnr(squared_error(self.picture, answer)), "ssim": ssim(self.picture, answer)}

    def measure_curve(self, model: nn.Module) -> dict[str, float]:
        """The metrics along the curve: the primary one, over `record["curve_pixels"]` pixels."""
        answer = to_unit(predict(model, self.coords(self._curve))).clamp(0.0, 1.0).cpu().numpy()
        truth = self.picture.reshape(-1, self.channels)[self._curve.cpu().numpy()]
        return {self.primary: psnr(squared_error(truth, answer))}

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        """All metrics and outputs; on the curve those of `measure_curve`."""
        if not full:
            return Evaluation(self.measure_curve(model))
        answer = self.predicted(model, self._rows, self._columns).clip(0.0, 1.0)
        return self.present(self.measure(answer), answer)

    def baseline(self, name: str) -> Evaluation:
        answer = self.classical(name).astype(np.float32).clip(0.0, 1.0)
        return self.present(self.measure(answer), answer)

    def truth(self) -> Array:
        return preview(self.picture)

    def render(self, model: nn.Module, size: int) -> Evaluation:
        """The same picture with `size` pixels along the longer side."""
        answer = self.predicted(model, *self.axes(scaled_size(self.height, self.width, size))).clip(0.0, 1.0)
        return Evaluation({}, {"reconstruction": answer}, preview(answer))

    def axes(self, sizes: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Coordinates of the rows, (sizes[0],), and of the columns, (sizes[1],)."""
        return grid_coords(sizes[:1], self.device).squeeze(1), grid_coords(sizes[1:], self.device).squeeze(1)

    def present(self, metrics: dict[str, float], answer: Array) -> Evaluation:
        """The metrics with the outputs: reconstruction, and error (root mean square over channels)."""
        error = np.sqrt(squared_error(self.picture, answer))
        return Evaluation(metrics, {"reconstruction": answer, "error": error}, preview(answer))

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

    def unknown_baseline(self, name: str) -> DataError:
        return DataError(f"{type(self).__name__} has no baseline {name!r}")


def to_unit(values: Tensor) -> Tensor:
    """A field's values, where -1 is black and 1 is white, as 0 and 1."""
    return (values.float() + 1.0) / 2.0


def constant(shape: tuple[int, ...], colour: Array) -> Array:
    """A picture of one colour, (C,)."""
    return np.broadcast_to(colour.astype(np.float32), shape)


def _curve_pixels(candidates: Tensor, seeds: SeedStreams) -> Tensor:
    if candidates.numel() <= CURVE_PIXELS:
        return candidates
    return candidates[torch.randint(candidates.numel(), (CURVE_PIXELS,), generator=seeds.generator("curve"))]
