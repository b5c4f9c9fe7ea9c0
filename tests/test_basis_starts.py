"""The start of every installed basis: the variance of a layer's outputs over its inputs."""

import functools

import pytest
import torch

from inrbench_core import ExpansionSpec
from inrbench_core.plugins.loading import load_catalog

CATALOG = load_catalog()
NAMES = sorted(CATALOG.names("basis"))
NORMALIZED = [name for name in NAMES if issubclass(CATALOG.find("basis", name).entry.spec, ExpansionSpec)]


@functools.cache
def inputs():
    return 2 * torch.rand(2000, 16, generator=torch.Generator().manual_seed(1)) - 1


def statistics(name, position="first", **options):
    """Variance and squared mean over U(-1, 1) inputs of a first layer, N(0, 1) of a later one; means over outputs."""
    torch.manual_seed(0)
    layer = CATALOG.resolve("basis", {"name": name, **options}).build().layer(16, 256, position=position)
    x = inputs() if position == "first" else torch.special.ndtri((inputs() + 1) / 2)
    with torch.no_grad():
        y = layer(x)
    return y.var(dim=0).mean().item(), y.mean(dim=0).square().mean().item()


def test_all_bases_are_here():
    assert len(NAMES) >= 29


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("position", ["first", "hidden"])
def test_unit_variance_and_no_mean(name, position):
    variance, squared_mean = statistics(name, position, scale="unit", bias=True)
    assert variance == pytest.approx(1.0, rel=0.1)
    assert squared_mean < 0.01


@pytest.mark.parametrize("name", NAMES)
def test_lecun_keeps_the_variance_of_the_inputs(name):
    assert statistics(name, scale="lecun")[0] == pytest.approx(1 / 3, rel=0.1)


@pytest.mark.parametrize("normalize", ["rms", "variance"])
@pytest.mark.parametrize("name", NORMALIZED)
def test_unit_variance_of_normalised_functions(name, normalize):
    assert statistics(name, scale="unit", normalize=normalize, bias=True)[0] == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("scale", ["glorot", "power"])
@pytest.mark.parametrize("name", NAMES)
def test_other_starts_are_finite_and_vary(name, scale):
    assert 1e-4 < statistics(name, scale=scale)[0] < 1e3
