"""A layer that sums over edges as one function of torch: by a kernel where that serves, else by torch in blocks."""

from __future__ import annotations

import ctypes
import functools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from inrbench_core.api.autocast import without_autocast
from inrbench_core.api.native import C_TYPES, compile_saving_on

Gradients = tuple[Tensor | None, ...]

# Floats of one intermediate of a block of points. On a CPU a few of them should share a core's second-level cache; a
# GPU needs kernels large enough to fill it.
CPU_BLOCK, GPU_BLOCK = 1 << 17, 1 << 24
LEAST_POINTS = 8


class EdgeRule(ABC):
    """How a layer computes y, (N, O), and its first derivatives from its inputs: x, (N, I), and its parameters.

    A kernel gets inputs with a first dimension M as well: those of M layers of the same shape. The methods with
    `size` do it by torch for one layer, in blocks of that many points.
    """

    @property
    @abstractmethod
    def library(self) -> ctypes.CDLL | None:
        """The compiled kernels, or None where there are none."""

    def serves(self, tensors: Sequence[Tensor]) -> bool:
        """Whether a kernel can compute with these: on a CPU, in float32 or float64, outside torch.func."""
        first = tensors[0]
        if self.library is None or first.device.type != "cpu" or first.dtype not in C_TYPES:
            return False
        if any(tensor.dtype != first.dtype for tensor in tensors):
            return False
        # Compiled code is traced by operators; what torch.func wraps has no memory to point to.
        wrapped = torch._C._functorch.is_functorch_wrapped_tensor
        return torch.compiler.is_compiling() or not any(wrapped(tensor) for tensor in tensors)

    @abstractmethod
    def kernel_values(self, inputs: Sequence[Tensor]) -> Tensor:
        """y of one layer, or (M, N, O) of M, by the kernel."""

    @abstractmethod
    def kernel_gradients(self, inputs: Sequence[Tensor], grad: Tensor, by_x: bool) -> Gradients:
        """The gradients by all inputs, of one layer or of M, by the kernel; that by x may be None unless asked for."""

    @abstractmethod
    def values(self, inputs: Sequence[Tensor], size: int) -> Tensor:
        """y, (N, O)."""

    @abstractmethod
    def gradients(self, inputs: Sequence[Tensor], grad: Tensor, size: int, by_x: bool) -> Gradients:
        """The gradients by all inputs; that by x may be None unless asked for. Made of operations that torch and
        torch.func can transform again."""

    @abstractmethod
    def tangent(self, inputs: Sequence[Tensor], tangents: Sequence[Tensor], size: int) -> Tensor:
        """The tangent of y, (N, O), from those of all inputs; as `gradients`."""


class EdgeLayer(nn.Module):
    """A layer that an `edge_function` computes; what the fit engine asks of it, see `inrbench_core.api.components`.

    Subclasses set `rule`, and `compile_saving_s`: what torch.compile saves of a training step without a kernel, in s
    for each point and float of an intermediate, on one CPU thread.
    """

    rule: EdgeRule
    compile_saving_s: float

    @property
    @abstractmethod
    def edge_weights(self) -> Tensor:
        """A parameter with one number for each float of an intermediate of one point."""

    @property
    def floats_per_point(self) -> int:
        """Of the intermediates of all edges, which a kernel does not have."""
        return 0 if self._has_kernel() else self.edge_weights.numel()

    def compile_saving(self, device_type: str) -> float:
        """Compiled code cannot improve a kernel."""
        cpu_s = self.compile_saving_s * self.edge_weights.numel()
        return 0.0 if self._has_kernel() else compile_saving_on(device_type, cpu_s)

    def _has_kernel(self) -> bool:
        return self.rule.library is not None and self.edge_weights.device.type == "cpu"


def edge_function(rule: EdgeRule, edges: int, x: Tensor, *parameters: Tensor) -> Tensor:
    """The layer's y, (N, O).

    Args:
        rule: how it is computed.
        edges: floats of an intermediate for one point.
        x: (N, I).
        parameters: the rule's other inputs.

    Returns:
        differentiable any number of times, in both modes, and by torch.func with vmap; only the first derivative is
        bounded in memory. It is computed in the parameters' dtype, under autocast too.
    """
    with without_autocast(x.device.type):
        inputs = (x.to(parameters[0].dtype), *parameters)
        if torch.compiler.is_compiling():
            # Compiled code would repeat itself for each block.
            return _applied(_EdgeFunction, rule, x.shape[0], *inputs)
        size = max(LEAST_POINTS, (CPU_BLOCK if x.device.type == "cpu" else GPU_BLOCK) // edges)
        return _applied(_TransformableEdgeFunction, rule, size, *inputs)


def _applied(function: type[torch.autograd.Function], rule: EdgeRule, size: int, *inputs: Tensor) -> Tensor:
    return cast(Tensor, function.apply(rule, size, *inputs))  # type: ignore[no-untyped-call]


def blocks(points: int, size: int) -> list[slice]:
    """Slices of at most size points; one, which is empty, where there are none."""
    return [slice(start, min(start + size, points)) for start in range(0, max(points, 1), max(size, 1))]


def place(whole: Tensor | None, part: Tensor, block: slice, points: int) -> Tensor:
    """Write part, (R, n), into the columns block of whole, (R, points), which the first part makes.

    A list of parts and their concatenation would hold the result twice. A whole that is not made from a part would
    have no batch dimension within torch.func.vmap, which then refuses to write into it.
    """
    if part.shape[1] == points:
        return part
    if whole is None:
        whole = part.new_empty(part.shape[0], points)
    whole[:, block] = part
    return whole


def _values(rule: EdgeRule, inputs: Sequence[Tensor], size: int) -> Tensor:
    if rule.serves(inputs):
        return rule.kernel_values(inputs)
    if inputs[0].ndim == 3:
        return torch.stack([_values(rule, member, size) for member in zip(*inputs, strict=True)])
    return rule.values(inputs, size)


def _gradients(rule: EdgeRule, inputs: Sequence[Tensor], grad: Tensor, size: int, by_x: bool) -> Gradients:
    # A second derivative, which compiled code does not have, needs operations that torch can differentiate.
    first = torch.compiler.is_compiling() or not torch.is_grad_enabled()
    if first and rule.serves((*inputs, grad)):
        return rule.kernel_gradients(inputs, grad, by_x)
    if inputs[0].ndim == 3:
        members = zip(zip(*inputs, strict=True), grad, strict=True)
        parts = [_gradients(rule, member, outer, size, by_x) for member, outer in members]
        return tuple(None if part[0] is None else torch.stack(part) for part in zip(*parts, strict=True))
    return rule.gradients(inputs, grad, size, by_x)


def _tangent(rule: EdgeRule, inputs: Sequence[Tensor], tangents: Sequence[Tensor], size: int) -> Tensor:
    if inputs[0].ndim == 3:
        members = zip(zip(*inputs, strict=True), zip(*tangents, strict=True), strict=True)
        return torch.stack([_tangent(rule, member, tangent, size) for member, tangent in members])
    return rule.tangent(inputs, tangents, size)


class _EdgeFunction(torch.autograd.Function):
    """Without forward mode and vmap: torch.compile refuses a function with a jvp of its own."""

    @staticmethod
    def forward(rule: EdgeRule, size: int, *inputs: Tensor) -> Tensor:
        return _values(rule, inputs, size)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.rule, ctx.size, *tensors = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Gradients:
        return None, None, *_gradients(ctx.rule, ctx.saved_tensors, grad, ctx.size, ctx.needs_input_grad[2])


class _TransformableEdgeFunction(_EdgeFunction):
    """With rules for forward mode and torch.func.vmap."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _EdgeFunction.setup_context(ctx, inputs, output)
        ctx.save_for_forward(*inputs[2:])

    @staticmethod
    def jvp(ctx: Any, _rule: None, _size: None, *tangents: Tensor) -> Tensor:
        # torch turns forward mode off while this runs: a second tangent would be zero without a warning. The saved
        # tensors still carry the first one, which must not be pushed forward again.
        with forward_ad._set_fwd_grad_enabled(True):
            saved = [forward_ad.unpack_dual(tensor).primal for tensor in ctx.saved_tensors]  # type: ignore[no-untyped-call]
            return _tangent(ctx.rule, saved, tangents, ctx.size)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], rule: EdgeRule, size: int, *inputs: Tensor
    ) -> tuple[Tensor, int]:
        """A batch of x alone becomes more points; else every member of the batch is a layer of its own."""
        apply = functools.partial(_applied, _TransformableEdgeFunction)
        x_dim, *parameter_dims = in_dims[2:]
        if all(dim is None for dim in parameter_dims):
            # Next to the points, so that layers, if there are several, stay in front.
            x = inputs[0].movedim(cast(int, x_dim), -3)
            y = apply(rule, size, x.flatten(-3, -2), *inputs[1:])
            return y.reshape(*x.shape[:-1], y.shape[-1]), y.ndim - 2
        members = [
            tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip(inputs, in_dims[2:], strict=True)
        ]
        if members[0].ndim == 3:
            return apply(rule, size, *members), 0
        y = apply(rule, size, *(member.flatten(0, 1) for member in members))
        return y.reshape(*members[0].shape[:2], *y.shape[1:]), 0
