"""C++ that a plugin brings beside its Python code: compiled at first use, cached, and left out where that fails."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from inrbench_core.api.cache import cache_folder

# What kernels compute in.
C_TYPES = {torch.float32: "float", torch.float64: "double"}
# By the bandwidths of a GPU and of a CPU's core: not measured.
GPU_SPEEDUP = 100.0
SWITCH = "INRBENCH_NATIVE"
COMPILERS = ("c++", "g++", "clang++")
# No -ffast-math: it reorders sums, and the range reductions of vector_math.h with them.
FLAGS = (
    *("-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fPIC", "-shared", "-w"),
    # Else GCC takes the first points of a loop one by one until addresses are aligned: four times as long for a
    # cubic spline at blocks of 128 points. Clang ignores it.
    "--param=vect-max-peeling-for-alignment=0",
)
# Without OpenMP, as Apple's clang comes, a kernel takes one thread.
THREAD_FLAGS = (("-fopenmp",), ())
COMPILE_TIMEOUT_S = 120.0
HEADERS = Path(__file__).parent


@cache
def native_library(source: Path) -> ctypes.CDLL | None:
    """The library made from one C++ file, or None, with a warning, where it cannot be compiled.

    It is compiled for this machine's processor by $CXX, else c++, g++ or clang++, and kept in the cache folder under
    its content, the compiler's version and the processor. The file may include `vector_math.h`, which stands beside
    this module, and should offer functions with C linkage that take their number of threads. It needs none of torch's
    headers, whose compilation takes half a minute; tensors are passed by `call`.

    Args:
        source: a .cpp file. As a file of its plugin's package it is part of the code's fingerprint.

    Returns:
        the library, which lives as long as the process. With $INRBENCH_NATIVE set to off always None, without a
        warning; callers then compute the same by torch.
    """
    if os.environ.get(SWITCH, "").lower() in ("off", "0", "false"):
        return None
    compiler = _compiler()
    if compiler is None:
        warnings.warn(
            f"no C++ compiler was found ($CXX, {', '.join(COMPILERS)}), so that {source.stem} is computed by torch, "
            "which takes several times as long",
            stacklevel=2,
        )
        return None
    try:
        path = _compiled(source, compiler)
        try:
            return ctypes.CDLL(str(path))
        except OSError:
            # Damaged, as after a full disk.
            path.unlink()
            return ctypes.CDLL(str(_compiled(source, compiler)))
    except (OSError, subprocess.SubprocessError) as error:
        lines = getattr(error, "stderr", None) or str(error)
        reason = next((line for line in lines.splitlines() if "error" in line.lower()), lines.strip())
        warnings.warn(
            f"{source.name} could not be compiled by {compiler}, so that it is computed by torch, which takes several "
            f"times as long: {reason}",
            stacklevel=2,
        )
        return None


def call(
    library: ctypes.CDLL, name: str, sizes: Sequence[int], inputs: Sequence[Tensor], results: Sequence[Tensor | None]
) -> None:
    """Call a function of a library with this process's number of threads.

    Args:
        library: the library.
        name: the function: of int64s, pointers and an int.
        sizes: its first arguments.
        inputs: tensors on the CPU; copied where they are not contiguous.
        results: contiguous tensors that it writes; None is passed as a null pointer.
    """
    kept = [tensor.contiguous() for tensor in inputs]
    addresses = [ctypes.c_void_p(None if tensor is None else tensor.data_ptr()) for tensor in (*kept, *results)]
    getattr(library, name)(*map(ctypes.c_int64, sizes), *addresses, ctypes.c_int(torch.get_num_threads()))


def compile_saving_on(device_type: str, cpu_s: float) -> float:
    """What `compile_saving` declares for a device, from what was measured on one CPU thread, in s for each point."""
    return cpu_s if device_type == "cpu" else cpu_s / GPU_SPEEDUP


def _compiler() -> str | None:
    """The path of the C++ compiler."""
    chosen = os.environ.get("CXX")
    return shutil.which(chosen) if chosen else next(filter(None, map(shutil.which, COMPILERS)), None)


def _compiled(source: Path, compiler: str) -> Path:
    """The compiled file, from the cache if it is there."""
    headers = sorted(HEADERS.glob("*.h"))
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    parts = [version, compiler, _processor(), *FLAGS, *(file.read_text() for file in [source, *headers])]
    name = hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
    folder = cache_folder() / "native"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        # Nothing can be kept; a file that is loaded may lie anywhere.
        folder = Path(tempfile.mkdtemp(prefix="inrbench-"))
    path = folder / f"{source.stem}-{name}.so"
    if not path.exists():
        _compile(source, compiler, path)
    return path


def _compile(source: Path, compiler: str, path: Path) -> None:
    target = "-mcpu=native" if platform.machine().lower() in ("aarch64", "arm64") else "-march=native"
    for number, threads in enumerate(THREAD_FLAGS):
        temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp")
        command = [compiler, *FLAGS, target, *threads, f"-I{HEADERS}", str(source), "-o", str(temporary)]
        try:
            subprocess.run(command, capture_output=True, text=True, check=True, timeout=COMPILE_TIMEOUT_S)
            # Whole or not at all: a process that is killed, or a second one, leaves no half of a library.
            temporary.replace(path)
            return
        except subprocess.CalledProcessError:
            if number == len(THREAD_FLAGS) - 1:
                raise
        finally:
            temporary.unlink(missing_ok=True)


def _processor() -> str:
    """What decides the instructions that -march=native may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine() + platform.processor()
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))
