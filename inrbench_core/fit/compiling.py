"""torch.compile where it pays, and eager where it does not work."""

from __future__ import annotations

import logging
import time
import warnings
from typing import cast

import torch
from torch import nn

from inrbench_core.api.problem import Batch, Problem
from inrbench_core.fit.chunks import Footprint, unchanged
from inrbench_core.fit.hooks import modules_with
from inrbench_core.spec.training import TrainingSpec

# Compiling a field takes 10 to 30 s on a CPU the first time; it must save more than this.
COMPILE_S = 20.0
# Compiling saves passes over intermediates. The decision may not rest on a timing, because the same spec
# on the same machine has to take the same path every time; so these are careful rates, in s for each float
# that a step keeps: SIREN and Chebyshev layers save 0.5e-9 and more on 2 cores, B-splines 10 times that.
SAVED_S_PER_FLOAT = {"cpu": 0.5e-9, "cuda": 0.02e-9}


def wants_compile(
    training: TrainingSpec, problem: Problem, model: nn.Module, batch_size: int, footprint: Footprint, device: str
) -> bool:
    """Whether to try torch.compile for this fit; the same answer every time."""
    if training.compile != "auto" or training.steps == 0:
        return training.compile == "on" and training.steps > 0
    # Compiled graphs cannot be differentiated twice, inductor does not generate complex code, and each new share of
    # progress would compile anew.
    unsuited = any(tensor.is_complex() for tensor in model.state_dict().values()) or modules_with(model, "set_progress")
    if problem.differentiates or unsuited:
        return False
    floats = float(training.steps) * batch_size * footprint.total
    return floats * SAVED_S_PER_FLOAT.get(device, 0.0) > COMPILE_S


def compile_model(model: nn.Module, problem: Problem, example: Batch) -> tuple[nn.Module | None, float]:
    """A compiled twin that shares the model's parameters and has run once, or None where that fails.

    Args:
        model: in training mode; its state stays as it is.
        problem: whose loss is run forward and backward, so that a failure shows now and not later.
        example: a batch of the size that training will use.

    Returns:
        the twin or None, with one warning; and the seconds spent.
    """
    started = time.perf_counter()
    try:
        # Earlier models of this process count towards a limit past which dynamo stays eager.
        torch.compiler.reset()
        twin = _compile(model)
        with unchanged(model), _quiet():
            problem.loss(twin, example).sum().backward()  # type: ignore[no-untyped-call]
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        warnings.warn(f"torch.compile does not work here, so this fit is not compiled: {lines[0]}", stacklevel=2)
        return None, time.perf_counter() - started
    return twin, time.perf_counter() - started


def _compile(model: nn.Module) -> nn.Module:
    if isinstance(model, nn.ModuleDict):
        # A compiled ModuleDict could not be indexed by name.
        return nn.ModuleDict({name: _compile(part) for name, part in model.items()})
    return cast(nn.Module, torch.compile(model, dynamic=False))


class _quiet:
    """Silences torch's own log, which repeats over many lines what our warning says in one."""

    def __enter__(self) -> None:
        self.log = logging.getLogger("torch")
        self.level = self.log.level
        self.log.setLevel(logging.CRITICAL)

    def __exit__(self, *_: object) -> None:
        self.log.setLevel(self.level)
