"""Readers of frame folders, gif, npy, and, with av, of video files. Each decodes one frame at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, ImageSequence

from inrbench_core import DataError
from inrbench_core.api.sources import check_pixels, open_picture

Array = np.ndarray[Any, np.dtype[np.uint8]]

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
UNREADABLE_SUFFIXES = (".heic", ".heif", ".avif")


@dataclass(frozen=True)
class Footage:
    """What is to be read of a source; nothing is decoded before it is asked for.

    Args:
        frames: frame after frame, (H, W, 1 or 3), uint8, each with its time in the source, s, or None. Raises
            DataError for what cannot be read.
        count: how many frames there are, as the source declares; 0 if it does not.
        white: what 255 is in the source.
    """

    frames: Iterator[tuple[float | None, Array]]
    count: int
    white: float = 255.0


def read_footage(path: Path, start: int, count: int | None) -> Footage:
    """Frames `start` to `start + count`, or to the end; fewer where there are fewer.

    Raises:
        DataError: if it is seen before decoding that the source cannot be read.
    """
    stop = None if count is None else start + count
    if path.is_dir():
        files = numbered_pictures(path)[start:stop]
        return Footage(((None, _picture(file)) for file in files), len(files))
    if path.suffix.lower() == ".npy":
        frames = _open_npy(path)[start:stop]
        numbered = ((None, _eight_bits(frame, path, index)) for index, frame in enumerate(frames, start))
        return Footage(numbered, len(frames), 255.0 if frames.dtype == np.uint8 else 1.0)
    total, frames = (_gif_count, _gif) if path.suffix.lower() == ".gif" else (_video_count, _video)
    last = total(path) if stop is None else min(stop, total(path))
    return Footage(islice(frames(path), start, stop), max(0, last - start))


def numbered_pictures(folder: Path) -> list[Path]:
    """The folder's pictures in the order of the last number in their names, which must not have gaps.

    Raises:
        DataError: if one has no number or another one's, is no regular file or of a format that is not readable, a
            number is missing, or there are none.
    """
    files: dict[int, Path] = {}
    for file in sorted(folder.iterdir()):
        suffix = file.suffix.lower()
        if suffix in UNREADABLE_SUFFIXES:
            raise DataError(f"{file}: HEIC and AVIF pictures are not readable; convert it to png or jpg")
        if suffix not in PICTURE_SUFFIXES:
            continue
        if not file.is_file():
            raise DataError(f"{file}: not a regular file but a pipe, a folder or a link to nothing; remove it")
        digits = re.findall(r"\d+", file.stem)
        if not digits:
            raise DataError(f"{file}: the name has no number, so the frame's place is not known")
        number = int(digits[-1])
        if number in files:
            raise DataError(f"{folder}: {files[number].name} and {file.name} are both frame {number}")
        files[number] = file
    if not files:
        raise DataError(f"{folder}: holds no pictures ({', '.join(PICTURE_SUFFIXES)})")
    numbers = sorted(files)
    step = min((b - a for a, b in pairwise(numbers)), default=1)
    missing = next((a + step for a, b in pairwise(numbers) if b - a != step), None)
    if missing is not None:
        raise DataError(f"{folder}: frame {missing} is missing")
    return [files[number] for number in numbers]


def _picture(file: Path) -> Array:
    with open_picture(file) as picture:
        if picture.mode.startswith(("I", "F")):
            raise DataError(f"{file}: has more than 8 bits a channel; convert it to 8 bits")
        return _on_white(ImageOps.exif_transpose(picture))


def _on_white(picture: Image.Image) -> Array:
    """The picture in RGB, (H, W, 3), what is transparent in it laid on white."""
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.asarray(picture.convert("RGB"))


def _gif_count(path: Path) -> int:
    with open_picture(path) as picture:
        return getattr(picture, "n_frames", 1)


def _gif(path: Path) -> Iterator[tuple[float, Array]]:
    with open_picture(path) as picture:
        milliseconds = 0.0
        for frame in ImageSequence.Iterator(picture):
            yield milliseconds / 1000.0, _on_white(frame)
            milliseconds += frame.info.get("duration", 0)


def _open_npy(path: Path) -> np.ndarray[Any, Any]:
    """The frames (T, H, W, C) of a file, which stay in it until they are looked at."""
    try:
        frames = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy raises many kinds on broken files.
        raise DataError(f"{path}: not a npy file of numbers, or truncated ({error})") from None
    if not isinstance(frames, np.ndarray):
        raise DataError(f"{path}: holds several arrays (npz); a clip is one, in a npy file")
    if frames.ndim == 3:
        frames = frames[..., None]
    if frames.ndim != 4 or frames.shape[3] not in (1, 3) or not all(frames.shape[1:3]):
        raise DataError(f"{path}: expected shape (T, H, W), (T, H, W, 1) or (T, H, W, 3), got {frames.shape}")
    if frames.dtype != np.uint8 and not np.issubdtype(frames.dtype, np.floating):
        raise DataError(f"{path}: expected uint8, or floats from 0 to 1, got {frames.dtype}")
    check_pixels(path, *frames.shape[1:3])
    return frames


def _eight_bits(frame: np.ndarray[Any, Any], path: Path, index: int) -> Array:
    if frame.dtype == np.uint8:
        return np.array(frame)
    if not np.isfinite(frame).all():
        raise DataError(f"{path}: frame {index} has values that are NaN or infinite")
    low, high = float(frame.min()), float(frame.max())
    if low < 0.0 or high > 1.0:
        raise DataError(f"{path}: frame {index} goes from {low:g} to {high:g}; floats must lie in 0 to 1")
    return np.rint(frame * 255.0).astype(np.uint8)


def _video_count(path: Path) -> int:
    """How many frames a video file declares; 0 if it does not."""
    with _opened(path) as container:
        stream = container.streams.video[0]
        check_pixels(path, stream.codec_context.height, stream.codec_context.width)
        return int(stream.frames)


def _video(path: Path) -> Iterator[tuple[float | None, Array]]:
    with _opened(path) as container:
        for frame in container.decode(video=0):
            yield frame.time, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A container of av with a video stream in it."""
    try:
        import av  # an extra, looked for when the spec was validated
    except ImportError:
        raise DataError(f"{path} needs an extra to be decoded: pip install 'inrbench-task-video[video]'") from None
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DataError(f"{path}: has no video stream")
            yield container
    except (av.FFmpegError, OSError, ValueError) as error:
        raise DataError(f"{path}: not a video that ffmpeg can decode ({error})") from None
