"""The networks of all edges, summed; whole, or in memory that does not grow with points times edges.

Shapes: x is (N, I); the parameters are inner_weight, (I, O, H, F), inner_bias and outer_weight, (I, O, H).
An edge's network sees f(x) = [x, sin(2^j x), cos(2^j x)], j = 0..S - 1, of F = 1 + 2 S entries.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional


def edge_sum(x: Tensor, inner_weight: Tensor, inner_bias: Tensor, outer_weight: Tensor) -> Tensor:
    """y[n, o] = sum over i of outer_weight[i, o] . silu(inner_weight[i, o] f(x[n, i]) + inner_bias[i, o]), (N, O)."""
    _, seen = _seen(x, inner_weight)
    inner = _inner(seen, inner_weight, inner_bias)
    return _collect(functional.silu(inner) * _rows(outer_weight), inner_weight)


@torch.compiler.disable
def edge_sum_in_blocks(size: int, x: Tensor, *parameters: Tensor) -> Tensor:
    """edge_sum in blocks of size points, which the backward pass computes again.

    Differentiable any number of times, in both modes, and by torch.func with vmap; only the first derivative is
    bounded in memory.
    """
    return _Blocks.apply(size, x, *parameters)


def _tangent(x: Tensor, parameters: tuple[Tensor, ...], x_tangent: Tensor, tangents: tuple[Tensor, ...]) -> Tensor:
    """The tangent of edge_sum(x, *parameters), (N, O)."""
    (inner_weight, inner_bias, outer_weight), (weight, bias, outer) = parameters, tangents
    octaves, seen = _seen(x, inner_weight)
    columns = x_tangent.t().unsqueeze(1)
    rates = [2.0**j * columns for j in range(len(octaves))]
    sines = [rate * octave.cos() for rate, octave in zip(rates, octaves, strict=True)]
    cosines = [-rate * octave.sin() for rate, octave in zip(rates, octaves, strict=True)]
    inner = _inner(seen, inner_weight, inner_bias)
    change = _inner(seen, weight, bias) + torch.bmm(_rows(inner_weight), torch.cat([columns, *sines, *cosines], dim=1))
    gate = inner.sigmoid()
    slope = gate * (1 + inner * (1 - gate))
    return _collect(functional.silu(inner) * _rows(outer) + slope * change * _rows(outer_weight), inner_weight)


def _seen(x: Tensor, inner_weight: Tensor) -> tuple[list[Tensor], Tensor]:
    """The angles 2^j x, each (I, 1, N), and f(x), (I, F, N)."""
    columns = x.t().unsqueeze(1)
    octaves = [2.0**j * columns for j in range(inner_weight.shape[-1] // 2)]
    return octaves, torch.cat([columns, *(a.sin() for a in octaves), *(a.cos() for a in octaves)], dim=1)


def _inner(seen: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """weight f + bias, (I, O H, N). The points come last: an edge's weights are then scalars to the inner loop."""
    return torch.baddbmm(_rows(bias), _rows(weight), seen)


def _rows(parameter: Tensor) -> Tensor:
    """(I, O, H) or (I, O, H, F) to (I, O H, 1 or F)."""
    return parameter.reshape(parameter.shape[0], parameter.shape[1] * parameter.shape[2], -1)


def _collect(terms: Tensor, inner_weight: Tensor) -> Tensor:
    """The sum over inputs and hidden units of terms, (I, O H, N): (N, O)."""
    _, out_features, hidden, _ = inner_weight.shape
    return terms.sum(0).reshape(out_features, hidden, -1).sum(1).t()


def _blocks(points: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, points)) for start in range(0, points, size)]


def _place(whole: Tensor | None, part: Tensor, block: slice, points: int) -> Tensor:
    """Write part, (n, C), into the rows block of whole, (points, C), which the first part makes.

    A list of parts and their concatenation would hold the result twice. A whole that is not made from a part would
    have no batch dimension within torch.func.vmap, which then refuses to write into it.
    """
    if whole is None:
        whole = part.new_empty(points, part.shape[1])
    whole[block] = part
    return whole


class _Blocks(torch.autograd.Function):
    """edge_sum_in_blocks: the inputs are all that it keeps."""

    @staticmethod
    def forward(size: int, x: Tensor, *parameters: Tensor) -> Tensor:
        out = None
        for block in _blocks(x.shape[0], size):
            out = _place(out, edge_sum(x[block], *parameters), block, x.shape[0])
        return out

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.size, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *parameters = ctx.saved_tensors
        blocks = _blocks(x.shape[0], ctx.size)
        grad_x, totals = None, None
        # Autograd adds up from the last block to the first. So does this; where it is itself differentiated, that
        # goes backwards once more.
        for block in blocks if torch.is_grad_enabled() else reversed(blocks):
            if ctx.needs_input_grad[1]:
                _, pull = torch.func.vjp(edge_sum, x[block], *parameters)
                part, *found = pull(grad[block])
                grad_x = _place(grad_x, part, block, x.shape[0])
            else:
                _, pull = torch.func.vjp(functools.partial(edge_sum, x[block]), *parameters)
                found = pull(grad[block])
            totals = found if totals is None else [total + more for total, more in zip(totals, found, strict=True)]
        return None, grad_x, *totals

    @staticmethod
    def jvp(ctx: Any, _size: None, x_tangent: Tensor, *tangents: Tensor) -> Tensor:
        # torch turns forward mode off while this runs: a second tangent would be zero without a warning. The saved
        # tensors still carry the first one, which must not be pushed forward again.
        with forward_ad._set_fwd_grad_enabled(True):
            x, *parameters = (forward_ad.unpack_dual(tensor).primal for tensor in ctx.saved_tensors)
            out = None
            for block in _blocks(x.shape[0], ctx.size):
                part = _tangent(x[block], tuple(parameters), x_tangent[block], tangents)
                out = _place(out, part, block, x.shape[0])
            return out

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], size: int, *tensors: Tensor) -> tuple[Tensor, int]:
        """A batch of x alone becomes more points; else one member of the batch follows the other."""
        if all(dim is None for dim in in_dims[2:]):
            x = tensors[0].movedim(in_dims[1], 0)
            return _Blocks.apply(size, x.flatten(0, 1), *tensors[1:]).unflatten(0, x.shape[:2]), 0
        members = [
            tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip(tensors, in_dims[1:], strict=True)
        ]
        return torch.stack([_Blocks.apply(size, *member) for member in zip(*members, strict=True)]), 0
