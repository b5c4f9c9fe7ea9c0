"""torch.compile where it pays, and eager where it does not work."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from inrbench_core.api.problem import Batch, Problem
from inrbench_core.spec.training import TrainingSpec

# Compiling a field takes 10 to 30 s on a CPU the first time. It must save more than that, at the rate of
# a slow machine, or it is not tried. The decision may not depend on a timing: the same spec on the same
# machine has to take the same path every time.
COMPILE_S = 20.0
ASSUMED_FLOPS = {"cpu": 1e11, "cuda": 1e13}
ASSUMED_GAIN = 0.2
FLOPS_PER_PARAMETER = 6


def wants_compile(training: TrainingSpec, problem: Problem, model: nn.Module, batch_size: int, device: str) -> bool:
    """Whether to try torch.compile for this fit; the same answer every time."""
    if training.compile == "off" or training.steps == 0:
        return False
    # Compiled graphs cannot be differentiated twice.
    if problem.differentiates or any(p.is_complex() for p in model.parameters()):
        return False
    if training.compile == "on":
        return True
    parameters = sum(p.numel() for p in model.parameters())
    flops = float(training.steps) * batch_size * problem.points_per_element * parameters * FLOPS_PER_PARAMETER
    return flops / ASSUMED_FLOPS.get(device, ASSUMED_FLOPS["cuda"]) * ASSUMED_GAIN > COMPILE_S


def compile_model(
    model: nn.Module, loss: Callable[[nn.Module, Batch], Tensor], samples: list[Batch]
) -> tuple[nn.Module | None, float]:
    """A compiled model that has run forward and backward on each sample, or None where that fails.

    Args:
        model: the model; its parameters are shared with the compiled one and stay as they are.
        loss: the problem's loss.
        samples: a batch for each shape that training will use.

    Returns:
        the compiled model or None, and the seconds spent.
    """
    started = time.perf_counter()
    try:
        logging.getLogger("torch._inductor").setLevel(logging.ERROR)
        compiled = cast(nn.Module, torch.compile(model, dynamic=False))
        for sample in samples:
            loss(compiled, sample).sum().backward()  # type: ignore[no-untyped-call]
    except Exception as error:
        reason = " ".join(str(error).split())[:120]
        warnings.warn(f"torch.compile does not work here, going on without: {reason}", stacklevel=2)
        return None, time.perf_counter() - started
    finally:
        model.zero_grad(set_to_none=True)
    return compiled, time.perf_counter() - started
