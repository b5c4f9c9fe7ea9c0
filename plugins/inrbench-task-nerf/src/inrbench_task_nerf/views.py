"""Posed pictures: generated, or read from and written to a folder in nerf_synthetic's layout."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from inrbench_core import DataError, cached_arrays
from inrbench_core.api.sources import file_sha256, kind_of, open_picture
from inrbench_task_nerf import still_life
from inrbench_task_nerf.cameras import Cameras, through_cube
from inrbench_task_nerf.plugin import GENERATED, TRANSFORMS, NerfSpec

Array = np.ndarray[Any, Any]

FOLDER_BOUND = 1.5
ROTATION_ERROR = 1e-2
RAYS_AT_A_TIME = 1 << 14
RAYS_ACROSS = 32
MAX_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Views:
    """Pictures with their cameras.

    Args:
        cameras: V of them.
        colours: uint8 (V, H, W, 3), on white.
        depth: float32 (V, H, W), NaN where nothing is; None if it is not known.
    """

    cameras: Cameras
    colours: Array
    depth: Array | None = None


@dataclass(frozen=True)
class Scene:
    """Views to train on and to be tested on, and the half side of the cube that holds what they show."""

    train: Views
    test: Views
    bound: float
    record: dict[str, str | int | float]


def load_scene(spec: NerfSpec) -> Scene:
    """The scene of a spec. Raises DataError, in one line, if it cannot be used."""
    if spec.source == GENERATED:
        train, test = _still_life(spec)
        record: dict[str, str | int | float] = {"source": GENERATED, "licence": "generated", "synthetic": True}
        bound = spec.bound or still_life.BOUND
    else:
        folder = Path(spec.source)
        train = read_views(folder, "train", spec.train_views, spec.size)
        test = read_views(folder, "test", spec.test_views, spec.size)
        record = {"source": folder.name, "licence": "user's own", "synthetic": False}
        record |= {f"sha256_{split}": file_sha256(folder / TRANSFORMS.format(split)) for split in ("train", "test")}
        bound = spec.bound or FOLDER_BOUND
    if train.colours.shape[1:] != test.colours.shape[1:]:
        raise DataError(f"{spec.source}: training views {_size(train)} but test views {_size(test)}")
    if not any(_sees_cube(views.cameras, bound) for views in (train, test)):
        raise DataError(
            f"{spec.source}: no view sees the cube of half side {bound:g} about the origin, which holds the scene; "
            "give its bound:"
        )
    record |= {"train_views": len(train.colours), "test_views": len(test.colours), "view": _size(test), "bound": bound}
    return Scene(train, test, bound, record)


def _sees_cube(cameras: Cameras, bound: float) -> bool:
    """Whether a ray of a coarse grid over every view passes through the cube."""
    step = max(1, min(cameras.height, cameras.width) // RAYS_ACROSS)
    rows, columns = torch.arange(0, cameras.height, step), torch.arange(0, cameras.width, step)
    pixels = (rows[:, None] * cameras.width + columns).flatten()
    for view in range(len(cameras.poses)):
        near, far = through_cube(*cameras.rays(pixels + view * cameras.pixels), bound)
        if (far > near).any():
            return True
    return False


def generate(cameras: Cameras) -> Views:
    """Views of the still life."""
    shape = (len(cameras.poses), cameras.height, cameras.width)
    colours, depths = [], []
    for ray in torch.arange(shape[0] * cameras.pixels).split(RAYS_AT_A_TIME):
        light, opacity, depth = still_life.render(*cameras.rays(ray))
        colours.append((light + (1.0 - opacity)[:, None]).clamp(0.0, 1.0))
        depths.append(depth)
    eight_bits = (torch.cat(colours) * 255.0).round().to(torch.uint8)
    return Views(cameras, eight_bits.reshape(*shape, 3).numpy(), torch.cat(depths).reshape(shape).numpy())


def _still_life(spec: NerfSpec) -> tuple[Views, Views]:
    """Views to train on and to be tested on."""
    counts, size = (spec.train_views or 40, spec.test_views or 8), spec.size or 64
    _require_size(GENERATED, max(counts), size * size)
    train, test = (still_life.cameras(counts[test], size, test=test) for test in (False, True))

    def make() -> dict[str, Array]:
        views = {"train": generate(train), "test": generate(test)}
        return {f"{name}_{split}": getattr(views[split], name) for split in views for name in ("colours", "depth")}

    arrays = cached_arrays(__name__, {"source": GENERATED, "views": counts, "size": size}, make)
    return (
        Views(train, arrays["colours_train"], arrays["depth_train"]),
        Views(test, arrays["colours_test"], arrays["depth_test"]),
    )


def write_views(folder: Path, split: str, views: Views) -> None:
    """Write views as transforms_{split}.json and png pictures."""
    (folder / split).mkdir(parents=True, exist_ok=True)
    frames = []
    for number, (pose, picture) in enumerate(zip(views.cameras.poses, views.colours, strict=True)):
        name = f"{split}/r_{number}"
        Image.fromarray(picture).save(folder / f"{name}.png")
        frames.append({"file_path": f"./{name}", "transform_matrix": pose.tolist()})
    content = {"camera_angle_x": views.cameras.angle, "frames": frames}
    (folder / TRANSFORMS.format(split)).write_text(json.dumps(content))


def read_views(folder: Path, split: str, count: int | None = None, size: int | None = None) -> Views:
    """Views of transforms_{split}.json, `count` of them evenly spread, their longer side shrunk to `size` pixels.

    Raises:
        DataError: if the list or a picture is missing or broken, or the pictures differ in size.
    """
    path = folder / TRANSFORMS.format(split)
    try:
        content = json.loads(path.read_text())
        angle, frames = float(content["camera_angle_x"]), content["frames"]
        poses = np.array([frame["transform_matrix"] for frame in frames], np.float32)
        names = [str(frame["file_path"]) for frame in frames]
    except FileNotFoundError:
        raise DataError(f"{folder} has no {path.name}") from None
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise DataError(f"{path}: not a list of views: {type(error).__name__}: {error}") from None
    if poses.shape != (len(names), 4, 4) or not np.isfinite(poses).all() or not len(names):
        raise DataError(f"{path}: needs at least one frame, each with a finite 4 x 4 transform_matrix")
    rotations = poses[:, :3, :3]
    if np.abs(rotations @ rotations.swapaxes(1, 2) - np.eye(3)).max() > ROTATION_ERROR:
        raise DataError(f"{path}: a transform_matrix has no rotation in its upper left 3 x 3")
    if not 0.0 < angle < math.pi:
        raise DataError(f"{path}: camera_angle_x is {angle}; it lies between 0 and pi")
    if count is not None and count > len(names):
        raise DataError(f"{path}: {len(names)} views, not {count}")
    chosen = np.linspace(0, len(names), count or len(names), endpoint=False).astype(int)
    files = [_find_picture(folder / names[number]) for number in chosen]
    key = {"pictures": [file_sha256(file) for file in files], "size": size}
    pictures = cached_arrays(__name__, key, lambda: {"colours": _read_pictures(path, files, size)})["colours"]
    height, width = pictures.shape[1:3]
    return Views(Cameras(torch.from_numpy(poses[chosen]), height, width, angle), pictures)


def _find_picture(path: Path) -> Path:
    # nerf_synthetic names its files without .png; a name may hold dots.
    for file in (path, Path(f"{path}.png")):
        try:
            found = kind_of(file)
        except (OSError, ValueError) as error:
            raise DataError(f"{file}: cannot be read: {error}") from None
        if found == "file":
            return file
        if found not in ("", "folder"):
            raise DataError(f"{file}: is {found}; a picture is a file")
    raise DataError(f"the picture {file} is missing")


def _read_pictures(path: Path, files: list[Path], size: int | None) -> Array:
    """The pictures, uint8 (V, H, W, 3), of a list of views."""
    pictures: list[Array] = []
    for file in files:
        pictures.append(_read_picture(file, size))
        if pictures[-1].shape != pictures[0].shape:
            raise DataError(f"{path}: its pictures differ in size")
        # The first one tells what all will take.
        _require_size(str(path), len(files), pictures[0].shape[0] * pictures[0].shape[1])
    return np.stack(pictures)


def _require_size(source: str, views: int, pixels: int) -> None:
    if 3 * views * pixels > MAX_BYTES:
        raise DataError(f"{source}: the views take more than 2 GiB; give fewer views or a smaller size:")


def _read_picture(file: Path, size: int | None) -> Array:
    with open_picture(file) as image:
        if image.mode.startswith(("I", "F")):
            raise DataError(f"{file}: has more than 8 bits a channel; convert it to 8 bits")
        image = image.convert("RGBA")
    on_white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if size is not None and size < max(on_white.size):
        scale = size / max(on_white.size)
        on_white = on_white.resize([max(1, round(side * scale)) for side in on_white.size], Image.Resampling.BOX)
    return np.asarray(on_white)


def _size(views: Views) -> str:
    _, height, width, _ = views.colours.shape
    return f"{height} x {width}"
