"""Checks that a module works under torch.func, for components with derivatives of their own.

A component need not: what computes kernels or per-sample gradients falls back to plain autograd. One that gives its own
rules for forward mode and vmap may show here that they are right. All compare with plain autograd, point by point or in
two backward passes, or with finite differences; modules and points are float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacfwd, jacrev, jvp, vjp, vmap

Mode = Callable[..., Any]
MODES: tuple[Mode, Mode] = (jacrev, jacfwd)


def values_of(module: nn.Module) -> dict[str, Tensor]:
    """The parameters, detached, by name."""
    return {name: parameter.detach() for name, parameter in module.named_parameters()}


def jacobian(module: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """d y[n, o] / d parameter by one backward pass for each output: name to (N, O, *shape)."""
    y = module(x)
    rows = [torch.autograd.grad(value, list(module.parameters()), retain_graph=True) for value in y.flatten()]
    stacked = [torch.stack(found).reshape(*y.shape, *found[0].shape) for found in zip(*rows, strict=True)]
    return dict(zip(values_of(module), stacked, strict=True))


def assert_same(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Raise AssertionError unless both have the same names and close values."""
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        torch.testing.assert_close(found[name], value)


def value_and_gradients(function: Callable[..., Tensor], inputs: Sequence[Tensor], grad: Tensor) -> tuple[Tensor, ...]:
    """The function's value, and the gradients by all inputs from the gradient by the value."""
    inputs = [tensor.detach().requires_grad_() for tensor in inputs]
    y = function(*inputs)
    return y, *torch.autograd.grad(y, inputs, grad)


def assert_near(found: Sequence[Tensor], wanted: Sequence[Tensor], tolerance: float = 1e-5) -> None:
    """Raise AssertionError unless all differ by no more than this share of the wanted one's largest value."""
    for got, true in zip(found, wanted, strict=True):
        assert got.shape == true.shape
        scale = true.abs().max().item() if true.numel() else 1.0
        assert torch.allclose(got.double(), true.double(), rtol=0, atol=tolerance * max(scale, 1e-3))


def check_jacobian_of_a_batch(module: nn.Module, x: Tensor, mode: Mode) -> None:
    """jacrev or jacfwd by the parameters, of all points (N, I) together."""
    assert_same(mode(lambda values: functional_call(module, values, (x,)))(values_of(module)), jacobian(module, x))


def check_vmap_over_batches(
    modules: Sequence[nn.Module], sets: Tensor, own: Literal["points", "parameters", "both"]
) -> None:
    """vmap over two batches of points, over two sets of parameters, or both.

    Args:
        modules: two alike, with parameters of their own.
        sets: (2, N, I).
        own: what differs between the members.
    """
    members = [values_of(module) for module in modules]
    if own == "points":
        members, modules = members[:1] * 2, [modules[0]] * 2
    if own == "parameters":
        sets = sets[:1].expand(2, -1, -1)
    stacked = {name: torch.stack([member[name] for member in members], dim=-1) for name in members[0]}
    values, values_dim = (members[0], None) if own == "points" else (stacked, -1)
    x, x_dim = (sets[0], None) if own == "parameters" else (sets.movedim(0, 1), 1)

    def energy(values: dict[str, Tensor], x: Tensor) -> Tensor:
        outputs: Tensor = functional_call(modules[0], values, (x,))
        return outputs.square().sum()

    found, found_x = vmap(grad(energy, argnums=(0, 1)), in_dims=(values_dim, x_dim))(values, x)
    for index, (module, points) in enumerate(zip(modules, sets, strict=True)):
        points = points.clone().requires_grad_()
        wanted = torch.autograd.grad(module(points).square().sum(), [*module.parameters(), points])
        assert_same({n: v[index] for n, v in found.items()}, dict(zip(found, wanted, strict=False)))
        torch.testing.assert_close(found_x[index], wanted[-1])


def check_forward_mode(module: nn.Module, x: Tensor) -> None:
    """jvp by points and parameters, of all points and point by point in vmap."""
    values, x_tangent = values_of(module), torch.randn_like(x)
    tangents = {name: torch.randn_like(value) for name, value in values.items()}

    def outputs(values: Mapping[str, Tensor], x: Tensor) -> Tensor:
        result: Tensor = functional_call(module, dict(values), (x,))
        return result

    y, found = jvp(outputs, (values, x), (tangents, x_tangent))  # type: ignore[misc]
    torch.testing.assert_close(y, module(x))

    def moved(step: float) -> Tensor:
        return outputs({name: value + step * tangents[name] for name, value in values.items()}, x + step * x_tangent)

    torch.testing.assert_close(found, (moved(1e-6) - moved(-1e-6)) / 2e-6, rtol=1e-6, atol=1e-6)
    # The derivative of the vector-Jacobian product by its vector, which it is linear in.
    inputs = [*module.parameters(), x.clone().requires_grad_()]
    y = module(inputs[-1])
    vector = torch.zeros_like(y, requires_grad=True)
    pulled = torch.autograd.grad(y, inputs, vector, create_graph=True)
    products = [(p * t).sum() for p, t in zip(pulled, [*tangents.values(), x_tangent], strict=True)]
    torch.testing.assert_close(found, torch.autograd.grad(torch.stack(products).sum(), vector)[0])
    each = vmap(lambda x, t: jvp(lambda v, x: outputs(v, x[None])[0], (values, x), (tangents, t))[1])(x, x_tangent)
    torch.testing.assert_close(each, found)


def check_kernel_times_vector(module: nn.Module, x: Tensor, vector: Tensor) -> None:
    """jvp of vjp, J J^T times a vector, (N, O)."""

    def outputs(values: dict[str, Tensor]) -> Tensor:
        result: Tensor = functional_call(module, values, (x,))
        return result

    values = values_of(module)
    _, pull = vjp(outputs, values)  # type: ignore[misc]
    _, found = jvp(outputs, (values,), pull(vector))  # type: ignore[misc]
    rows = torch.cat([part.flatten(2).flatten(0, 1) for part in jacobian(module, x).values()], dim=1)
    torch.testing.assert_close(found.flatten(), rows @ (rows.T @ vector.flatten()))


def check_second_derivatives(module: nn.Module, x: Tensor) -> None:
    """All four compositions of jacrev and jacfwd by the points, of the sum of squares."""

    def energy(x: Tensor) -> Tensor:
        outputs: Tensor = module(x)
        return outputs.square().sum()

    leaf = x.clone().requires_grad_()
    (first,) = torch.autograd.grad(energy(leaf), leaf, create_graph=True)
    rows = [torch.autograd.grad(value, leaf, retain_graph=True)[0] for value in first.flatten()]
    wanted = torch.stack(rows).reshape(*x.shape, *x.shape)
    for outer in MODES:
        for inner in MODES:
            torch.testing.assert_close(outer(inner(energy))(x), wanted)


def check_compiled(module: nn.Module, x: Tensor) -> None:
    """torch.compile takes all of it, and gives the gradients that it gives without."""
    inputs = [x.clone().requires_grad_(), *module.parameters()]
    wanted = torch.autograd.grad(module(inputs[0]).square().sum(), inputs)
    torch.compiler.reset()
    compiled = torch.compile(module, fullgraph=True, dynamic=False, backend="aot_eager")
    for found, value in zip(torch.autograd.grad(compiled(inputs[0]).square().sum(), inputs), wanted, strict=True):
        torch.testing.assert_close(found, value)
