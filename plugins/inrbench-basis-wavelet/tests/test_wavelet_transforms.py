"""torch.func on wavelet layers, against loops of plain autograd and finite differences; in float64."""

import pytest
import torch
from inrbench_basis_wavelet import edges
from inrbench_basis_wavelet.plugin import WAVELETS, inrbench_bases
from torch.func import functional_call, grad, vmap

from inrbench_core.api.native import edge_function
from inrbench_core.testing.transforms import (
    MODES,
    assert_same,
    check_compiled,
    check_forward_mode,
    check_jacobian_of_a_batch,
    check_kernel_times_vector,
    check_second_derivatives,
    check_vmap_over_batches,
    jacobian,
    values_of,
)

ENTRIES = {entry.name: entry for entry in inrbench_bases()}
IN, OUT = 3, 2
# More than two blocks of 8 points.
POINTS = 19


@pytest.fixture(autouse=True)
def _blocks_of_eight_points(monkeypatch):
    monkeypatch.setattr(edge_function, "CPU_BLOCK", 1)
    torch.manual_seed(0)


def layer(name):
    basis = ENTRIES[name].load()(ENTRIES[name].spec(spread=True))
    module = basis.layer(IN, OUT, position="first").double()
    torch.nn.init.normal_(module.bias)
    return module


def coordinates(*shape):
    return 2 * torch.rand(*shape, IN, dtype=torch.float64) - 1


@pytest.mark.parametrize("name", WAVELETS)
@pytest.mark.parametrize("chunk_size", [None, 4])
def test_gradients_of_each_point_by_vmap(name, chunk_size):
    module, x, weights = layer(name), coordinates(POINTS), torch.randn(POINTS, OUT, dtype=torch.float64)

    def weighted(values, point, weight):
        return functional_call(module, values, (point.unsqueeze(0),))[0] @ weight

    found = vmap(grad(weighted), in_dims=(None, 0, 0), chunk_size=chunk_size)(values_of(module), x, weights)
    each = [torch.autograd.grad(module(p[None])[0] @ w, module.parameters()) for p, w in zip(x, weights, strict=True)]
    assert_same(found, dict(zip(found, map(torch.stack, zip(*each, strict=True)), strict=True)))


@pytest.mark.parametrize("name", WAVELETS)
def test_jacobians_of_each_point_by_vmap(name):
    module, x = layer(name), coordinates(POINTS)

    def outputs(values, point):
        return functional_call(module, values, (point.unsqueeze(0),)).squeeze(0)

    wanted = jacobian(module, x)
    for mode in MODES:
        assert_same(vmap(mode(outputs), in_dims=(None, 0))(values_of(module), x), wanted)


@pytest.mark.parametrize("mode", MODES)
def test_jacobian_of_a_batch_beyond_one_block(mode):
    check_jacobian_of_a_batch(layer("dog"), coordinates(POINTS), mode)


@pytest.mark.parametrize("own", ["points", "parameters", "both"])
def test_vmap_over_batches_beyond_one_block(own):
    check_vmap_over_batches([layer("morlet"), layer("morlet")], coordinates(2, POINTS), own)


@pytest.mark.parametrize("name", WAVELETS)
def test_forward_mode(name):
    check_forward_mode(layer(name), coordinates(POINTS))


@pytest.mark.parametrize("name", WAVELETS)
def test_kernel_times_vector_by_jvp_of_vjp(name):
    check_kernel_times_vector(layer(name), coordinates(POINTS), torch.randn(POINTS, OUT, dtype=torch.float64))


@pytest.mark.parametrize("name", WAVELETS)
def test_second_derivatives_in_all_modes(name):
    check_second_derivatives(layer(name), coordinates(9))


def test_compiled_whole_and_equal_to_eager(monkeypatch):
    monkeypatch.undo()
    check_compiled(layer("dog"), coordinates(POINTS))


def test_the_backward_pass_keeps_the_inputs_only():
    module, x = layer("dog"), coordinates(POINTS)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        edges.edge_sum(module.mother, x, *(torch.ones(OUT, IN, requires_grad=True).double() for _ in range(3)))
    assert sum(kept) == x.numel() + 3 * OUT * IN
