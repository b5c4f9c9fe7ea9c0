"""The surface of a volume of values, and how near it is to the true one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from inrbench_task_shape.meshes import Mesh
from inrbench_task_shape.solids import Solid

Array = np.ndarray[Any, Any]

# For chamfer_points, as in Park et al. 2019 (arXiv:1901.05103). Of a surface far away from the other one nearly all
# pairs are looked at, so that more take minutes. The other figures, of distances to triangles, look at the first ones.
POINT_SAMPLES = 30_000
SURFACE_POINTS = 20_000
# 1 % of the side of the cube (Tatarchenko et al. 2019, arXiv:1905.03678).
F_SCORE_DISTANCE = 0.02


def extract(values: Array) -> Mesh | None:
    """The zero set of values, (R, R, R), over [-1, 1]^3, negative inside; None if there is none.

    By marching cubes (Lewiner et al. 2003). Where the solid leaves the cube, the surface is open.
    """
    if not (values.min() < 0.0 < values.max()):
        return None
    spacing = tuple(2.0 / (size - 1) for size in values.shape)
    vertices, faces, _, _ = marching_cubes(values, 0.0, spacing=spacing, gradient_direction="descent")
    mesh = Mesh(vertices.astype(np.float64) - 1.0, faces.astype(np.int64))
    return mesh if np.linalg.norm(mesh.crosses, axis=1).sum() > 0.0 else None


def compare(
    mesh: Mesh | None, solid: Solid, surface: tuple[Array, Array], random: np.random.Generator
) -> dict[str, float]:
    """How near a surface is to a solid's, from random points on each.

    Args:
        mesh: the surface, or None if there is none.
        solid: the solid.
        surface: `POINT_SAMPLES` random points on the solid's surface and their normals, (n, 3) each.
        random: draws as many points on the mesh.

    Returns:
        chamfer: mean distance to the other surface, averaged over both directions, in coordinate units.
        normal_consistency: mean |cosine| between the normals at nearest points, averaged likewise.
        f_score: harmonic mean of the two shares of points within `F_SCORE_DISTANCE`, in [0, 1].
        chamfer_points: see `chamfer_points`.
        Without a surface: NaN, NaN, 0 and NaN. All but chamfer_points are of the first `SURFACE_POINTS` points.
    """
    if mesh is None:
        figures = {"chamfer": math.nan, "normal_consistency": math.nan, "f_score": 0.0}
        return {**figures, "chamfer_points": math.nan}
    places, face = mesh.sample(POINT_SAMPLES, random)
    between_points = chamfer_points(places, surface[0])
    places, face, true_places, normals = (array[:SURFACE_POINTS] for array in (places, face, *surface))
    signed, true_normals = solid.nearest(places)
    missed, nearest = mesh.closest(true_places)
    distances = (np.abs(signed), missed)
    cosines = ((mesh.normals[face] * true_normals).sum(axis=1), (normals * mesh.normals[nearest]).sum(axis=1))
    precision, recall = (float((distance <= F_SCORE_DISTANCE).mean()) for distance in distances)
    return {
        "chamfer": float(np.mean([distance.mean() for distance in distances])),
        "normal_consistency": float(np.mean([np.abs(cosine).mean() for cosine in cosines])),
        "f_score": 2.0 * precision * recall / (precision + recall) if precision + recall else 0.0,
        "chamfer_points": between_points,
    }


def chamfer_points(places: Array | None, true_places: Array) -> float:
    """Chamfer distance between samples of two surfaces, (n, 3) and (m, 3): "Chamfer-L1" of Mescheder et al. 2019
    (arXiv:1812.03828).

    The mean distance, not squared, to the nearest sample of the other surface, averaged over both directions. Between
    n samples each of one surface of area A it is not 0 but about 0.5 sqrt(A / n). NaN without samples.
    """
    if places is None:
        return math.nan
    one, other = cKDTree(places), cKDTree(true_places)
    return float((one.query(true_places)[0].mean() + other.query(places)[0].mean()) / 2.0)


def iou(truth: Array, answer: Array) -> float:
    """Intersection over union of two boolean arrays; NaN if both are empty."""
    union = np.count_nonzero(truth | answer)
    return float(np.count_nonzero(truth & answer) / union) if union else math.nan
