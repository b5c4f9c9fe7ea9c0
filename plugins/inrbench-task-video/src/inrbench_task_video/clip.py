"""From a spec's source to frames of one size, 8 bits a channel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from inrbench_core import DataError
from inrbench_core.api.sources import file_sha256, find_sample
from inrbench_task_video.panzoom import panzoom
from inrbench_task_video.plugin import GENERATED, VideoSpec
from inrbench_task_video.readers import read_frames
from inrbench_task_video.samples import SAMPLES

Array = np.ndarray[Any, np.dtype[np.uint8]]

GENERATED_FRAMES = 48
GENERATED_SIZE = 128
MAX_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Clip:
    """A signal to represent.

    Args:
        frames: shape (T, H, W, C), uint8, C 1 (grey) or 3 (RGB).
        record: source, licence, sizes: facts that belong to the result.
    """

    frames: Array
    record: dict[str, str | int | float]


def load_clip(spec: VideoSpec) -> Clip:
    """Generate or read, cut and shrink.

    Raises:
        DataError: if there are no such frames or they cannot be used: sizes that differ, NaN, numbers
            missing in a folder, fewer than 2 frames, not a video.
    """
    record: dict[str, str | int | float] = {"source": spec.source}
    if spec.source == GENERATED:
        count, size = spec.frames or GENERATED_FRAMES, spec.size or GENERATED_SIZE
        if 3 * count * size**2 > MAX_BYTES:
            raise _too_large(spec)
        frames = panzoom(spec.start, count, size)
        record["licence"] = "generated from pictures under CC0"
    else:
        path = find_sample(spec.source, SAMPLES) if spec.source in SAMPLES else Path(spec.source)
        sample = SAMPLES.get(spec.source)
        record["licence"] = sample.licence if sample else "the user's own"
        if not path.is_dir():
            record["sha256"] = file_sha256(path, sample.sha256 if sample else None)
        frames = _gather(read_frames(path, spec.start, spec.frames), spec)
    count, height, width, channels = frames.shape
    record |= {"start": spec.start, "frames": count, "height": height, "width": width, "channels": channels}
    return Clip(frames, record)


def _gather(frames: Iterable[Array], spec: VideoSpec) -> Array:
    """Shrink and stack frames (H, W, C) that must all have one shape."""
    kept: list[Array] = []
    shape: tuple[int, ...] = ()
    for index, frame in enumerate(frames, spec.start):
        shape = shape or frame.shape
        if frame.shape != shape:
            raise DataError(
                f"{spec.source}: frame {index} is {_shape_text(frame.shape)} and the first one {_shape_text(shape)}; "
                "all must be of one size"
            )
        kept.append(frame if spec.size is None else _shrunk(frame, spec.size, spec.source))
        if len(kept) * kept[0].nbytes > MAX_BYTES:
            raise _too_large(spec)
    if len(kept) < (spec.frames or 2):
        raise DataError(
            f"{spec.source}: there are {len(kept)} frames from frame {spec.start}, and {spec.frames or 2} are needed"
            + ("" if spec.frames else "; fit a single picture with the task image")
        )
    return np.stack(kept)


def _too_large(spec: VideoSpec) -> DataError:
    return DataError(f"{spec.source}: the frames take more than 2 GiB; give fewer frames: or a smaller size:")


def scaled_size(height: int, width: int, size: int) -> tuple[int, int]:
    """(height, width) of the same shape whose longer side is `size`."""
    longest = max(height, width)
    return max(1, round(height * size / longest)), max(1, round(width * size / longest))


def _shrunk(frame: Array, size: int, source: str) -> Array:
    height, width, channels = frame.shape
    if size > max(height, width):
        raise DataError(f"{source}: its frames are {_shape_text(frame.shape)}; they cannot be shrunk to size {size}")
    new_height, new_width = scaled_size(height, width, size)
    picture = Image.fromarray(frame[..., 0] if channels == 1 else frame)
    # Pillow widens the bicubic kernel with the scale, so that nothing is aliased.
    return np.asarray(picture.resize((new_width, new_height), Image.Resampling.BICUBIC)).reshape(
        new_height, new_width, channels
    )


def _shape_text(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} x {shape[0]} pixels"
