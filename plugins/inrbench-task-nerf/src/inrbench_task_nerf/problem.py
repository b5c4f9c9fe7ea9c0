"""The nerf task: fit density and colour so that rendered rays have the colours of the pictures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from inrbench_task_image.metrics import psnr, squared_error, ssim
from torch import Tensor, nn
from torch.nn import functional

from inrbench_core import (
    Batch,
    DataError,
    Evaluation,
    FieldFrame,
    FieldShape,
    Frame,
    Index,
    Problem,
    Quantity,
    SeedStreams,
)
from inrbench_task_nerf.cameras import Cameras, through_cube
from inrbench_task_nerf.plugin import GENERATED, NerfSpec
from inrbench_task_nerf.renderer import Tracer, eight_bits, picture
from inrbench_task_nerf.rendering import COLOUR_RATE, DENSITY_RATE, MOST_LOG_DENSITY
from inrbench_task_nerf.true_field import true_field
from inrbench_task_nerf.views import Scene, load_scene

Array = np.ndarray[Any, Any]

# Along the training curve this many rays of the test views are looked at.
CURVE_RAYS = 4096
SHOWN_VIEW = 0


def prepare(spec: NerfSpec, *, device: torch.device, seeds: SeedStreams) -> NerfProblem:
    """Load the views. Raises DataError if they cannot be used."""
    return NerfProblem(load_scene(spec), spec, device=device, seeds=seeds)


class NerfProblem(Problem):
    """density: (x, y, z) -> 1 and colour: (x, y, z [, direction]) -> 3, positions over `bound` in [-1, 1].

    Rays are counted view by view, row by row. Where in their parts a ray's samples lie is drawn once for each ray, not
    at each step, so that a ray's loss does not depend on the batch or chunk it comes in.

    Args:
        scene: the views.
        spec: samples along a ray, and whether colour depends on the direction.
        device: where training tensors stay.
        seeds: "rays" draws the offsets of the samples, "curve" the rays that the curve looks at.
    """

    def __init__(self, scene: Scene, spec: NerfSpec, *, device: torch.device, seeds: SeedStreams) -> None:
        self.scene = scene
        self.device = device
        self.tracer = Tracer(scene.bound, spec.samples, spec.view_direction)
        self.points_per_element = spec.samples
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
        # Rays of the test views, (V, n), and their colours, (V, n, 3).
        curve = torch.stack([pixel[:each] + view * self._test_cameras.pixels for view, pixel in enumerate(picked)])
        self._curve = curve.to(device)
        self._curve_colours = torch.from_numpy(scene.test.colours).reshape(-1, 3)[curve].to(device)
        self.record = {**scene.record, "samples_per_ray": spec.samples, "curve_rays_per_view": each}
        if spec.source == GENERATED:
            # What it lacks is the quadrature's and, where colour does not depend on the direction, the highlight's.
            self.record["psnr_of_true_field"] = self.evaluate(true_field(scene.bound), full=False).metrics["psnr"]

    def batch(self, index: Index) -> Batch:
        """origins, directions and colours (n, 3), near, far and offset (n,) of rays."""
        if isinstance(index, slice):
            index = torch.arange(*index.indices(self.elements), device=self.device)
        origins, directions = self._cameras.rays(index)
        near, far = through_cube(origins, directions, self.scene.bound)
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
        rendered, _ = self.tracer.render(model, batch)
        return (rendered - batch["colours"]).square().mean(dim=1)

    def evaluate(self, model: nn.Module, *, full: bool = True) -> Evaluation:
        """psnr and ssim, means over the test views; on the curve psnr only, over some rays of each view."""
        if full:
            return self._present(self.tracer.views(model, self._test_cameras))
        answer, _ = self.tracer.trace(model, self._test_cameras, self._curve.flatten())
        errors = squared_error(self._curve_colours / 255.0, answer.reshape(self._curve_colours.shape))
        return Evaluation({"psnr": float(np.mean([psnr(error) for error in errors.cpu().numpy()]))})

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
        return self._present((torch.tensor(answer / np.float32(255.0)), None) for answer in answers)

    def truth(self) -> Array:
        test = self.scene.test
        depth = None if test.depth is None else test.depth[SHOWN_VIEW]
        return picture(test.colours[SHOWN_VIEW] / 255.0, depth, test.cameras.poses[SHOWN_VIEW], self.scene.bound)

    @property
    def frame(self) -> Frame:
        """Places in scene units, directions as they are; density per scene unit, colours in [0, 1].

        The facts are what a NerfRenderer needs to make the first test view.
        """
        bound = self.scene.bound
        density = (Quantity("density", transform="exp", rate=DENSITY_RATE, limit=MOST_LOG_DENSITY),)
        colours = tuple(Quantity(name, transform="sigmoid", rate=COLOUR_RATE) for name in ("red", "green", "blue"))
        coords = tuple(Quantity(axis, "", -bound, bound) for axis in "xyz")
        seen = coords + tuple(Quantity(f"direction {axis}") for axis in "xyz") if self.tracer.view_direction else coords
        quantities = {"density": (coords, density), "colour": (seen, colours)}
        fields = {name: FieldFrame(*items, self.shapes[name].resolution) for name, items in quantities.items()}
        cameras = self.scene.test.cameras
        size = {"height": cameras.height, "width": cameras.width, "angle": cameras.angle}
        camera = {"pose": cameras.poses[SHOWN_VIEW].tolist(), **size}
        return Frame(fields, {**asdict(self.tracer), "camera": camera})

    def coords(self, count: int, seeds: SeedStreams, field: str = "") -> Tensor:
        """Uniform points of the cube; for a colour that depends on the direction with uniform unit directions."""
        random = seeds.generator("domain")
        points = 2.0 * torch.rand(count, 3, generator=random) - 1.0
        if self.shapes[field or "density"].in_features == 6:
            directions = functional.normalize(torch.randn(count, 3, generator=random), dim=1)
            points = torch.cat([points, directions], dim=1)
        return points.to(self.device)

    def _present(self, answers: Iterable[tuple[Tensor, Tensor | None]]) -> Evaluation:
        """Measure one view after the other, where it is: of many large ones only 8 bits a channel are kept."""
        figures, views, depths = [], [], []
        for true_colours, (answer, distance) in zip(self.scene.test.colours, answers, strict=True):
            truth = torch.from_numpy(true_colours).to(answer.device) / 255.0
            figures.append((psnr(squared_error(truth, answer.float())), ssim(truth, answer.float())))
            colours, depth = answer.cpu().numpy(), None if distance is None else distance.cpu().numpy()
            if not views:
                preview = picture(colours, depth, self.scene.test.cameras.poses[SHOWN_VIEW], self.scene.bound)
            views.append(eight_bits(colours))
            if depth is not None:
                depths.append(depth)
        metrics = dict(zip(("psnr", "ssim"), map(float, np.mean(figures, axis=0)), strict=True))
        outputs = {"views": np.stack(views)} | ({"depth": np.stack(depths)} if depths else {})
        return Evaluation(metrics, outputs, preview)


def _moved(cameras: Cameras, device: torch.device) -> Cameras:
    return Cameras(cameras.poses.to(device), cameras.height, cameras.width, cameras.angle)
