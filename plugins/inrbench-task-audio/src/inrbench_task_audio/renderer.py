"""What a field of amplitude over time gives, as a waveform that can be drawn and heard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

from inrbench_core import Evaluation, Frame, Renderer, UnsupportedError, predict
from inrbench_task_audio.picture import draw_recording
from inrbench_task_audio.recording import MAX_VALUES

Array = np.ndarray[Any, Any]


def time_coords(index: Tensor, size: int) -> Tensor:
    """Coordinates (n, 1), float32, of the samples `index`, int64 (n,), of `size` that go from -1 to 1."""
    # float32 cannot tell the samples of long recordings apart before they are scaled.
    return (index.double() * (2.0 / max(size - 1, 1)) - 1.0).float().unsqueeze(1)


def present(waveform: Array, frame: Frame, metrics: dict[str, float]) -> Evaluation:
    """The evaluation of an answer.

    Args:
        waveform: float32 (N,), the stretch of time that `frame` covers, scaled as the field is: to peak 1.
        frame: of an AudioProblem.
        metrics: what it scores.

    Returns:
        output `waveform`, float32 (N,), in the recording's own units, and the picture.
    """
    peak = frame.fields["field"].values[0].high
    preview = draw_recording(waveform, sample_rate(frame, waveform.size))
    return Evaluation(metrics, {"waveform": waveform * np.float32(peak)}, preview)


def sample_rate(frame: Frame, size: int) -> float:
    """Samples per second, Hz, where the stretch of time of a frame has `size` samples."""
    return float(frame.facts["rate"] * max(size - 1, 1) / (frame.facts["samples"] - 1))


class AudioRenderer(Renderer):
    """The waveform at any sample rate; needs the facts `rate`, Hz, and `samples` of the frame."""

    def render(self, model: nn.Module, size: int | None = None) -> Evaluation:
        """The same stretch of time as `size` samples: at another sample rate.

        Raises:
            UnsupportedError: for more samples than a recording may have.
        """
        size = size or self.frame.facts["samples"]
        if size > MAX_VALUES:
            raise UnsupportedError(f"a waveform of {size} samples is too large; {MAX_VALUES} are the most")
        coords = time_coords(torch.arange(size, device=self.device), size)
        return present(predict(model, coords).squeeze(1).float().cpu().numpy(), self.frame, {})

    def save(self, evaluation: Evaluation, folder: Path, stem: str) -> list[Path]:
        """Also STEM.wav, 32-bit floats in the recording's own units; its rate fits the number of samples."""
        waveform = evaluation.outputs["waveform"]
        path = folder / f"{stem}.wav"
        rate = max(1, round(sample_rate(self.frame, waveform.size)))
        # A recording's peak may be anything, and 16 bits would cut it off at 1.
        soundfile.write(path, np.nan_to_num(waveform), rate, subtype="FLOAT")
        return [*super().save(evaluation, folder, stem), path]
