"""Expansion bases in C++: all functions in one pass over the points, and the backward pass in another."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from inrbench_core.api.native import C_TYPES, call, native_library

# torch 2.6 cannot tell export from torch.compile.
is_exporting: Callable[[], bool] = getattr(torch.compiler, "is_exporting", torch.compiler.is_compiling)


@dataclass(frozen=True)
class NativeFunctions:
    """The C++ of a basis, which gives the same as its `expand`, of each input by itself.

    Args:
        source: a file that includes `expansion.h`, which says what stands in it.
        name: the first argument of its INRBENCH_EXPANSION.
        parameters: plain numbers for the family's constructor.
    """

    source: Path
    name: str
    parameters: tuple[float, ...] = ()


@dataclass(frozen=True)
class _Registered:
    library: ctypes.CDLL
    name: str
    # float64 (K + those of the family,): the scales come first.
    parameters: Tensor
    size: int
    expand: Callable[[Tensor], Tensor]

    def call(self, what: str, x: Tensor, inputs: tuple[Tensor, ...], result: Tensor) -> None:
        """Call NAME_WHAT_TYPE on x, (*, N), and further inputs."""
        if x.numel():
            sizes = (x.numel() // x.shape[-1], x.shape[-1], self.size)
            name = f"{self.name}_{what}_{C_TYPES[x.dtype]}"
            call(self.library, name, sizes, (x, *inputs, self.parameters), (result,))

    def expand_rows(self, x: Tensor) -> Tensor:
        """By torch, differentiable as often as the functions are: (*, N) -> (*, K, N)."""
        rows = x.reshape(-1, x.shape[-1])
        return self.expand(rows.T).permute(1, 2, 0).reshape(*x.shape[:-1], self.size, x.shape[-1])


_registered: dict[str, _Registered] = {}


def register_functions(
    functions: NativeFunctions, scale: tuple[float, ...], tanh: bool, expand: Callable[[Tensor], Tensor]
) -> str | None:
    """Compile them if need be, so that `native_values` knows them in this process.

    Args:
        functions: the C++.
        scale: K factors of the functions.
        tanh: whether they are taken at tanh(x).
        expand: the same by torch, (N, I) -> (N, I, K), scale and tanh included, for second derivatives.

    Returns:
        their key, which is the same in every process; None where nothing can be compiled.
    """
    library = native_library(functions.source)
    if library is None:
        return None
    name = f"{functions.name}_tanh" if tanh else functions.name
    parameters = (*scale, *functions.parameters)
    key = f"{functions.source}:{name}:{len(scale)}:{','.join(map(repr, parameters))}"
    if key not in _registered:
        # Made outside of any context that gives new tensors another device.
        array = torch.tensor(parameters, dtype=torch.float64, device="cpu")
        _registered[key] = _Registered(library, name, array, len(scale), expand)
    return key


def serves(x: Tensor) -> bool:
    """Whether `native_values` may be called: not on other devices and types, in forward mode, and for export.

    An exported program is to run where inrbench is not installed.
    """
    return x.device.type == "cpu" and x.dtype in C_TYPES and not is_exporting() and not _in_forward_mode()


def _in_forward_mode() -> bool:
    return not torch.compiler.is_compiling() and forward_ad._current_level >= 0


def native_values(x: Tensor, key: str, size: int) -> Tensor:
    """The functions of `key` at x, (*, N): (*, K, N), contiguous. Works with autograd, torch.func and torch.compile."""
    if torch.compiler.is_compiling():
        traced: Tensor = torch.ops.inrbench.expansion_values(x, key, size)
        return traced
    values: Tensor = _Values.apply(x, key, size)  # type: ignore[no-untyped-call]
    return values


# Not torch.library.custom_op: the first call of one imports torch's compiler, which takes more than a second.
_library = torch.library.Library("inrbench", "FRAGMENT")  # type: ignore[no-untyped-call]
_library.define("expansion_values(Tensor x, str key, int size) -> Tensor")  # type: ignore[no-untyped-call]
_library.define("expansion_slopes(Tensor x, Tensor grad, str key) -> Tensor")  # type: ignore[no-untyped-call]


def _values(x: Tensor, key: str, size: int) -> Tensor:
    phi = _empty_values(x, key, size)
    _registered[key].call("values", x, (), phi)
    return phi


def _slopes(x: Tensor, grad: Tensor, key: str) -> Tensor:
    """Sum over k of grad phi_k'(x): (*, N) and (*, K, N) -> (*, N)."""
    result = _empty_slopes(x, grad, key)
    _registered[key].call("slopes", x, (grad,), result)
    return result


def _empty_values(x: Tensor, key: str, size: int) -> Tensor:
    return x.new_empty((*x.shape[:-1], size, x.shape[-1]))


def _empty_slopes(x: Tensor, grad: Tensor, key: str) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _keep_values(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, ctx.key, _ = inputs
    ctx.save_for_backward(x)


def _traced_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
    return torch.ops.inrbench.expansion_slopes(*ctx.saved_tensors, grad, ctx.key), None, None


_library.impl("expansion_values", _values, "CPU")  # type: ignore[no-untyped-call]
_library.impl("expansion_slopes", _slopes, "CPU")  # type: ignore[no-untyped-call]
torch.library.register_fake("inrbench::expansion_values", _empty_values, lib=_library)
torch.library.register_fake("inrbench::expansion_slopes", _empty_slopes, lib=_library)
# For compiled graphs, which are not differentiated twice. torch.func does not take such operators: see _Values.
torch.library.register_autograd(
    "inrbench::expansion_values", _traced_backward, setup_context=_keep_values, lib=_library
)


def _pull(x: Tensor, grad: Tensor, key: str) -> Tensor:
    pulled: Tensor = torch.func.vjp(_registered[key].expand_rows, x)[1](grad)[0]
    return pulled


class _Values(torch.autograd.Function):
    forward = staticmethod(_values)
    setup_context = staticmethod(_keep_values)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        by_x = _pull(x, grad, ctx.key) if _in_forward_mode() else _Slopes.apply(x, grad, ctx.key)  # type: ignore[no-untyped-call]
        return by_x, None, None

    @staticmethod
    def vmap(info: Any, dims: tuple[Any, ...], x: Tensor, key: str, size: int) -> tuple[Tensor, int]:
        """A batch is more points, so that what members have in common stays one matrix product."""
        x = _batched(x, dims[0], info.batch_size)
        values = _Values.apply(x.movedim(0, -2).flatten(-2), key, size)  # type: ignore[no-untyped-call]
        return values.unflatten(-1, (info.batch_size, -1)), values.ndim - 1


class _Slopes(torch.autograd.Function):
    forward = staticmethod(_slopes)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, grad, ctx.key = inputs
        ctx.save_for_backward(x, grad)

    @staticmethod
    def backward(ctx: Any, grad_sum: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        """Second derivatives, by torch: `expand` is their definition, and they are rarely wanted."""
        # Not by torch.func: it refuses hooks on saved tensors, by which the fit engine measures memory.
        again = torch.is_grad_enabled()
        with torch.enable_grad():
            # As two variables of their own: grad may depend on x, through the layers that follow.
            x, grad = (
                tensor.view_as(tensor) if again and tensor.requires_grad else tensor.detach().requires_grad_()
                for tensor in ctx.saved_tensors
            )
            values = _registered[ctx.key].expand_rows(x)
            (pulled,) = torch.autograd.grad(values, x, grad, create_graph=True)
            by_x, by_grad = torch.autograd.grad(pulled, (x, grad), grad_sum, create_graph=again, allow_unused=True)
        return by_x, by_grad, None

    @staticmethod
    def vmap(info: Any, dims: tuple[Any, ...], x: Tensor, grad: Tensor, key: str) -> tuple[Tensor, int]:
        x, grad = (_batched(tensor, dim, info.batch_size) for tensor, dim in zip((x, grad), dims[:2], strict=True))
        slopes = _Slopes.apply(x.movedim(0, -2).flatten(-2), grad.movedim(0, -2).flatten(-2), key)  # type: ignore[no-untyped-call]
        return slopes.unflatten(-1, (info.batch_size, -1)), slopes.ndim - 1


def _batched(tensor: Tensor, dim: int | None, count: int) -> Tensor:
    return tensor.expand(count, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
