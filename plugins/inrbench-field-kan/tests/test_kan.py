import pytest
import torch
from inrbench_basis_polynomial import plugin as polynomial
from inrbench_basis_spline import plugin as spline
from inrbench_basis_wavelet import plugin as wavelet
from inrbench_field_kan.kan import Kan
from inrbench_field_kan.plugin import KanSpec, inrbench_fields
from torch import nn

from inrbench_core import BasisEntry, Component, ExpansionBasis, ExpansionSpec, FieldShape, TaskSpec
from inrbench_core.fit.chunks import is_chunkable

BASES = {
    entry.name: entry for entry in (*polynomial.inrbench_bases(), *spline.inrbench_bases(), *wavelet.inrbench_bases())
}
# One kind of layer each: an expansion, one with a silu branch, one with parameters on the edges.
KINDS = ["chebyshev", "bspline", "mexican_hat"]


class Waves(ExpansionBasis):
    """Cosines and sines of eight frequencies: as many functions as the paper's Fourier KAN."""

    size = 16

    def expand(self, x):
        angles = x.unsqueeze(1) * torch.arange(1, 9, dtype=x.dtype).unsqueeze(1)
        return torch.cat([angles.cos(), angles.sin()], dim=1).transpose(1, 2)


class WavesEntry(BasisEntry):
    def load(self):
        return Waves


def basis(name, **options):
    return Component(BASES[name], BASES[name].spec(**options), distribution="x", version="0")


def kan(component, shape=(2, 3), **options):
    torch.manual_seed(0)
    return Kan(KanSpec(basis=component, **options), FieldShape(*shape))


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("component", "count"),
    [
        (basis("chebyshev", degree=4, bias=False), 83_520),
        (Component(WavesEntry("waves", ExpansionSpec, "", api=1), ExpansionSpec(), "x", "0"), 267_587),
        # 16,704 edges with 11 splines and the silu branch; published ones have one scale more on each edge.
        (basis("bspline", grid=8, order=3, bias=False), 217_152 - 16_704),
        (basis("mexican_hat", bias=False), 50_112),
    ],
)
def test_the_papers_networks_have_their_parameters(component, count):
    assert parameters(kan(component, width=64, depth=4)) == count


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_layers_know_where_they_stand(depth, norm):
    layers = kan(basis("chebyshev"), depth=depth, norm=norm, width=8).layers
    positions = [layer.position for layer in layers if not isinstance(layer, nn.LayerNorm)]
    assert positions == ["first", *["hidden"] * depth, "last"]


def test_norm_follows_every_layer_but_the_last():
    kinds = [isinstance(layer, nn.LayerNorm) for layer in kan(basis("chebyshev"), depth=2, norm="layer").layers]
    assert kinds == [False, True, False, True, False, True, False]


@pytest.mark.parametrize("name", KINDS)
def test_layers_share_no_parameter(name):
    """One basis for several layers would be named only once among the parameters, but be found twice."""
    layers = kan(basis(name), depth=3, width=8).layers
    separate = [parameter for layer in layers for parameter in layer.parameters()]
    assert len({parameter.data_ptr() for parameter in separate}) == len(separate)
    modules = [module for layer in layers for module in layer.modules()]
    assert len({id(module) for module in modules}) == len(modules)


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", KINDS)
def test_values_are_free_at_every_point(name, outputs, norm, assert_free_at_every_point):
    """A norm behind the last layer would make one output a constant, and confine three to a curve."""
    field = kan(basis(name), shape=(2, outputs), width=8, depth=1, norm=norm).double()
    assert_free_at_every_point(field, outputs)


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("name", KINDS)
def test_the_first_layer_sees_more_than_the_order_of_coordinates(name, norm):
    field = kan(basis(name), width=16, norm=norm)
    first, second = field(torch.tensor([[0.2, 0.1], [0.9, 0.5]]))
    assert (first - second).abs().max().item() > 1e-3


@pytest.mark.parametrize("name", KINDS)
def test_points_do_not_influence_each_other(name):
    field = kan(basis(name), norm="layer", width=8).double()
    coords = torch.rand(10, 2, dtype=torch.float64) * 2 - 1
    torch.testing.assert_close(field(coords)[3:5], field(coords[3:5]))


def test_batch_norm_follows_every_layer_and_forbids_chunks():
    """As in zavareh1/Wav-KAN, where each layer ends with one."""
    field = kan(basis("mexican_hat"), shape=(2, 1), depth=1, norm="batch", width=8)
    assert [type(layer) is nn.BatchNorm1d for layer in field.layers] == [False, True] * 3
    assert not is_chunkable(field)
    y = field(torch.rand(50, 2) * 2 - 1)
    assert y.mean().item() == pytest.approx(0.0, abs=1e-5)


class SlopesSpec(TaskSpec):
    """As a task whose loss takes the gradient of the field."""

    def required_derivatives(self):
        return 1


@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
def test_losses_on_derivatives_take_no_field_whose_sum_of_values_is_constant(norm):
    """Tasks differentiate the sum of the values of a batch."""
    field = kan(basis("mexican_hat"), shape=(2, 1), depth=1, norm=norm, width=8).double()
    coords = (torch.rand(50, 2, dtype=torch.float64) * 2 - 1).requires_grad_()
    (slopes,) = torch.autograd.grad(field(coords).sum(), coords)
    trainable = slopes.abs().max().item() > 1e-6
    assert trainable == (norm != "batch")
    (entry,) = inrbench_fields()
    component = Component(entry, KanSpec(basis=basis("mexican_hat"), norm=norm), "x", "0")
    reason = SlopesSpec().accepts(component)
    assert reason is None if trainable else "has only 0" in reason
