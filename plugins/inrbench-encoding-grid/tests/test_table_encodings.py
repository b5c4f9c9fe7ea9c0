"""Table encodings against a slow, obvious reference."""

from itertools import combinations, product

import numpy as np
import pytest
import torch
from inrbench_encoding_grid.densegrid import Densegrid
from inrbench_encoding_grid.hashgrid import Hashgrid, level_resolutions
from inrbench_encoding_grid.plugin import DensegridSpec, HashgridSpec, TriplaneSpec
from inrbench_encoding_grid.tables import InterpolatedGrids
from inrbench_encoding_grid.triplane import Triplane
from pydantic import ValidationError

from inrbench_core import UnsupportedError


def hash_of(vertex):
    """Instant-NGP's hash in unsigned 32-bit arithmetic."""
    result = 0
    for value, prime in zip(vertex, (1, 2654435761, 805459861, 3674653429), strict=False):
        result ^= (value * prime) % 2**32
    return result


def reference(tables, resolutions, table_size, u, smooth=False):
    """Features of one point u in [0, 1]^D, by loops over levels and corners."""
    features = []
    for table, cells in zip(tables, resolutions, strict=True):
        lower = [min(int(value * cells), cells - 1) for value in u]
        total = np.zeros(table.shape[1])
        for corner in product((0, 1), repeat=len(u)):
            vertex = [low + up for low, up in zip(lower, corner, strict=True)]
            weight = 1.0
            for value, low, up in zip(u, lower, corner, strict=True):
                f = value * cells - low
                f = f**2 * (3 - 2 * f) if smooth else f
                weight *= f if up else 1 - f
            if (cells + 1) ** len(u) <= table_size:
                row = sum(v * (cells + 1) ** axis for axis, v in enumerate(vertex))
            else:
                row = hash_of(vertex) % table_size
            total += weight * table[row]
        features.append(total)
    return np.concatenate(features)


def tables_of(grids):
    return [grids.table.detach().double().numpy()[rows] for rows in grids.rows]


def points(count, dimensions, dtype=torch.float64):
    x = torch.rand(count, dimensions, dtype=dtype, generator=torch.Generator().manual_seed(1)) * 2 - 1
    x[:3] = torch.tensor([-1.0, 1.0, 0.0]).unsqueeze(1)
    return x


def small_hashgrid(dimensions, **options):
    torch.manual_seed(0)
    spec = HashgridSpec(
        **{"levels": 4, "log2_table_size": 6, "min_resolution": 2, "max_resolution": 40, "features": 3, **options}
    )
    encoding = Hashgrid(spec, dimensions)
    torch.nn.init.normal_(encoding.grids.table)
    return encoding


@pytest.mark.parametrize("interpolation", ["linear", "smoothstep"])
@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_hashgrid_against_loops(dimensions, interpolation):
    encoding = small_hashgrid(dimensions, interpolation=interpolation).double()
    resolutions = level_resolutions(4, 2, 40)
    tables = tables_of(encoding.grids)
    x = points(25, dimensions)
    expected = [reference(tables, resolutions, 64, u, interpolation == "smoothstep") for u in (x.numpy() + 1) / 2]
    np.testing.assert_allclose(encoding(x).detach(), expected, atol=1e-12)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_densegrid_against_loops(dimensions):
    encoding = Densegrid(DensegridSpec(resolutions=(3, 5), features=2), dimensions).double()
    x = points(25, dimensions)
    expected = [reference(tables_of(encoding.grids), (3, 5), 10**9, u) for u in (x.numpy() + 1) / 2]
    np.testing.assert_allclose(encoding(x).detach(), expected, atol=1e-15)


@pytest.mark.parametrize("combine", ["sum", "product", "concat"])
@pytest.mark.parametrize("dimensions", [2, 3, 4])
def test_triplane_against_loops(dimensions, combine):
    encoding = Triplane(TriplaneSpec(resolution=5, features=2, combine=combine), dimensions).double()
    tables = tables_of(encoding.planes)
    x = points(15, dimensions)
    for point, features in zip((x.numpy() + 1) / 2, encoding(x).detach().numpy(), strict=True):
        pairs = combinations(range(dimensions), 2)
        planes = [reference([table], [5], 10**9, point[list(pair)]) for table, pair in zip(tables, pairs, strict=True)]
        joined = {"sum": np.sum, "product": np.prod}.get(combine, lambda planes, axis: np.concatenate(planes))
        np.testing.assert_allclose(features, joined(planes, axis=0), atol=1e-15)


def test_hashgrid_at_a_vertex_of_a_known_hash():
    # Cells of unit size: vertex (1, 2, 3) and its table of 2^14 rows.
    grids = InterpolatedGrids([1000], 3, 1, 0, 0, table_size=2**14)
    with torch.no_grad():
        grids.table[13788] = 5.0
        grids.table[12464] = 7.0
        vertices = torch.tensor([[1, 2, 3], [100, 200, 300]], dtype=torch.float64)
        values = grids.double()(vertices.unsqueeze(1) / 1000).flatten()
    assert values.tolist() == pytest.approx([5.0, 7.0])


def test_the_reference_hash_is_the_published_one():
    assert (hash_of((1, 2, 3)), hash_of((1, 2, 3)) % 2**19) == (2892625372, 128476)
    assert (hash_of((100, 200, 300)), hash_of((100, 200, 300)) % 2**19) == (3655970992, 110768)


def test_densegrid_is_exact_at_vertices_and_linear_between():
    encoding = Densegrid(DensegridSpec(resolutions=(4,), features=1), 2)
    vertices = torch.linspace(-1, 1, 5)
    # A bilinear function is its own interpolant.
    with torch.no_grad():
        encoding.grids.table[:, 0] = (
            2 + 3 * vertices[None, :] - vertices[:, None] + vertices[:, None] * vertices
        ).flatten()
    x = points(50, 2, torch.float32)
    expected = 2 + 3 * x[:, 0] - x[:, 1] + x[:, 0] * x[:, 1]
    torch.testing.assert_close(encoding(x)[:, 0], expected, atol=1e-5, rtol=0)
    grid = torch.cartesian_prod(vertices, vertices)
    assert torch.equal(encoding(grid)[:, 0], encoding.grids.table[:, 0].view(5, 5).T.flatten())


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_gradients_by_tables_and_coordinates_are_true(dimensions):
    encoding = small_hashgrid(dimensions, levels=3, max_resolution=9, log2_table_size=4, features=1).double()
    x = points(8, dimensions)[3:].requires_grad_()

    def features(x, table):
        return torch.func.functional_call(encoding, {"grids.table": table}, (x,))

    assert torch.autograd.gradcheck(features, (x, encoding.grids.table))


def test_smoothstep_has_second_derivatives_and_linear_has_none():
    for interpolation, offered in (("linear", 1), ("smoothstep", 2)):
        encoding = small_hashgrid(2, interpolation=interpolation).double()
        x = points(8, 2)[3:].requires_grad_()
        (first,) = torch.autograd.grad(encoding(x).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first[:, 0].sum(), x)
        assert (second[:, 0].abs().min() > 1e-3) == (offered == 2)
        assert HashgridSpec(interpolation=interpolation).derivatives() == offered


def test_resolutions_of_the_paper():
    to_512 = [16, 20, 25, 32, 40, 50, 64, 80, 101, 128, 161, 203, 256, 322, 406, 512]
    to_2048 = [16, 22, 30, 42, 58, 80, 111, 153, 212, 294, 406, 561, 776, 1072, 1482, 2048]
    assert level_resolutions(16, 16, 512) == to_512
    assert level_resolutions(16, 16, 2048) == to_2048
    assert level_resolutions(1, 16, 512) == [16]


def test_table_parameters_of_the_paper():
    encoding = Hashgrid(HashgridSpec(log2_table_size=14), 2)
    assert sum(parameter.numel() for parameter in encoding.parameters()) == 285_310
    assert encoding.grids.table.abs().max().item() <= 1e-4
    assert encoding.out_features == 32


def test_half_takes_the_longest_axis_and_needs_one():
    spec = HashgridSpec(max_resolution="half", levels=2)
    assert Hashgrid(spec, 2, (64, 100)).grids.cells.flatten().tolist() == [16, 50]
    assert Hashgrid(spec, 2, (8, 8)).grids.cells.flatten().tolist() == [16, 16]
    with pytest.raises(UnsupportedError, match="needs a signal on a grid"):
        Hashgrid(spec, 2)


def test_products_of_planes_start_away_from_zero():
    table = Triplane(TriplaneSpec(combine="product", resolution=8), 3).planes.table
    assert 0.1 <= table.min() < 0.15 < 0.45 < table.max() <= 0.5


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Hashgrid(HashgridSpec(), 5), "at most 4 axes, and this problem has 5"),
        (lambda: Densegrid(DensegridSpec(resolutions=(512,)), 4), "is too large"),
        (lambda: Triplane(TriplaneSpec(), 1), "two to four coordinates, and this problem has 1"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(build, message):
    with pytest.raises(UnsupportedError, match=message):
        build()


def test_resolutions_must_not_fall():
    with pytest.raises(ValidationError, match="max_resolution 8 is less than min_resolution 16"):
        HashgridSpec(max_resolution=8)


def test_float64_is_exact_at_the_top_level():
    encoding = Hashgrid(HashgridSpec(levels=2, max_resolution=2048, log2_table_size=10), 2).double()
    torch.nn.init.normal_(encoding.grids.table)
    x = points(25, 2)
    expected = [reference(tables_of(encoding.grids), (16, 2048), 1024, u) for u in (x.numpy() + 1) / 2]
    np.testing.assert_allclose(encoding(x).detach(), expected, atol=1e-11)
