"""Kernels of expansion bases against the bases' own torch code in float64."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline
from scipy.special import eval_chebyt

from inrbench_core.api.native.expansion import native_values
from inrbench_core.plugins.loading import load_catalog

BASES = [
    {"name": "chebyshev"},
    {"name": "lucas", "degree": 1},
    {"name": "chebyshev", "degree": 12},
    {"name": "hermite_functions"},
    {"name": "laguerre"},
    {"name": "bessel"},
    {"name": "bspline"},
    {"name": "bspline", "order": 0},
    {"name": "bspline", "order": 2},
    {"name": "bsrbf"},
    {"name": "fcn_interpolation"},
    {"name": "rbf"},
    {"name": "rbf", "profile": "inverse_quadratic"},
    {"name": "rbf", "profile": "inverse_multiquadric"},
    {"name": "rbf", "profile": "wendland"},
    {"name": "grbf"},
    {"name": "fourier"},
    {"name": "fourier", "grid": 1},
    {"name": "fibonacci", "normalize": "none"},
    {"name": "rbf", "normalize": "rms"},
]
SOME = [BASES[0], BASES[5], BASES[6], BASES[11], BASES[16], BASES[18]]


def layer(options, in_features=2, position="hidden"):
    torch.manual_seed(0)
    made = load_catalog().resolve("basis", options).build().layer(in_features, 3, position=position)
    if made._key is None:
        pytest.skip("no C++ compiler, or kernels are off")
    return made


def by_torch(options, *args):
    """The same layer without its kernel, in float64."""
    wide = layer(options, *args).double()
    wide._key = None
    return wide


def results(module, x, grad):
    x = x.detach().requires_grad_()
    y = module(x)
    return y, *torch.autograd.grad(y, [x, *module.parameters()], grad)


def name_of(options):
    return "-".join(map(str, options.values()))


def assert_near(found, wanted):
    for got, true in zip(found, wanted, strict=True):
        assert got.shape == true.shape
        scale = max(1.0, true.abs().max().item()) if true.numel() else 1.0
        torch.testing.assert_close(got.double(), true, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize("sizes", [(0, 2), (1, 1), (7, 2), (1000, 2), (130, 64)])
@pytest.mark.parametrize("options", BASES, ids=name_of)
def test_values_and_gradients(options, sizes):
    x, grad = torch.randn(sizes), torch.randn(sizes[0], 3)
    wide = results(by_torch(options, sizes[1]), x.double(), grad.double())
    assert_near(results(layer(options, sizes[1]), x, grad), wide)


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_and_strides_leave_the_result_as_it_is(threads):
    before = torch.get_num_threads()
    x, grad = torch.randn(500, 2), torch.randn(500, 3)
    made = layer({"name": "bspline"})
    expected = results(made, x, grad)
    try:
        torch.set_num_threads(threads)
        assert_near(results(made, x.T.contiguous().T, grad), [tensor.double() for tensor in expected])
    finally:
        torch.set_num_threads(before)


def test_chebyshev_polynomials_of_scipy():
    made = layer({"name": "chebyshev", "degree": 24, "normalize": "none"}, 1, "first")
    x = torch.linspace(-1, 1, 201)
    values = native_values(x[None], made._key, 25)[0]
    expected = [eval_chebyt(n, x.double().numpy()) for n in range(25)]
    np.testing.assert_allclose(values.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("order", [0, 1, 2, 3, 5])
def test_splines_and_slopes_of_scipy_at_knots_too(order):
    made = layer({"name": "bspline", "order": order, "grid": 4, "normalize": "none"}, 1, "first")
    x = torch.linspace(-1, 1, 65, dtype=torch.float64)[:-1].requires_grad_()
    values = native_values(x[None], made._key, 4 + order)[0]
    knots = -1 + 0.5 * (np.arange(2 * order + 5) - order)
    for k, value in enumerate(values):
        spline = BSpline(knots, np.eye(4 + order)[k], order)
        at = x.detach().numpy()
        np.testing.assert_allclose(value.detach().numpy(), spline(at), atol=1e-12)
        (slope,) = torch.autograd.grad(value.sum(), x, retain_graph=True)
        expected = spline.derivative()(at) if order else np.zeros_like(at)
        np.testing.assert_allclose(slope.numpy(), expected, atol=1e-11)


@pytest.mark.parametrize("options", BASES[:2] + BASES[3:7] + BASES[9:], ids=name_of)
def test_a_nan_stays_where_it_is(options):
    x = torch.randn(300, 2)
    x[5, 1] = float("nan")
    y = layer(options)(x)
    assert y[5].isnan().all()
    assert y.isnan().sum() == 3


@pytest.mark.parametrize("options", SOME, ids=name_of)
def test_first_and_second_derivatives(options):
    made = layer(options).double()
    x = torch.rand(5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(made, x)
    assert torch.autograd.gradgradcheck(made, x)


@pytest.mark.parametrize("hooked", [False, True], ids=["plain", "within-hooks"])
@pytest.mark.parametrize("options", SOME, ids=name_of)
def test_a_loss_of_derivatives_through_several_layers(options, hooked):
    """The gradient that a layer gets depends on its input here, through the layers that follow."""
    grads = []
    for make in (lambda *args: layer(*args).double(), by_torch):
        model = torch.nn.Sequential(make(options), make(options, 3), make(options, 3))
        torch.manual_seed(1)
        x = torch.rand(7, 2, dtype=torch.float64, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t) if hooked else nullcontext():
            y = model(x)
            (slopes,) = torch.autograd.grad(y.sum(), x, create_graph=True)
            (curves,) = torch.autograd.grad(slopes.sum(), x, create_graph=True)
            loss = y.square().sum() + slopes.square().sum() + curves.square().sum()
            grads.append(torch.autograd.grad(loss, list(model.parameters())))
    for found, wanted in zip(*grads, strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("options", SOME, ids=name_of)
def test_transforms_of_torch_func(options):
    made, plain = layer(options).double(), by_torch(options)
    x = torch.rand(5, 2, dtype=torch.float64)
    for transform in (torch.func.jacrev, torch.func.jacfwd, torch.func.hessian):
        found, wanted = (torch.func.vmap(transform(lambda p, m=m: m(p[None])[0]))(x) for m in (made, plain))
        torch.testing.assert_close(found, wanted)

    def stacked(module):
        def loss(factor):
            parameters = {name: factor * value for name, value in module.named_parameters()}
            return torch.func.functional_call(module, parameters, (factor * x,)).square().sum()

        return torch.func.vmap(torch.func.grad(loss))(torch.tensor([1.0, 0.5], dtype=torch.float64))

    torch.testing.assert_close(stacked(made), stacked(plain))


def test_a_kernel_leaves_nothing_to_compile():
    made = layer({"name": "bspline"})
    assert made.compile_saving("cpu") == 0.0
    made._key = None
    assert made.compile_saving("cpu") > made.compile_saving("cuda") > 0.0


@pytest.mark.slow
@pytest.mark.parametrize("options", SOME[:2], ids=name_of)
def test_compiled_and_exported(options):
    made = layer(options)
    x = torch.randn(33, 2, requires_grad=True)
    y = torch.compile(made, fullgraph=True)(x)
    found, wanted = (torch.autograd.grad(value.sum(), x)[0] for value in (y, made(x)))
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(torch.export.export(made, (x,)).module()(x), made(x))
