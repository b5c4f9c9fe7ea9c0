"""A sum of one function over all edges, in memory that does not grow with points times edges.

All tensors over edges and points are laid out (O, I, N), points last: then the parameters of an edge
are scalars to the inner loop, and every sum is one batched matrix product.
"""

from __future__ import annotations

import torch
from torch import Tensor

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
        (N, O). Differentiable any number of times; only the first derivative is bounded in memory.
    """
    points = x.shape[0]
    size = max(8, (GPU_BLOCK if x.is_cuda else CPU_BLOCK) // weight.numel())
    if torch.compiler.is_compiling():
        if points > size * COMPILED_BLOCKS:
            return _eager(mother, x, dilation, offset, weight, size)
        size = points
    return _EdgeSum.apply(mother, x, dilation, offset, weight, size)


@torch.compiler.disable
def _eager(mother: Mother, x: Tensor, dilation: Tensor, offset: Tensor, weight: Tensor, size: int) -> Tensor:
    return _EdgeSum.apply(mother, x, dilation, offset, weight, size)


def _blocks(points: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, points)) for start in range(0, points, size)]


class _EdgeSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, mother: Mother, x: Tensor, dilation: Tensor, offset: Tensor, weight: Tensor, size: int) -> Tensor:
        ctx.mother, ctx.size = mother, size
        ctx.save_for_backward(x, dilation, offset, weight)
        columns = x.t()
        # Written in place: a list of blocks and their concatenation would hold the result twice.
        out = x.new_empty(weight.shape[0], x.shape[0])
        for block in _blocks(x.shape[0], size):
            value, _ = mother(_arguments(columns[:, block], dilation, offset))
            out[:, block] = torch.bmm(weight.unsqueeze(1), value).squeeze(1)
        return out.t()

    @staticmethod
    def backward(ctx, grad: Tensor):
        x, dilation, offset, weight = ctx.saved_tensors
        columns, grad_columns = x.t(), grad.t()
        slope_weight = (dilation * weight).t().unsqueeze(1)
        grad_weight = torch.zeros_like(weight)
        moments = x.new_zeros(x.shape[1], weight.shape[0], 2)
        grad_x = x.new_empty(x.shape[1], x.shape[0]) if ctx.needs_input_grad[1] else None
        for block in _blocks(x.shape[0], ctx.size):
            inputs, outer = columns[:, block], grad_columns[:, block]
            value, slope = ctx.mother(_arguments(inputs, dilation, offset))
            grad_weight = grad_weight + torch.bmm(value, outer.unsqueeze(2)).squeeze(2)
            pulled = (slope() * outer.unsqueeze(1)).transpose(0, 1)
            moments = moments + torch.bmm(pulled, torch.stack([inputs, torch.ones_like(inputs)], dim=2))
            if grad_x is not None:
                grad_x[:, block] = torch.bmm(slope_weight, pulled).squeeze(1)
        by_x, by_one = (moment.t() * weight for moment in moments.unbind(2))
        return None, None if grad_x is None else grad_x.t(), by_x, -by_one, grad_weight, None


def _arguments(columns: Tensor, dilation: Tensor, offset: Tensor) -> Tensor:
    """dilation x - offset for columns, (I, n): (O, I, n)."""
    return torch.addcmul(-offset.unsqueeze(2), dilation.unsqueeze(2), columns.unsqueeze(0))
