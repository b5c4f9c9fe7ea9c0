import math

import numpy as np
import pytest
import torch
from inrbench_task_shape.estimates import COUNTS, LocalLinear, TangentPlanes
from inrbench_task_shape.meshes import Mesh
from inrbench_task_shape.occupancy import prepare as prepare_occupancy
from inrbench_task_shape.plugin import OccupancySpec, SdfSpec
from inrbench_task_shape.sdf import prepare as prepare_sdf
from inrbench_task_shape.solids import SOLIDS
from inrbench_task_shape.surfaces import POINT_SAMPLES, chamfer_points
from scipy.fft import dctn, idctn

from inrbench_core import SeedStreams

CPU = torch.device("cpu")
OPTIONS = {"source": "sphere", "points": 4000, "resolution": 24}


def occupancy(**options):
    return prepare_occupancy(OccupancySpec(**{**OPTIONS, **options}), device=CPU, seeds=SeedStreams(0))


def sdf(**options):
    return prepare_sdf(SdfSpec(**{**OPTIONS, **options}), device=CPU, seeds=SeedStreams(0))


def sphere_points(radius: float, count: int, seed: int) -> np.ndarray:
    directions = np.random.default_rng(seed).standard_normal((count, 3))
    return radius * directions / np.linalg.norm(directions, axis=1, keepdims=True)


def test_chamfer_of_few_points_against_a_value_by_hand() -> None:
    places = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    # One point lies 2 above the first: 2 to it, and 2 and sqrt(5) from it.
    assert chamfer_points(places, np.array([[0.0, 0.0, 2.0]])) == pytest.approx((2.0 + (2.0 + math.sqrt(5.0)) / 2) / 2)
    assert chamfer_points(places, places) == 0.0
    assert math.isnan(chamfer_points(None, places))


def test_chamfer_of_parallel_squares_and_of_concentric_spheres_is_their_distance() -> None:
    square = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    low, high = (Mesh(square + np.array([0.0, 0.0, height]), np.array([[0, 1, 2], [0, 2, 3]])) for height in (0.0, 0.3))
    samples = [mesh.sample(20_000, np.random.default_rng(seed))[0] for seed, mesh in enumerate((low, high))]
    # Samples are 0.004 apart, which adds its square over twice the distance.
    assert chamfer_points(*samples) == pytest.approx(0.3, abs=2e-4)
    spheres = [sphere_points(radius, 20_000, seed) for seed, radius in enumerate((0.5, 0.7))]
    assert chamfer_points(*spheres) == pytest.approx(0.2, abs=1e-3)


def test_chamfer_of_two_samples_of_one_surface_is_the_floor_that_is_documented() -> None:
    one, other = (sphere_points(0.6, 5_000, seed) for seed in (0, 1))
    assert chamfer_points(one, other) == pytest.approx(0.5 * math.sqrt(4.0 * math.pi * 0.6**2 / 5_000), rel=0.03)


@pytest.mark.parametrize("task", [occupancy, sdf])
def test_chamfer_points_of_a_smaller_sphere(task) -> None:
    problem = task(resolution=40)

    def smaller(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points, axis=1) - 0.5

    metrics = problem._present(problem.on_grid(smaller, 40)).metrics
    assert metrics["chamfer_points"] == pytest.approx(0.1, abs=2e-3)
    assert len(problem.true_surface[0]) == POINT_SAMPLES


def test_local_linear_estimates_reproduce_a_plane() -> None:
    random = np.random.default_rng(0)
    points, places = random.uniform(-1.0, 1.0, (3000, 3)), random.uniform(-0.9, 0.9, (500, 3))
    slope = np.array([0.3, -0.2, 0.5])
    assert LocalLinear(points, points @ slope + 0.05)(places) == pytest.approx(places @ slope + 0.05, abs=1e-4)


def test_local_linear_estimates_solve_the_weighted_least_squares() -> None:
    random = np.random.default_rng(0)
    points, values = random.uniform(-1.0, 1.0, (400, 3)), random.choice([-1.0, 1.0], 400)
    estimate, place = LocalLinear(points, values), np.array([0.1, -0.2, 0.3])
    distance = np.linalg.norm(points - place, axis=1)
    nearest = distance.argsort()[: estimate.count]
    weight = (1.0 - (distance[nearest] / distance[nearest].max()) ** 3) ** 3
    terms = np.column_stack([np.ones(len(nearest)), points[nearest] - place])
    root = np.sqrt(weight)
    exact = np.linalg.lstsq(terms * root[:, None], values[nearest] * root, rcond=None)[0][0]
    assert estimate(place[None])[0] == pytest.approx(np.clip(exact, -1.0, 1.0), abs=1e-5)


def test_the_number_of_neighbours_is_the_one_that_fails_least_on_points_left_out() -> None:
    random = np.random.default_rng(0)
    points = random.uniform(-1.0, 1.0, (300, 3))
    values = np.where(np.linalg.norm(points, axis=1) < 0.7, -1.0, 1.0)
    wrong = dict.fromkeys(COUNTS, 0)
    for left_out in range(len(points)):
        kept = np.arange(len(points)) != left_out
        estimate = LocalLinear.__new__(LocalLinear)
        estimate.points, estimate.values = points[kept], values[kept]
        order = np.linalg.norm(points[kept] - points[left_out], axis=1).argsort()
        for count in COUNTS:
            answer = estimate._fit(points[[left_out]], order[None, :count])[0]
            wrong[count] += bool(np.sign(answer) != values[left_out])
    assert LocalLinear(points, values).count == min(wrong, key=wrong.__getitem__)


def test_few_training_points_have_fewer_neighbours() -> None:
    random = np.random.default_rng(0)
    points = random.uniform(-1.0, 1.0, (16, 3))
    assert LocalLinear(points, np.where(points[:, 0] < 0.0, -1.0, 1.0)).count == COUNTS[0]


def test_tangent_planes_of_a_sphere() -> None:
    surface = sphere_points(0.6, 20_000, 0)
    places = sphere_points(1.0, 200, 1) * np.random.default_rng(2).uniform(0.4, 0.8, (200, 1))
    exact = np.linalg.norm(places, axis=1) - 0.6
    assert TangentPlanes(surface, surface / 0.6)(places) == pytest.approx(exact, abs=2e-3)


@pytest.mark.parametrize("problem", [occupancy, sdf, lambda **more: sdf(mode="eikonal", **more)])
def test_estimates_from_points_are_better_with_more_of_them(problem) -> None:
    def figure(points: int) -> float:
        prepared = problem(points=points)
        return prepared.iou(prepared.sign * prepared.on_grid(prepared.estimator(), 24))

    assert figure(100) < figure(8000)
    assert figure(8000) > 0.97


def test_coded_distances_are_those_of_an_independent_transform() -> None:
    problem = sdf(resolution=8, values_per_parameter=8, truncation=2.0)
    exact = problem.exact_grid()
    axis = np.linspace(-1.0, 1.0, 8)
    radius = np.linalg.norm(np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1), axis=-1)
    assert exact == pytest.approx((radius - 0.6) / 2.0, abs=1e-6)
    for name, kept in (("dct", 64), ("dct_counted", 32)):
        evaluation = problem.baseline(name)
        coefficients = dctn(exact.astype(np.float64), norm="ortho")
        least = np.sort(np.abs(coefficients).ravel())[-kept]
        coded = idctn(np.where(np.abs(coefficients) >= least * (1 - 1e-9), coefficients, 0.0), norm="ortho")
        # In the mesh's own unit, which of what is generated is the cube's.
        assert np.abs(evaluation.outputs["values"] - 2.0 * coded).max() < 1e-4
        assert evaluation.parameters == 64


def test_coded_occupancy_is_perfect_with_all_numbers_and_worse_with_fewer() -> None:
    figures = [
        occupancy(source="torus", values_per_parameter=values).baseline(name).metrics["iou"]
        for values, name in ((1, "dct"), (200, "dct"), (200, "dct_counted"))
    ]
    assert figures[0] == 1.0
    assert figures[0] > figures[1] > figures[2]


def test_what_is_generated_is_said_to_be() -> None:
    assert all(solid.record["synthetic"] is True for solid in SOLIDS.values())
    assert sdf().record["synthetic"] is True
