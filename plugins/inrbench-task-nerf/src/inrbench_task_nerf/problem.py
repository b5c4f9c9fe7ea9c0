"""The nerf task: fit density and colour so that rendered rays have the colours of the pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from inrbench_task_image.metrics import psnr, squared_error, ssim
from torch import Tensor, nn

from inrbench_core import Batch, DataError, Evaluation, FieldShape, Index, Problem, SeedStreams
from inrbench_task_nerf.cameras import Cameras, through_cube
from inrbench_task_nerf.plugin import NerfSpec
from inrbench_task_nerf.rendering import colour, density, expected_depth, sample_depths, weights
from inrbench_task_nerf.views import Scene, load_scene

Array = np.ndarray[Any, Any]

# Along the training curve this many rays of the test views are looked at.
CURVE_RAYS = 4096
POINTS_AT_A_TIME = 1 << 16
SHOWN_VIEW = 0


def prepare(spec: NerfSpec, *, device: torch.device, seeds: SeedStreams) -> NerfProblem:
    """Load the views. Raises DataError if they cannot be used."""
    return NerfProblem(load_scene(spec), spec, device=device, seeds=seeds)


class NerfProblem(Problem):
    """density: (x, y, z) -> 1 and colour: (x, y, z [, direction]) -> 3, positions over `bound` in [-1, 1].

    Rays are counted view by view, row by row. Samples are stratified; where in its part each lies is drawn once for
    each ray, not at each step, so that a ray's loss does not depend on the batch or chunk it comes in.

    Args:
        scene: the views.
        spec: samples along a ray, and whether colour depends on the direction.
        device: where training tensors stay.
        seeds: "rays" draws the offsets of the samples, "curve" the rays that the curve looks at.
    """

    def __init__(self, scene: Scene, spec: NerfSpec, *, device: torch.device, seeds: SeedStreams) -> None:
        self.scene = scene
        self.device = device
        self.bound = scene.bound
        self.samples = self.points_per_element = spec.samples
        self.view_direction = spec.view_direction
        # The scene fills the pictures, so that a cube of as many voxels as they have pixels holds what they show.
        pixels = min(scene.train.cameras.height, scene.train.cameras.width)
        sizes = {"density": (3, 1), "colour": (6 if spec.view_direction else 3, 3)}
        self.shapes = {
            name: FieldShape(inputs, outputs, (pixels,) * inputs) for name, (inputs, outputs) in sizes.items()
        }
        self._cameras = _moved(scene.train.cameras, device)
        self._test_cameras = _moved(scene.test.cameras, device)
        self._colours = torch.from_numpy(scene.train.colours).reshape(-1, 3).to(device)
        self.elements = len(self._colours)
        self._offsets = torch.rand(self.elements, generator=seeds.generator("rays")).to(device)
        views = len(scene.test.colours)
        each = min(self._test_cameras.pixels, -(-CURVE_RAYS // views))
        picked = [
            torch.randperm(self._test_cameras.pixels, generator=seeds.generator(f"curve {v}")) for v in range(views)
        ]
        self._curve = torch.stack([pixel[:each] for pixel in picked])
        self.record = {**scene.record, "samples_per_ray": spec.samples, "curve_rays_per_view": each}

    def batch(self, index: Index) -> Batch:
        """origins, directions and colours (n, 3), near, far and offset (n,) of rays."""
        if isinstance(index, slice):
            index = torch.arange(*index.indices(self.elements), device=self.device)
        origins, directions = self._cameras.rays(index)
        near, far = through_cube(origins, directions, self.bound)
        return {
            "origins": origins,
            "directions": directions,
            "near": near,
            "far": far,
            "offset": self._offsets[index],
            "colours": self._colours[index] / 255.0,
        }

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Squared error of the ray's colour, averaged over its channels."""
        rendered, _ = self._render(model, batch)
        return (rendered - batch["colours"]).square().mean(dim=1)

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        """psnr and ssim, means over the test views; on the curve psnr only, over some rays of each view."""
        if full:
            return self._present(self._views(model, self._test_cameras))
        errors = []
        for view, pixel in enumerate(self._curve):
            answer, _ = self._trace(
                model, self._test_cameras, (pixel + view * self._test_cameras.pixels).to(self.device)
            )
            truth = self.scene.test.colours[view].reshape(-1, 3)[pixel.numpy()] / np.float32(255.0)
            errors.append(psnr(squared_error(truth, answer)))
        return Evaluation({"psnr": float(np.mean(errors))})

    def baseline(self, name: str) -> Evaluation:
        """constant: the training views' mean colour; mean_image: their mean; nearest_view: the one from nearest by."""
        train, test = self.scene.train, self.scene.test
        count, *shape = test.colours.shape
        if name == "constant":
            answers = [np.broadcast_to(train.colours.mean(axis=(0, 1, 2)), shape)] * count
        elif name == "mean_image":
            answers = [train.colours.mean(axis=0)] * count
        elif name == "nearest_view":
            places = [views.cameras.poses[:, :3, 3] for views in (test, train)]
            answers = [train.colours[view] for view in torch.cdist(*places).argmin(dim=1).tolist()]
        else:
            raise DataError(f"the nerf task has no baseline {name!r}")
        return self._present((answer / np.float32(255.0), None) for answer in answers)

    def truth(self) -> Array:
        test = self.scene.test
        return self._picture(test.colours[SHOWN_VIEW] / 255.0, None if test.depth is None else test.depth[SHOWN_VIEW])

    def render(self, model: nn.Module, size: int) -> Evaluation:
        """The first test view with `size` pixels along its longer side."""
        test = self._test_cameras
        scale = size / max(test.height, test.width)
        height, width = (max(1, round(side * scale)) for side in (test.height, test.width))
        camera = Cameras(test.poses[SHOWN_VIEW : SHOWN_VIEW + 1], height, width, test.angle)
        colours, depth = next(self._views(model, camera))
        return Evaluation(
            {}, {"views": _eight_bits(colours)[None], "depth": depth[None]}, self._picture(colours, depth)
        )

    def _render(self, model: nn.Module, rays: Batch) -> tuple[Tensor, Tensor]:
        """Colours on white (n, 3) and depths (n,) of rays, NaN where there is next to nothing."""
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

    def _trace(self, model: nn.Module, cameras: Cameras, ray: Tensor) -> tuple[Array, Array]:
        """Colours and depths of rays, in chunks, with the same offset for all."""
        colours, depths = [], []
        for part in ray.split(max(1, POINTS_AT_A_TIME // self.samples)):
            origins, directions = cameras.rays(part)
            near, far = through_cube(origins, directions, self.bound)
            rays = {"origins": origins, "directions": directions, "near": near, "far": far}
            with torch.no_grad():
                answer, depth = self._render(model, {**rays, "offset": torch.full_like(near, 0.5)})
            colours.append(answer.float().cpu().numpy())
            depths.append(depth.float().cpu().numpy())
        return np.concatenate(colours), np.concatenate(depths)

    def _views(self, model: nn.Module, cameras: Cameras) -> Iterator[tuple[Array, Array]]:
        """View after view: colours (H, W, 3) and depth (H, W)."""
        for view in range(len(cameras.poses)):
            ray = torch.arange(view * cameras.pixels, (view + 1) * cameras.pixels, device=self.device)
            colours, depth = self._trace(model, cameras, ray)
            yield colours.reshape(cameras.height, cameras.width, 3), depth.reshape(cameras.height, cameras.width)

    def _present(self, answers: Iterable[tuple[Array, Array | None]]) -> Evaluation:
        """Measure one view after the other: of many large ones only 8 bits a channel are kept."""
        figures, views, depths = [], [], []
        for truth, (colours, depth) in zip(self.scene.test.colours, answers, strict=True):
            pair = truth / np.float32(255.0), colours.astype(np.float32)
            figures.append((psnr(squared_error(*pair)), ssim(*pair)))
            if not views:
                picture = self._picture(colours, depth)
            views.append(_eight_bits(colours))
            if depth is not None:
                depths.append(depth)
        metrics = dict(zip(("psnr", "ssim"), map(float, np.mean(figures, axis=0)), strict=True))
        outputs = {"views": np.stack(views)} | ({"depth": np.stack(depths)} if depths else {})
        return Evaluation(metrics, outputs, picture)

    def _picture(self, view: Array, depth: Array | None) -> Array:
        """A view beside its depth, near is dark; the depth is blank where there is nothing, or it is not known."""
        origin = self.scene.test.cameras.poses[SHOWN_VIEW, :3, 3].norm().item()
        near, far = max(0.0, origin - self.bound), origin + self.bound
        grey = np.ones(view.shape[:2]) if depth is None else np.nan_to_num((depth - near) / (far - near), nan=1.0)
        return np.concatenate([_eight_bits(view), _eight_bits(np.repeat(grey[..., None], 3, axis=2))], axis=1)


def _moved(cameras: Cameras, device: torch.device) -> Cameras:
    return Cameras(cameras.poses.to(device), cameras.height, cameras.width, cameras.angle)


def _eight_bits(values: Array) -> Array:
    return np.rint(np.nan_to_num(values).clip(0.0, 1.0) * 255.0).astype(np.uint8)
