"""The structured neural tangent kernel against torch.func, for every field there is."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from inrbench_analysis_ntk.jacobian import Jacobian
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from inrbench_core.api.components import FieldShape
from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import build_model
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.spec.builder import build_experiment
from inrbench_core.spec.yaml_io import document_of

CATALOG = load_catalog()
RECIPES = [item.entry.name for item in CATALOG.of_kind("recipe")]
POINTS = 12
DOUBLE = {torch.float32: torch.float64, torch.complex64: torch.complex128}


def names(kind: str) -> list[str]:
    return [item.entry.name for item in CATALOG.of_kind(kind)]


MLP = {"name": "mlp", "width": 12, "depth": 2}
# spherical_harmonics takes three coordinates; the others are small versions of what would be large tables.
SIZES = {
    "hashgrid": {"log2_table_size": 8, "levels": 4, "max_resolution": 32},
    "triplane": {"resolution": 8},
    "densegrid": {"resolutions": [4, 8]},
    "fkan": {"frequencies": 16},
}
FIELDS = {
    **{name: {"name": name, "width": 8} for name in RECIPES},
    **{f"activation {name}": {**MLP, "activation": name} for name in names("activation")},
    **{
        f"encoding {name}": {**MLP, "encoding": {"name": name, **SIZES.get(name, {})}, "activation": "tanh"}
        for name in names("encoding")
    },
    **{f"basis {name}": {"name": "kan", "basis": name, "width": 6, "depth": 1} for name in names("basis")},
    "field grid": {"name": "grid", "points": 64},
    **{f"field {name}": {"name": name, "width": 8} for name in ("wire", "wire2d")},
    "layer norm": {**MLP, "activation": "silu", "norm": "layer"},
    "fkan as a layer": {
        **MLP,
        "encoding": {"name": "fkan", "frequencies": 8, "mode": "layer", "out_features": 12},
        "activation": "sine",
    },
    "gabor, trained": {**MLP, "activation": {"name": "gabor", "learnable": True}},
    "bspline, own scales": {
        "name": "kan",
        "basis": {"name": "bspline", "standalone_scale": True},
        "width": 6,
        "depth": 1,
    },
}


def built(options: dict[str, Any], in_features: int, out_features: int) -> nn.Module:
    """The field in float64 and in eval mode; every parameter a little off its start, where some gradients are zero."""
    data = {"name": "kernels", "task": "image", "fields": [options], "seeds": [0]}
    (row,) = build_experiment(document_of(data), CATALOG).boards[0].rows
    shapes = {"field": FieldShape(in_features, out_features, (32,) * in_features)}
    model = build_model(row.field, shapes, seeds=SeedStreams(0), device=torch.device("cpu")).model
    noise = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=noise)
    # Not to(float64), which takes the imaginary parts away.
    for tensor in [*model.parameters(), *model.buffers()]:
        if tensor.dtype in DOUBLE:
            tensor.data = tensor.data.to(DOUBLE[tensor.dtype])
    return model.eval()


def exact_kernel(model: nn.Module, coords: Tensor) -> Tensor:
    """J J^T over all outputs, (N C, N C)."""
    rows = exact_rows(model, coords)
    return rows @ rows.T


def exact_rows(model: nn.Module, coords: Tensor) -> Tensor:
    """J, (N C, P), by torch.func; a complex parameter as its real and its imaginary part."""
    parameters = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    complex_names = {name for name, p in parameters.items() if p.is_complex()}
    real = {name: torch.view_as_real(p) if name in complex_names else p for name, p in parameters.items()}

    def values(real: dict[str, Tensor], point: Tensor) -> Tensor:
        own = {name: torch.view_as_complex(p) if name in complex_names else p for name, p in real.items()}
        return functional_call(model, own, (point.unsqueeze(0),)).squeeze(0)

    jacobians = vmap(jacrev(values), in_dims=(None, 0))(real, coords).values()
    return torch.cat([j.reshape(j.shape[0] * j.shape[1], -1) for j in jacobians], dim=1)


@pytest.mark.parametrize("outputs", [2, 3])
@pytest.mark.parametrize("name", FIELDS)
def test_structured_kernel_is_that_of_torch_func(name: str, outputs: int) -> None:
    axes = 3 if "spherical" in name else 2
    model = built(FIELDS[name], axes, outputs)
    coords = 2.0 * torch.rand(POINTS, axes, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) - 1.0
    exact = exact_kernel(model, coords)
    jacobian = Jacobian(model, coords)
    assert (jacobian.gram("full") - exact).norm() < 1e-5 * exact.norm()
    blocks = exact.reshape(POINTS, outputs, POINTS, outputs).diagonal(dim1=1, dim2=3).mean(dim=2)
    assert (jacobian.gram() - blocks).norm() < 1e-5 * blocks.norm()
    vectors = torch.randn(POINTS, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    assert (jacobian.product(vectors) - blocks @ vectors).norm() < 1e-5 * (blocks @ vectors).norm()
    torch.testing.assert_close(jacobian.energies(vectors), (vectors * (blocks @ vectors)).sum(0), rtol=1e-5, atol=0)
    torch.testing.assert_close(jacobian.diagonal(), blocks.diagonal(), rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("name", ["field wire", "field wire2d", "inr-bench/bspline", "siren"])
def test_scaled_kernel_is_that_of_scaled_columns(name: str) -> None:
    model = built(FIELDS[name], 2, 1)
    coords = 2.0 * torch.rand(POINTS, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) - 1.0
    draw = torch.Generator().manual_seed(4)
    scale = {}
    for parameter_name, parameter in model.named_parameters():
        shape = (*parameter.shape, 2) if parameter.is_complex() else parameter.shape
        scale[parameter_name] = torch.rand(shape, dtype=torch.float64, generator=draw)
    rows = exact_rows(model, coords)
    columns = torch.cat([scale[name].reshape(-1) for name, p in model.named_parameters() if p.requires_grad])
    exact = (rows * columns) @ rows.T
    jacobian = Jacobian(model, coords)
    vectors = torch.randn(POINTS, 2, dtype=torch.float64, generator=draw)
    assert (jacobian.gram(scale=scale) - exact).norm() < 1e-5 * exact.norm()
    assert (jacobian.product(vectors, scale=scale) - exact @ vectors).norm() < 1e-5 * (exact @ vectors).norm()
    torch.testing.assert_close(jacobian.energies(vectors, scale), (vectors * (exact @ vectors)).sum(0))
