"""torch.func on fcn layers, against loops of plain autograd and finite differences; in float64."""

import pytest
import torch
from inrbench_basis_fcn import edges
from inrbench_basis_fcn import layer as fcn
from inrbench_basis_fcn.plugin import FcnSpec
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

OPTIONS = [{}, {"hidden": 3, "sinusoids": 2}, {"hidden": 2, "sinusoids": 0}]
IN, OUT = 3, 2
# More than two blocks of 8 points.
POINTS = 19


@pytest.fixture(autouse=True)
def _blocks_of_eight_points(monkeypatch):
    monkeypatch.setattr(edge_function, "CPU_BLOCK", 1)
    torch.manual_seed(0)


def layer(options):
    module = fcn.FcnBasis(FcnSpec(**options)).layer(IN, OUT, position="first").double()
    torch.nn.init.normal_(module.inner_bias)
    torch.nn.init.normal_(module.bias)
    return module


def coordinates(*shape):
    return 2 * torch.rand(*shape, IN, dtype=torch.float64) - 1


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("points", [1, 9])  # of each sample: within one block, and beyond
@pytest.mark.parametrize("chunk_size", [None, 4])
def test_gradients_of_each_sample_by_vmap(options, points, chunk_size):
    module, x, weights = layer(options), coordinates(6, points), torch.randn(6, points, OUT, dtype=torch.float64)

    def weighted(values, sample, weight):
        return (functional_call(module, values, (sample,)) * weight).sum()

    found = vmap(grad(weighted), in_dims=(None, 0, 0), chunk_size=chunk_size)(values_of(module), x, weights)
    each = [torch.autograd.grad((module(p) * w).sum(), module.parameters()) for p, w in zip(x, weights, strict=True)]
    assert_same(found, dict(zip(found, map(torch.stack, zip(*each, strict=True)), strict=True)))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("points", [1, 9])
@pytest.mark.parametrize("mode", MODES)
def test_jacobians_of_each_sample_by_vmap(options, points, mode):
    module, x = layer(options), coordinates(3, points)

    def outputs(values, sample):
        return functional_call(module, values, (sample,))

    found = vmap(mode(outputs), in_dims=(None, 0))(values_of(module), x)
    each = [jacobian(module, sample) for sample in x]
    assert_same(found, {name: torch.stack([one[name] for one in each]) for name in found})


@pytest.mark.parametrize("mode", MODES)
def test_jacobian_of_a_batch_beyond_one_block(mode):
    check_jacobian_of_a_batch(layer(OPTIONS[1]), coordinates(POINTS), mode)


@pytest.mark.parametrize("own", ["points", "parameters", "both"])
def test_vmap_over_batches_beyond_one_block(own):
    check_vmap_over_batches([layer(OPTIONS[1]), layer(OPTIONS[1])], coordinates(2, POINTS), own)


@pytest.mark.parametrize("options", OPTIONS)
def test_forward_mode(options):
    check_forward_mode(layer(options), coordinates(POINTS))


@pytest.mark.parametrize("options", OPTIONS)
def test_kernel_times_vector_by_jvp_of_vjp(options):
    check_kernel_times_vector(layer(options), coordinates(POINTS), torch.randn(POINTS, OUT, dtype=torch.float64))


@pytest.mark.parametrize("options", OPTIONS)
def test_second_derivatives_in_all_modes(options):
    check_second_derivatives(layer(options), coordinates(9))


def test_compiled_whole_and_equal_to_eager(monkeypatch):
    monkeypatch.undo()
    check_compiled(layer(OPTIONS[1]), coordinates(POINTS))


def test_the_backward_pass_keeps_the_inputs_only():
    module, x = layer(OPTIONS[1]), coordinates(POINTS)
    parameters = (module.inner_weight, module.inner_bias, module.outer_weight)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        edges.edge_sum(x, *parameters)
    assert sum(kept) == x.numel() + sum(parameter.numel() for parameter in parameters)
