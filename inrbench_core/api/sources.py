"""Where a task's signal comes from: a name that it knows, or the user's own file. Imports no torch."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import stat
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationInfo

from inrbench_core.api.errors import DataError
from inrbench_core.api.suggest import did_you_mean
from inrbench_core.api.text import one_line

if TYPE_CHECKING:
    from PIL import Image

# What `open_picture` opens, by Pillow's names (JPEG includes a phone's MPO).
PICTURE_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "PPM")
# A picture of so many pixels in colour takes 0.8 GB as float32.
MOST_PIXELS = 64_000_000
MOST_FILES = 100_000
# Characters of a source in a message.
SHOWN = 80
_SMALLER = "make it smaller first"
_TOO_LARGE = f"at most {MOST_PIXELS // 10**6} megapixels are read; {_SMALLER}"


@dataclass(frozen=True)
class Sample:
    """A file that another distribution carries, found without importing it.

    Args:
        distribution: who carries it.
        file: its name there, unique in the distribution.
        sha256: of its content, so that a change upstream is an error and not another benchmark.
        licence: what is known of its terms.
        extra: what to install to have it, such as "inrbench-task-audio[samples]".
    """

    distribution: str
    file: str
    sha256: str
    licence: str
    extra: str


def find_sample(name: str, samples: Mapping[str, Sample]) -> Path:
    """Where the sample's file lies. Raises DataError, naming the extra, if it is not installed."""
    sample = samples[name]
    try:
        files = importlib.metadata.files(sample.distribution) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    found = [Path(str(file.locate())) for file in files if file.name == sample.file]
    if not found or not found[0].is_file():
        raise DataError(f"the sample {name!r} needs an extra: pip install '{sample.extra}'")
    return found[0]


def find_source(
    source: str,
    info: ValidationInfo,
    kind: str,
    names: Collection[str] = (),
    samples: Mapping[str, Sample] | None = None,
    *,
    folders: bool = False,
) -> str:
    """What a task's `source` stands for; for a field validator.

    Args:
        source: what the spec says; a path is relative to the spec's folder.
        info: the validator's.
        kind: what a source is, such as "picture".
        names: what the task knows without any file of the user's.
        samples: what it knows if an extra is installed.
        folders: whether a folder will do.

    Returns:
        the name as it is, or the absolute path of what is there.

    Raises:
        ValueError: a sample is not installed, nothing is there, what is there is not readable or is no file
            (a pipe, a device), or no name is like that.
    """
    samples = samples or {}
    if source in samples:
        try:
            find_sample(source, samples)
        except DataError as error:
            raise ValueError(str(error)) from None
    known = [*names, *samples]
    if source in known:
        return source
    folder = (info.context or {}).get("folder", ".")
    try:
        path, found = _locate(source, folder)
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(f"source {_shortened(source)!r}: {_reason(error)}") from None
    thing = "file or folder" if folders else "file"
    if found == "file" or (folders and found == "folder"):
        return str(path)
    if found == "folder":
        raise ValueError(f"{path} is a folder; a {kind} is one file")
    if found:
        raise ValueError(f"{path} is {found}; a {kind} is a {thing}")
    if Path(source).suffix or len(Path(source).parts) > 1:
        raise ValueError(f"no such {thing}: {path}")
    hint = did_you_mean(source, known)
    raise ValueError(f"unknown {kind} {source!r}{hint} (known: {', '.join(known)}, or a {thing})")


def content_sha256(path: Path) -> str:
    """The SHA-256 of a file's content, or of the names and contents of all files in a folder.

    Links are followed; those that lead nowhere are left out.

    Raises:
        DataError: if something in it cannot be read or is neither file nor folder, or it holds too many files.
    """
    with _told_of(path):
        if kind_of(path) != "folder":
            return file_sha256(path)
        files = sorted(_files_below(path))
    listing = "\n".join(f"{file_sha256(file)} {file.relative_to(path).as_posix()}" for file in files)
    return hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()


def file_sha256(path: Path, expected: str | None = None) -> str:
    """The SHA-256 of a file's content, in hex.

    Raises:
        DataError: if there is no file, it cannot be read, or it is another one than expected.
    """
    with _told_of(path):
        found = kind_of(path)
        if not found:
            raise DataError(f"no such file: {path}")
        if found != "file":
            raise DataError(f"{path}: cannot be read: it is {'a folder' if found == 'folder' else found}")
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if expected is not None and sha256 != expected:
        raise DataError(f"{path}: not the file that is known: sha256 {sha256}, expected {expected}")
    return sha256


def kind_of(path: Path) -> str:
    """What lies at a path, links followed, without opening it, which would wait for ever at a pipe.

    Returns:
        "file", "folder", "" if nothing is there, or what else it is: "a pipe (FIFO)", "a socket", "a device".

    Raises:
        OSError: if it cannot be told: no permission, a loop of links, a name that is too long.
        ValueError: a name with a NUL character.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    if stat.S_ISREG(mode):
        return "file"
    if stat.S_ISDIR(mode):
        return "folder"
    return "a pipe (FIFO)" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


@contextmanager
def open_picture(path: Path, longest: int | None = None) -> Iterator[Image.Image]:
    """A raster picture opened with Pillow: its header is read, and its pixels when they are asked for.

    Formats that Pillow hands on to other programs, such as PostScript, are not opened.

    Args:
        path: the file.
        longest: how many pixels its longer side may have, see `check_pixels`.

    Raises:
        DataError: if it is missing, none of `PICTURE_FORMATS` (then with Pillow's UnidentifiedImageError as cause),
            too large, or broken; for what is raised within the context, too.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        # What is wrong is told by the error; and Pillow warns of a size of its own, which lies above ours.
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=PICTURE_FORMATS) as image:
            check_pixels(path, image.height, image.width, longest)
            yield image
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: {_unidentified(path)}") from error
    except Image.DecompressionBombError:
        raise DataError(f"{path}: {_TOO_LARGE}") from None
    except Exception as error:
        # Pillow raises many kinds on broken files.
        raise DataError(f"{path}: cannot be read: {_reason(error)}") from None


def check_pixels(path: Path, height: int, width: int, longest: int | None = None) -> None:
    """Raise DataError if a picture of this size, which a file declares, is too large to be decoded.

    It may have `MOST_PIXELS` in all, and `longest` along its longer side.
    """
    if longest is not None and max(height, width) > longest:
        raise DataError(f"{path}: {height} x {width} pixels: at most {longest:,} along a side are read; {_SMALLER}")
    if height * width > MOST_PIXELS:
        raise DataError(f"{path}: {height} x {width} pixels: {_TOO_LARGE}")


def _unidentified(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] == b"ftyp":
        return "HEIC and AVIF pictures are not readable; convert it to png or jpg"
    return f"not a picture that is readable ({', '.join(PICTURE_FORMATS).lower()})"


def _locate(source: str, folder: str) -> tuple[Path, str]:
    """The absolute path of a source and what is there, see `kind_of`; raises what the system raises."""
    path = Path(folder, Path(source).expanduser()).resolve()
    found = kind_of(path)
    # Opened once, so that a missing permission is told now and not by each run.
    if found == "file":
        path.open("rb").close()
    elif found == "folder":
        os.scandir(path).close()
    return path, found


def _files_below(folder: Path) -> Iterator[Path]:
    """All files in a folder and in the folders inside it. Raises DataError, and what the system raises."""
    waiting, entries = [(folder, frozenset({_identity(folder)}))], 0
    while waiting:
        current, above = waiting.pop()
        for name in os.listdir(current):
            path = current / name
            entries += 1
            if entries > MOST_FILES:
                raise DataError(f"{folder}: holds more than {MOST_FILES:,} files and folders")
            found = kind_of(path)
            if found == "file":
                yield path
            elif found == "folder":
                # A link to a folder that it lies in would never end.
                if (identity := _identity(path)) not in above:
                    waiting.append((path, above | {identity}))
            elif found:
                raise DataError(f"{path}: is {found}; only files and folders are read")


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """What the system raises about a path as a DataError that names it."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise DataError(f"{getattr(error, 'filename', None) or path}: cannot be read: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return one_line(getattr(error, "strerror", None) or str(error)) or type(error).__name__


def _shortened(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
