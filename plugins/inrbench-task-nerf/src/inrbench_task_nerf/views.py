"""Posed pictures: generated, or read from and written to a folder in nerf_synthetic's layout."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from inrbench_core import DataError
from inrbench_task_nerf import still_life
from inrbench_task_nerf.cameras import Cameras, through_cube
from inrbench_task_nerf.plugin import GENERATED, TRANSFORMS, NerfSpec

Array = np.ndarray[Any, Any]

FOLDER_BOUND = 1.5
ROTATION_ERROR = 1e-2
RAYS_AT_A_TIME = 1 << 14
RAYS_ACROSS = 32


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
        size = spec.size or 64
        train = _still_life(spec.train_views or 40, size, False)
        test = _still_life(spec.test_views or 8, size, True)
        record: dict[str, str | int | float] = {"source": GENERATED, "licence": "generated"}
        bound = spec.bound or still_life.BOUND
    else:
        folder = Path(spec.source)
        train = read_views(folder, "train", spec.train_views, spec.size)
        test = read_views(folder, "test", spec.test_views, spec.size)
        digests = [hashlib.sha256((folder / TRANSFORMS.format(split)).read_bytes()) for split in ("train", "test")]
        record = {"source": folder.name, "licence": "user's own"}
        record |= {
            f"sha256_{split}": digest.hexdigest() for split, digest in zip(("train", "test"), digests, strict=True)
        }
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


@cache
def _still_life(count: int, size: int, test: bool) -> Views:
    # Every run of an experiment asks for the same views.
    return generate(still_life.cameras(count, size, test=test))


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
    except (OSError, ValueError, KeyError, TypeError) as error:
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
    pictures = [_read_picture(folder / names[number], size) for number in chosen]
    if len({picture.shape for picture in pictures}) > 1:
        raise DataError(f"{path}: its pictures differ in size")
    height, width = pictures[0].shape[:2]
    return Views(Cameras(torch.from_numpy(poses[chosen]), height, width, angle), np.stack(pictures))


def _read_picture(path: Path, size: int | None) -> Array:
    # nerf_synthetic names its files without .png; a name may hold dots.
    file = path if path.is_file() else path.with_name(path.name + ".png")
    if not file.is_file():
        raise DataError(f"the picture {file} is missing")
    try:
        with Image.open(file) as image:
            deep = image.mode.startswith(("I", "F"))
            image = image.convert("RGBA")
    except Exception as error:
        raise DataError(f"{file}: cannot be read: {' '.join(str(error).split())}") from None
    if deep:
        raise DataError(f"{file}: has more than 8 bits a channel; convert it to 8 bits")
    on_white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if size is not None and size < max(on_white.size):
        scale = size / max(on_white.size)
        on_white = on_white.resize([max(1, round(side * scale)) for side in on_white.size], Image.Resampling.BOX)
    return np.asarray(on_white)


def _size(views: Views) -> str:
    _, height, width, _ = views.colours.shape
    return f"{height} x {width}"
