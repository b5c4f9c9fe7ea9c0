"""Whether a wav, aiff or ogg file has all the samples that it once had, which libsndfile does not tell."""

from __future__ import annotations

import struct
from pathlib import Path

from inrbench_core import DataError

# First four bytes of the file: byte order, the chunk that holds the samples, and where in it they begin.
_LAYOUTS = {b"RIFF": ("<", b"data", 0), b"RIFX": (">", b"data", 0), b"FORM": (">", b"SSND", 8)}
# Programs that write into a pipe declare this length or more, since they do not know it yet.
_UNKNOWN = 0x7FFF_F000
_MOST_OGG_PAGE = 65_307
_OGG_END = 4


def check_whole(path: Path, frames: int) -> None:
    """Compare the file's length with its header; of an ogg file, see whether it has its last page.

    Args:
        path: a file that libsndfile can open.
        frames: how many samples of each channel libsndfile finds in it.

    Raises:
        DataError: if there are none, or fewer than declared.
    """
    if not frames:
        raise DataError(f"{path}: holds no samples; it is empty or truncated")
    declared, present = _sample_bytes(path)
    if present < declared < _UNKNOWN:
        # Right to one sample, or to a block of compressed ones: the last may be there in part.
        raise DataError(f"{path}: truncated: {frames} of {round(frames * declared / present)} samples")
    if _lacks_ogg_end(path):
        raise DataError(f"{path}: truncated: {frames} samples, and then no end of the stream")


def _lacks_ogg_end(path: Path) -> bool:
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return False
        file.seek(max(0, path.stat().st_size - _MOST_OGG_PAGE))
        tail = file.read()
    flags = tail[tail.rfind(b"OggS") + 5 :][:1]
    return not (flags and flags[0] & _OGG_END)


def _sample_bytes(path: Path) -> tuple[int, int]:
    """The bytes of all samples, as declared and as there are; 0, 0 for other formats."""
    with path.open("rb") as file:
        order, wanted, skipped = _LAYOUTS.get(file.read(4), ("", b"", 0))
        end, start = path.stat().st_size, 12
        while order and start + 8 <= end:
            file.seek(start)
            name, size = struct.unpack(f"{order}4sI", file.read(8))
            start += 8
            if name == wanted:
                return size - skipped, end - start - skipped
            # Chunks are padded to an even length.
            start += size + size % 2
    return 0, 0
