"""The audio task: fit amplitude over time, with some samples held out."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

from inrbench_core import Batch, DataError, Evaluation, FieldShape, Index, Problem, SeedStreams, predict
from inrbench_task_audio.metrics import log_spectral_distance, psnr, snr
from inrbench_task_audio.picture import draw_recording
from inrbench_task_audio.plugin import AudioSpec
from inrbench_task_audio.recording import Recording, load_recording

CURVE_SAMPLES = 131_072


def prepare(spec: AudioSpec, *, device: torch.device, seeds: SeedStreams) -> AudioProblem:
    """Load the recording and choose the samples to hold out. Raises DataError if it cannot be used."""
    return AudioProblem(load_recording(spec), spec.held_out, device=device, seeds=seeds)


class AudioProblem(Problem):
    """f: time -> amplitude. Sample i of N lies at t = 2 i / (N - 1) - 1.

    Args:
        recording: the signal.
        held_out: share of the samples never trained on; `seeds` decides which.
    """

    def __init__(self, recording: Recording, held_out: float, *, device: torch.device, seeds: SeedStreams) -> None:
        self.recording = recording
        self.size = recording.samples.size
        order = torch.randperm(self.size, generator=seeds.generator("held_out"))
        count = round(held_out * self.size)
        self.held_out = order[:count].sort().values.numpy()
        train = order[count:].sort().values
        self._train = train.numpy()
        self._index = train.to(device)
        self._values = torch.from_numpy(recording.samples).unsqueeze(1).to(device)
        # The curve of a long recording is drawn from the same random samples at every point.
        shuffled = torch.randperm(self.size, generator=seeds.generator("curve"))
        self._curve = shuffled[:CURVE_SAMPLES].sort().values.numpy()
        self.shapes = {"field": FieldShape(1, 1, (self.size,))}
        self.elements = train.numel()
        self.record = {**recording.record, "held_out_samples": count, "curve_samples": self._curve.size}

    def batch(self, index: Index) -> Batch:
        """coords (n, 1) and values (n, 1) of training samples."""
        chosen = self._index[index]
        return {"coords": self._coords(chosen), "values": self._values[chosen]}

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
        """silence; or linear: held-out samples interpolated between the training samples.

        The latter copies the training samples, so that only its snr_held_out means something.
        """
        if name == "silence":
            return self._measure(np.zeros(self.size, np.float32))
        if name == "linear":
            known = self.recording.samples[self._train]
            filled = np.interp(np.arange(self.size), self._train, known).astype(np.float32)
            evaluation = self._measure(filled)
            metrics = {key: value if key == "snr_held_out" else math.nan for key, value in evaluation.metrics.items()}
            return replace(evaluation, metrics=metrics)
        raise DataError(f"the audio task has no baseline {name!r}")

    def truth(self) -> np.ndarray[Any, Any]:
        return draw_recording(self.recording.samples, self.recording.rate)

    def render(self, model: nn.Module, size: int) -> Evaluation:
        """The same stretch of time as `size` samples: at another sample rate."""
        waveform = self._predict(model, torch.arange(size), size)
        preview = draw_recording(waveform, self.recording.rate * size / self.size)
        return Evaluation({}, {"waveform": waveform}, preview)

    def save(self, evaluation: Evaluation, folder: Path, stem: str) -> list[Path]:
        """Also STEM.wav, 16 bits, peaks beyond 1 cut off; its rate fits the number of samples."""
        waveform = evaluation.outputs["waveform"]
        path = folder / f"{stem}.wav"
        soundfile.write(path, waveform.clip(-1.0, 1.0), round(self.recording.rate * waveform.size / self.size))
        return [*super().save(evaluation, folder, stem), path]

    def _coords(self, index: Tensor, size: int | None = None) -> Tensor:
        # float32 cannot tell the samples of long recordings apart before they are scaled.
        size = size or self.size
        return (index.double() * (2.0 / max(size - 1, 1)) - 1.0).float().unsqueeze(1)

    def _predict(self, model: nn.Module, index: Tensor, size: int | None = None) -> np.ndarray[Any, Any]:
        coords = self._coords(index.to(self._values.device), size)
        return predict(model, coords).squeeze(1).cpu().numpy()

    def _measure(self, waveform: np.ndarray[Any, Any]) -> Evaluation:
        truth = self.recording.samples
        metrics = {
            "snr": snr(truth, waveform),
            "lsd": log_spectral_distance(truth, waveform),
            "psnr": psnr(truth, waveform),
            "snr_train": snr(truth[self._train], waveform[self._train]),
            "snr_held_out": snr(truth[self.held_out], waveform[self.held_out]),
        }
        return Evaluation(metrics, {"waveform": waveform}, draw_recording(waveform, self.recording.rate))
