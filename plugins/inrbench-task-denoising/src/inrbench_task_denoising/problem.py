"""The denoising task: fit noisy pixels, and be measured against the clean ones."""

from __future__ import annotations

import math
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from inrbench_task_image.base import PictureProblem, constant
from inrbench_task_image.metrics import psnr, squared_error
from inrbench_task_image.pictures import load_picture
from torch import Tensor, nn

from inrbench_core import Batch, Evaluation, Index, SeedStreams
from inrbench_task_denoising.filters import median, non_local_means, total_variation
from inrbench_task_denoising.noise import add_noise
from inrbench_task_denoising.plugin import DenoisingSpec

Array = np.ndarray[Any, Any]


def prepare(spec: DenoisingSpec, *, device: torch.device, seeds: SeedStreams) -> DenoisingProblem:
    """Load the picture and add the noise. Raises DataError if it cannot be used."""
    return DenoisingProblem(spec, device=device, seeds=seeds)


class DenoisingProblem(PictureProblem):
    """Every pixel is trained on, with its noise.

    Args:
        spec: picture and noise; `seeds` draws the noise.
    """

    def __init__(self, spec: DenoisingSpec, *, device: torch.device, seeds: SeedStreams) -> None:
        super().__init__(load_picture(spec), device=device, seeds=seeds)
        self.noisy = add_noise(self.picture, spec, seeds.numpy("noise"))
        self.noise_std = float(np.sqrt(np.square(self.noisy - self.picture).mean(dtype=np.float64)))
        self._values = torch.from_numpy(self.noisy).reshape(self.pixels, -1).to(device)
        # Of each model, and gone with it: what one fit did is nothing to the next.
        self._best: WeakKeyDictionary[nn.Module, float] = WeakKeyDictionary()
        self.record = {
            **self.record,
            "noise": spec.noise,
            "noise_level": spec.strength,
            "noise_rms": self.noise_std,
        }

    def batch(self, index: Index) -> Batch:
        """coords (n, 2) and values (n, C) of noisy pixels."""
        return {"coords": self.pixel_coords(self.index(index)), "values": self._values[index] * 2.0 - 1.0}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Squared error to the noisy colour, averaged over its channels."""
        return (model(batch["coords"]) - batch["values"]).square().mean(dim=1)

    def measure(self, answer: Array) -> dict[str, float]:
        return {
            **super().measure(answer),
            "psnr_best_oracle": math.nan,
            "psnr_noisy": psnr(squared_error(self.noisy, answer)),
        }

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        """As for any picture; psnr_best_oracle is the best psnr this model had when it was evaluated, now or before.

        It is an oracle's figure: nobody without the clean picture could have stopped there.
        """
        evaluation = super().evaluate(model, full=full)
        # fmax leaves NaN out wherever it can.
        best = float(np.fmax(self._best.get(model, math.nan), evaluation.metrics["psnr"]))
        self._best[model] = evaluation.metrics["psnr_best_oracle"] = best
        return evaluation

    def classical(self, name: str) -> Array:
        """noisy: the data as they are; constant: their mean colour; or a filter."""
        if name == "noisy":
            return self.noisy
        if name == "median":
            return median(self.noisy)
        if name == "total_variation":
            return total_variation(self.noisy, self.noise_std)
        if name == "non_local_means":
            return non_local_means(self.noisy, self.noise_std)
        if name == "constant":
            return constant(self.picture.shape, self.noisy.mean(axis=(0, 1), dtype=np.float64))
        raise self.unknown_baseline(name)
