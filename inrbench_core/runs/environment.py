"""What a result was computed with, so that it can be understood later."""

from __future__ import annotations

import platform
from typing import Any

import numpy
import torch


def describe_environment(device: torch.device, versions: dict[str, str]) -> dict[str, Any]:
    """Versions, machine and device of this process, as plain data."""
    record: dict[str, Any] = {
        "versions": versions,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "platform": platform.platform(),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "device": str(device),
    }
    if device.type == "cuda":
        record["gpu"] = torch.cuda.get_device_name(device)
        record["cuda"] = torch.version.cuda
    return record


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
