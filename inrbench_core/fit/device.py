"""Devices: what a spec's `device` stands for on this machine."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import nn

from inrbench_core.api.errors import UnsupportedError


def choose_device(name: str) -> torch.device:
    """The torch device of auto, cpu, cuda or cuda:N. Raises UnsupportedError if it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UnsupportedError(f"no device {name!r}; there are auto, cpu, cuda and cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UnsupportedError(f"device {name!r} is not available: torch sees {torch.cuda.device_count()} CUDA devices")
    return device


def model_device(model: nn.Module) -> torch.device:
    """Where a model's parameters are; the CPU for one that has none."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def forked_generators(device: torch.device) -> AbstractContextManager[None]:
    """Within it, what is drawn from torch's generators of the CPU and of a device leaves no trace in them."""
    context: AbstractContextManager[None] = torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
    return context
