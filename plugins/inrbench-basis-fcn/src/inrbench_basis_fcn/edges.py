"""The networks of all edges, summed, in memory that does not grow with points times edges.

Shapes: x is (N, I); the parameters are inner_weight, (I, O, H, F), inner_bias and outer_weight, (I, O, H).
An edge's network sees f(x) = [x, sin(2^j x), cos(2^j x)], j = 0..S - 1, of F = 1 + 2 S entries. On a CPU kernels
(edges.cpp) compute it and its first derivatives; torch computes what else is asked for.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from inrbench_core.api.native import C_TYPES, call, native_library
from inrbench_core.api.native.edge_function import EdgeRule, Gradients, blocks, edge_function, place

# Here and not at the first call, which torch.compile would trace.
LIBRARY = native_library(Path(__file__).with_name("edges.cpp"))


def edge_sum(x: Tensor, inner_weight: Tensor, inner_bias: Tensor, outer_weight: Tensor) -> Tensor:
    """y[n, o] = sum over i of outer_weight[i, o] . silu(inner_weight[i, o] f(x[n, i]) + inner_bias[i, o]), (N, O).

    See `edge_function`.
    """
    return edge_function(FcnRule(), outer_weight.numel(), x, inner_weight, inner_bias, outer_weight)


class FcnRule(EdgeRule):
    """Of the inputs x, inner_weight, inner_bias and outer_weight."""

    @property
    def library(self) -> ctypes.CDLL | None:
        return LIBRARY

    def kernel_values(self, inputs: Sequence[Tensor]) -> Tensor:
        y: Tensor = torch.ops.inrbench_basis_fcn.edge_sum(*inputs)
        return y

    def kernel_gradients(self, inputs: Sequence[Tensor], grad: Tensor, by_x: bool) -> Gradients:
        by_inputs: Gradients = torch.ops.inrbench_basis_fcn.edge_sum_gradients(*inputs, grad, by_x)
        return by_inputs if by_x else (None, *by_inputs[1:])

    def values(self, inputs: Sequence[Tensor], size: int) -> Tensor:
        x, *parameters = inputs
        out = None
        for block in blocks(x.shape[0], size):
            out = place(out, _whole_sum(x[block], *parameters).t(), block, x.shape[0])
        assert out is not None
        return out.t()

    def gradients(self, inputs: Sequence[Tensor], grad: Tensor, size: int, by_x: bool) -> Gradients:
        x, *parameters = inputs
        grad_x, totals = None, None
        for block in blocks(x.shape[0], size):
            part, *found = _whole_gradients(x[block], parameters, grad[block])
            if by_x:
                grad_x = place(grad_x, part, block, x.shape[0])
            totals = found if totals is None else [total + more for total, more in zip(totals, found, strict=True)]
        assert totals is not None
        return None if grad_x is None else grad_x.t(), *totals

    def tangent(self, inputs: Sequence[Tensor], tangents: Sequence[Tensor], size: int) -> Tensor:
        x, *parameters = inputs
        by_x, *by_parameters = tangents
        out = None
        for block in blocks(x.shape[0], size):
            part = _whole_tangent(x[block], parameters, by_x[block], by_parameters)
            out = place(out, part.t(), block, x.shape[0])
        assert out is not None
        return out.t()


def _whole_sum(x: Tensor, inner_weight: Tensor, inner_bias: Tensor, outer_weight: Tensor) -> Tensor:
    _, seen = _seen(x, inner_weight)
    inner = _inner(seen, inner_weight, inner_bias)
    return _collect(functional.silu(inner) * _rows(outer_weight), inner_weight)


def _whole_gradients(x: Tensor, parameters: Sequence[Tensor], grad: Tensor) -> list[Tensor]:
    """The gradients by x, as columns (I, N), and by the parameters."""
    inner_weight, _, outer_weight = parameters
    octaves, seen = _seen(x, inner_weight)
    inner = _inner(seen, *parameters[:2])
    gate = inner.sigmoid()
    outer = grad.t().repeat_interleave(inner_weight.shape[2], dim=0)
    pulled = gate * (1 + inner * (1 - gate)) * _rows(outer_weight) * outer
    by_seen = torch.bmm(_rows(inner_weight).transpose(1, 2), pulled)
    by_x = by_seen[:, 0]
    for j, octave in enumerate(octaves):
        angle = octave.squeeze(1)
        by_x = by_x + 2.0**j * (by_seen[:, 1 + j] * angle.cos() - by_seen[:, 1 + len(octaves) + j] * angle.sin())
    by_inner_weight = torch.bmm(pulled, seen.transpose(1, 2)).reshape(inner_weight.shape)
    shape = outer_weight.shape
    return [by_x, by_inner_weight, pulled.sum(2).reshape(shape), (inner * gate * outer).sum(2).reshape(shape)]


def _whole_tangent(x: Tensor, parameters: Sequence[Tensor], x_tangent: Tensor, tangents: Sequence[Tensor]) -> Tensor:
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
    return terms.sum(0).reshape(out_features, hidden, terms.shape[-1]).sum(1).t()


# The kernels as operators of torch, so that a compiled or exported graph can hold them.
_operators = torch.library.Library("inrbench_basis_fcn", "DEF")
_INPUTS = "Tensor x, Tensor inner_weight, Tensor inner_bias, Tensor outer_weight"
_operators.define(f"edge_sum({_INPUTS}) -> Tensor")
_operators.define(f"edge_sum_gradients({_INPUTS}, Tensor grad, bool by_x) -> (Tensor, Tensor, Tensor, Tensor)")


@torch.library.register_fake("inrbench_basis_fcn::edge_sum", lib=_operators)
def _empty_sum(x: Tensor, inner_weight: Tensor, inner_bias: Tensor, outer_weight: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], outer_weight.shape[-2])


@torch.library.register_fake("inrbench_basis_fcn::edge_sum_gradients", lib=_operators)
def _empty_gradients(
    x: Tensor, inner_weight: Tensor, inner_bias: Tensor, outer_weight: Tensor, grad: Tensor, by_x: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    shapes = (tuple(x.shape) if by_x else (0,), *(tuple(p.shape) for p in (inner_weight, inner_bias, outer_weight)))
    first, second, third, fourth = (x.new_empty(shape) for shape in shapes)
    return first, second, third, fourth


@torch.library.impl(_operators, "edge_sum", "CPU")
def _sum(x: Tensor, inner_weight: Tensor, inner_bias: Tensor, outer_weight: Tensor) -> Tensor:
    assert LIBRARY is not None
    y = _empty_sum(x, inner_weight, inner_bias, outer_weight)
    name = f"edge_sum_{C_TYPES[x.dtype]}_forward"
    call(LIBRARY, name, _sizes(x, inner_weight), (x, inner_weight, inner_bias, outer_weight), (y,))
    return y


@torch.library.impl(_operators, "edge_sum_gradients", "CPU")
def _sum_gradients(
    x: Tensor, inner_weight: Tensor, inner_bias: Tensor, outer_weight: Tensor, grad: Tensor, by_x: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    found = _empty_gradients(x, inner_weight, inner_bias, outer_weight, grad, by_x)
    assert LIBRARY is not None
    results = found if by_x else (None, *found[1:])
    name = f"edge_sum_{C_TYPES[x.dtype]}_backward"
    call(LIBRARY, name, _sizes(x, inner_weight), (x, inner_weight, inner_bias, outer_weight, grad), results)
    return found


def _sizes(x: Tensor, inner_weight: Tensor) -> tuple[int, ...]:
    _, out_features, hidden, features = inner_weight.shape[-4:]
    members = inner_weight.shape[0] if inner_weight.ndim == 5 else 1
    return members, x.shape[-2], x.shape[-1], out_features, hidden, features
