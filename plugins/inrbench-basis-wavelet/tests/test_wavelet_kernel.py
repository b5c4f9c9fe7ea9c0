"""The kernels in float32 against plain torch in float64."""

from functools import partial

import pytest
import torch
from inrbench_basis_wavelet import edges, mothers
from inrbench_basis_wavelet.plugin import WAVELETS

from inrbench_core.testing.transforms import assert_near, value_and_gradients

pytestmark = pytest.mark.skipif(edges.LIBRARY is None, reason="no C++ compiler")
# N, I, O: none, one, less and more than a block of 128 points.
SIZES = [(0, 2, 3), (1, 1, 1), (7, 3, 1), (1000, 2, 5), (300, 1, 4)]


def inputs_of(points, in_features, out_features):
    torch.manual_seed(0)
    shape = (out_features, in_features)
    x = 4 * torch.rand(points, in_features) - 2
    return x, 0.5 + 2 * torch.rand(shape), torch.randn(shape), torch.randn(shape)


def formula(name, x, dilation, offset, weight):
    psi, _ = getattr(mothers, name)(dilation * x.unsqueeze(1) - offset)
    return (weight * psi).sum(2)


def by_kernel(name, *inputs):
    assert edges.WaveletRule(getattr(mothers, name)).serves(inputs)
    return edges.edge_sum(getattr(mothers, name), *inputs)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("name", WAVELETS)
def test_values_and_gradients_of_float32(name, sizes):
    inputs = inputs_of(*sizes)
    grad = torch.randn(sizes[0], sizes[2])
    wide = value_and_gradients(partial(formula, name), [tensor.double() for tensor in inputs], grad.double())
    assert_near(value_and_gradients(partial(by_kernel, name), inputs, grad), wide)


@pytest.mark.parametrize("name", WAVELETS)
def test_the_function_itself(name):
    u = torch.cat([torch.linspace(-12, 12, 4001), torch.tensor([0.0, 1e-8, -1e-8, 1e-3, 0.999999, -1.0000001])])
    one = torch.ones(1, 1)
    x = u.unsqueeze(1).requires_grad_()
    y = by_kernel(name, x, one, torch.zeros(1, 1), one)
    (slope,) = torch.autograd.grad(y.sum(), x)
    value, make_slope = getattr(mothers, name)(u.double())
    torch.testing.assert_close(y[:, 0].double(), value, rtol=0, atol=3e-6)
    torch.testing.assert_close(slope[:, 0].double(), make_slope(), rtol=0, atol=3e-5)


@pytest.mark.parametrize("name", WAVELETS)
def test_finite_far_out(name):
    x = torch.tensor([[0.0], [1.0], [-1.0], [1e3], [-1e6], [1e9], [-1e9]], requires_grad=True)
    parameters = [torch.ones(1, 1, requires_grad=True), torch.zeros(1, 1, requires_grad=True), torch.ones(1, 1)]
    y = by_kernel(name, x, *parameters)
    found = torch.autograd.grad(y.sum(), [x, *parameters[:2]])
    assert all(tensor.isfinite().all() for tensor in (y, *found))


def test_a_point_that_is_not_a_number_spoils_its_own_row_only():
    x, *parameters = inputs_of(200, 2, 3)
    x[131, 0] = torch.nan
    y = by_kernel("dog", x, *parameters)
    assert y[131].isnan().all()
    assert y[:131].isfinite().all()
    assert y[132:].isfinite().all()


@pytest.mark.parametrize("name", ["dog", "meyer"])
def test_threads_and_strides_change_nothing_but_rounding(name):
    x, *parameters = inputs_of(700, 3, 4)
    grad = torch.randn(4, 700).t()
    wanted = value_and_gradients(partial(by_kernel, name), (x, *parameters), grad.contiguous())
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            again = [
                value_and_gradients(partial(by_kernel, name), (x.t().contiguous().t(), *parameters), grad),
                value_and_gradients(partial(by_kernel, name), (x, *parameters), grad.contiguous()),
            ]
            assert all(torch.equal(a, b) for a, b in zip(*again, strict=True))
            assert_near(again[0], wanted, 1e-6)
    finally:
        torch.set_num_threads(threads)


def test_without_a_kernel_the_same(monkeypatch):
    inputs, grad = inputs_of(300, 3, 4), torch.randn(300, 4)
    wanted = value_and_gradients(partial(by_kernel, "shannon"), inputs, grad)
    monkeypatch.setattr(edges, "LIBRARY", None)
    found = value_and_gradients(partial(edges.edge_sum, mothers.shannon), inputs, grad)
    assert_near(found, wanted)


def test_layers_of_a_stack_are_served_in_one_call(monkeypatch):
    stacks = [torch.stack(tensors) for tensors in zip(*(inputs_of(150, 3, 4) for _ in range(3)), strict=True)]
    stacks[3] = torch.randn_like(stacks[3])
    stacks = [stack.requires_grad_() for stack in stacks]
    calls = []
    call = edges.call
    monkeypatch.setattr(edges, "call", lambda *arguments: (calls.append(arguments[1]), call(*arguments)))
    y = torch.func.vmap(lambda *member: edges.edge_sum(mothers.dog, *member))(*stacks)
    grad = torch.randn_like(y)
    found = torch.autograd.grad(y, stacks, grad)
    assert calls == ["dog_float_forward", "dog_float_backward"]
    for number in range(3):
        alone = value_and_gradients(partial(by_kernel, "dog"), [stack[number] for stack in stacks], grad[number])
        assert_near((y[number], *(part[number] for part in found)), alone, 1e-6)


def test_bf16_autocast_computes_in_float32():
    x, *parameters = inputs_of(50, 2, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = edges.edge_sum(mothers.dog, x.bfloat16(), *parameters)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, edges.edge_sum(mothers.dog, x.bfloat16().float(), *parameters), rtol=0, atol=0)


def test_exported_with_any_number_of_points():
    class Layer(torch.nn.Module):
        def forward(self, x, dilation, offset, weight):
            return edges.edge_sum(mothers.dog, x, dilation, offset, weight)

    inputs = inputs_of(9, 2, 3)
    points = torch.export.Dim("points", min=2)
    program = torch.export.export(Layer(), inputs, dynamic_shapes=({0: points}, None, None, None))
    assert "inrbench_basis_wavelet.edge_sum" in program.graph_module.print_readable(print_output=False)
    more = (torch.rand(40, 2), *inputs[1:])
    torch.testing.assert_close(program.module()(*more), Layer()(*more))
