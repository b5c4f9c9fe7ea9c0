import math

import numpy as np
import pytest
from inrbench_task_shape.meshes import Mesh, distance_to_triangles
from inrbench_task_shape.solids import SOLIDS, box, menger
from skimage.measure import marching_cubes

RANDOM = np.random.default_rng(0)
CUBE = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)]) * 0.5
# Counter-clockwise as seen from outside; corner number is 4 x + 2 y + z.
# fmt: off
CUBE_FACES = np.array([
    0, 1, 3,  0, 3, 2,  4, 6, 7,  4, 7, 5,  0, 4, 5,  0, 5, 1,
    2, 3, 7,  2, 7, 6,  0, 2, 6,  0, 6, 4,  1, 5, 7,  1, 7, 3,
]).reshape(-1, 3)
# fmt: on


def points(count: int = 20_000) -> np.ndarray:
    return RANDOM.uniform(-1.0, 1.0, (count, 3))


@pytest.mark.parametrize(
    ("name", "place", "distance"),
    [
        ("sphere", [0.0, 0.0, 1.0], 0.4),
        ("sphere", [0.0, 0.3, 0.4], -0.1),
        # Straight above the middle of the tube, on the axis, and on the centre line.
        ("torus", [0.6, 0.0, 0.5], 0.3),
        ("torus", [0.0, 0.0, 0.0], 0.4),
        ("torus", [0.0, -0.6, 0.0], -0.2),
        # In the bore's middle, in the middle of the ring's tube, and outside of the ring.
        ("csg", [0.0, 0.0, 0.0], 0.28),
        ("csg", [0.0, 0.78, 0.0], -0.07),
        ("csg", [0.95, 0.0, 0.0], 0.10),
        # In the largest bore, at a solid corner of the smallest scale, and outside of a face.
        ("menger3", [0.0, 0.0, 0.0], 0.8 / 3),
        ("menger3", [0.79, 0.79, 0.79], -0.01),
        ("menger3", [0.79, 0.79, 0.9], 0.1),
    ],
)
def test_distances_against_hand_values(name: str, place: list[float], distance: float) -> None:
    assert SOLIDS[name].nearest(np.array([place]))[0] == pytest.approx([distance], abs=1e-12)


@pytest.mark.parametrize("name", ["csg", "menger3", "sphere", "torus"])
def test_the_gradient_has_length_one_and_never_more(name: str) -> None:
    slope = np.linalg.norm(SOLIDS[name].gradient(points()), axis=1)
    # Less is seen only by differences across the sets where two parts are equally near.
    assert slope.max() < 1.0 + 1e-6
    assert (np.abs(slope - 1.0) < 1e-4).mean() > 0.999


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("sphere", 4.0 / 3.0 * math.pi * 0.6**3 / 8.0),
        ("torus", 2.0 * math.pi**2 * 0.6 * 0.2**2 / 8.0),
        ("menger3", 1.6**3 * (20.0 / 27.0) ** 3 / 8.0),
        ("csg", 0.088),
    ],
)
def test_the_share_of_the_cube_inside(name: str, share: float) -> None:
    assert SOLIDS[name].inside(points(300_000)).mean() == pytest.approx(share, abs=0.003)


def test_menger_of_level_one_is_a_cube_less_its_seven_middle_cubes() -> None:
    place = points()
    third = np.floor((place + 0.8) / (1.6 / 3.0)).astype(int)
    bored = (third == 1).sum(axis=1) >= 2
    assert np.array_equal(menger(place, levels=1) < 0.0, (np.abs(place) < 0.8).all(axis=1) & ~bored)


@pytest.mark.parametrize("name", list(SOLIDS))
def test_surface_points_lie_on_the_surface_with_outward_normals(name: str) -> None:
    solid = SOLIDS[name]
    places, normals = solid.surface(2000, np.random.default_rng(1))
    assert places.shape == normals.shape == (2000, 3)
    assert np.abs(solid.function(places)).max() < 1e-4
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1.0)
    # Away from edges, a little outwards is outside and a little inwards inside.
    assert (~solid.inside(places + 1e-3 * normals)).mean() > 0.98
    assert solid.inside(places - 1e-3 * normals).mean() > 0.98


def test_surface_points_are_uniform_by_area() -> None:
    height = SOLIDS["sphere"].surface(20_000, np.random.default_rng(1))[0][:, 2]
    # Archimedes: the height of a uniform point of a sphere is uniform.
    assert np.histogram(height, 6, (-0.6, 0.6))[0] / 20_000 == pytest.approx(1 / 6, abs=0.01)


def test_distances_to_a_cube_of_triangles_are_those_in_closed_form() -> None:
    mesh, place = Mesh(CUBE, CUBE_FACES), points(3000)
    exact = box(place, 0.5)
    distance, _ = mesh.closest(place)
    assert distance == pytest.approx(np.abs(exact), abs=1e-9)
    assert np.array_equal(mesh.inside(place), exact < 0.0)
    cut, _ = mesh.closest(place, within=0.1)
    assert cut == pytest.approx(np.minimum(np.abs(exact), 0.1), abs=1e-9)


def test_inside_at_the_coordinates_of_the_corners_and_edges() -> None:
    place = np.array([[0.0, 0.0, 0.0], [0.25, 0.25, 0.1], [0.5, 0.5, 0.9], [0.5, 0.5, -0.9], [0.0, 0.0, 0.6]])
    assert Mesh(CUBE, CUBE_FACES).inside(place).tolist() == [True, True, False, False, False]


def test_normals_of_the_nearest_face_point_out() -> None:
    mesh = Mesh(CUBE, CUBE_FACES)
    _, face = mesh.closest(np.array([[0.9, 0.1, 0.2], [0.1, 0.3, -0.45]]))
    assert mesh.normals[face].tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0]]


def test_a_mesh_of_a_sphere_agrees_with_the_sphere() -> None:
    axis = np.linspace(-1.0, 1.0, 48)
    volume = np.linalg.norm(np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1), axis=-1) - 0.6
    vertices, faces, _, _ = marching_cubes(volume, 0.0, spacing=(2 / 47,) * 3, gradient_direction="descent")
    mesh, place = Mesh(vertices - 1.0, faces.astype(int)), points(5000)
    exact, _ = SOLIDS["sphere"].nearest(place)
    distance, _ = mesh.closest(place)
    # A triangle within a cell of side h is at most (3/4 h^2) / (2 r) below its corners, and these are h^2 / (8 r)
    # below the sphere.
    assert distance == pytest.approx(np.abs(exact), abs=1.6e-3)
    far = np.abs(exact) > 2e-3
    assert np.array_equal(mesh.inside(place)[far], exact[far] < 0.0)


def test_distances_to_one_triangle_in_each_of_its_regions() -> None:
    triangle = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    cases = [([0.2, 0.2, 0.5], 0.5), ([-3.0, -4.0, 0.0], 5.0), ([0.5, -2.0, 0.0], 2.0), ([1.0, 1.0, 0.0], 0.5**0.5)]
    place, distance = (np.array(column) for column in zip(*cases, strict=True))
    assert distance_to_triangles(place, np.repeat(triangle[None], 4, axis=0)) == pytest.approx(distance)
