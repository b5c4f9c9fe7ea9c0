"""A sum of one function over all edges, in memory that does not grow with points times edges.

On a CPU kernels (edges.cpp) compute it and its first derivatives. Torch computes what else is asked for: its tensors
over edges and points are laid out (O, I, N), points last, so that every sum is one batched matrix product.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from inrbench_basis_wavelet import mothers
from inrbench_basis_wavelet.mothers import Mother
from inrbench_core.api.native import C_TYPES, call, native_library
from inrbench_core.api.native.edge_function import EdgeRule, Gradients, blocks, edge_function, place

# Here and not at the first call, which torch.compile would trace.
LIBRARY = native_library(Path(__file__).with_name("edges.cpp"))


def edge_sum(mother: Mother, x: Tensor, dilation: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    """y[n, o] = sum over i of weight[o, i] psi(dilation[o, i] x[n, i] - offset[o, i]).

    Args:
        mother: psi, elementwise.
        x: (N, I).
        dilation, offset, weight: (O, I).

    Returns:
        (N, O); see `edge_function`.
    """
    return edge_function(WaveletRule(mother), weight.numel(), x, dilation, offset, weight)


@dataclass(frozen=True)
class WaveletRule(EdgeRule):
    """Of the inputs x, dilation, offset and weight.

    Args:
        mother: psi, elementwise.
    """

    mother: Mother

    @property
    def library(self) -> ctypes.CDLL | None:
        """None for a function that the kernels do not know."""
        known = getattr(mothers, self.mother.__name__, None) is self.mother
        return LIBRARY if known else None

    def kernel_values(self, inputs: Sequence[Tensor]) -> Tensor:
        y: Tensor = torch.ops.inrbench_basis_wavelet.edge_sum(self.mother.__name__, *inputs)
        return y

    def kernel_gradients(self, inputs: Sequence[Tensor], grad: Tensor, by_x: bool) -> Gradients:
        operator = torch.ops.inrbench_basis_wavelet.edge_sum_gradients
        by_inputs: Gradients = operator(self.mother.__name__, *inputs, grad, by_x)
        return by_inputs if by_x else (None, *by_inputs[1:])

    def values(self, inputs: Sequence[Tensor], size: int) -> Tensor:
        x, dilation, offset, weight = inputs
        columns, out = x.t(), None
        for block in blocks(x.shape[0], size):
            value, _ = self.mother(_arguments(columns[:, block], dilation, offset))
            out = place(out, torch.bmm(weight.unsqueeze(1), value).squeeze(1), block, x.shape[0])
        assert out is not None
        return out.t()

    def gradients(self, inputs: Sequence[Tensor], grad: Tensor, size: int, by_x: bool) -> Gradients:
        x, dilation, offset, weight = inputs
        columns, grad_columns = x.t(), grad.t()
        slope_weight = (dilation * weight).t().unsqueeze(1)
        grad_weight = torch.zeros_like(weight)
        moments = x.new_zeros(x.shape[1], weight.shape[0], 2)
        grad_x = None
        for block in blocks(x.shape[0], size):
            column, outer = columns[:, block], grad_columns[:, block]
            value, slope = self.mother(_arguments(column, dilation, offset))
            grad_weight = grad_weight + torch.bmm(value, outer.unsqueeze(2)).squeeze(2)
            pulled = (slope() * outer.unsqueeze(1)).transpose(0, 1)
            moments = moments + torch.bmm(pulled, torch.stack([column, torch.ones_like(column)], dim=2))
            if by_x:
                grad_x = place(grad_x, torch.bmm(slope_weight, pulled).squeeze(1), block, x.shape[0])
        by_argument, by_one = (moment.t() * weight for moment in moments.unbind(2))
        return None if grad_x is None else grad_x.t(), by_argument, -by_one, grad_weight

    def tangent(self, inputs: Sequence[Tensor], tangents: Sequence[Tensor], size: int) -> Tensor:
        (at_x, at_dilation, at_offset, at_weight), (x, dilation, offset, weight) = inputs, tangents
        at_columns, columns, out = at_x.t(), x.t(), None
        for block in blocks(at_x.shape[0], size):
            column = at_columns[:, block]
            value, slope = self.mother(_arguments(column, at_dilation, at_offset))
            argument = _arguments(column, dilation, offset) + at_dilation.unsqueeze(2) * columns[:, block]
            part = torch.bmm(at_weight.unsqueeze(1), slope() * argument) + torch.bmm(weight.unsqueeze(1), value)
            out = place(out, part.squeeze(1), block, at_x.shape[0])
        assert out is not None
        return out.t()


def _arguments(columns: Tensor, dilation: Tensor, offset: Tensor) -> Tensor:
    """dilation x - offset for columns, (I, n): (O, I, n)."""
    return torch.addcmul(-offset.unsqueeze(2), dilation.unsqueeze(2), columns.unsqueeze(0))


# The kernels as operators of torch, so that a compiled or exported graph can hold them.
_operators = torch.library.Library("inrbench_basis_wavelet", "DEF")
_INPUTS = "str mother, Tensor x, Tensor dilation, Tensor offset, Tensor weight"
_operators.define(f"edge_sum({_INPUTS}) -> Tensor")
_operators.define(f"edge_sum_gradients({_INPUTS}, Tensor grad, bool by_x) -> (Tensor, Tensor, Tensor, Tensor)")


@torch.library.register_fake("inrbench_basis_wavelet::edge_sum", lib=_operators)
def _empty_sum(mother: str, x: Tensor, dilation: Tensor, offset: Tensor, weight: Tensor) -> Tensor:
    return x.new_empty(*x.shape[:-1], weight.shape[-2])


@torch.library.register_fake("inrbench_basis_wavelet::edge_sum_gradients", lib=_operators)
def _empty_gradients(
    mother: str, x: Tensor, dilation: Tensor, offset: Tensor, weight: Tensor, grad: Tensor, by_x: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    shape = tuple(weight.shape)
    return x.new_empty(x.shape if by_x else (0,)), x.new_empty(shape), x.new_empty(shape), x.new_empty(shape)


@torch.library.impl(_operators, "edge_sum", "CPU")
def _sum(mother: str, x: Tensor, *parameters: Tensor) -> Tensor:
    assert LIBRARY is not None
    y = _empty_sum(mother, x, *parameters)
    call(LIBRARY, f"{mother}_{C_TYPES[x.dtype]}_forward", _sizes(x, parameters[0]), (x, *parameters), (y,))
    return y


@torch.library.impl(_operators, "edge_sum_gradients", "CPU")
def _sum_gradients(
    mother: str, x: Tensor, dilation: Tensor, offset: Tensor, weight: Tensor, grad: Tensor, by_x: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    assert LIBRARY is not None
    found = _empty_gradients(mother, x, dilation, offset, weight, grad, by_x)
    inputs = (x, dilation, offset, weight, grad)
    results = found if by_x else (None, *found[1:])
    call(LIBRARY, f"{mother}_{C_TYPES[x.dtype]}_backward", _sizes(x, weight), inputs, results)
    return found


def _sizes(x: Tensor, weight: Tensor) -> tuple[int, ...]:
    return weight.shape[0] if weight.ndim == 3 else 1, x.shape[-2], x.shape[-1], weight.shape[-2]
