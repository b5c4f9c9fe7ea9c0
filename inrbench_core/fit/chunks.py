"""How many elements a chunk holds, so that a step's intermediates stay in cache."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from inrbench_core.api.problem import Problem

# Measured on 2 cores with a SIREN 256 wide (reference: chunks of 4,096 points were the fastest, and
# 2,048 to 16,384 within 15 % of it): 4 MiB for the widest intermediate of a chunk.
CPU_FLOATS = 1 << 20
# A GPU wants large kernels; its memory bounds them.
CUDA_SHARE = 1 / 64
MIN_POINTS, MAX_POINTS_CPU = 256, 16_384


def is_chunkable(model: nn.Module) -> bool:
    """False if the output for a point depends on the other points of its batch."""
    return all(getattr(part, "pointwise", True) and not isinstance(part, _BatchNorm) for part in model.modules())


def floats_per_point(model: nn.Module) -> int:
    """The largest intermediate of one point, in floats.

    A layer may say it with an attribute `floats_per_point`; else it is read off the shapes of the
    parameters: the inputs of a matrix (out, in, ...) are in * ..., its outputs are out.
    """
    largest = 1
    for part in model.modules():
        declared = getattr(part, "floats_per_point", None)
        if declared is not None:
            largest = max(largest, int(declared))
            continue
        for parameter in part.parameters(recurse=False):
            if parameter.ndim >= 2:
                largest = max(largest, parameter.shape[0], math.prod(parameter.shape[1:]))
    return largest


def chunk_elements(model: nn.Module, problem: Problem, batch_size: int, device: torch.device) -> int:
    """Elements a chunk: as equal parts of the batch, so that compiled code sees few shapes."""
    if not is_chunkable(model):
        return batch_size
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        points = max(MIN_POINTS, int(free * CUDA_SHARE) // (4 * floats_per_point(model)))
    else:
        points = min(MAX_POINTS_CPU, max(MIN_POINTS, CPU_FLOATS // floats_per_point(model)))
    elements = max(1, points // max(1, problem.points_per_element))
    parts = math.ceil(batch_size / elements)
    return math.ceil(batch_size / max(1, parts))
