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

from inrbench_core.api.native import native_library

C_TYPES = {torch.float32: "float", torch.float64: "double"}
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
    parameters: ctypes.Array[ctypes.c_double]
    size: int
    expand: Callable[[Tensor], Tensor]

    def call(self, what: str, x: Tensor, *arrays: Tensor) -> None:
        """Call NAME_WHAT_TYPE on x, (*, N), and further arrays, all contiguous."""
        if x.numel() == 0:
            return
        function = getattr(self.library, f"{self.name}_{what}_{C_TYPES[x.dtype]}")
        pointers = [ctypes.c_void_p(array.data_ptr()) for array in (x, *arrays)]
        sizes = [ctypes.c_int64(size) for size in (x.numel() // x.shape[-1], x.shape[-1], self.size)]
        function(*pointers, *sizes, self.parameters, ctypes.c_int(torch.get_num_threads()))

    def expand_rows(self, x: Tensor) -> Tensor:
        """By torch, differentiable as often as the functions are: (*, N) -> (*, K, N)."""
        rows = x.reshape(-1, x.shape[-1])
        return self.expand(rows.T).permute(1, 2, 0).reshape(*x.shape[:-1], self.size, x.shape[-1])


_registered: dict[str, _Registered] = {}


def register_functions(functions: NativeFunctions, size: int, expand: Callable[[Tensor], Tensor]) -> str | None:
    """Compile them if need be, so that `native_values` knows them in this process.

    Args:
        functions: the C++.
        size: K.
        expand: the same by torch, (N, I) -> (N, I, K), for what C++ does not serve.

    Returns:
        their key, which is the same in every process; None where nothing can be compiled.
    """
    library = native_library(functions.source)
    if library is None:
        return None
    key = f"{functions.source.name}:{functions.name}:{size}:{','.join(map(repr, functions.parameters))}"
    if key not in _registered:
        parameters = (ctypes.c_double * len(functions.parameters))(*functions.parameters)
        _registered[key] = _Registered(library, functions.name, parameters, size, expand)
    return key


def serves(x: Tensor) -> bool:
    """Whether `native_values` may be called: not on other devices and types, in forward mode, and for export.

    An exported program is to run where inrbench is not installed.
    """
    served = x.device.type == "cpu" and x.dtype in C_TYPES and not is_exporting()
    return served and forward_ad._current_level < 0


def native_values(x: Tensor, key: str, size: int) -> Tensor:
    """The functions of `key` at x, (*, N): (*, K, N), contiguous. Works with autograd, torch.func and torch.compile."""
    values: Tensor = torch.ops.inrbench.expansion_values(x, key, size)
    return values


# Not torch.library.custom_op: the first call of one imports torch's compiler, which takes more than a second.
_library = torch.library.Library("inrbench", "FRAGMENT")
_library.define("expansion_values(Tensor x, str key, int size) -> Tensor")
_library.define("expansion_slopes(Tensor x, Tensor grad, str key) -> Tensor")


def _values(x: Tensor, key: str, size: int) -> Tensor:
    x = x.contiguous()
    phi = _empty_values(x, key, size)
    _registered[key].call("values", x, phi)
    return phi


def _slopes(x: Tensor, grad: Tensor, key: str) -> Tensor:
    """Sum over k of grad phi_k'(x): (*, N) and (*, K, N) -> (*, N)."""
    x = x.contiguous()
    result = torch.empty_like(x)
    _registered[key].call("slopes", x, grad.contiguous(), result)
    return result


def _empty_values(x: Tensor, key: str, size: int) -> Tensor:
    return x.new_empty((*x.shape[:-1], size, x.shape[-1]))


def _empty_slopes(x: Tensor, grad: Tensor, key: str) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _keep_values(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, ctx.key, _ = inputs
    ctx.save_for_backward(x)


def _values_backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
    return torch.ops.inrbench.expansion_slopes(*ctx.saved_tensors, grad, ctx.key), None, None


def _keep_slopes(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, grad, ctx.key = inputs
    ctx.save_for_backward(x, grad)


def _slopes_backward(ctx: Any, grad_sum: Tensor) -> tuple[Tensor, Tensor, None]:
    """Second derivatives, by torch: `expand` is their definition, and they are rarely wanted."""
    expand_rows = _registered[ctx.key].expand_rows

    def slopes(x: Tensor, grad: Tensor) -> Tensor:
        pulled: Tensor = torch.func.vjp(expand_rows, x)[1](grad)[0]
        return pulled

    by_x, by_grad = torch.func.vjp(slopes, *ctx.saved_tensors)[1](grad_sum)
    return by_x, by_grad, None


def _batched(tensor: Tensor, dim: int | None, count: int) -> Tensor:
    return tensor.expand(count, *tensor.shape) if dim is None else tensor.movedim(dim, 0)


def _values_vmap(info: Any, dims: tuple[Any, ...], x: Tensor, key: str, size: int) -> tuple[Tensor, int]:
    return native_values(_batched(x, dims[0], info.batch_size), key, size), 0


def _slopes_vmap(info: Any, dims: tuple[Any, ...], x: Tensor, grad: Tensor, key: str) -> tuple[Tensor, int]:
    batched = [_batched(tensor, dim, info.batch_size) for tensor, dim in zip((x, grad), dims, strict=False)]
    return torch.ops.inrbench.expansion_slopes(*batched, key), 0


_library.impl("expansion_values", _values, "CPU")
_library.impl("expansion_slopes", _slopes, "CPU")
for _name, _fake, _backward, _setup, _vmap in (
    ("expansion_values", _empty_values, _values_backward, _keep_values, _values_vmap),
    ("expansion_slopes", _empty_slopes, _slopes_backward, _keep_slopes, _slopes_vmap),
):
    torch.library.register_fake(f"inrbench::{_name}", _fake, lib=_library)
    torch.library.register_autograd(f"inrbench::{_name}", _backward, setup_context=_setup, lib=_library)
    torch.library.register_vmap(f"inrbench::{_name}", _vmap, lib=_library)
