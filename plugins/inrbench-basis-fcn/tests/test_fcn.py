import math

import pytest
import torch
from inrbench_basis_fcn import edges
from inrbench_basis_fcn import layer as fcn
from inrbench_basis_fcn.plugin import FcnSpec

from inrbench_core.api.native import edge_function


def layer(in_features, out_features, **options):
    return fcn.FcnBasis(FcnSpec(**options)).layer(in_features, out_features, position="hidden")


def silu(v):
    return v / (1 + math.exp(-v))


def test_layer_is_the_sum_of_its_edges_written_out():
    torch.manual_seed(0)
    module = layer(2, 3, hidden=2, sinusoids=2).double()
    torch.nn.init.normal_(module.inner_bias)
    torch.nn.init.normal_(module.bias)
    x = [0.3, -0.8]
    y = module(torch.tensor([x], dtype=torch.float64))
    for o in range(3):
        total = module.bias[o].item()
        for i, v in enumerate(x):
            seen = [v, math.sin(v), math.sin(2 * v), math.cos(v), math.cos(2 * v)]
            for h in range(2):
                inner = sum(w * s for w, s in zip(module.inner_weight[i, o, h].tolist(), seen, strict=True))
                total += module.outer_weight[i, o, h].item() * silu(inner + module.inner_bias[i, o, h].item())
        assert y[0, o].item() == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize("options", [{}, {"hidden": 4, "sinusoids": 3}, {"hidden": 2, "sinusoids": 0}])
@pytest.mark.parametrize("in_features", [2, 64])
def test_a_layer_starts_with_about_unit_variance(options, in_features):
    torch.manual_seed(0)
    y = layer(in_features, 128, **options)(torch.randn(500, in_features))
    assert 0.7 < y.square().mean().sqrt().item() < 1.4


def test_published_start():
    torch.manual_seed(0)
    module = layer(64, 64, scale="published")
    assert module.inner_weight.std().item() == pytest.approx(0.072, abs=1e-3)
    assert module.outer_weight.std().item() == pytest.approx(math.sqrt(2 / 128), rel=0.03)


@pytest.mark.parametrize(("hidden", "sinusoids", "per_edge"), [(1, 1, 6), (32, 3, 289)])
def test_parameters_per_edge(hidden, sinusoids, per_edge):
    # One less an edge than the published layer, whose output biases only act by their sum.
    module = layer(4, 5, hidden=hidden, sinusoids=sinusoids, bias=False)
    assert sum(p.numel() for p in module.parameters()) == 20 * (per_edge - 1)


@pytest.mark.parametrize("options", [{}, {"hidden": 2, "sinusoids": 2}])
@pytest.mark.parametrize("library", [edges.LIBRARY, None], ids=["kernel", "torch"])
def test_gradients_over_several_blocks(options, library, monkeypatch):
    monkeypatch.setattr(edges, "LIBRARY", library)
    monkeypatch.setattr(edge_function, "CPU_BLOCK", 1)  # blocks of 8 points
    torch.manual_seed(0)
    module = layer(2, 2, **options).double()
    x = torch.randn(9, 2, dtype=torch.float64, requires_grad=True)
    inputs = (x, *module.parameters())
    assert torch.autograd.gradcheck(lambda x, *_: module(x), inputs)
    assert torch.autograd.gradgradcheck(lambda x, *_: module(x), inputs)


def test_blocks_change_nothing(monkeypatch):
    torch.manual_seed(0)
    module = layer(3, 4, hidden=2)
    x = torch.randn(50, 3)
    monkeypatch.setattr(edges, "LIBRARY", None)
    whole = module(x)
    monkeypatch.setattr(edge_function, "CPU_BLOCK", 1)
    torch.testing.assert_close(module(x), whole)
    with torch.no_grad():
        torch.testing.assert_close(module(x), whole)


def test_finite_far_out_and_no_dead_parameters():
    torch.manual_seed(0)
    module = layer(1, 4, hidden=3, sinusoids=3)
    x = torch.tensor([[0.0], [1e-8], [1.0], [-1.0], [10.0], [-100.0], [1e4], [-1e4]], requires_grad=True)
    y = module(x)
    y.sum().backward()
    assert y.isfinite().all()
    assert x.grad.isfinite().all()
    module.zero_grad()
    module(torch.rand(256, 1) * 2 - 1).sum().backward()
    assert all((p.grad.abs() > 0).all() for p in module.parameters())


@pytest.mark.parametrize("options", [{"hidden": 0}, {"sinusoids": -1}, {"nodes": 3}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError):
        FcnSpec(**options)
