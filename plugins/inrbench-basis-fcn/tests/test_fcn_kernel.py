"""The kernels in float32 against the formula by plain torch in float64."""

import pytest
import torch
from inrbench_basis_fcn import edges

from inrbench_core.testing.transforms import assert_near, value_and_gradients

pytestmark = pytest.mark.skipif(edges.LIBRARY is None, reason="no C++ compiler")
# N, I, O: none, one, less and more than a block of 128 points.
SIZES = [(0, 2, 3), (1, 1, 1), (7, 3, 1), (1000, 2, 5)]
# H and octaves: more features than the compiled cases know are a case of their own.
NETWORKS = [(1, 1), (3, 0), (2, 3), (1, 6)]


def inputs_of(sizes, network):
    points, in_features, out_features = sizes
    hidden, octaves = network
    torch.manual_seed(0)
    shape = (in_features, out_features, hidden)
    inner = torch.randn(*shape, 1 + 2 * octaves)
    return 4 * torch.rand(points, in_features) - 2, inner, torch.randn(shape), torch.randn(shape)


def formula(x, inner_weight, inner_bias, outer_weight):
    octaves = [2.0**j * x for j in range(inner_weight.shape[-1] // 2)]
    seen = torch.stack([x, *map(torch.sin, octaves), *map(torch.cos, octaves)], dim=2)
    inner = torch.einsum("nif,iohf->nioh", seen, inner_weight) + inner_bias
    return torch.einsum("nioh,ioh->no", inner * inner.sigmoid(), outer_weight)


def by_kernel(*inputs):
    assert edges.FcnRule().serves(inputs)
    return edges.edge_sum(*inputs)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("network", NETWORKS)
def test_values_and_gradients_of_float32(sizes, network):
    inputs, grad = inputs_of(sizes, network), torch.randn(sizes[0], sizes[2])
    wide = value_and_gradients(formula, [tensor.double() for tensor in inputs], grad.double())
    assert_near(value_and_gradients(by_kernel, inputs, grad), wide)


def test_without_a_kernel_the_same(monkeypatch):
    inputs, grad = inputs_of((300, 3, 4), (2, 2)), torch.randn(300, 4)
    wanted = value_and_gradients(by_kernel, inputs, grad)
    monkeypatch.setattr(edges, "LIBRARY", None)
    assert_near(value_and_gradients(edges.edge_sum, inputs, grad), wanted)


def test_threads_change_nothing_but_rounding():
    inputs, grad = inputs_of((700, 3, 4), (2, 1)), torch.randn(700, 4)
    wanted = value_and_gradients(by_kernel, inputs, grad)
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            found, again = value_and_gradients(by_kernel, inputs, grad), value_and_gradients(by_kernel, inputs, grad)
            assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))
            assert_near(found, wanted, 1e-6)
    finally:
        torch.set_num_threads(threads)


def test_layers_of_a_stack_are_served_in_one_call(monkeypatch):
    stacks = [torch.stack(tensors) for tensors in zip(*(inputs_of((150, 3, 4), (2, 1)) for _ in range(3)), strict=True)]
    stacks[3] = torch.randn_like(stacks[3])
    stacks = [stack.requires_grad_() for stack in stacks]
    calls = []
    call = edges.call
    monkeypatch.setattr(edges, "call", lambda *arguments: (calls.append(arguments[1]), call(*arguments)))
    y = torch.func.vmap(edges.edge_sum)(*stacks)
    grad = torch.randn_like(y)
    found = torch.autograd.grad(y, stacks, grad)
    assert calls == ["edge_sum_float_forward", "edge_sum_float_backward"]
    for number in range(3):
        alone = value_and_gradients(by_kernel, [stack[number] for stack in stacks], grad[number])
        assert_near((y[number], *(part[number] for part in found)), alone, 1e-6)


def test_large_inputs_stay_finite():
    x = torch.tensor([[0.0], [1e4], [-1e6], [1e9]], requires_grad=True)
    _, *parameters = inputs_of((4, 1, 2), (2, 2))
    y = by_kernel(x, *parameters)
    (found,) = torch.autograd.grad(y.sum(), x)
    assert y.isfinite().all()
    assert found.isfinite().all()
