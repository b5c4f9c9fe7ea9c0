import math

import numpy as np
import pytest
import torch
from inrbench_field_grid.grid import Grid, SmoothGrid, make_grid
from inrbench_field_grid.layout import grid_sizes
from inrbench_field_grid.plugin import GridSpec, inrbench_fields
from scipy.interpolate import RegularGridInterpolator

from inrbench_core import Component, FieldShape, UnsupportedError
from inrbench_core.api.problem import SeedStreams
from inrbench_core.api.spec import ParameterBudget
from inrbench_core.fit.build import build_model

(ENTRY,) = inrbench_fields()
DIMENSIONS = [1, 2, 3, 4, 6]


def build(points, dimensions, outputs=2, resolution=None):
    torch.manual_seed(0)
    return Grid(GridSpec(points=points), FieldShape(dimensions, outputs, resolution)).double()


def vertices(sizes):
    axes = [
        torch.linspace(-1, 1, size, dtype=torch.float64) if size > 1 else torch.zeros(1, dtype=torch.float64)
        for size in sizes
    ]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, len(sizes))


def filled(points, dimensions, outputs=2):
    field = build(points, dimensions, outputs)
    torch.nn.init.uniform_(field.table, -1, 1)
    return field


@pytest.mark.parametrize("dimensions", DIMENSIONS)
def test_values_at_vertices_are_the_table(dimensions):
    field = filled(1000, dimensions)
    torch.testing.assert_close(field(vertices(field.sizes)), field.table.data, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dimensions", DIMENSIONS)
def test_linear_functions_are_reproduced(dimensions):
    field = build(1000, dimensions)
    slopes, offset = torch.rand(dimensions, 2, dtype=torch.float64), torch.rand(2, dtype=torch.float64)
    with torch.no_grad():
        field.table.copy_(vertices(field.sizes) @ slopes + offset)
    coords = torch.rand(200, dimensions, dtype=torch.float64) * 2 - 1
    torch.testing.assert_close(field(coords), coords @ slopes + offset, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_between_vertices_it_is_what_scipy_interpolates(dimensions):
    field = filled(400, dimensions)
    axes = [np.linspace(-1, 1, size) for size in field.sizes]
    values = field.table.detach().numpy().reshape(*field.sizes, 2)
    coords = np.random.default_rng(0).uniform(-1, 1, (100, dimensions))
    expected = RegularGridInterpolator(axes, values)(coords)
    np.testing.assert_allclose(field(torch.from_numpy(coords)).detach().numpy(), expected, rtol=0, atol=1e-12)


def test_beyond_the_ends_the_last_value_goes_on():
    field = filled(5, 1)
    torch.testing.assert_close(field(torch.tensor([[-3.0], [1.5]]).double()), field.table[[0, -1]])


def test_an_axis_of_one_point_is_constant():
    field = filled(2, 3)
    assert sorted(field.sizes) == [1, 1, 2]
    free = field.sizes.index(2)
    coords = torch.rand(20, 3, dtype=torch.float64) * 2 - 1
    moved = torch.rand(20, 3, dtype=torch.float64) * 2 - 1
    moved[:, free] = coords[:, free]
    torch.testing.assert_close(field(coords), field(moved))


def test_gradients_by_coordinates_and_their_gradients_are_the_true_ones():
    field = filled(60, 2)
    coords = (torch.rand(5, 2, dtype=torch.float64) * 1.8 - 0.9).requires_grad_()
    assert torch.autograd.gradcheck(field, (coords,))
    (slope,) = torch.autograd.grad(field(coords).sum(), coords, create_graph=True)
    slope.square().sum().backward()
    assert field.table.grad.abs().sum().item() > 0


@pytest.mark.parametrize(
    ("points", "proportions", "sizes"),
    [
        (16_384, (1, 1), (128, 128)),
        (65_536, (512, 128), (512, 128)),
        (100, (4, 1), (20, 5)),
        (1, (1, 1, 1), (1, 1, 1)),
        (1000, (1, 512, 512), (1, 32, 31)),
        (7, (44_100,), (7,)),
    ],
)
def test_points_are_shared_out_in_proportion(points, proportions, sizes):
    ours = grid_sizes(points, proportions)
    assert math.prod(ours) == pytest.approx(points, rel=0.01)
    assert all(abs(a - b) <= 1 for a, b in zip(ours, sizes, strict=True))


@pytest.mark.parametrize("resolution", [(1000,), (512, 512), (480, 640), (48, 128, 128), (64, 64, 64), None])
@pytest.mark.parametrize("parameters", [20_000, 100_000, 264_707])
def test_budgets_are_met(resolution, parameters):
    dimensions = len(resolution) if resolution else 4
    component = Component(ENTRY, GridSpec(points=ParameterBudget(parameters=parameters)), "x", "0")
    built = build_model(
        component,
        {"field": FieldShape(dimensions, 3, resolution)},
        seeds=SeedStreams(0),
        device=torch.device("cpu"),
    )
    assert built.parameters == pytest.approx(parameters, rel=0.02)


def test_too_many_axes_are_refused():
    with pytest.raises(UnsupportedError, match="at most 6"):
        build(100, 7)


@pytest.mark.parametrize("outputs", [1, 3])
def test_a_field_fits_a_constant(outputs):
    field = build(25, 2, outputs)
    target = torch.tensor([0.7, -0.2, 0.4], dtype=torch.float64)[:outputs]
    coords = torch.rand(400, 2, dtype=torch.float64) * 2 - 1
    optimizer = torch.optim.LBFGS(field.parameters(), max_iter=50, tolerance_change=0, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (field(coords) - target).square().mean()
        loss.backward()
        return loss

    optimizer.step(closure)
    assert (field(coords) - target).abs().max().item() < 1e-3


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_the_regularisation_of_a_linear_function_is_its_squared_gradient(dimensions):
    torch.manual_seed(0)
    field = make_grid(GridSpec(points=400, smoothness=0.25), FieldShape(dimensions, 2)).double()
    slopes = torch.rand(dimensions, 2, dtype=torch.float64)
    with torch.no_grad():
        field.table.copy_(vertices(field.sizes) @ slopes)
    expected = 0.25 * slopes.square().mean(dim=1).sum()
    torch.testing.assert_close(field.regularisation(), expected)
    assert not hasattr(make_grid(GridSpec(points=400), FieldShape(dimensions, 2)), "regularisation")


def test_a_smooth_grid_is_the_least_squares_solution_of_its_normal_equations():
    """Values at 0 and 1 of a line of 21 points, w |gradient|^2 between: the solution is a straight line."""
    field = SmoothGrid(GridSpec(points=21, smoothness=1e-3), FieldShape(1, 1)).double()
    ends, values = torch.tensor([[-1.0], [1.0]]).double(), torch.tensor([[0.0], [1.0]]).double()
    optimizer = torch.optim.LBFGS(
        field.parameters(), max_iter=300, tolerance_grad=0, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        loss = (field(ends) - values).square().mean() + field.regularisation()
        loss.backward()
        return loss

    optimizer.step(closure)
    # (1 - 2 e)^2 w / 4 + e^2, with an error e at both ends, is least for e = w / (2 + 2 w).
    error = 1e-3 / (2 + 2e-3)
    expected = torch.linspace(error, 1 - error, 21, dtype=torch.float64).unsqueeze(1)
    torch.testing.assert_close(field.table.detach(), expected, rtol=0, atol=1e-5)
