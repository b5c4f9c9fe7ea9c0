"""What a task prepares: a problem, which the fit engine trains a field on."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from inrbench_core.api.components import FieldShape
from inrbench_core.api.frame import FieldFrame, Frame, Quantity

Batch = Mapping[str, Tensor]
Index = Tensor | slice


@dataclass(frozen=True)
class SeedStreams:
    """Independent random streams, one for each purpose, all from one seed.

    A task prepares its problem from the streams of the data seed (noise, mask, measured points), and a fit draws
    initialisation and sampling from those of the run's seed.
    """

    seed: int

    def derive(self, purpose: str) -> int:
        """A 63-bit seed for a purpose such as "noise", "mask", "sampling" or "initialisation"."""
        digest = hashlib.blake2b(f"{self.seed}/{purpose}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") >> 1

    def generator(self, purpose: str) -> torch.Generator:
        """A torch generator on the CPU: draw there and move, so that devices agree."""
        return torch.Generator().manual_seed(self.derive(purpose))

    def numpy(self, purpose: str) -> np.random.Generator:
        """A numpy generator."""
        return np.random.default_rng(self.derive(purpose))


@dataclass(frozen=True)
class Evaluation:
    """How good a model is.

    Args:
        metrics: the task's metrics by name, never rounded; NaN where one is not defined.
        outputs: named arrays to keep, such as the reconstruction and the error map.
        preview: a picture of the outputs, uint8, (height, width, 3), or None if there is none.
        parameters: of a baseline, how many numbers its answer is made of, where that is what it is compared by, as
            in transform coding; else None.
    """

    metrics: dict[str, float]
    outputs: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    preview: np.ndarray[Any, Any] | None = None
    parameters: int | None = None


class Problem(ABC):
    """One signal, ready to train on. All tensors stay resident on the device of the problem.

    A model is the field itself where the problem needs one field, and an `nn.ModuleDict` of fields
    by name where it needs several.

    It may be used for several fits, one after the other, so nothing that a fit does may change it; only what
    `parameters` returns is trained, and a problem that has such is prepared anew for each run.

    Attributes:
        shapes: the fields the problem needs, by name; most need one.
        elements: how many training elements there are: pixels, samples, rays, sinogram bins.
        points_per_element: field evaluations that the loss of one element takes; sizes the chunks.
        differentiates: the loss takes derivatives of the model by its coordinates.
        record: facts about the data that belong to the result: source, licence, scaling, sizes. The key `synthetic`,
            True or False, says whether the signal is made by a program or was taken of the world.
    """

    shapes: Mapping[str, FieldShape]
    elements: int
    points_per_element: int = 1
    differentiates: bool = False
    record: Mapping[str, str | int | float]

    @abstractmethod
    def batch(self, index: Index) -> Batch:
        """Tensors for the elements in index: a slice, or int64 (n,) on the problem's device."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """One loss per element, (n,): the engine sums over chunks and divides by the batch size."""

    @abstractmethod
    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        """Measure the model, in eval mode and without gradients, with bounded memory.

        Args:
            model: the trained or half-trained model.
            full: False along the training curve, where costly metrics and all outputs may be left
                out; the primary metric must always be there.
        """

    @abstractmethod
    def baseline(self, name: str) -> Evaluation:
        """What the baseline of that name, one of the entry's `baselines`, scores."""

    @abstractmethod
    def truth(self) -> np.ndarray[Any, Any]:
        """The preview of a perfect answer, of the same size as `Evaluation.preview`."""

    @property
    def frame(self) -> Frame:
        """How coordinates and values map to the user's units; default: they are left as they are."""
        return Frame({name: _plain_frame(shape) for name, shape in self.shapes.items()})

    def parameters(self) -> Mapping[str, nn.Parameter]:
        """What is trained beside the model, such as an unknown coefficient or a camera's pose; default: nothing."""
        return {}

    def coords(self, count: int, seeds: SeedStreams, field: str = "") -> Tensor:
        """A sample of a field's domain, for analyses.

        Args:
            count: how many points, at most; 1 at least.
            seeds: the stream "domain" is drawn from where the domain has no grid.
            field: one of `shapes`; "" is the first of them.

        Returns:
            shape (n, D), n <= count, float32, in [-1, 1], on the device of the problem: a regular grid over the
            signal, both ends included, where it has one, else n = count uniform points.
        """
        shape = self.shapes[field] if field else next(iter(self.shapes.values()))
        device = next(iter(self.batch(slice(0, 1)).values())).device
        if shape.resolution is None:
            points = torch.rand(count, shape.in_features, generator=seeds.generator("domain"))
            return (2.0 * points - 1.0).to(device)
        return grid_coords(_within(shape.resolution, count), device)

    def target(self, coords: Tensor, field: str = "") -> Tensor | None:
        """The values that a perfect field has at coords, (n, C) on their device, or None where that is not known.

        Between the samples of a signal it is the value of the nearest one.
        """
        return None

    def is_trained(self, coords: Tensor, field: str = "") -> Tensor | None:
        """Which of coords, (n, D), are trained on: bool, (n,), on their device; default: None.

        None says that the loss is not, for every training element, the squared error to `target` at one sample of the
        signal, as a mean over values; so it is with rays, derivatives, noisy values and points between the samples. For
        coords between the samples the answer is that of the nearest one.
        """
        return None


class Renderer:
    """Evaluates trained fields on grids and writes what they give as files; needs no data of the user's.

    The default writes values in the user's units as STEM.npz. A task's own renderer, named in its entry, overrides
    `render` to make previews and `save` to add files.

    Args:
        frame: of the problem that the model was trained on.
        device: where the model is.
    """

    def __init__(self, frame: Frame, device: torch.device) -> None:
        self.frame = frame
        self.device = device

    def render(self, model: nn.Module, size: int | None = None) -> Evaluation:
        """Evaluate the model on a grid, without metrics.

        Args:
            model: in eval mode.
            size: samples along the longest axis; None: as many as the signal has.

        Raises:
            UnsupportedError: if rendering at that size has no meaning for this problem.
        """
        outputs = {}
        for name, field_frame in self.frame.fields.items():
            part = model[name] if isinstance(model, nn.ModuleDict) else model
            sizes = _sizes(field_frame, size)
            values = predict(part, grid_coords(sizes, self.device))
            outputs[name] = from_field(values, field_frame).reshape(*sizes, -1).cpu().numpy()
        return Evaluation({}, outputs)

    def save(self, evaluation: Evaluation, folder: Path, stem: str) -> list[Path]:
        """Write an evaluation, of `render` or of `Problem.evaluate`, as files that people open, and say which.

        Args:
            evaluation: what to write.
            folder: where to; it exists.
            stem: how the names of all files begin.

        Returns:
            STEM.png, the preview, and STEM.npz, all outputs; tasks add files of their own.
        """
        paths = []
        if evaluation.preview is not None:
            paths.append(folder / f"{stem}.png")
            Image.fromarray(evaluation.preview).save(paths[-1])
        if evaluation.outputs:
            paths.append(folder / f"{stem}.npz")
            np.savez_compressed(paths[-1], **evaluation.outputs)  # type: ignore[arg-type]
        return paths


def to_field(coords: Tensor, frame: FieldFrame) -> Tensor:
    """Coordinates in the user's units, (n, D), as a field takes them: in [-1, 1] over the signal."""
    low, high = (_row([getattr(item, end) for item in frame.coords], coords) for end in ("low", "high"))
    width = torch.where(high == low, torch.ones_like(high), high - low)
    return torch.where(high == low, torch.zeros_like(coords), 2.0 * (coords - low) / width - 1.0)


def from_field(values: Tensor, frame: FieldFrame) -> Tensor:
    """A field's values, (n, C), in the user's units."""
    columns = [_user_value(values[..., index], item) for index, item in enumerate(frame.values)]
    return torch.stack(columns, dim=-1)


def _user_value(value: Tensor, item: Quantity) -> Tensor:
    if item.transform == "exp":
        return (item.rate * value).clamp(max=item.limit).exp()
    if item.transform == "sigmoid":
        return torch.sigmoid(item.rate * value)
    return item.low + (item.high - item.low) * (value + 1.0) / 2.0


def _row(figures: list[float], like: Tensor) -> Tensor:
    return torch.tensor(figures, dtype=like.dtype, device=like.device)


def _plain_frame(shape: FieldShape) -> FieldFrame:
    coords = tuple(Quantity(f"x{axis}") for axis in range(shape.in_features))
    return FieldFrame(coords, tuple(Quantity(f"y{index}") for index in range(shape.out_features)), shape.resolution)


def _within(resolution: tuple[int, ...], count: int) -> tuple[int, ...]:
    """The resolution, or a coarser one of the same proportions with at most `count` points."""
    total = math.prod(resolution)
    if total <= count:
        return resolution
    scale = (count / total) ** (1.0 / len(resolution))
    sizes = [max(1, math.floor(size * scale)) for size in resolution]
    while math.prod(sizes) > count:
        sizes[sizes.index(max(sizes))] = max(1, max(sizes) - 1)
    return tuple(sizes)


# Along an axis of a field that has no grid.
DEFAULT_SAMPLES = 64


def _sizes(frame: FieldFrame, size: int | None) -> tuple[int, ...]:
    resolution = frame.resolution or (DEFAULT_SAMPLES,) * len(frame.coords)
    if size is None:
        return resolution
    return tuple(max(1, round(samples * size / max(resolution))) for samples in resolution)


# Hidden values of as many points stay in the cache of a CPU's core; a GPU wants more at a time.
THREAD_CHUNK, GPU_CHUNK = 2_048, 65_536


def points_at_a_time(device: torch.device) -> int:
    """How many points a field is evaluated at, at a time, where no gradients are kept."""
    return THREAD_CHUNK * torch.get_num_threads() if device.type == "cpu" else GPU_CHUNK


def predict(model: nn.Module, coords: Tensor) -> Tensor:
    """Evaluate a field without gradients, in chunks, so that memory stays bounded.

    Args:
        model: maps (n, D) to (n, C).
        coords: shape (N, D), on the model's device.

    Returns:
        shape (N, C), on the device of coords.
    """
    with torch.no_grad():
        parts = torch.split(coords, points_at_a_time(coords.device))
        return torch.cat([model(part) for part in parts] or [model(coords)])


def grid_coords(sizes: tuple[int, ...], device: torch.device | None = None) -> Tensor:
    """Coordinates of a regular grid, both ends included: axis 0 varies slowest.

    Args:
        sizes: samples along each axis; an axis of one sample lies at 0.

    Returns:
        shape (product of sizes, len(sizes)), float32, in [-1, 1].
    """
    axes = [
        torch.linspace(-1.0, 1.0, size, device=device) if size > 1 else torch.zeros(1, device=device) for size in sizes
    ]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, len(sizes))
