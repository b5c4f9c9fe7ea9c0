"""What a field of colour over time and place gives, as frames to look at."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from inrbench_core import Evaluation, Renderer, UnsupportedError, grid_coords, predict
from inrbench_task_video.clip import MAX_BYTES, scaled_size
from inrbench_task_video.picture import contact_sheet, shown_frames

Array = np.ndarray[Any, Any]

# Where the frame rate is not known; and the shortest that players obey.
GIF_FRAME_MS, SHORTEST_GIF_FRAME_MS = 40, 20


def colours(model: nn.Module, coords: Tensor) -> Tensor:
    """Colours (n, C) in [0, 1], cut off there, at coords (n, 3)."""
    return ((predict(model, coords).float() + 1.0) / 2.0).clamp(0.0, 1.0)


def predicted_frames(model: nn.Module, sizes: tuple[int, ...], device: torch.device) -> Iterator[Tensor]:
    """Frame after frame of a clip of `sizes` (T, H, W): (H, W, C) in [0, 1], so that memory does not grow with T."""
    count, height, width = sizes
    place = grid_coords((height, width), device)
    for t in grid_coords((count,), device):
        coords = torch.cat([t.expand(len(place), 1), place], dim=1)
        yield colours(model, coords).reshape(height, width, -1)


def eight_bits(frame: Tensor) -> Array:
    """A frame in [0, 1], on any device, as an array of uint8; what is not a number is black."""
    return (frame.nan_to_num() * 255.0).round().to(torch.uint8).cpu().numpy()


def sheet(frames: Array, held_out: Collection[int]) -> Array:
    """The preview of a clip (T, H, W, C), uint8: a few of its frames."""
    numbers = shown_frames(len(frames), held_out)
    return contact_sheet(frames[numbers], numbers, held_out)


class VideoRenderer(Renderer):
    """The frames at any size; needs the facts `held_out`, a list of frames, and `fps`, or None, of the frame."""

    def render(self, model: nn.Module, size: int | None = None) -> Evaluation:
        """The same frames with `size` pixels along the longer side; default: as they are fitted.

        Raises:
            UnsupportedError: if they take more than 2 GiB.
        """
        field = self.frame.fields["field"]
        count, height, width = field.resolution or ()
        if size is not None:
            height, width = scaled_size(height, width, size)
        if count * height * width * len(field.values) > MAX_BYTES:
            raise UnsupportedError(f"{count} frames of {width} x {height} pixels take more than 2 GiB")
        frames = np.stack([eight_bits(part) for part in predicted_frames(model, (count, height, width), self.device)])
        return Evaluation({}, {"frames": frames}, sheet(frames, self.frame.facts["held_out"]))

    def save(self, evaluation: Evaluation, folder: Path, stem: str) -> list[Path]:
        """Also STEM.gif, at the clip's frame rate, or at 25 frames per second where that is not known."""
        frames = [
            Image.fromarray(frame.squeeze(2) if frame.shape[2] == 1 else frame)
            for frame in evaluation.outputs["frames"]
        ]
        fps = self.frame.facts["fps"]
        milliseconds = max(SHORTEST_GIF_FRAME_MS, round(1000.0 / fps)) if fps else GIF_FRAME_MS
        path = folder / f"{stem}.gif"
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=milliseconds, loop=0)
        return [*super().save(evaluation, folder, stem), path]
