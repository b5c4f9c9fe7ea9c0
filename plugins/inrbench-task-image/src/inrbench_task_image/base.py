"""PictureProblem: what every task whose answer is a picture shares."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inrbench_core import (
    Batch,
    DataError,
    Evaluation,
    FieldShape,
    Frame,
    Index,
    Problem,
    SeedStreams,
    grid_coords,
    linear_frame,
    predict,
)
from inrbench_task_image.metrics import psnr, squared_error, ssim
from inrbench_task_image.pictures import PLACE_IN_FILE, Picture
from inrbench_task_image.previews import preview
from inrbench_task_image.regularisation import covering, forward_neighbours, total_variation
from inrbench_task_image.renderer import PictureRenderer, to_unit
from inrbench_task_image.spec import TotalVariation

Array = np.ndarray[Any, Any]

# Beyond this many pixels, the training curve is measured on as many random ones.
CURVE_PIXELS = 262_144
COLOURS = ("red", "green", "blue")


class PictureProblem(Problem):
    """f: (row, column) -> colour, both in [-1, 1], the centres of the outer pixels at the ends.

    Pixels are counted row by row. Subclasses give `batch` and `loss`, say in `elements` how many
    elements there are, and answer to their baselines in `classical`. One with a regulariser joins
    `regulariser_batch` to its batch, adds `penalty` to its loss and `penalty_points` to its `points_per_element`.

    Args:
        picture: the picture that a perfect answer equals.
        device: where training tensors stay.
        seeds: decides which pixels the curve looks at, if there are too many.
        scored: (H, W), bool: the pixels that the primary metric, a PSNR, is taken over; default all.
        regulariser: a term of the loss, or None.
    """

    primary = "psnr"
    renderer_type: type[PictureRenderer] = PictureRenderer

    def __init__(
        self,
        picture: Picture,
        *,
        device: torch.device,
        seeds: SeedStreams,
        scored: Array | None = None,
        regulariser: TotalVariation | None = None,
    ) -> None:
        self.regulariser = regulariser
        self.picture = picture.pixels
        self.height, self.width, self.channels = picture.pixels.shape
        self.pixels = self.height * self.width
        self.device = device
        self._rows, self._columns = (grid_coords((size,), device).squeeze(1) for size in (self.height, self.width))
        self.shapes = {"field": FieldShape(2, self.channels, (self.height, self.width))}
        self.elements = self.pixels
        candidates = torch.arange(self.pixels) if scored is None else torch.from_numpy(np.flatnonzero(scored))
        self._curve = _curve_pixels(candidates, seeds).to(device)
        self.device_picture = torch.from_numpy(self.picture).to(device)
        self._curve_truth = self.device_picture.reshape(-1, self.channels)[self._curve]
        self.record = {**picture.record, "curve_pixels": self._curve.numel()}

    @abstractmethod
    def classical(self, name: str) -> Array:
        """The picture, (H, W, C) in [0, 1], that a baseline of the entry answers with."""

    @property
    def frame(self) -> Frame:
        """Coordinates in pixels of the fitted picture, values as in the file; facts: where in the file it lies."""
        unit = str(self.record.get("unit", ""))
        # A picture that comes from no file is in [0, 1].
        low, high = float(self.record.get("value_at_minus_1", 0.0)), float(self.record.get("value_at_plus_1", 1.0))
        values = dict.fromkeys(self.value_names(), (unit, low, high))
        coords = {"row": ("px", 0.0, self.height - 1.0), "column": ("px", 0.0, self.width - 1.0)}
        return Frame({"field": linear_frame(coords, values, (self.height, self.width))}, self.facts())

    def value_names(self) -> tuple[str, ...]:
        """What the field's values are called."""
        return ("grey",) if self.channels == 1 else COLOURS[: self.channels]

    def facts(self) -> dict[str, Any]:
        """Facts of the frame: plain data."""
        return {name: self.record[name] for name in PLACE_IN_FILE if name in self.record}

    @cached_property
    def renderer(self) -> PictureRenderer:
        """What makes pictures of models: the same as for a stored run, so that both agree."""
        return self.renderer_type(self.frame, self.device)

    def target(self, coords: Tensor, field: str = "") -> Tensor:
        """Values (n, C) of the true picture at the pixels nearest to coords (n, 2)."""
        row, column = self.nearest_pixels(coords)
        return torch.from_numpy(self.picture[row, column]).to(coords.device) * 2.0 - 1.0

    def nearest_pixels(self, coords: Tensor) -> tuple[Array, Array]:
        """Rows and columns, int64 (n,) each, of the pixels nearest to coords (n, 2)."""
        last = torch.tensor([self.height - 1, self.width - 1], device=coords.device)
        nearest = ((coords + 1.0) / 2.0 * last).round().long().clamp(last.new_zeros(2), last)
        row, column = nearest.cpu().numpy().T
        return row, column

    def pixel_coords(self, pixel: Tensor) -> Tensor:
        """Coordinates (n, 2) of pixels, int64 (n,): computed here, since a stored grid costs 8 bytes a pixel."""
        return torch.stack([self._rows[pixel // self.width], self._columns[pixel % self.width]], dim=1)

    def index(self, index: Index) -> Tensor:
        """The elements' numbers, int64 (n,)."""
        if isinstance(index, slice):
            return torch.arange(*index.indices(self.elements), device=self.device)
        return index

    @property
    def penalty_points(self) -> int:
        """Field evaluations that `penalty` takes for one element: three for each of its pixels."""
        return 0 if self.regulariser is None else 3 * -(-self.pixels // self.elements)

    def regulariser_batch(self, index: Index) -> Batch:
        """What `penalty` takes: coords (n, k, 3, 2) of k pixels for each element, each with the one below and the one
        to the right, and shares (n, k); {} without a regulariser. See `covering`.
        """
        if self.regulariser is None:
            return {}
        pixel, shares = covering(self.index(index), self.elements, self.pixels)
        triples = forward_neighbours(pixel, self.height, self.width)
        coords = self.pixel_coords(triples.flatten()).unflatten(0, triples.shape)
        return {"penalty_coords": coords, "penalty_shares": shares}

    def penalty(self, model: nn.Module, batch: Batch) -> Tensor | float:
        """What the regulariser adds to each element's loss, (n,): its mean over all elements is the weight times the
        mean total variation of the pixels. 0.0 without one.
        """
        if self.regulariser is None:
            return 0.0
        coords = batch["penalty_coords"]
        values = to_unit(model(coords.flatten(0, 2))).unflatten(0, coords.shape[:3])
        return self.regulariser.weight * (total_variation(values) * batch["penalty_shares"]).sum(dim=1)

    def measure(self, answer: Array) -> dict[str, float]:
        """The metrics of a picture (H, W, C) in [0, 1]."""
        similarity = ssim(self.device_picture, answer)
        return {"psnr": psnr(squared_error(self.picture, answer)), "ssim": similarity}

    def measure_curve(self, model: nn.Module) -> dict[str, float]:
        """The metrics along the curve: the primary one, over `record["curve_pixels"]` pixels."""
        answer = to_unit(predict(model, self.pixel_coords(self._curve))).clamp(0.0, 1.0)
        return {self.primary: psnr(squared_error(self._curve_truth, answer))}

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        """All metrics and outputs; on the curve those of `measure_curve`."""
        if not full:
            return Evaluation(self.measure_curve(model))
        answer = self.renderer.answer(model)
        return self.present(self.measure(answer), answer)

    def baseline(self, name: str) -> Evaluation:
        answer = self.classical(name).astype(np.float32).clip(0.0, 1.0)
        return self.present(self.measure(answer), answer)

    def truth(self) -> Array:
        return preview(self.picture)

    def present(self, metrics: dict[str, float], answer: Array) -> Evaluation:
        """The metrics with the outputs, as in the file: reconstruction, and error (root mean square over channels)."""
        error = np.sqrt(squared_error(self.picture, answer)) * (self.renderer.high - self.renderer.low)
        outputs = {"reconstruction": self.renderer.file_values(answer), "error": error.astype(np.float32)}
        return Evaluation(metrics, outputs, preview(answer))

    def unknown_baseline(self, name: str) -> DataError:
        return DataError(f"{type(self).__name__} has no baseline {name!r}")


def constant(shape: tuple[int, ...], colour: Array) -> Array:
    """A picture of one colour, (C,)."""
    return np.broadcast_to(colour.astype(np.float32), shape)


def _curve_pixels(candidates: Tensor, seeds: SeedStreams) -> Tensor:
    if candidates.numel() <= CURVE_PIXELS:
        return candidates
    return candidates[torch.randint(candidates.numel(), (CURVE_PIXELS,), generator=seeds.generator("curve"))]
