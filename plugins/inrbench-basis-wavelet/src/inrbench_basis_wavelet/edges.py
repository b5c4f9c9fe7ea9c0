"""A sum of one function over all edges, in memory that does not grow with points times edges.

All tensors over edges and points are laid out (O, I, N), points last: then the parameters of an edge
are scalars to the inner loop, and every sum is one batched matrix product.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from inrbench_basis_wavelet.mothers import Mother

# Floats of one intermediate of a block. On a CPU a few of them should share a core's second-level
# cache; a GPU needs kernels large enough to fill it.
CPU_BLOCK, GPU_BLOCK = 1 << 17, 1 << 24
# Compiled code would repeat itself for each block: up to this many blocks' worth it takes as one,
# beyond it this function stays eager.
COMPILED_BLOCKS = 32


def edge_sum(mother: Mother, x: Tensor, dilation: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """y[n, o] = sum over i of weight[o, i] psi(dilation[o, i] x[n, i] - offset[o, i]).

    Args:
        mother: psi, elementwise.
        x: (N, I).
        dilation, offset, weight: (O, I).

    Returns:
        (N, O). Differentiable any number of times, in both modes, and by torch.func with vmap; only the first
        derivative is bounded in memory.
    """
    points = x.shape[0]
    size = max(8, (GPU_BLOCK if x.is_cuda else CPU_BLOCK) // weight.numel())
    if torch.compiler.is_compiling():
        if points > size * COMPILED_BLOCKS:
            return _eager(mother, x, dilation, offset, weight, size)
        return _EdgeSum.apply(mother, x, dilation, offset, weight, max(1, points))
    return _TransformableEdgeSum.apply(mother, x, dilation, offset, weight, size)


@torch.compiler.disable
def _eager(mother: Mother, x: Tensor, dilation: Tensor, offset: Tensor, weight: Tensor, size: int) -> Tensor:
    return _TransformableEdgeSum.apply(mother, x, dilation, offset, weight, size)


def _blocks(points: int, size: int) -> list[slice]:
    """Slices of at most size points; one, which is empty, where there are none."""
    return [slice(start, min(start + size, points)) for start in range(0, max(points, 1), size)]


def _place(whole: Tensor | None, part: Tensor, block: slice, points: int) -> Tensor:
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


class _EdgeSum(torch.autograd.Function):
    """edge_sum without forward mode and vmap: torch.compile refuses a function with a jvp of its own."""

    @staticmethod
    def forward(mother: Mother, x: Tensor, dilation: Tensor, offset: Tensor, weight: Tensor, size: int) -> Tensor:
        columns, out = x.t(), None
        for block in _blocks(x.shape[0], size):
            value, _ = mother(_arguments(columns[:, block], dilation, offset))
            out = _place(out, torch.bmm(weight.unsqueeze(1), value).squeeze(1), block, x.shape[0])
        return out.t()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        mother, x, dilation, offset, weight, size = inputs
        ctx.mother, ctx.size = mother, size
        ctx.save_for_backward(x, dilation, offset, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, dilation, offset, weight = ctx.saved_tensors
        columns, grad_columns = x.t(), grad.t()
        slope_weight = (dilation * weight).t().unsqueeze(1)
        grad_weight = torch.zeros_like(weight)
        moments = x.new_zeros(x.shape[1], weight.shape[0], 2)
        grad_x = None
        for block in _blocks(x.shape[0], ctx.size):
            inputs, outer = columns[:, block], grad_columns[:, block]
            value, slope = ctx.mother(_arguments(inputs, dilation, offset))
            grad_weight = grad_weight + torch.bmm(value, outer.unsqueeze(2)).squeeze(2)
            pulled = (slope() * outer.unsqueeze(1)).transpose(0, 1)
            moments = moments + torch.bmm(pulled, torch.stack([inputs, torch.ones_like(inputs)], dim=2))
            if ctx.needs_input_grad[1]:
                grad_x = _place(grad_x, torch.bmm(slope_weight, pulled).squeeze(1), block, x.shape[0])
        by_x, by_one = (moment.t() * weight for moment in moments.unbind(2))
        return None, None if grad_x is None else grad_x.t(), by_x, -by_one, grad_weight, None


class _TransformableEdgeSum(_EdgeSum):
    """edge_sum with rules for forward mode and torch.func.vmap."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        _EdgeSum.setup_context(ctx, inputs, output)
        ctx.save_for_forward(*inputs[1:5])

    @staticmethod
    def jvp(
        ctx: Any, _mother: None, x: Tensor, dilation: Tensor, offset: Tensor, weight: Tensor, _size: None
    ) -> Tensor:
        """The tangent of the result, (N, O), from the inputs' tangents."""
        # torch turns forward mode off while this runs: a second tangent would be zero without a warning. The saved
        # tensors still carry the first one, which must not be pushed forward again.
        with forward_ad._set_fwd_grad_enabled(True):
            saved = (forward_ad.unpack_dual(tensor).primal for tensor in ctx.saved_tensors)
            at_x, at_dilation, at_offset, at_weight = saved
            at_columns, columns, out = at_x.t(), x.t(), None
            for block in _blocks(at_x.shape[0], ctx.size):
                inputs = at_columns[:, block]
                value, slope = ctx.mother(_arguments(inputs, at_dilation, at_offset))
                argument = _arguments(inputs, dilation, offset) + at_dilation.unsqueeze(2) * columns[:, block]
                part = torch.bmm(at_weight.unsqueeze(1), slope() * argument) + torch.bmm(weight.unsqueeze(1), value)
                out = _place(out, part.squeeze(1), block, at_x.shape[0])
            return out.t()

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
        """A batch of x alone becomes more points; else one member of the batch follows the other."""
        mother, *tensors, size = inputs
        x_dim, *parameter_dims = in_dims[1:5]
        apply = _TransformableEdgeSum.apply
        if all(dim is None for dim in parameter_dims):
            x = tensors[0].movedim(x_dim, 0)
            return apply(mother, x.flatten(0, 1), *tensors[1:], size).unflatten(0, x.shape[:2]), 0
        members = [
            tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip(tensors, in_dims[1:5], strict=True)
        ]
        return torch.stack([apply(mother, *member, size) for member in zip(*members, strict=True)]), 0


def _arguments(columns: Tensor, dilation: Tensor, offset: Tensor) -> Tensor:
    """dilation x - offset for columns, (I, n): (O, I, n)."""
    return torch.addcmul(-offset.unsqueeze(2), dilation.unsqueeze(2), columns.unsqueeze(0))
