"""From a spec's source to frames of one size, 8 bits a channel."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from inrbench_core import DataError, cached_arrays
from inrbench_core.api.sources import file_sha256, find_sample
from inrbench_task_video.panzoom import panzoom
from inrbench_task_video.plugin import GENERATED, VideoSpec
from inrbench_task_video.readers import numbered_pictures, read_footage
from inrbench_task_video.samples import SAMPLES

Array = np.ndarray[Any, np.dtype[np.uint8]]

GENERATED_FRAMES = 48
GENERATED_SIZE = 128
MAX_BYTES = 2 * 2**30
# Frames may come this much too early or late, in intervals between frames, and still count as regular.
JITTER = 0.5


@dataclass(frozen=True)
class Clip:
    """A signal to represent.

    Args:
        frames: shape (T, H, W, C), uint8, C 1 (grey) or 3 (RGB).
        record: source, licence, sizes: facts that belong to the result.
        start: number of the first frame in the source.
        times: of the first and the last frame in the source, s; None where they are not known or not regular.
        source_size: height and width of the frames as they are in the source, pixels; None: as here.
        white: what 255 is in the source.
    """

    frames: Array
    record: dict[str, str | int | float]
    start: int = 0
    times: tuple[float, float] | None = None
    source_size: tuple[int, int] | None = None
    white: float = 255.0

    @property
    def fps(self) -> float | None:
        """Frames per second."""
        return None if self.times is None else (len(self.frames) - 1) / (self.times[1] - self.times[0])


def load_clip(spec: VideoSpec) -> Clip:
    """Generate or read, cut and shrink.

    Raises:
        DataError: if there are no such frames or they cannot be used: sizes that differ, NaN, numbers
            missing in a folder, fewer than 2 frames, more than 2 GiB, not a video.
    """
    record: dict[str, str | int | float] = {"source": spec.source, "synthetic": spec.source == GENERATED}
    if spec.source == GENERATED:
        known, make = {"source": GENERATED}, partial(_generated, spec)
        record["licence"] = "generated from pictures under CC0"
    else:
        path = find_sample(spec.source, SAMPLES) if spec.source in SAMPLES else Path(spec.source)
        sample = SAMPLES.get(spec.source)
        record["licence"] = sample.licence if sample else "the user's own"
        record["sha256"] = (
            _sha256(path, spec) if path.is_dir() else file_sha256(path, sample.sha256 if sample else None)
        )
        known, make = {"sha256": record["sha256"], "suffix": path.suffix.lower()}, partial(_read, path, spec)
    options = spec.model_dump(include={"start", "frames", "size"})
    arrays = cached_arrays(__name__, {**known, **options}, make)
    frames, (height, width) = arrays["frames"], arrays["source_size"].tolist()
    record |= dict(zip(("start", "frames", "height", "width", "channels"), (spec.start, *frames.shape), strict=True))
    times = tuple(arrays["times"].tolist()) if arrays["times"].size else None
    return Clip(frames, record, spec.start, times, (height, width), float(arrays["white"]))


def _sha256(folder: Path, spec: VideoSpec) -> str:
    """Of the names and contents of the pictures that are read."""
    stop = None if spec.frames is None else spec.start + spec.frames
    files = numbered_pictures(folder)[spec.start : stop]
    return hashlib.sha256("\n".join(f"{file_sha256(file)} {file.name}" for file in files).encode()).hexdigest()


def _generated(spec: VideoSpec) -> dict[str, np.ndarray[Any, Any]]:
    count, size = spec.frames or GENERATED_FRAMES, spec.size or GENERATED_SIZE
    if 3 * count * size**2 > MAX_BYTES:
        raise _too_large(spec)
    return _arrays(panzoom(spec.start, count, size), [], (size, size), 255.0)


def _read(path: Path, spec: VideoSpec) -> dict[str, np.ndarray[Any, Any]]:
    """Shrink and stack frames that must all have one shape."""
    footage = read_footage(path, spec.start, spec.frames)
    kept: list[Array] = []
    times: list[float | None] = []
    shape: tuple[int, ...] = ()
    for index, (time_s, frame) in enumerate(footage.frames, spec.start):
        shape = shape or frame.shape
        if frame.shape != shape:
            raise DataError(
                f"{spec.source}: frame {index} is {_shape_text(frame.shape)} and the first one {_shape_text(shape)}; "
                "all must be of one size"
            )
        kept.append(frame if spec.size is None else _shrunk(frame, spec.size, spec.source))
        times.append(time_s)
        # The first frame tells what all that are declared will take.
        if max(len(kept), footage.count) * kept[0].nbytes > MAX_BYTES:
            raise _too_large(spec)
    if len(kept) < (spec.frames or 2):
        raise DataError(
            f"{spec.source}: there are {len(kept)} frames from frame {spec.start}, and {spec.frames or 2} are needed"
            + ("" if spec.frames else "; fit a single picture with the task image")
        )
    return _arrays(np.stack(kept), times, shape[:2], footage.white)


def _arrays(
    frames: Array, times: list[float | None], source_size: tuple[int, ...], white: float
) -> dict[str, np.ndarray[Any, Any]]:
    return {
        "frames": frames,
        "times": np.array(_ends(times)),
        "source_size": np.array(source_size),
        "white": np.array(white),
    }


def _ends(times: list[float | None]) -> tuple[float, ...]:
    """Of the first and the last frame; empty if a time is not known or frames do not come regularly."""
    known = np.array([time_s for time_s in times if time_s is not None])
    if known.size < 2 or known.size < len(times) or known[-1] <= known[0]:
        return ()
    regular = np.linspace(known[0], known[-1], known.size)
    jitter = np.abs(known - regular).max() / (regular[1] - regular[0])
    return (float(known[0]), float(known[-1])) if jitter <= JITTER else ()


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
