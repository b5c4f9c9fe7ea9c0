"""The denoising task: fit noisy pixels, and be measured against the clean ones."""

from __future__ import annotations

import hashlib
import math
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from inrbench_task_image.base import PictureProblem, constant
from inrbench_task_image.metrics import psnr, psnr_luma, squared_error
from inrbench_task_image.pictures import load_picture
from torch import Tensor, nn

from inrbench_core import Batch, Evaluation, Index, SeedStreams, cached_arrays
from inrbench_task_denoising.filters import FILTERS, TUNED, median
from inrbench_task_denoising.noise import add_noise, denoised
from inrbench_task_denoising.plugin import DenoisingSpec

Array = np.ndarray[Any, Any]

# Evaluations of a model before its best one is reported: the better of two points is no peak.
LEAST_EVALUATIONS = 10


def prepare(spec: DenoisingSpec, *, device: torch.device, seeds: SeedStreams) -> DenoisingProblem:
    """Load the picture and add the noise. Raises DataError if it cannot be used."""
    return DenoisingProblem(spec, device=device, seeds=seeds)


class DenoisingProblem(PictureProblem):
    """Every pixel is trained on, with its noise.

    Args:
        spec: picture, noise and regulariser; `seeds` draws the noise.
    """

    def __init__(self, spec: DenoisingSpec, *, device: torch.device, seeds: SeedStreams) -> None:
        super().__init__(load_picture(spec), device=device, seeds=seeds, regulariser=spec.regulariser)
        self.spec = spec
        self.points_per_element = 1 + self.penalty_points
        self.noisy = add_noise(self.picture, spec, seeds.numpy("noise"))
        self._values = torch.from_numpy(self.noisy).reshape(self.pixels, -1).to(device)
        # Number of evaluations and best PSNR of each model: one fit must not change the metrics of the next.
        self._history: WeakKeyDictionary[nn.Module, tuple[int, float]] = WeakKeyDictionary()
        self.record = {
            **self.record,
            "noise": spec.noise,
            "noise_level": spec.strength,
            "readout": spec.readout,
            "noise_rms": float(np.sqrt(np.square(self.noisy - self.picture).mean(dtype=np.float64))),
        }

    def batch(self, index: Index) -> Batch:
        """coords (n, 2) and values (n, C) of noisy pixels, and what a regulariser looks at."""
        pixels = {"coords": self.pixel_coords(self.index(index)), "values": self._values[index] * 2.0 - 1.0}
        return {**pixels, **self.regulariser_batch(index)}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Squared error to the noisy colour, averaged over its channels, and what a regulariser adds."""
        return (model(batch["coords"]) - batch["values"]).square().mean(dim=1) + self.penalty(model, batch)

    def measure(self, answer: Array) -> dict[str, float]:
        return {
            **super().measure(answer),
            "psnr_best_oracle": math.nan,
            "psnr_noisy": psnr(squared_error(self.noisy, answer)),
            "oracle_gap": math.nan,
            "psnr_luma": psnr_luma(self.picture, answer),
        }

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        """As for any picture; psnr_best_oracle is the best psnr this model had when it was evaluated, now or before.

        It is an oracle's figure: nobody without the clean picture could have stopped there. oracle_gap is what it is
        above the psnr of now. Both are taken over the pixels of `measure_curve`, and are NaN until the model has been
        evaluated `LEAST_EVALUATIONS` times.
        """
        evaluation = super().evaluate(model, full=full)
        count, best = self._history.get(model, (0, math.nan))
        psnr_now = (self.measure_curve(model) if full else evaluation.metrics)["psnr"]
        # fmax leaves NaN out wherever it can.
        count, best = self._history[model] = count + 1, float(np.fmax(best, psnr_now))
        enough = count >= LEAST_EVALUATIONS
        evaluation.metrics["psnr_best_oracle"] = best if enough else math.nan
        evaluation.metrics["oracle_gap"] = best - psnr_now if enough else math.nan
        return evaluation

    def classical(self, name: str) -> Array:
        """noisy: the data as they are; constant: their mean colour; median; or one of `FILTERS`."""
        if name == "noisy":
            return self.noisy
        if name == "median":
            return median(self.noisy)
        if name in FILTERS:
            return self._denoised(name)
        if name == "constant":
            return constant(self.picture.shape, self.noisy.mean(axis=(0, 1), dtype=np.float64))
        raise self.unknown_baseline(name)

    def _denoised(self, name: str) -> Array:
        """What one of `FILTERS` makes of the noisy picture; of `TUNED` ones from the cache if it was made before."""
        if name not in TUNED:
            return denoised(name, self.noisy, self.spec)
        spec = self.spec
        key = {"filter": name, "noise": spec.noise, "level": spec.strength, "readout": spec.readout}
        key |= {"shape": self.noisy.shape, "noisy": hashlib.sha256(self.noisy.tobytes()).hexdigest()}
        return cached_arrays(__name__, key, lambda: {"picture": denoised(name, self.noisy, spec)})["picture"]
