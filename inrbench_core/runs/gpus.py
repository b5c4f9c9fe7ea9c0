"""Which GPUs CUDA programs see here, without importing torch."""

from __future__ import annotations

import os
import subprocess

_LIMIT_S = 30.0


def visible_gpus() -> list[str]:
    """Each GPU that a process started from here would see, as CUDA_VISIBLE_DEVICES names it; may be empty.

    Those of CUDA_VISIBLE_DEVICES where it is set: as CUDA does, up to the first that is negative. Else as many numbers
    as `nvidia-smi` lists GPUs.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return [str(number) for number in range(_count())]
    gpus: list[str] = []
    for name in named.split(","):
        if not name.strip() or name.strip().startswith("-"):
            break
        gpus.append(name.strip())
    return gpus


def _count() -> int:
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    # Parts of a GPU are listed below it, indented; of those CUDA gives a process no more than one.
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
