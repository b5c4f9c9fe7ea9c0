"""torch.compile where it pays, and eager where it does not work."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn

from inrbench_core.api.problem import Problem
from inrbench_core.fit.chunks import Footprint, unchanged
from inrbench_core.fit.hooks import modules_with
from inrbench_core.fit.saving import predict_saving
from inrbench_core.spec.training import TrainingSpec

# What a compilation takes where nothing is cached, one thread of a CPU, in s: in any case, and for each operation of
# the model's forward pass.
COMPILE_S, COMPILE_S_PER_OPERATION = 4.0, 0.08
# Graphs that a process keeps; the next one begins with none again.
GRAPHS = 64
# On CUDA a step whose tensors are no larger than this, in float32s, waits for launches more than for kernels.
LAUNCH_BOUND_FLOATS = 1 << 25
# CUDA graphs run once as they are, record at the second call and replay from the third.
CUDA_GRAPH_RUNS = 3


def wants_compile(
    training: TrainingSpec, problem: Problem, model: nn.Module, batch_size: int, chunk: int, device_type: str
) -> bool:
    """Whether to try torch.compile for this fit; the same answer every time.

    Compiled and eager code differ in rounding, so `compile: auto` rests on no timing and on nothing that happens to be
    cached: it compiles where the steps of this fit alone save more than a compilation takes when nothing is cached.
    The saving is what modules declare by `compile_saving`, and an estimate for the rest (`predict_saving`); the cost
    grows with the number of operations.

    Args:
        training: its steps and `compile`.
        problem: whose loss is run on a few elements.
        model: in training mode; its state stays as it is.
        batch_size: elements a step.
        chunk: elements a call of the model.
        device_type: "cpu" or "cuda".
    """
    if training.compile != "auto" or training.steps == 0:
        return training.compile == "on" and training.steps > 0
    # Compiled graphs cannot be differentiated twice, inductor does not generate complex code, and each new share of
    # progress would compile anew.
    unsuited = any(tensor.is_complex() for tensor in model.state_dict().values()) or modules_with(model, "set_progress")
    if problem.differentiates or unsuited:
        return False
    try:
        saving = predict_saving(model, problem, device_type)
    except Exception:  # Whatever a model does that operations cannot be counted in.
        return False
    step_s = batch_size * saving.element_s + batch_size / chunk * saving.call_s
    return training.steps * step_s > COMPILE_S + COMPILE_S_PER_OPERATION * saving.operations


def uses_cuda_graphs(footprint: Footprint, batch_size: int, chunk: int, device_type: str) -> bool:
    """Whether compiled code should replay CUDA graphs: small steps, of one chunk.

    With several chunks a step, gradients would be summed into memory that the next replay overwrites.
    """
    return device_type == "cuda" and chunk >= batch_size and batch_size * footprint.total <= LAUNCH_BOUND_FLOATS


def compile_model(
    model: nn.Module, loss: Callable[[nn.Module], Tensor], cuda_graphs: bool = False
) -> tuple[nn.Module | None, float]:
    """A compiled twin that shares the model's parameters and has run once, or None where that fails.

    A graph that an earlier model of this process left is used again where dynamo's guards hold for this one: the same
    classes, Python values, shapes, dtypes and hooks. Parameters and buffers are inputs of a graph.

    Args:
        model: in training mode; its state stays as it is.
        loss: the loss of a chunk by a model, which is run forward and backward, so that a failure shows now and not
            later.
        cuda_graphs: replay what was recorded once instead of launching each kernel.

    Returns:
        the twin or None, with one warning; and the seconds spent.
    """
    started = time.perf_counter()
    try:
        with _kept_graphs(), unchanged(model), _quiet():
            twin = _compile(model, "reduce-overhead" if cuda_graphs else None)
            for _ in range(CUDA_GRAPH_RUNS if cuda_graphs else 1):
                model.zero_grad(set_to_none=True)
                loss(twin).backward()  # type: ignore[no-untyped-call]
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        warnings.warn(f"torch.compile does not work here, so this fit is not compiled: {lines[0]}", stacklevel=2)
        return None, time.perf_counter() - started
    return twin, time.perf_counter() - started


def _compile(model: nn.Module, mode: str | None) -> nn.Module:
    if isinstance(model, nn.ModuleDict):
        # A compiled ModuleDict could not be indexed by name.
        return nn.ModuleDict({name: _compile(part, mode) for name, part in model.items()})
    return cast(nn.Module, torch.compile(model, dynamic=False, mode=mode))


_kept = 0


@contextmanager
def _kept_graphs() -> Iterator[None]:
    """Compile within it: graphs of earlier models are kept, up to GRAPHS of them, and none after a failure."""
    # torch imports it when it compiles, and it takes a second.
    import torch._dynamo as dynamo

    global _kept
    if _kept >= GRAPHS:
        torch.compiler.reset()
        _kept = 0
    statistics = dynamo.utils.counters["stats"]
    before = statistics["unique_graphs"]
    # Past its limit dynamo stays eager, and by default it does not look whether a module has got hooks.
    options = {"recompile_limit": 2 * GRAPHS, "accumulated_recompile_limit": 2 * GRAPHS}
    try:
        with dynamo.config.patch({**options, "skip_nnmodule_hook_guards": False}):
            yield
    except Exception:
        torch.compiler.reset()
        _kept = 0
        raise
    _kept += statistics["unique_graphs"] - before


class _quiet:
    """Silences torch's own log, which repeats over many lines what our warning says in one."""

    def __enter__(self) -> None:
        self.log = logging.getLogger("torch")
        self.level = self.log.level
        self.log.setLevel(logging.CRITICAL)

    def __exit__(self, *_: object) -> None:
        self.log.setLevel(self.level)
