"""The bunny that visvis carries. To look for it loads neither torch nor NumPy."""

from __future__ import annotations

import base64
import re
import zlib
from typing import TYPE_CHECKING, Any, TypeAlias

from inrbench_core.api.sources import Sample, file_sha256, find_sample

if TYPE_CHECKING:
    import numpy as np

    Array: TypeAlias = np.ndarray[Any, Any]

BUNNY = "bunny"
SAMPLES = {
    BUNNY: Sample(
        "visvis",
        "bunny.ssdf",
        "126c4ae3e4d2795a02bf363df194e1e16cd09e39e1adcc134352570ebfa9634e",
        "Stanford 3D Scanning Repository: research use, credit to be given; from visvis, BSD-3",
        "inrbench-task-shape[samples]",
    )
}


def read_bunny() -> tuple[Array, Array]:
    """Vertices, float64 (V, 3), and faces, int64 (F, 3). Raises DataError if it is missing or another one."""
    import numpy as np

    path = find_sample(BUNNY, SAMPLES)
    file_sha256(path, SAMPLES[BUNNY].sha256)
    arrays = read_ssdf(path.read_text())
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
