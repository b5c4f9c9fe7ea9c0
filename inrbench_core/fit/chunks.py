"""How many elements a chunk holds, so that a step's intermediates stay in cache."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from inrbench_core.api.problem import Problem
from inrbench_core.fit.device import forked_generators, model_device

# 4 MiB for the widest intermediate of a chunk: 4,096 points of a SIREN 256 wide, the fastest chunk on
# 2 cores (benchmarks/fit_engine.py; 2,048 to 16,384 points are within 15 % of it).
CPU_FLOATS = 1 << 20
# Fewer points waste the work done once a chunk, such as accumulating gradients.
MIN_POINTS, MAX_POINTS_CPU = 128, 16_384
# With points last in memory, matrix products take up to 1.8 times as long where their rows do not fill vectors.
POINTS_MULTIPLE = 64
# A GPU wants large kernels: all that a chunk keeps for the backward pass takes this share of its memory.
# Of all its memory, not of what is free, so that the same machine always takes the same chunks.
CUDA_SHARE = 1 / 8
PROBES = (8, 16)


@dataclass(frozen=True)
class Footprint:
    """What a training step keeps for its backward pass, in float32s for each element.

    Args:
        largest: the largest single tensor.
        total: all tensors together.
    """

    largest: int
    total: int


def is_chunkable(model: nn.Module) -> bool:
    """False if the output for a point depends on the other points of its batch.

    So it is with batch normalisation, and with any module that has an attribute `pointwise = False`.
    """
    return all(getattr(part, "pointwise", True) and not isinstance(part, _BatchNorm) for part in model.modules())


def measure_footprint(model: nn.Module, problem: Problem) -> Footprint:
    """Run the loss on a few elements and see by how much what autograd saves grows with their number.

    A layer that computes its intermediates anew in the backward pass hides them from this; it may
    name the size of its largest one, for one point, in an attribute `floats_per_point`.
    """
    few, more = (min(count, problem.elements) for count in PROBES)
    with unchanged(model):
        saved = [_saved_floats(model, problem, count) for count in (few, more)]
    if few == more:
        growth = [size / more for size in saved[1]]
    elif len(saved[0]) == len(saved[1]):
        growth = [(big - small) / (more - few) for small, big in zip(*saved, strict=True)]
    else:
        growth = [(sum(saved[1]) - sum(saved[0])) / (more - few)]
    declared = [int(getattr(part, "floats_per_point", 0)) * problem.points_per_element for part in model.modules()]
    largest = max(1, *declared, *map(math.ceil, growth))
    return Footprint(largest, max(largest, math.ceil(sum(growth)) + sum(declared)))


def chunk_elements(footprint: Footprint, problem: Problem, device: torch.device) -> int:
    """The most elements a chunk should hold."""
    least = MIN_POINTS // problem.points_per_element
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
        return max(1, least, int(memory * CUDA_SHARE) // (4 * footprint.total))
    most = MAX_POINTS_CPU // problem.points_per_element
    multiple = max(1, POINTS_MULTIPLE // problem.points_per_element)
    elements = CPU_FLOATS // footprint.largest // multiple * multiple
    return max(1, min(most, max(least, elements)))


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Within it, training steps without an optimiser may be tried: they leave no trace in the model."""
    # By their places, too: a module may have other buffers afterwards.
    places = [(part, dict(part._buffers)) for part in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    with forked_generators(model_device(model)):
        try:
            yield
        finally:
            model.zero_grad(set_to_none=True)
            for part, own in places:
                part._buffers.update(own)
            with torch.no_grad():
                for buffer, before in buffers:
                    buffer.copy_(before)


def _saved_floats(model: nn.Module, problem: Problem, count: int) -> list[int]:
    sizes: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        sizes.append(tensor.numel() * tensor.element_size() // 4)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        problem.loss(model, problem.batch(slice(0, count)))
    return sizes
