import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from inrbench_task_nerf import still_life
from inrbench_task_nerf import views as views_module
from inrbench_task_nerf.cameras import Cameras
from inrbench_task_nerf.plugin import NerfSpec
from inrbench_task_nerf.views import Views, generate, load_scene, read_views, write_views
from PIL import Image
from pydantic import ValidationError

from inrbench_core import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split in ("train", "test"):
        write_views(tmp_path, split, generate(still_life.cameras(3, 12, test=split == "test")))
    return tmp_path


def test_a_folder_gives_back_what_was_written(folder: Path) -> None:
    views = generate(still_life.cameras(3, 12, test=False))
    again = read_views(folder, "train")
    assert np.array_equal(again.colours, views.colours)
    assert torch.allclose(again.cameras.poses, views.cameras.poses)
    assert again.cameras.angle == pytest.approx(views.cameras.angle)
    scene = load_scene(NerfSpec(source=str(folder), train_views=2, size=6))
    assert scene.train.colours.shape == (2, 6, 6, 3)
    assert (scene.bound, scene.record["view"]) == (1.5, "6 x 6")


def test_alpha_is_laid_on_white(folder: Path) -> None:
    Image.new("RGBA", (12, 12), (255, 0, 0, 51)).save(folder / "train" / "r_0.png")
    # A fifth of red over white.
    assert read_views(folder, "train").colours[0, 0, 0].tolist() == [255, 204, 204]


def test_folders_that_cannot_be_used(folder: Path) -> None:
    def broken(text: str) -> None:
        (folder / "transforms_train.json").write_text(text)
        with pytest.raises(DataError) as caught:
            load_scene(NerfSpec(source=str(folder)))
        assert "\n" not in str(caught.value)

    (folder / "test" / "r_1.png").unlink()
    with pytest.raises(DataError, match=r"r_1\.png is missing"):
        load_scene(NerfSpec(source=str(folder)))
    with pytest.raises(DataError, match="3 views, not 9"):
        load_scene(NerfSpec(source=str(folder), train_views=9))
    content = json.loads((folder / "transforms_train.json").read_text())
    broken("{")
    broken(json.dumps({"frames": []}))
    broken(json.dumps({**content, "camera_angle_x": 4.0}))
    broken(json.dumps({**content, "frames": [{**content["frames"][0], "transform_matrix": [[1.0]]}]}))
    broken(json.dumps({**content, "frames": [{**content["frames"][0], "transform_matrix": [[0.0] * 4] * 4}]}))
    (folder / "transforms_test.json").unlink()
    with pytest.raises(ValidationError, match=r"has no transforms_test\.json"):
        NerfSpec(source=str(folder))
    with pytest.raises(ValidationError, match="unknown scene 'stil_life'"):
        NerfSpec(source="stil_life")


def test_views_that_see_nothing_of_the_cube(folder: Path) -> None:
    for split in ("train", "test"):
        path = folder / f"transforms_{split}.json"
        content = json.loads(path.read_text())
        for frame in content["frames"]:
            for row in frame["transform_matrix"][:3]:
                row[3] += 1000.0
        path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"no view sees the cube of half side 1\.5 .*; give its bound:"):
        load_scene(NerfSpec(source=str(folder)))
    assert load_scene(NerfSpec(source=str(folder), bound=1010.0)).bound == 1010.0


def test_pictures_of_many_bits_are_an_error(folder: Path) -> None:
    Image.fromarray(np.full((12, 12), 30_000, np.uint16)).save(folder / "train" / "r_0.png")
    with pytest.raises(DataError, match=r"r_0\.png: has more than 8 bits a channel"):
        read_views(folder, "train")


def test_pictures_of_different_sizes_are_an_error(folder: Path) -> None:
    Image.new("RGB", (10, 12)).save(folder / "train" / "r_2.png")
    with pytest.raises(DataError, match="differ in size"):
        read_views(folder, "train")
    views = Views(Cameras(torch.eye(4)[None], 8, 8, 0.7), np.zeros((1, 8, 8, 3), np.uint8))
    write_views(folder, "test", views)
    write_views(folder, "train", generate(still_life.cameras(1, 12, test=False)))
    with pytest.raises(DataError, match="training views 12 x 12 but test views 8 x 8"):
        load_scene(NerfSpec(source=str(folder)))


def test_postscript_that_is_named_png_starts_no_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "train" / "r_1.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 12 12\n%%EndComments\nshowpage\n"
    )
    started: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments, **options: started.append(arguments))
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *arguments, **options: started.append(arguments))
    with pytest.raises(DataError, match=r"r_1\.png: not a picture"):
        read_views(folder, "train")
    assert started == []


@pytest.mark.parametrize("name", ["r_1.png", "r_1"])
def test_a_pipe_among_views_is_refused_and_not_opened(folder: Path, name: str) -> None:
    (folder / "train" / "r_1.png").unlink()
    os.mkfifo(folder / "train" / name)
    with pytest.raises(DataError, match=rf"train/{name}: is a pipe \(FIFO\); a picture is a file"):
        read_views(folder, "train")


def test_large_pictures_are_refused_before_they_are_decoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        Image.new("1", (9_000, 9_000)).save(folder / "train" / f"r_{number}.png")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)
    with pytest.raises(DataError, match=r"r_0\.png: 9000 x 9000 pixels: at most 64 megapixels"):
        read_views(folder, "train", size=16)


def test_views_that_take_too_much_are_refused_after_the_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[Path] = []
    read = views_module._read_picture
    monkeypatch.setattr(views_module, "_read_picture", lambda file, size: decoded.append(file) or read(file, size))
    monkeypatch.setattr(views_module, "MAX_BYTES", 2 * 12 * 12 * 3)
    with pytest.raises(DataError, match="the views take more than 2 GiB; give fewer views or a smaller size:"):
        read_views(folder, "train")
    assert len(decoded) == 1
    assert len(read_views(folder, "train", 2).colours) == 2
    with pytest.raises(DataError, match="still_life: the views take more than 2 GiB"):
        load_scene(NerfSpec(size=8192, train_views=10_000))


def test_pictures_that_cannot_be_read_are_named(folder: Path) -> None:
    (folder / "train" / "r_1.png").write_bytes(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")
    with pytest.raises(DataError, match=r"r_1\.png: HEIC and AVIF pictures are not readable"):
        read_views(folder, "train")
    whole = (folder / "train" / "r_2.png").read_bytes()
    (folder / "train" / "r_1.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"r_1\.png: cannot be read"):
        read_views(folder, "train")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"camera_angle_x": 10**400}, "OverflowError"),
        ({"frames": [{"file_path": "a" * 5000, "transform_matrix": np.eye(4).tolist()}]}, "cannot be read: .*too long"),
        ({"frames": [{"file_path": "/", "transform_matrix": np.eye(4).tolist()}]}, "the picture .* is missing"),
        ({"frames": [{"file_path": "a\0b", "transform_matrix": np.eye(4).tolist()}]}, "null"),
    ],
)
def test_lists_of_views_with_absurd_values_are_one_clear_error(
    folder: Path, change: dict[str, object], message: str
) -> None:
    path = folder / "transforms_train.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=message):
        read_views(folder, "train")


def test_what_took_long_is_read_from_disk_the_next_time(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INRBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("inrbench_core.api.cache.LEAST_SECONDS", 0.0)
    specs = [NerfSpec(size=8, train_views=2, test_views=1), NerfSpec(source=str(folder), size=6)]
    first = [load_scene(spec) for spec in specs]

    def called_again(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(views_module, "generate", called_again)
    monkeypatch.setattr(views_module, "_read_picture", called_again)
    for spec, scene in zip(specs, first, strict=True):
        again = load_scene(spec)
        for split in ("train", "test"):
            views, views_again = (getattr(one, split) for one in (scene, again))
            assert np.array_equal(views_again.colours, views.colours)
            assert torch.equal(views_again.cameras.poses, views.cameras.poses)
        assert again.record == scene.record
    assert np.array_equal(load_scene(specs[0]).test.depth, first[0].test.depth, equal_nan=True)
    Image.new("RGB", (12, 12)).save(folder / "train" / "r_2.png")
    for other in (specs[1], specs[0].model_copy(update={"test_views": 2})):
        with pytest.raises(AssertionError):
            load_scene(other)
