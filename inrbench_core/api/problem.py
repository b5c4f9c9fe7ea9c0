"""What a task prepares: a problem, which the fit engine trains a field on."""

from __future__ import annotations

import hashlib
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
from inrbench_core.api.errors import UnsupportedError

Batch = Mapping[str, Tensor]
Index = Tensor | slice


@dataclass(frozen=True)
class SeedStreams:
    """Independent random streams, one for each purpose, all from the run's one seed.

    Every field of an experiment sees the same noise, mask and sampling for the same seed, whatever
    it draws for its own initialisation.
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
    """

    metrics: dict[str, float]
    outputs: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    preview: np.ndarray[Any, Any] | None = None


class Problem(ABC):
    """One signal, ready to train on. All tensors stay resident on the device of the problem.

    A model is the field itself where the problem needs one field, and an `nn.ModuleDict` of fields
    by name where it needs several.

    Attributes:
        shapes: the fields the problem needs, by name; most need one.
        elements: how many training elements there are: pixels, samples, rays, sinogram bins.
        points_per_element: field evaluations that the loss of one element takes; sizes the chunks.
        differentiates: the loss takes derivatives of the model by its coordinates.
        record: facts about the data that belong to the result: source, licence, scaling, sizes.
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

    def render(self, model: nn.Module, size: int) -> Evaluation:
        """Evaluate the model on a grid of `size` samples along the longest axis, without metrics.

        Raises:
            UnsupportedError: if rendering at another size has no meaning for this problem.
        """
        raise UnsupportedError(f"{type(self).__name__} cannot be rendered at another size")

    def save(self, evaluation: Evaluation, folder: Path, stem: str) -> list[Path]:
        """Write an evaluation of this problem as files that people open, and say which.

        Args:
            evaluation: of `evaluate` or of `render`.
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


# Hidden values of as many points stay in a CPU's cache; a GPU wants more at a time.
CPU_CHUNK, GPU_CHUNK = 8_192, 65_536


def predict(model: nn.Module, coords: Tensor) -> Tensor:
    """Evaluate a field without gradients, in chunks, so that memory stays bounded.

    Args:
        model: maps (n, D) to (n, C).
        coords: shape (N, D), on the model's device.

    Returns:
        shape (N, C), on the device of coords.
    """
    chunk = GPU_CHUNK if coords.is_cuda else CPU_CHUNK
    with torch.no_grad():
        return torch.cat([model(part) for part in torch.split(coords, chunk)] or [model(coords)])


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
