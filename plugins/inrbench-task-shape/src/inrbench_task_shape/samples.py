"""The bunny that visvis carries, found without importing it. To look for it loads neither torch nor NumPy."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import re
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from inrbench_core import DataError

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

BUNNY = "bunny"
BUNNY_LICENCE = "Stanford 3D Scanning Repository: research use, credit to be given; from visvis, BSD-3"
_DISTRIBUTION, _FILE = "visvis", "bunny.ssdf"
# So that a change upstream is an error and not another benchmark.
_SHA256 = "126c4ae3e4d2795a02bf363df194e1e16cd09e39e1adcc134352570ebfa9634e"


def find_bunny() -> Path:
    """Where the bunny's file lies. Raises DataError, naming the extra, if it is not installed."""
    try:
        files = importlib.metadata.files(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    found = [Path(str(file.locate())) for file in files if file.name == _FILE]
    if not found or not found[0].is_file():
        raise DataError(f"the sample {BUNNY!r} needs an extra: pip install 'inrbench-task-shape[samples]'")
    return found[0]


def read_bunny() -> tuple[Array, Array]:
    """Vertices, float64 (V, 3), and faces, int64 (F, 3). Raises DataError if it is missing or another one."""
    import numpy as np

    path = find_bunny()
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != _SHA256:
        raise DataError(f"{path}: not the bunny of visvis 1.15.0: pip install 'inrbench-task-shape[samples]'")
    arrays = read_ssdf(data.decode())
    return arrays["vertices"].astype(np.float64), arrays["faces"].reshape(-1, 3).astype(np.int64)


def read_ssdf(text: str) -> dict[str, Array]:
    """The arrays of a Simple Structured Data Format text: lines `name = array 34835x3 float32 PAYLOAD`.

    The payload is base64 of zlib, in blocks that ; separates.
    """
    import numpy as np

    arrays = {}
    for match in re.finditer(r"^\s*(\w+) = array ([\dx]+) (\w+) (\S+)$", text, re.MULTILINE):
        name, shape, dtype, payload = match.groups()
        raw = b"".join(zlib.decompress(base64.b64decode(block)) for block in payload.split(";") if block)
        arrays[name] = np.frombuffer(raw, dtype).reshape([int(size) for size in shape.split("x")])
    return arrays
