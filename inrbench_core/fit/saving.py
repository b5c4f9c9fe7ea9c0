"""What torch.compile saves in a training step, predicted without timing anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from inrbench_core.api.problem import Problem
from inrbench_core.fit.chunks import PROBES, unchanged
from inrbench_core.fit.counting import OperationCounter

# Compiled code runs all elementwise operations between two matrix products in one loop, forward and backward. In s for
# each float32 that an operation beyond the first of its group writes in the forward pass, its backward included.
SAVED_S_PER_FLOAT = {"cpu": 1.2e-9, "cuda": 0.01e-9}
# In s for each such operation, whatever its size: what launching its kernels takes, backward included.
SAVED_S_PER_OPERATION = {"cpu": 0.0, "cuda": 10e-6}
PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "linear", "mv", "addmv", "dot"}


@dataclass(frozen=True)
class Saving:
    """What compiling a model saves, and what that depends on.

    Args:
        element_s: s for each element of a step.
        call_s: s for each call of the model, forward and backward.
        operations: of the model's forward pass; what a compilation costs grows with them.
    """

    element_s: float
    call_s: float
    operations: int


def predict_saving(model: nn.Module, problem: Problem, device_type: str) -> Saving:
    """The saving that modules declare, and an estimate for what lies outside of them.

    A module declares it by `compile_saving(device_type)`, in s for each point; of nested ones the outermost counts.
    The estimate counts what the forward pass writes, in two runs on a few elements each.
    """
    declaring = _outermost_declaring(model)
    declared = sum(float(part.compile_saving(device_type)) for part in declaring)
    few, more = (min(count, problem.elements) for count in PROBES)
    with unchanged(model):
        small, large = (_count(model, declaring, problem, count) for count in (few, more))
    floats = large.floats / more if few == more else (large.floats - small.floats) / (more - few)
    return Saving(
        declared * problem.points_per_element + floats * SAVED_S_PER_FLOAT.get(device_type, 0.0),
        large.fused * SAVED_S_PER_OPERATION.get(device_type, 0.0),
        large.operations,
    )


def _outermost_declaring(part: nn.Module) -> list[Any]:
    if callable(getattr(part, "compile_saving", None)):
        return [part]
    return [found for child in part.children() for found in _outermost_declaring(child)]


class _Counter(OperationCounter):  # type: ignore[no-untyped-call]
    """Counts the operations of a model that compiled code would fuse, while `counting` is set.

    Attributes:
        operations: all but views; `fused` those beyond the first of their group.
        floats: float32s that the fused ones write.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations = self.fused = self.floats = 0
        self.running = self.counting = False
        self._group: list[int] = []

    def note(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], results: Any) -> None:
        if not self.running or function.is_view:
            return
        self.operations += 1
        if function.overloadpacket.__name__ in PRODUCTS:
            self.end_group()
        elif self.counting:
            written = results if isinstance(results, list | tuple) else [results]
            self._group.append(sum(r.numel() * r.element_size() // 4 for r in written if isinstance(r, Tensor)))

    def end_group(self) -> None:
        """A loop of compiled code ends here; one pass of each group is made in any case."""
        if self._group:
            self.floats += sum(self._group) - max(self._group)
            self.fused += len(self._group) - 1
            self._group.clear()

    def set(self, *, running: bool | None = None, counting: bool) -> Callable[..., None]:
        """A hook that does so."""

        def hook(*_: Any) -> None:
            self.end_group()
            self.running = self.running if running is None else running
            self.counting = counting

        return hook


def _count(model: nn.Module, declaring: list[Any], problem: Problem, elements: int) -> _Counter:
    counter = _Counter()
    with _hooks(model, declaring, counter), counter:
        problem.loss(model, problem.batch(slice(0, elements)))
    return counter


@contextmanager
def _hooks(model: nn.Module, declaring: list[Any], counter: _Counter) -> Iterator[None]:
    """The loss is not compiled, and what declares its saving is not estimated."""
    handles = []
    for part in model.values() if isinstance(model, nn.ModuleDict) else [model]:
        handles += [
            part.register_forward_pre_hook(counter.set(running=True, counting=True)),
            part.register_forward_hook(counter.set(running=False, counting=False)),
        ]
    for part in declaring:
        handles += [
            part.register_forward_pre_hook(counter.set(counting=False)),
            part.register_forward_hook(counter.set(counting=True)),
        ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
