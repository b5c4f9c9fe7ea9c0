import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from inrbench_task_shape.meshes import Mesh
from inrbench_task_shape.occupancy import prepare as prepare_occupancy
from inrbench_task_shape.picture import _steps_within
from inrbench_task_shape.plugin import OccupancySpec, SdfSpec, inrbench_tasks
from inrbench_task_shape.renderer import ShapeRenderer, ply
from inrbench_task_shape.sdf import EIKONAL, EMPTY, prepare
from inrbench_task_shape.solids import SOLIDS, Implicit, ball
from inrbench_task_shape.sources import load_solid
from inrbench_task_shape.surfaces import POINT_SAMPLES, compare, extract
from scipy.integrate import quad
from torch import Tensor, nn

from inrbench_core import DataError, Frame, SeedStreams, UnsupportedError
from inrbench_core.api.entries import load_object
from inrbench_core.api.problem import from_field, to_field

CPU = torch.device("cpu")
RADIUS, SHIFT = 0.6, 0.1


class Ball(nn.Module):
    """The distance to a ball, times a factor: a field of known quality for the source `sphere`."""

    def __init__(self, shift: float = 0.0, factor: float = 1.0) -> None:
        super().__init__()
        self.shift, self.factor = torch.tensor([shift, 0.0, 0.0]), factor

    def forward(self, coords: Tensor) -> Tensor:
        distance = (coords - self.shift).norm(dim=1, keepdim=True) - RADIUS
        return self.factor * distance


def occupancy(**options):
    spec = OccupancySpec(**{"source": "sphere", "points": 400, "resolution": 40, **options})
    return prepare_occupancy(spec, device=CPU, seeds=SeedStreams(0))


def sdf(**options):
    spec = SdfSpec(**{"source": "sphere", "points": 400, "resolution": 32, **options})
    return prepare(spec, device=CPU, seeds=SeedStreams(0))


def renderer(problem) -> ShapeRenderer:
    """From what is left of a frame when it has been written down; there is no solid any more."""
    return ShapeRenderer(Frame.from_data(json.loads(json.dumps(problem.frame.to_data()))), CPU)


class Exact(nn.Module):
    """A perfect field of a problem."""

    def __init__(self, problem) -> None:
        super().__init__()
        self.problem = problem

    def forward(self, coords: Tensor) -> Tensor:
        values = self.problem.exact(coords.numpy().astype(np.float64))
        return torch.from_numpy(values.astype(np.float32)).unsqueeze(1)


CENTRE = (300_000.0, -20.0, 7.0)


@pytest.fixture
def beam(tmp_path: Path) -> str:
    """A box of 1 x 2 x 4 far from the origin."""
    mesh = trimesh.creation.box((1.0, 2.0, 4.0))
    mesh.apply_translation(CENTRE)
    mesh.export(tmp_path / "beam.obj")
    return str(tmp_path / "beam.obj")


def test_iou_of_a_sphere_and_a_shifted_one() -> None:
    # The lens that two balls share has two caps of height r - d/2.
    height = RADIUS - SHIFT / 2
    lens = 2 * math.pi * height**2 * (3 * RADIUS - height) / 3
    exact = lens / (2 * 4 / 3 * math.pi * RADIUS**3 - lens)
    evaluation = occupancy(resolution=64).evaluate(Ball(SHIFT, factor=-1.0))
    assert evaluation.metrics["iou"] == pytest.approx(exact, abs=0.01)
    assert sdf(resolution=64).evaluate(Ball(SHIFT), full=False).metrics == {"iou": pytest.approx(exact, abs=0.01)}
    union_less_lens = 4 / 3 * math.pi * RADIUS**3 * 2 - 2 * lens
    assert evaluation.metrics["accuracy"] == pytest.approx(1 - union_less_lens / 8, abs=0.01)


def test_chamfer_normals_and_f_score_of_a_sphere_and_a_shifted_one() -> None:
    def separation(height: float) -> float:
        return math.sqrt(RADIUS**2 + SHIFT**2 - 2 * RADIUS * SHIFT * height)

    # Over the sphere, the cosine to the shift is uniform; the nearest point of a sphere lies along the radius.
    chamfer = quad(lambda u: abs(separation(u) - RADIUS) / 2, -1, 1)[0]
    normals = quad(lambda u: (RADIUS - SHIFT * u) / separation(u) / 2, -1, 1)[0]
    share = quad(lambda u: (abs(separation(u) - RADIUS) <= 0.02) / 2, -1, 1, points=[-0.15, 0.0, 0.15, 0.3])[0]
    metrics = sdf().evaluate(Ball(SHIFT)).metrics
    assert metrics["chamfer"] == pytest.approx(chamfer, rel=0.03)
    assert metrics["normal_consistency"] == pytest.approx(normals, abs=2e-3)
    assert metrics["f_score"] == pytest.approx(share, abs=0.03)


def test_a_perfect_sphere_is_nearly_perfect_at_any_scale_of_its_values() -> None:
    problem = sdf()
    for factor in (1.0, 50.0):
        metrics = problem.evaluate(Ball(factor=factor)).metrics
        assert metrics["iou"] == 1.0
        assert metrics["chamfer"] < 2e-3
        assert metrics["normal_consistency"] > 0.998
        assert metrics["f_score"] == 1.0


def test_the_extracted_surface_is_closed_and_points_out() -> None:
    axis = np.linspace(-1.0, 1.0, 40)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    mesh = extract(ball(grid, RADIUS).reshape(40, 40, 40).astype(np.float32))
    assert mesh is not None
    # The divergence theorem gives the volume of a closed surface, positive if its normals point out.
    assert (mesh.triangles[:, 0] * mesh.crosses).sum() / 6 == pytest.approx(4 / 3 * math.pi * RADIUS**3, rel=0.01)
    assert (mesh.normals * mesh.triangles.mean(axis=1)).sum(axis=1).min() > 0.0
    solid, random = SOLIDS["sphere"], np.random.default_rng(0)
    assert compare(mesh, solid, solid.surface(100, random), random)["f_score"] == 1.0


def test_points_on_the_true_surface_are_those_drawn_after_any_mesh() -> None:
    problem = sdf()
    random = problem.seeds.numpy("evaluation")
    corners = np.concatenate([np.zeros((1, 3)), np.eye(3)])
    Mesh(corners, np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])).sample(POINT_SAMPLES, random)
    expected = problem.solid.surface(POINT_SAMPLES, random)
    ball = Ball()
    assert problem.evaluate(ball).metrics == problem.evaluate(ball).metrics
    for points, drawn in zip(problem.true_surface, expected, strict=True):
        np.testing.assert_array_equal(points, drawn)


def test_rays_of_a_picture_are_followed_wherever_they_are_in_the_cube() -> None:
    random = np.random.default_rng(0)
    step = np.array([0.02, -0.015, 0.01])
    start = random.uniform(-1.2, 1.2, (500, 3)) + 64 * step
    first, last = _steps_within(start, step)
    places = start[:, None] - np.arange(129)[:, None] * step
    within = (np.abs(places) <= 1.0).all(axis=2)
    followed = (np.arange(129) >= first[:, None]) & (np.arange(129) <= last[:, None])
    assert within.any(axis=1).mean() > 0.3
    assert not (within & ~followed).any()
    assert followed.sum() <= within.sum() + 3 * within.any(axis=1).sum() + 0.02 * within.size


def test_a_field_without_a_surface_and_one_that_is_not_finite() -> None:
    problem = sdf()
    metrics = problem.evaluate(Ball(factor=0.0)).metrics
    assert metrics["iou"] == 0.0
    assert metrics["f_score"] == 0.0
    assert math.isnan(metrics["chamfer"])
    broken = problem.evaluate(Ball(factor=math.nan))
    assert set(broken.metrics) == set(metrics)
    assert all(math.isnan(value) for value in broken.metrics.values())
    assert math.isnan(problem.evaluate(Ball(factor=math.nan), full=False).metrics["iou"])


def test_training_points_know_their_side_and_gather_about_the_surface() -> None:
    problem = occupancy(points=4000, near_surface=0.5)
    batch = problem.batch(slice(None))
    distance = batch["coords"].norm(dim=1) - RADIUS
    assert torch.equal(batch["values"], torch.where(distance < 0, 1.0, -1.0))
    assert batch["coords"].abs().max() <= 1.0
    # Half lie around the surface, a few of the uniform ones by chance: the shell is about 11 % of the cube.
    assert (distance.abs() < 0.1).float().mean() == pytest.approx(0.5 * 0.977 + 0.5 * 0.115, abs=0.03)
    chosen = torch.tensor([5, 3999, 17])
    assert torch.equal(problem.batch(chosen)["coords"], batch["coords"][chosen])


def test_the_same_seed_draws_the_same_points_and_another_one_others() -> None:
    first, again = (sdf().batch(slice(None))["coords"] for _ in range(2))
    assert torch.equal(first, again)
    other = prepare(SdfSpec(source="sphere", points=400), device=CPU, seeds=SeedStreams(1))
    assert not torch.equal(first, other.batch(slice(None))["coords"])


def test_cross_entropy_and_squared_error_against_their_definitions() -> None:
    problem = occupancy()
    batch, model = problem.batch(slice(None)), Ball(factor=-3.0)
    logits = model(batch["coords"]).squeeze(1)
    exact = nn.functional.binary_cross_entropy_with_logits(logits, (batch["values"] > 0).float(), reduction="none")
    assert torch.allclose(problem.loss(model, batch), exact, atol=1e-6)
    assert problem.loss(Ball(factor=-1e4), batch).isfinite().all()
    squared = occupancy(loss="squared_error")
    assert torch.allclose(squared.loss(model, batch), (logits - batch["values"]) ** 2)


def test_regression_is_to_the_truncated_distance() -> None:
    problem = sdf(truncation=0.2)
    batch = problem.batch(slice(None))
    exact = ((batch["coords"].double().norm(dim=1) - RADIUS) / 0.2).clamp(-1.0, 1.0)
    assert torch.allclose(batch["values"].double(), exact, atol=1e-5)
    assert exact.abs().max() == 1.0
    near = batch["values"].abs() < 0.99
    assert problem.loss(Ball(factor=5.0), batch)[near].max() < 1e-9


def test_the_eikonal_loss_of_a_true_distance_and_of_a_double_one() -> None:
    problem = sdf(mode="eikonal")
    assert problem.differentiates
    batch = problem.batch(slice(0, 300))
    off = batch["empty"].norm(dim=1) - RADIUS
    # At the sphere's own distance only the penalty near the surface is left.
    exact = EMPTY * torch.exp(-100.0 * off.abs())
    assert torch.allclose(problem.loss(Ball(), batch), exact, atol=0.05)
    # Twice the distance: a gradient of 2 at both points of an element.
    double = EMPTY * torch.exp(-200.0 * off.abs()) + 2 * EIKONAL
    assert torch.allclose(problem.loss(Ball(factor=2.0), batch), double, atol=0.05)
    # The wrong sign: normals that point in cost 100 * 2.
    assert torch.allclose(problem.loss(Ball(factor=-1.0), batch), exact + 200.0, atol=0.05)


@pytest.mark.parametrize("mode", ["regression", "eikonal"])
def test_the_loss_of_a_batch_is_that_of_its_parts_and_trains(mode: str) -> None:
    problem = sdf(mode=mode)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
    whole = problem.loss(model, problem.batch(slice(0, 40)))
    parts = [problem.loss(model, problem.batch(part)) for part in (slice(0, 13), torch.arange(13, 40))]
    assert torch.allclose(whole, torch.cat(parts), rtol=1e-4)
    whole.mean().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters() if parameter.grad is not None)
    assert model[0].weight.grad.abs().max() > 0


def test_baselines_and_pictures() -> None:
    for problem in (occupancy(resolution=24), sdf(resolution=24), sdf(resolution=24, mode="eikonal")):
        constant, grid = problem.baseline("constant"), problem.baseline("grid")
        assert constant.metrics["iou"] == pytest.approx(problem.truth_grid(24).mean())
        assert grid.metrics["iou"] > 0.9
        assert grid.preview is not None
        assert grid.preview.shape == problem.truth().shape == (192, 192, 3)
        assert grid.preview.dtype == np.uint8
        assert np.abs(grid.preview.astype(int) - problem.truth()).mean() < 12
        # The picture shows a disc of the ball's radius: of 2.5 across.
        drawn = (grid.preview != 255).any(axis=2).mean()
        assert drawn == pytest.approx(math.pi * RADIUS**2 / 2.5**2, rel=0.1)
        with pytest.raises(DataError, match="no baseline"):
            problem.baseline("fbp")


@pytest.mark.parametrize("options", [{}, {"source": "csg", "resolution": 48}, {"mode": "eikonal"}])
def test_the_picture_of_the_truth_is_that_of_a_perfect_field(options: dict[str, object]) -> None:
    problem = sdf(**options)
    perfect = problem.evaluate(Exact(problem)).preview
    assert perfect is not None
    # Of 255 levels.
    assert np.abs(perfect.astype(float) - problem.truth()).mean() < 0.1


def test_outputs_and_rendering_at_another_resolution() -> None:
    problem = sdf()
    outputs = problem.evaluate(Ball()).outputs
    assert outputs["values"].shape == (32, 32, 32)
    assert outputs["vertices"].dtype == np.float64
    assert np.linalg.norm(outputs["vertices"], axis=1) == pytest.approx(RADIUS, abs=2e-3)
    assert outputs["faces"].max() == len(outputs["vertices"]) - 1
    finer = renderer(problem).render(Ball(), 70)
    assert finer.metrics == {}
    assert finer.outputs["values"].shape == (35, 35, 35)
    assert len(finer.outputs["faces"]) > 2 * len(outputs["faces"])
    assert np.array_equal(renderer(problem).render(Ball()).outputs["vertices"], outputs["vertices"])
    for size in (1, 5000):
        with pytest.raises(UnsupportedError, match="2 to 1024 points"):
            renderer(problem).render(Ball(), size)
    with pytest.raises(UnsupportedError, match="not finite"):
        renderer(problem).render(Ball(factor=math.nan))


def test_a_saved_surface_is_read_back_by_others(tmp_path: Path) -> None:
    problem = sdf()
    saved = renderer(problem)
    paths = saved.save(saved.render(Ball(), 64), tmp_path, "ball")
    assert {path.name for path in paths} == {"ball.png", "ball.npz", "ball.ply"}
    mesh = trimesh.load(tmp_path / "ball.ply")
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * RADIUS**3, rel=0.01)


@pytest.mark.parametrize("task", [occupancy, sdf])
def test_a_rendered_mesh_has_the_bounds_of_the_users_own(tmp_path: Path, beam: str, task) -> None:
    problem = task(source=beam, points=64)
    Path(beam).unlink()
    saved = renderer(problem)
    cell = 2.0 / (problem.solid.scale * (problem.resolution - 1))
    for evaluation in (saved.render(Exact(problem)), problem.evaluate(Exact(problem))):
        saved.save(evaluation, tmp_path, "beam")
        mesh = trimesh.load(tmp_path / "beam.ply")
        half = np.array([0.5, 1.0, 2.0])
        assert mesh.bounds == pytest.approx(np.array([CENTRE - half, CENTRE + half]), abs=cell)
        assert mesh.volume == pytest.approx(8.0, rel=0.2)


def test_a_ply_file_keeps_places_far_from_the_origin(tmp_path: Path) -> None:
    vertices = np.array([[1e7, 0.0, 0.0], [1e7 + 0.001, 0.0, 0.0], [1e7, 0.001, 0.0]])
    (tmp_path / "a.ply").write_bytes(ply(vertices, np.array([[0, 1, 2]], np.int32)))
    mesh = trimesh.load(tmp_path / "a.ply", process=False)
    assert np.array_equal(mesh.vertices, vertices)
    assert mesh.faces.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("mode", ["regression", "eikonal"])
def test_the_frame_gives_distances_in_the_meshes_own_unit(beam: str, mode: str) -> None:
    problem = sdf(source=beam, points=64, mode=mode, truncation=0.5)
    field = problem.frame.fields["field"]
    # 0.25 above the top, 0.125 below it, and on a face; 0.5 of the cube are 1.1 of the mesh.
    places = torch.tensor([[0.0, 0.0, 2.25], [0.0, 0.0, 1.875], [0.5, 0.3, 0.1]], dtype=torch.float64)
    places += torch.tensor(CENTRE, dtype=torch.float64)
    distances = from_field(problem.target(to_field(places, field).float()), field)
    assert distances.flatten().numpy() == pytest.approx([0.25, -0.125, 0.0], abs=1e-5)


def test_the_frame_of_occupancy_is_the_share_inside(tmp_path: Path) -> None:
    values = torch.tensor([[-40.0], [0.0], [40.0]])
    shares = from_field(values, occupancy().frame.fields["field"])
    assert shares.flatten().tolist() == pytest.approx([0.0, 0.5, 1.0])
    squared = occupancy(loss="squared_error").frame.fields["field"]
    assert from_field(torch.tensor([[-1.0], [0.0], [1.0]]), squared).flatten().tolist() == [0.0, 0.5, 1.0]
    full = np.zeros((9, 5, 5), bool)
    full[2:7, 1:4, 1:4] = True
    np.save(tmp_path / "a.npy", full)
    voxels = occupancy(source=str(tmp_path / "a.npy"), points=64)
    # Coordinates are the numbers of voxels; the cube reaches beyond the two shorter axes.
    axes = voxels.frame.fields["field"].coords
    assert [(axis.unit, axis.low, axis.high) for axis in axes] == [("voxel", 0.0, 8.0)] + 2 * [("voxel", -2.0, 6.0)]


@pytest.mark.parametrize("options", [{}, {"truncation": 0.03}])
def test_the_target_of_a_regression_is_what_the_loss_asks_for(options: dict[str, float]) -> None:
    for problem in (sdf(**options), occupancy(loss="squared_error")):
        batch = problem.batch(slice(None))
        assert torch.equal(problem.target(batch["coords"]).squeeze(1), batch["values"])
        assert problem.coords(1000, SeedStreams(0)).shape == (1000, 3)
    # Of a logit only the sign is known.
    assert occupancy().target(torch.zeros(1, 3)) is None
    # The distance that is asked for by its gradient is not cut off.
    assert sdf(mode="eikonal").target(torch.tensor([[0.0, 0.0, 1.0]])).item() == pytest.approx(0.4)


def test_what_took_long_is_read_from_disk_the_next_time(
    tmp_path: Path, beam: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INRBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("inrbench_core.api.cache.LEAST_SECONDS", 0.0)
    makes = {
        "regression": lambda **more: sdf(source=beam, **more),
        "eikonal": lambda **more: sdf(source=beam, mode="eikonal", **more),
        "occupancy": lambda **more: occupancy(source=beam, **more),
    }
    first = {name: make() for name, make in makes.items()}
    grid = first["occupancy"].truth_grid(24)

    def called_again(*_: object, **__: object) -> None:
        raise AssertionError

    for method in ("nearest", "surface", "inside"):
        monkeypatch.setattr(f"inrbench_task_shape.sources.MeshSolid.{method}", called_again)
    monkeypatch.setattr("inrbench_task_shape.sources.check_mesh", called_again)
    for name, make in makes.items():
        again = make()
        for key, tensor in first[name].batch(slice(None)).items():
            assert torch.equal(again.batch(slice(None))[key], tensor)
        assert again.frame == first[name].frame
        assert again.record == first[name].record
        with pytest.raises(AssertionError):
            make(points=401)
    assert np.array_equal(again.truth_grid(24), grid)
    for changed in ({"truncation": 0.2}, {"near_surface": 0.4}):
        with pytest.raises(AssertionError):
            makes["regression"](**changed)
    with pytest.raises(AssertionError):
        prepare(SdfSpec(source=beam, points=400), device=CPU, seeds=SeedStreams(1))


def test_the_gyroid_is_drawn_from_and_compared() -> None:
    solid = load_solid(OccupancySpec(source="gyroid"))
    assert isinstance(solid, Implicit)
    problem = occupancy(source="gyroid")
    # Of uniform points 4.9 % are inside: those about its thin sheets are many more.
    assert 0.1 < (problem.batch(slice(None))["values"] > 0).float().mean() < 0.5


def test_entries_and_derivatives() -> None:
    entries = {entry.name: entry for entry in inrbench_tasks()}
    assert [entries[name].primary.name for name in ("occupancy", "sdf")] == ["iou", "iou"]
    assert SdfSpec(mode="eikonal").required_derivatives() == 1
    assert SdfSpec().required_derivatives() == 0
    for name, problem in (("occupancy", occupancy()), ("sdf", sdf())):
        assert list(problem.evaluate(Ball()).metrics) == [metric.name for metric in entries[name].metrics]
        assert load_object(entries[name].renderer) is ShapeRenderer
