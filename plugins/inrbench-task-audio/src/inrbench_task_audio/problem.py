"""The audio task: fit amplitude over time, with some samples held out."""

from __future__ import annotations

import math
from dataclasses import replace
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
    linear_frame,
    predict,
)
from inrbench_task_audio.held_out import held_out_samples
from inrbench_task_audio.interpolation import autoregressive, band_limited, cubic, linear
from inrbench_task_audio.mdct import mdct_coded
from inrbench_task_audio.metrics import log_spectral_distance, log_spectral_distance_neaf, psnr, snr
from inrbench_task_audio.picture import draw_recording
from inrbench_task_audio.plugin import AudioSpec
from inrbench_task_audio.recording import Recording, load_recording
from inrbench_task_audio.renderer import present, time_coords

CURVE_SAMPLES = 131_072
INTERPOLATIONS = {"linear": linear, "cubic": cubic, "sinc": band_limited, "autoregressive": autoregressive}
# By whether positions are counted.
CODES = {"mdct": False, "mdct_counted": True}


def prepare(spec: AudioSpec, *, device: torch.device, seeds: SeedStreams) -> AudioProblem:
    """Load the recording and choose the samples to hold out. Raises DataError if it cannot be used."""
    return AudioProblem(load_recording(spec), spec, device=device, seeds=seeds)


class AudioProblem(Problem):
    """f: time -> amplitude. Sample i of N lies at t = 2 i / (N - 1) - 1.

    Args:
        recording: the signal.
        spec: `held_out` says which samples are never trained on, with `seeds`; `values_per_parameter` how many numbers
            transform coding may keep.
    """

    def __init__(self, recording: Recording, spec: AudioSpec, *, device: torch.device, seeds: SeedStreams) -> None:
        self.recording = recording
        self.size = recording.samples.size
        self.numbers = max(1, int(self.size / spec.values_per_parameter))
        self.held_out = held_out_samples(spec.held_out, self.size, recording.rate, seeds)
        self._train = np.delete(np.arange(self.size), self.held_out)
        self._index = torch.from_numpy(self._train).to(device)
        self._values = torch.from_numpy(recording.samples).unsqueeze(1).to(device)
        # The curve of a long recording is drawn from the same random samples at every point.
        shuffled = torch.randperm(self.size, generator=seeds.generator("curve"))
        self._curve = shuffled[:CURVE_SAMPLES].sort().values.numpy()
        self.shapes = {"field": FieldShape(1, 1, (self.size,))}
        self.elements = self._train.size
        self.record = {
            **recording.record,
            "held_out": spec.held_out.pattern if spec.held_out else "nothing",
            "held_out_samples": self.held_out.size,
            "curve_samples": self._curve.size,
        }

    def batch(self, index: Index) -> Batch:
        """coords (n, 1) and values (n, 1) of training samples."""
        chosen = self._index[index]
        return {"coords": time_coords(chosen, self.size), "values": self._values[chosen]}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Squared error of the amplitude."""
        error: Tensor = model(batch["coords"]) - batch["values"]
        return error.square().mean(dim=1)

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        """All metrics; on the curve snr only, over `record["curve_samples"]` random samples."""
        if not full:
            estimate = self._predict(model, torch.from_numpy(self._curve))
            return Evaluation({"snr": snr(self.recording.samples[self._curve], estimate)})
        return self._measure(self._predict(model, torch.arange(self.size)))

    def baseline(self, name: str) -> Evaluation:
        """silence; held-out samples interpolated between the training samples: linear, cubic, sinc, autoregressive; or
        all samples coded as in `mdct_coded`, in `numbers` numbers, mdct_counted counting positions.

        Interpolation copies the training samples, so that only its snr_held_out means something. Coding sees all
        samples, so that its snr_held_out means nothing. What means nothing is NaN.
        """
        samples = self.recording.samples
        if name == "silence":
            return self._measure(np.zeros(self.size, np.float32))
        if name in INTERPOLATIONS:
            evaluation = self._measure(INTERPOLATIONS[name](samples, self.held_out).astype(np.float32))
            metrics = {key: value if key == "snr_held_out" else math.nan for key, value in evaluation.metrics.items()}
            return replace(evaluation, metrics=metrics)
        if name in CODES:
            evaluation = self._measure(mdct_coded(samples, self.numbers, counted=CODES[name]))
            metrics = {**evaluation.metrics, "snr_held_out": math.nan}
            return replace(evaluation, metrics=metrics, parameters=self.numbers)
        raise DataError(f"the audio task has no baseline {name!r}")

    def truth(self) -> np.ndarray[Any, Any]:
        return draw_recording(self.recording.samples, self.recording.rate)

    @property
    def frame(self) -> Frame:
        """Time in s, at which sample i lies i / rate after the first; amplitude in the recording's own units."""
        start_s, rate, peak = self.recording.start_s, self.recording.rate, self.recording.peak
        time = ("s", start_s, start_s + (self.size - 1) / rate)
        field = linear_frame({"time": time}, {"amplitude": ("", -peak, peak)}, (self.size,))
        return Frame({"field": field}, {"rate": rate, "samples": self.size})

    def target(self, coords: Tensor, field: str = "") -> Tensor:
        """The amplitude of the nearest sample, held out or not."""
        return self._values[self._nearest(coords)]

    def is_trained(self, coords: Tensor, field: str = "") -> Tensor:
        """Whether the nearest sample is not held out."""
        trained = torch.zeros(self.size, dtype=torch.bool, device=coords.device)
        trained[self._index] = True
        return trained[self._nearest(coords)]

    def _nearest(self, coords: Tensor) -> Tensor:
        """The samples nearest to coords (n, 1), int64 (n,)."""
        place = (coords.squeeze(1).double() + 1.0) / 2.0 * (self.size - 1)
        return place.round().long().clamp(0, self.size - 1)

    def _predict(self, model: nn.Module, index: Tensor) -> np.ndarray[Any, Any]:
        coords = time_coords(index.to(self._values.device), self.size)
        return predict(model, coords).squeeze(1).float().cpu().numpy()

    def _measure(self, waveform: np.ndarray[Any, Any]) -> Evaluation:
        truth = self.recording.samples
        metrics = {
            "snr": snr(truth, waveform),
            "lsd": log_spectral_distance(truth, waveform),
            "psnr": psnr(truth, waveform),
            "snr_train": snr(truth[self._train], waveform[self._train]),
            "snr_held_out": snr(truth[self.held_out], waveform[self.held_out]),
            "lsd_neaf": log_spectral_distance_neaf(truth, waveform),
        }
        return present(waveform, self.frame, metrics)
