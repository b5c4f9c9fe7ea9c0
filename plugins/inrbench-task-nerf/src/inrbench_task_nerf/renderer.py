"""Pictures of density and colour fields by volume rendering, for training, evaluation and `inrbench render` alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inrbench_core import Batch, Evaluation, Renderer, UnsupportedError
from inrbench_core.api.problem import points_at_a_time
from inrbench_task_nerf.cameras import Cameras, through_cube
from inrbench_task_nerf.rendering import colour, density, expected_depth, sample_depths, weights

Array = np.ndarray[Any, Any]

# A view of this many pixels along both sides has 3 GB as float32.
MOST_SIZE = 16_384


@dataclass(frozen=True)
class Tracer:
    """How rays are rendered.

    Args:
        bound: half the side of the cube that holds the scene.
        samples: points along a ray.
        view_direction: whether colour depends on the direction too.
    """

    bound: float
    samples: int
    view_direction: bool

    def render(self, model: nn.Module, rays: Batch) -> tuple[Tensor, Tensor]:
        """Colours on white (n, 3) and depths (n,) of rays, NaN where there is next to nothing.

        Args:
            model: an nn.ModuleDict of `density` and `colour`.
            rays: origins and directions (n, 3), near, far and offset (n,); see `sample_depths`.
        """
        depths, length = sample_depths(rays["near"], rays["far"], rays["offset"], self.samples)
        points = rays["origins"][:, None] + depths[..., None] * rays["directions"][:, None]
        coords = (points / self.bound).reshape(-1, 3)
        densities = density(model["density"](coords).reshape(depths.shape))
        if self.view_direction:
            coords = torch.cat([coords, rays["directions"].repeat_interleave(self.samples, dim=0)], dim=1)
        colours = colour(model["colour"](coords)).reshape(*depths.shape, 3)
        share, behind = weights(densities, length)
        rendered = (share[..., None] * colours).sum(dim=1) + behind[:, None]
        return rendered, expected_depth(share, depths)

    def trace(self, model: nn.Module, cameras: Cameras, ray: Tensor) -> tuple[Tensor, Tensor]:
        """Colours (n, 3) and depths (n,) of rays (n,) of cameras, float32, on their device, in chunks.

        All rays have the same offset.
        """
        colours, depths = [], []
        for part in ray.split(max(1, points_at_a_time(ray.device) // self.samples)):
            origins, directions = cameras.rays(part)
            near, far = through_cube(origins, directions, self.bound)
            rays = {"origins": origins, "directions": directions, "near": near, "far": far}
            with torch.no_grad():
                answer, depth = self.render(model, {**rays, "offset": torch.full_like(near, 0.5)})
            colours.append(answer.float())
            depths.append(depth.float())
        return torch.cat(colours), torch.cat(depths)

    def views(self, model: nn.Module, cameras: Cameras) -> Iterator[tuple[Tensor, Tensor]]:
        """View after view: colours (H, W, 3) and depth (H, W), float32, on the cameras' device."""
        shape = cameras.height, cameras.width
        for view in range(len(cameras.poses)):
            ray = torch.arange(view * cameras.pixels, (view + 1) * cameras.pixels, device=cameras.poses.device)
            colours, depth = self.trace(model, cameras, ray)
            yield colours.reshape(*shape, 3), depth.reshape(shape)


class NerfRenderer(Renderer):
    """The first test view at any size.

    Needs the facts `bound`, `samples` and `view_direction` of a Tracer, and `camera`: the view's pose (camera to
    world, 4 rows of 4), height and width in pixels, and angle, its horizontal field of view in rad.
    """

    def render(self, model: nn.Module, size: int | None = None) -> Evaluation:
        """The view with `size` pixels along its longer side; default: as many as its picture has.

        Raises:
            UnsupportedError: for more than `MOST_SIZE` pixels.
        """
        facts, camera = self.frame.facts, self.frame.facts["camera"]
        scale = (size or max(camera["height"], camera["width"])) / max(camera["height"], camera["width"])
        if size is not None and size > MOST_SIZE:
            raise UnsupportedError(f"a view of {size} pixels is too large; {MOST_SIZE} are the most")
        height, width = (max(1, round(camera[side] * scale)) for side in ("height", "width"))
        pose = torch.tensor([camera["pose"]], dtype=torch.float32, device=self.device)
        tracer = Tracer(*(facts[name] for name in ("bound", "samples", "view_direction")))
        view = next(tracer.views(model, Cameras(pose, height, width, camera["angle"])))
        colours, depth = (part.cpu().numpy() for part in view)
        outputs = {"views": eight_bits(colours)[None], "depth": depth[None]}
        return Evaluation({}, outputs, picture(colours, depth, pose[0], tracer.bound))


def picture(view: Array, depth: Array | None, pose: Tensor, bound: float) -> Array:
    """A view (H, W, 3) in [0, 1] beside its depth (H, W), near is dark, as seen from a pose (4, 4).

    The depth is blank where there is nothing, or it is not known.
    """
    origin = pose[:3, 3].norm().item()
    near, far = max(0.0, origin - bound), origin + bound
    grey = np.ones(view.shape[:2]) if depth is None else np.nan_to_num((depth - near) / (far - near), nan=1.0)
    return np.concatenate([eight_bits(view), eight_bits(np.repeat(grey[..., None], 3, axis=2))], axis=1)


def eight_bits(values: Array) -> Array:
    """Values in [0, 1] as uint8, cut off there; what is not a number is 0."""
    return np.rint(np.nan_to_num(values).clip(0.0, 1.0) * 255.0).astype(np.uint8)
