import pytest
import torch
from inrbench_activation_classic import plugin as classic
from inrbench_activation_periodic import plugin as periodic
from inrbench_encoding_fourier import plugin as fourier
from inrbench_field_mlp.mlp import Mlp
from inrbench_field_mlp.plugin import MlpSpec
from torch import nn

from inrbench_core import Component, FieldShape

ENTRIES = {
    (entry.kind, entry.name): entry
    for entry in (
        *classic.inrbench_activations(),
        *periodic.inrbench_activations(),
        *fourier.inrbench_encodings(),
    )
}


def component(kind, name, **options):
    entry = ENTRIES[kind, name]
    return Component(entry, entry.spec(**options), distribution="x", version="0")


def mlp(activation="relu", encoding="identity", shape=(2, 3), resolution=None, **options):
    torch.manual_seed(0)
    spec = MlpSpec(
        encoding=encoding if isinstance(encoding, Component) else component("encoding", encoding),
        activation=activation if isinstance(activation, Component) else component("activation", activation),
        **options,
    )
    return Mlp(spec, FieldShape(*shape, resolution))


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("shape", "count"), [((2, 3), 264_707), ((1, 1), 263_937)])
def test_the_papers_network_has_its_parameters(shape, count):
    assert parameters(mlp(shape=shape, width=256, depth=4)) == count


@pytest.mark.parametrize(
    ("name", "options", "features", "trained"),
    [
        ("rff", {"frequencies": 32, "sigma": 10.0}, 64, 0),
        # A trained cosine and sine for each frequency and axis.
        ("fkan", {"frequencies": 1024}, 4096, 4096),
    ],
)
def test_the_first_layer_is_as_wide_as_the_encoding(name, options, features, trained):
    field = mlp(encoding=component("encoding", name, **options), width=256, depth=4)
    assert parameters(field) == 264_707 + (features - 2) * 256 + trained


def test_the_encoding_hears_of_the_resolution():
    encoding = component("encoding", "neff", frequencies="nyquist")
    coarse, fine = (mlp(encoding=encoding, resolution=(size, size)) for size in (32, 512))
    assert coarse.encoding.out_features < fine.encoding.out_features


def test_depth_counts_the_hidden_layers_between_first_and_last():
    linears = [layer for layer in mlp(depth=3, width=7).layers if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linears] == [(2, 7), (7, 7), (7, 7), (7, 7), (7, 3)]


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_the_last_layer_is_linear_and_nothing_follows(depth, norm):
    field = mlp(depth=depth, norm=norm, width=8)
    assert isinstance(field.layers[-1], nn.Linear)
    assert not isinstance(field.layers[-2], nn.LayerNorm)


def test_norm_follows_hidden_layers_only():
    kinds = [type(layer).__name__ for layer in mlp(depth=2, norm="layer", width=8).layers]
    assert kinds == ["Linear", "Relu", "Linear", "LayerNorm", "Relu", "Linear", "LayerNorm", "Relu", "Linear"]


def test_layers_share_no_activation_and_no_parameter():
    field = mlp("scaled_sine", depth=3, width=8)
    scalars = [parameter for name, parameter in field.named_parameters() if parameter.shape == (1,)]
    assert len(scalars) == 4 * 4
    assert len({parameter.data_ptr() for parameter in field.parameters()}) == len(list(field.parameters()))


def test_siren_starts_as_siren():
    """Uniform bounds of the weights: 1/in first, sqrt(6/in)/omega in all others, the last too."""
    field = mlp(component("activation", "sine", omega=30.0, first_omega=90.0), depth=2, width=256)
    linears = [layer for layer in field.layers if isinstance(layer, nn.Linear)]
    bounds = [0.5, *[(6 / 256) ** 0.5 / 30] * 3]
    assert [layer.weight.abs().max().item() for layer in linears] == pytest.approx(bounds, rel=0.02)
    assert [layer.omega for layer in field.layers if hasattr(layer, "omega")] == [90, 30, 30]


@pytest.mark.parametrize("norm", ["none", "layer"])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_values_are_free_at_every_point(activation, outputs, norm, assert_free_at_every_point):
    """A norm behind the last layer would make one output a constant, and confine three to a curve."""
    field = mlp(activation, shape=(2, outputs), width=32, depth=1, norm=norm).double()
    assert_free_at_every_point(field, outputs)


def test_points_do_not_influence_each_other():
    field = mlp("sine", norm="layer", width=16).double()
    coords = torch.rand(10, 2, dtype=torch.float64) * 2 - 1
    torch.testing.assert_close(field(coords)[3:5], field(coords[3:5]))


def test_saved_and_loaded_it_is_the_same():
    encoding = component("encoding", "rff", frequencies=4)
    field = mlp(encoding=encoding, width=8)
    torch.manual_seed(1)
    other = Mlp(MlpSpec(encoding=encoding, activation=component("activation", "relu"), width=8), FieldShape(2, 3))
    coords = torch.rand(10, 2) * 2 - 1
    assert not torch.equal(field(coords), other(coords))
    other.load_state_dict(field.state_dict())
    assert torch.equal(field(coords), other(coords))


def test_a_sigmoid_confines_values():
    """2 / (1 + exp(-z)) - 1, of the same network without it."""
    linear, confined = mlp("relu", width=8, output="linear").double(), mlp("relu", width=8, output="sigmoid").double()
    confined.load_state_dict(linear.state_dict())
    coords = torch.rand(20, 2, dtype=torch.float64) * 2 - 1
    torch.testing.assert_close(confined(coords), 2 / (1 + torch.exp(-linear(coords))) - 1)
