"""Readers of frame folders, gif, npy, and, with av, of video files. Each yields one frame at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, ImageSequence

from inrbench_core import DataError

Array = np.ndarray[Any, np.dtype[np.uint8]]

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


def read_frames(path: Path, start: int, count: int | None) -> Iterator[Array]:
    """Frames `start` to `start + count`, or to the end, each (H, W, 1 or 3), uint8.

    Fewer come where there are fewer. Raises DataError for what cannot be read.
    """
    stop = None if count is None else start + count
    if path.is_dir():
        return (_picture(file) for file in _numbered(path)[start:stop])
    if path.suffix.lower() == ".npy":
        return _npy(path, start, stop)
    if path.suffix.lower() == ".gif":
        return islice(_gif(path), start, stop)
    return islice(_video(path), start, stop)


def _numbered(folder: Path) -> list[Path]:
    """The folder's pictures in the order of the last number in their names, which must not have gaps."""
    files: dict[int, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() not in PICTURE_SUFFIXES:
            continue
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
    step = min(np.diff(numbers), default=1)
    missing = next((a + step for a, b in pairwise(numbers) if b - a != step), None)
    if missing is not None:
        raise DataError(f"{folder}: frame {missing} is missing")
    return [files[number] for number in numbers]


def _picture(file: Path) -> Array:
    try:
        with Image.open(file) as picture:
            if picture.mode.startswith(("I", "F")):
                raise DataError(f"{file}: has more than 8 bits a channel; convert it to 8 bits")
            return _on_white(ImageOps.exif_transpose(picture))
    except (OSError, SyntaxError) as error:
        raise DataError(f"{file}: not a picture that Pillow can read ({error})") from None


def _on_white(picture: Image.Image) -> Array:
    """The picture in RGB, (H, W, 3), what is transparent in it laid on white."""
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.asarray(picture.convert("RGB"))


def _gif(path: Path) -> Iterator[Array]:
    try:
        with Image.open(path, formats=["GIF"]) as picture:
            for frame in ImageSequence.Iterator(picture):
                yield _on_white(frame)
    except Exception as error:  # Pillow raises many kinds on broken files.
        raise DataError(f"{path}: not a gif that Pillow can read ({error})") from None


def _npy(path: Path, start: int, stop: int | None) -> Iterator[Array]:
    try:
        frames = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not a npy file of numbers ({error})") from None
    if not isinstance(frames, np.ndarray):
        raise DataError(f"{path}: holds several arrays (npz); a clip is one, in a npy file")
    if frames.ndim == 3:
        frames = frames[..., None]
    if frames.ndim != 4 or frames.shape[3] not in (1, 3) or not all(frames.shape[1:3]):
        raise DataError(f"{path}: expected shape (T, H, W), (T, H, W, 1) or (T, H, W, 3), got {frames.shape}")
    if frames.dtype != np.uint8 and not np.issubdtype(frames.dtype, np.floating):
        raise DataError(f"{path}: expected uint8, or floats from 0 to 1, got {frames.dtype}")
    for index, frame in enumerate(frames[start:stop], start):
        yield np.array(frame) if frames.dtype == np.uint8 else _eight_bits(frame, path, index)


def _eight_bits(frame: np.ndarray[Any, Any], path: Path, index: int) -> Array:
    if not np.isfinite(frame).all():
        raise DataError(f"{path}: frame {index} has values that are NaN or infinite")
    low, high = float(frame.min()), float(frame.max())
    if low < 0.0 or high > 1.0:
        raise DataError(f"{path}: frame {index} goes from {low:g} to {high:g}; floats must lie in 0 to 1")
    return np.rint(frame * 255.0).astype(np.uint8)


def _video(path: Path) -> Iterator[Array]:
    try:
        import av  # an extra, looked for when the spec was validated
    except ImportError:
        raise DataError(f"{path} needs an extra to be decoded: pip install 'inrbench-task-video[video]'") from None
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DataError(f"{path}: has no video stream")
            for frame in container.decode(video=0):
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise DataError(f"{path}: not a video that ffmpeg can decode ({error})") from None
