import importlib.metadata
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import trimesh
from inrbench_task_shape import samples
from inrbench_task_shape.plugin import OccupancySpec, SdfSpec
from inrbench_task_shape.sources import HALF_SIZE, MeshSolid, check_mesh, load_solid
from pydantic import ValidationError

from inrbench_core import DataError

HAS_BUNNY = importlib.util.find_spec("visvis") is not None


def volume_file(folder: Path, volume: np.ndarray) -> str:
    path = folder / "volume.npy"
    np.save(path, volume)
    return str(path)


def mesh_file(folder: Path, mesh: trimesh.Trimesh, suffix: str = "ply") -> str:
    path = folder / f"mesh.{suffix}"
    mesh.export(path)
    return str(path)


def solid_of(vertices: np.ndarray, faces: np.ndarray, name: str = "box") -> MeshSolid:
    return MeshSolid(check_mesh(vertices, faces, name), {}, {})


@pytest.mark.parametrize("suffix", ["ply", "obj", "stl"])
def test_a_mesh_file_is_centred_and_scaled(tmp_path: Path, suffix: str) -> None:
    mesh = trimesh.creation.box((1.0, 2.0, 4.0))
    mesh.apply_translation([3.0, -2.0, 7.0])
    solid = load_solid(SdfSpec(source=mesh_file(tmp_path, mesh, suffix)))
    half = np.array([0.25, 0.5, 1.0]) * HALF_SIZE
    assert np.abs(solid.mesh.vertices) == pytest.approx(np.broadcast_to(half, (8, 3)))
    place = np.random.default_rng(0).uniform(-1.0, 1.0, (2000, 3))
    assert np.array_equal(solid.inside(place), (np.abs(place) < half).all(axis=1))
    signed, normals = solid.nearest(np.array([[0.0, 0.0, HALF_SIZE + 0.05], [0.0, 0.0, 0.0]]))
    assert signed == pytest.approx([0.05, -half[0]])
    assert normals[0] == pytest.approx([0.0, 0.0, 1.0])
    assert solid.centre == pytest.approx((3.0, -2.0, 7.0))
    assert solid.scale == pytest.approx(2.0 * HALF_SIZE / 4.0)


def test_a_mesh_that_is_turned_inside_out_is_turned_back() -> None:
    box = trimesh.creation.box((1.0, 1.0, 1.0))
    solid = solid_of(box.vertices, box.faces[:, ::-1])
    places, normals = solid.surface(100, np.random.default_rng(0))
    assert ((places * normals).sum(axis=1) > 0.0).all()


def test_a_mesh_that_has_no_inside_is_an_error() -> None:
    box = trimesh.creation.box((1.0, 1.0, 1.0))
    with pytest.raises(DataError, match="box: the mesh is not watertight"):
        solid_of(box.vertices, box.faces[:-1])
    with pytest.raises(DataError, match="no faces"):
        solid_of(box.vertices, box.faces[:0])
    with pytest.raises(DataError, match="NaN"):
        solid_of(np.where(box.vertices > 0.0, np.nan, box.vertices), box.faces)
    with pytest.raises(DataError, match="do not all turn the same way"):
        solid_of(box.vertices, np.concatenate([box.faces[:1, ::-1], box.faces[1:]]))


def test_parts_may_lie_side_by_side_or_be_hollow_but_not_overlap() -> None:
    ball = trimesh.creation.icosphere(subdivisions=2)

    def together(*parts: trimesh.Trimesh) -> MeshSolid:
        mesh = trimesh.util.concatenate(parts)
        return solid_of(mesh.vertices, mesh.faces, "parts")

    with pytest.raises(DataError, match="parts: parts of the mesh overlap or lie within each other; unite them first"):
        together(ball, ball.copy().apply_translation([0.5, 0.0, 0.0]))
    with pytest.raises(DataError, match="unite them first"):
        together(ball, ball.copy().apply_scale(0.5))
    apart = together(ball, ball.copy().apply_translation([2.5, 0.0, 0.0]))
    assert apart.inside(np.array([[-0.5, 0.0, 0.0], [0.0, 0.0, 0.0], [0.5, 0.0, 0.0]])).tolist() == [True, False, True]
    inner = ball.copy().apply_scale(0.5)
    inner.invert()
    shell = together(ball, inner)
    assert shell.inside(np.array([[0.0, 0.0, 0.0], [0.7, 0.0, 0.0]])).tolist() == [False, True]


def test_a_broken_file_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.ply"
    path.write_bytes(b"not a mesh")
    with pytest.raises(DataError, match=r"broken\.ply: cannot be read as a mesh") as caught:
        load_solid(SdfSpec(source=str(path)))
    assert "\n" not in str(caught.value)


def test_a_picture_that_a_mesh_names_as_its_texture_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mesh = trimesh.creation.box((1.0, 1.0, 1.0))
    (tmp_path / "a.mtl").write_text("newmtl m\nmap_Kd a.png\n")
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 6\n%%EndComments\nshowpage\n")
    obj = "mtllib a.mtl\nusemtl m\n" + mesh.export(file_type="obj", header=None)
    (tmp_path / "a.obj").write_text(obj)
    header, _, body = mesh.export(file_type="ply").partition(b"end_header")
    header = header.replace(b"element vertex", b"comment TextureFile a.png\nelement vertex")
    (tmp_path / "a.ply").write_bytes(header + b"end_header" + body)
    opened: list[object] = []
    monkeypatch.setattr("PIL.Image.open", lambda *arguments, **options: opened.append(arguments))
    for name in ("a.obj", "a.ply"):
        assert load_solid(SdfSpec(source=str(tmp_path / name))).record["faces"] == 12
    assert opened == []


def test_a_volume_keeps_its_aspect_and_is_empty_beyond(tmp_path: Path) -> None:
    volume = np.zeros((9, 5, 5), np.uint8)
    volume[0:4] = 1
    solid = load_solid(OccupancySpec(source=volume_file(tmp_path, volume)))
    # Voxels are 0.25 apart along x from -1 to 1, so along y they go from -0.5 to 0.5, half a voxel beyond each.
    place = np.array([[-1.0, 0.0, 0.0], [-0.26, 0.6, -0.6], [-0.1, 0.0, 0.0], [-0.5, 0.65, 0.0]])
    assert solid.inside(place).tolist() == [True, True, False, False]
    assert solid.inside(solid.surface(500, np.random.default_rng(0))[0]).all()


def test_a_volume_that_no_memory_holds_is_refused_from_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inrbench_task_shape.sources.MOST_VOXELS", 26)
    # Its values would be refused as well, if they were looked at.
    with pytest.raises(DataError, match=r"volume\.npy: 27 voxels; 26 are the most"):
        load_solid(OccupancySpec(source=volume_file(tmp_path, np.full((3, 3, 3), np.nan))))


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        (np.ones((4, 4)), "a volume is"),
        (np.zeros((4, 4, 4)), "every voxel is empty"),
        (np.ones((4, 4, 4), bool), "every voxel is full"),
        (np.full((4, 4, 4), np.nan), "NaN"),
        (np.full((4, 4, 4), 7), "from 0 to 1"),
        (np.full((4, 4, 4), "a"), "dtype"),
    ],
)
def test_a_volume_that_cannot_be_used(tmp_path: Path, volume: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_solid(OccupancySpec(source=volume_file(tmp_path, volume)))


def test_sources_that_cannot_be_found_or_are_not_for_this_task(tmp_path: Path) -> None:
    path = volume_file(tmp_path, np.ones((3, 3, 3)))
    for source, message in [
        ("csq", "did you mean csg|csg"),
        ("gyroid", "occupancy task only"),
        (path, "occupancy task only"),
        ("missing.ply", "no such file"),
    ]:
        with pytest.raises(ValidationError, match=message):
            SdfSpec(source=source)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    with pytest.raises(ValidationError, match=r"pip install 'inrbench-task-shape\[samples\]'"):
        SdfSpec(source="bunny")


@pytest.mark.skipif(not HAS_BUNNY, reason="the extra [samples] is not installed")
def test_the_bunny_is_stanfords() -> None:
    vertices, faces = samples.read_bunny()
    assert (len(vertices), len(faces)) == (34_835, 69_666)
    solid = load_solid(SdfSpec(source="bunny"))
    place = np.random.default_rng(0).uniform(-1.0, 1.0, (20_000, 3))
    triangles = solid.mesh.triangles
    volume = (triangles[:, 0] * solid.mesh.crosses).sum() / 6.0
    assert solid.inside(place).mean() == pytest.approx(volume / 8.0, abs=0.01)
