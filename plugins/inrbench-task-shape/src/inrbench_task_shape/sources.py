"""The solid that a spec names: generated, a mesh, or a volume of voxels."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from scipy.ndimage import binary_erosion

from inrbench_core import DataError, cached_arrays
from inrbench_core.api.sources import file_sha256
from inrbench_task_shape.meshes import Mesh
from inrbench_task_shape.plugin import VOLUME, ShapeSpec
from inrbench_task_shape.samples import BUNNY, SAMPLES, read_bunny
from inrbench_task_shape.solids import SOLIDS, Solid

Array = np.ndarray[Any, Any]

# Of a volume; 256 MiB as booleans.
MOST_VOXELS = 1 << 28
# Meshes are scaled so that half their longest side is this.
HALF_SIZE = 0.9
# Of so many places just outside of a mesh this share may be enclosed by another part of it: sharp creases do that.
CREASE_PLACES, CREASE_DISTANCE, CREASE_SHARE = 2_000, 1e-4, 0.01


def load_solid(spec: ShapeSpec) -> Solid:
    """The solid of a spec. Raises DataError, in one line, if its data cannot be used."""
    if spec.source in SOLIDS:
        return SOLIDS[spec.source]
    if spec.source == BUNNY:
        sample = SAMPLES[BUNNY]
        key, record = {"mesh": sample.sha256}, {"source": BUNNY, "licence": sample.licence, "synthetic": False}
        return MeshSolid(cached_arrays(__name__, key, lambda: check_mesh(*read_bunny(), BUNNY)), record, key)
    path = Path(spec.source)
    sha256, suffix = file_sha256(path), path.suffix.lower()
    record = {"source": path.name, "licence": "user's own", "sha256": sha256, "synthetic": False}
    if suffix == VOLUME:
        key = {"volume": sha256}
        return Voxels(cached_arrays(__name__, key, lambda: {"full": _read_volume(path)})["full"], record, key)
    key = {"mesh": sha256, "suffix": suffix}
    return MeshSolid(cached_arrays(__name__, key, lambda: check_mesh(*_read_mesh(path), path.name)), record, key)


def check_mesh(vertices: Array, faces: Array, name: str) -> dict[str, Array]:
    """A mesh that has an inside, centred and scaled so that its longest side is `2 * HALF_SIZE`.

    Args:
        vertices: (V, 3).
        faces: (F, 3).
        name: for errors.

    Returns:
        vertices, float64 (V, 3), and faces, int64 (F, 3), that turn outward; centre (3,) and scale, a number.

    Raises:
        DataError: if it is empty, not finite, not watertight, its faces do not all turn the same way, or its parts
            overlap: what lies within another part is no surface of the solid.
    """
    if not len(faces):
        raise DataError(f"{name}: the mesh has no faces")
    if not np.isfinite(vertices).all():
        raise DataError(f"{name}: the mesh has vertices that are NaN or infinite")
    # Formats such as stl write a vertex once for each of its faces: equal ones are made one.
    mesh = trimesh.Trimesh(vertices, faces, process=True)
    if not mesh.is_watertight:
        raise DataError(f"{name}: the mesh is not watertight (an edge has one face, or more than two): no inside")
    if not mesh.is_winding_consistent:
        raise DataError(f"{name}: the faces of the mesh do not all turn the same way, so its normals are unknown")
    low, high = mesh.bounds
    if mesh.volume == 0.0:
        raise DataError(f"{name}: the mesh encloses no volume")
    centre, scale = (low + high) / 2.0, 2.0 * HALF_SIZE / float((high - low).max())
    outward = np.array(mesh.faces, np.int64)[:, :: 1 if mesh.volume > 0.0 else -1]
    scaled = Mesh((np.array(mesh.vertices, np.float64) - centre) * scale, outward)
    places, face = scaled.sample(CREASE_PLACES, np.random.default_rng(0))
    beside = scaled.winding(places + CREASE_DISTANCE * scaled.normals[face])
    if np.mean(beside != 0) > CREASE_SHARE:
        raise DataError(f"{name}: parts of the mesh overlap or lie within each other; unite them first")
    return {"vertices": scaled.vertices, "faces": outward, "centre": centre, "scale": np.array(scale)}


class MeshSolid(Solid):
    """What a mesh encloses.

    Args:
        arrays: what `check_mesh` returns.
        record: facts about it.
        key: see `Solid`.
    """

    def __init__(self, arrays: dict[str, Array], record: dict[str, str | bool], key: dict[str, str]) -> None:
        self.mesh = Mesh(arrays["vertices"], arrays["faces"])
        self.key = key
        x, y, z = arrays["centre"].tolist()
        self.centre, self.scale = (x, y, z), float(arrays["scale"])
        counts = {"vertices": len(self.mesh.vertices), "faces": len(self.mesh.faces)}
        self.record = {**record, **counts, "scale": self.scale}

    def inside(self, points: Array) -> Array:
        return self.mesh.inside(points)

    def surface(self, count: int, random: np.random.Generator) -> tuple[Array, Array]:
        places, face = self.mesh.sample(count, random)
        return places, self.mesh.normals[face]

    def nearest(self, points: Array, within: float = np.inf) -> tuple[Array, Array]:
        distance, face = self.mesh.closest(points, within)
        return np.where(self.inside(points), -distance, distance), self.mesh.normals[face]


class Voxels(Solid):
    """The full voxels of a volume; for the occupancy task only.

    The centres of the outer voxels along the longest axis lie at -1 and 1, the other axes keep the scale; beyond
    the volume all is empty.

    The own coordinates are the numbers of voxels along each axis.

    Args:
        full: (X, Y, Z), bool.
        record: facts about it.
        key: see `Solid`.
    """

    unit = "voxel"

    def __init__(self, full: Array, record: dict[str, str | bool], key: dict[str, str]) -> None:
        self.full = full
        self.key = key
        self.scale = 2.0 / (max(full.shape) - 1)
        x, y, z = ((size - 1) / 2.0 for size in full.shape)
        self.centre = (x, y, z)
        self.record = {**record, "voxels": " x ".join(map(str, full.shape))}

    def inside(self, points: Array) -> Array:
        number = np.rint(points / self.scale + self.centre).astype(int)
        held = ((number >= 0) & (number < self.full.shape)).all(axis=1)
        x, y, z = np.where(held[:, None], number, 0).T
        return self.full[x, y, z] & held

    def surface(self, count: int, random: np.random.Generator) -> tuple[Array, Array]:
        """Random places within the full voxels that touch empty ones; no normals, which steps have none of: NaN."""
        border = np.argwhere(self.full & ~binary_erosion(self.full))
        chosen = border[random.integers(len(border), size=count)] + random.uniform(-0.5, 0.5, (count, 3))
        return (chosen - self.centre) * self.scale, np.full((count, 3), np.nan)


def _read_mesh(path: Path) -> tuple[Array, Array]:
    try:
        # From memory, so that no picture is opened that the file names as its texture.
        content = BytesIO(path.read_bytes())
        mesh = trimesh.load_mesh(content, file_type=path.suffix.lower().lstrip("."), process=False)
        return np.asarray(mesh.vertices, np.float64), np.asarray(mesh.faces, np.int64)
    except Exception as error:
        # trimesh raises many kinds on broken files.
        raise DataError(f"{path.name}: cannot be read as a mesh: {' '.join(str(error).split())}") from None


def _read_volume(path: Path) -> Array:
    try:
        # Nothing but its header is read yet.
        volume = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:
        raise DataError(f"{path.name}: cannot be read: {' '.join(str(error).split())}") from None
    if not isinstance(volume, np.ndarray) or volume.ndim != 3 or min(volume.shape) < 2:
        raise DataError(f"{path.name}: shape {getattr(volume, 'shape', '?')}; a volume is (X, Y, Z), each 2 at least")
    if volume.size > MOST_VOXELS:
        raise DataError(f"{path.name}: {volume.size} voxels; {MOST_VOXELS} are the most")
    if volume.dtype.kind not in "buif":
        raise DataError(f"{path.name}: dtype {volume.dtype}; a volume holds booleans, or numbers from 0 to 1")
    if np.isnan(volume).any():
        raise DataError(f"{path.name}: the volume holds NaN")
    if volume.min() < 0 or volume.max() > 1:
        raise DataError(f"{path.name}: values from {volume.min()} to {volume.max()}; occupancy goes from 0 to 1")
    full = np.asarray(volume > 0.5)
    if full.all() or not full.any():
        raise DataError(f"{path.name}: every voxel is {'full' if full.all() else 'empty'}: there is no surface")
    return full
