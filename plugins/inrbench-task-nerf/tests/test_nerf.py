import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from inrbench_task_image.metrics import psnr, squared_error
from inrbench_task_nerf import still_life
from inrbench_task_nerf.cameras import Cameras, look_at_origin, through_cube
from inrbench_task_nerf.plugin import NerfSpec, inrbench_tasks
from inrbench_task_nerf.problem import NerfProblem, prepare
from inrbench_task_nerf.renderer import NerfRenderer
from inrbench_task_nerf.rendering import DENSITY_RATE, colour, density, expected_depth, sample_depths, weights
from inrbench_task_nerf.views import generate, write_views
from torch import Tensor, nn

from inrbench_core import DataError, Frame, SeedStreams, UnsupportedError
from inrbench_core.api.entries import load_object
from inrbench_core.api.problem import from_field, to_field

CPU = torch.device("cpu")


class Constant(nn.Module):
    """The same values everywhere."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = torch.tensor(values)

    def forward(self, coords: Tensor) -> Tensor:
        return self.values.expand(len(coords), -1)


def model(log_density: float, grey: float) -> nn.ModuleDict:
    """A cube full of fog of density exp(log_density), of one grey level."""
    level = math.log(grey / (1.0 - grey)) / 4.0
    return nn.ModuleDict({"density": Constant(log_density / DENSITY_RATE), "colour": Constant(level, level, level)})


def renderer(problem: NerfProblem) -> NerfRenderer:
    """From what is left of a frame when it has been written down; there are no views any more."""
    return NerfRenderer(Frame.from_data(json.loads(json.dumps(problem.frame.to_data()))), CPU)


def random_fields(inputs: int) -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict({"density": nn.Linear(3, 1), "colour": nn.Linear(inputs, 3)})


@pytest.fixture(scope="module")
def problem() -> NerfProblem:
    spec = NerfSpec(size=12, train_views=3, test_views=2, samples=16)
    return prepare(spec, device=CPU, seeds=SeedStreams(0))


def test_the_light_through_a_slab_is_that_of_beer_and_lambert() -> None:
    sigma, near, far = 1.7, torch.tensor([2.0, 3.0]), torch.tensor([2.5, 5.0])
    _, length = sample_depths(near, far, torch.zeros(2), 32)
    share, behind = weights(torch.full((2, 32), sigma), length)
    assert behind == pytest.approx(torch.exp(-sigma * (far - near)).tolist())
    assert (share.sum(dim=1) + behind) == pytest.approx([1.0, 1.0])
    # The k-th part gets the light that k parts before it let through, less what it lets through itself.
    assert share[1, 4].item() == pytest.approx(math.exp(-sigma * 0.25) - math.exp(-sigma * 0.3125), rel=1e-4)


def test_weights_of_any_densities_and_the_background_sum_to_one() -> None:
    densities = torch.rand(50, 20, generator=torch.Generator().manual_seed(0)) ** 4 * 1e3
    share, behind = weights(densities, torch.rand(50, 1))
    assert (share.sum(dim=1) + behind) == pytest.approx(torch.ones(50), abs=1e-5)
    assert share.min() >= 0.0


def test_samples_lie_one_in_each_part_at_equal_steps() -> None:
    depths, length = sample_depths(torch.tensor([1.0, 1.0]), torch.tensor([3.0, 3.0]), torch.tensor([0.3, 0.9]), 8)
    assert length.tolist() == [[0.25], [0.25]]
    exact = torch.tensor([[1.0 + 0.25 * (part + offset) for part in range(8)] for offset in (0.3, 0.9)])
    assert torch.allclose(depths, exact)


def test_the_optical_depth_of_a_smooth_blob_is_exact() -> None:
    # Of a Gaussian, its peak times sigma sqrt(2 pi): a sum over even steps below sigma is exact to many digits.
    offset = torch.tensor([0.0, 0.2, 0.5, 0.9])
    depths, length = sample_depths(torch.full((4,), 0.0), torch.full((4,), 2.0), offset, 24)
    _, behind = weights(3.0 * torch.exp(-0.5 * ((depths - 1.03) / 0.1) ** 2), length)
    assert behind == pytest.approx([math.exp(-3.0 * 0.1 * math.sqrt(2.0 * math.pi))] * 4, rel=1e-4)


def test_density_of_a_field_and_its_cut() -> None:
    assert density(torch.tensor([-1.0, 0.0, 1.0])) == pytest.approx([math.exp(-5), 1.0, math.exp(5)])
    assert density(torch.tensor([1e6])).isfinite().all()


def test_rays_of_a_camera_against_hand_values() -> None:
    pose = torch.eye(4)[None].clone()
    pose[0, :3, 3] = torch.tensor([0.0, 0.0, 4.0])
    # 90 degrees across 2 pixels: the focal length is 1 pixel, the centres are half a pixel off the axis.
    origins, directions = Cameras(pose, 2, 2, math.pi / 2).rays(torch.arange(4))
    assert origins.tolist() == [[0.0, 0.0, 4.0]] * 4
    exact = torch.tensor([[-0.5, 0.5, -1.0], [0.5, 0.5, -1.0], [-0.5, -0.5, -1.0], [0.5, -0.5, -1.0]]) / math.sqrt(1.5)
    assert torch.allclose(directions, exact)


def test_cameras_look_at_the_origin_upright() -> None:
    poses = look_at_origin(torch.tensor([0.0, 2.0]), torch.tensor([0.0, 0.7]), 4.0)
    assert torch.allclose(poses[0, :3], torch.tensor([[0.0, 0, 1, 4], [1, 0, 0, 0], [0, 1, 0, 0]]), atol=1e-6)
    rotation = poses[:, :3, :3]
    assert torch.allclose(rotation @ rotation.mT, torch.eye(3).expand(2, 3, 3), atol=1e-6)
    assert torch.linalg.det(rotation) == pytest.approx([1.0, 1.0])
    assert torch.allclose(poses[:, :3, 3] - 4.0 * poses[:, :3, 2], torch.zeros(2, 3), atol=1e-6)


def test_where_rays_cross_the_cube() -> None:
    origins = torch.tensor([[0.0, 0.0, 4.0], [0.0, 0.0, 0.0], [3.0, 0.0, 4.0], [0.0, 0.0, 4.0]])
    slope = 1.0 / math.sqrt(2.0)
    directions = torch.tensor([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, slope, slope]])
    near, far = through_cube(origins, directions, 1.5)
    assert near[:2].tolist() == [2.5, 0.0]
    assert far[:2].tolist() == [5.5, 1.5]
    assert near[2:].tolist() == far[2:].tolist()


def test_a_cube_of_fog_is_rendered_in_closed_form(problem: NerfProblem) -> None:
    fog = model(math.log(0.8), 0.25)
    batch = problem.batch(slice(None))
    through = torch.exp(-0.8 * (batch["far"] - batch["near"]))
    exact = 0.25 * (1.0 - through) + through
    assert torch.allclose(problem.loss(fog, batch), (exact[:, None] - batch["colours"]).square().mean(dim=1), atol=1e-5)
    empty = problem.evaluate(model(-40.0, 0.25))
    assert (empty.outputs["views"] == 255).all()


def test_metrics_are_means_over_views(problem: NerfProblem) -> None:
    evaluation = problem.evaluate(model(9.0, 0.5))
    truth = problem.scene.test.colours / 255.0
    views = evaluation.outputs["views"] / 255.0
    exact = np.mean([psnr(squared_error(*pair)) for pair in zip(truth, views, strict=True)])
    assert evaluation.metrics["psnr"] == pytest.approx(exact, abs=0.05)
    # All 144 pixels of these small views are looked at on the curve.
    assert problem.evaluate(model(9.0, 0.5), full=False).metrics["psnr"] == pytest.approx(evaluation.metrics["psnr"])


def test_a_ray_does_not_depend_on_its_batch(problem: NerfProblem) -> None:
    torch.manual_seed(0)
    fields = nn.ModuleDict({name: nn.Linear(3, out) for name, out in (("density", 1), ("colour", 3))})
    whole = problem.loss(fields, problem.batch(slice(None)))
    chosen = torch.tensor([0, 431, 77, 78])
    assert torch.allclose(problem.loss(fields, problem.batch(chosen)), whole[chosen], rtol=1e-5)
    whole.mean().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in fields.parameters())


def test_view_direction_goes_to_the_colour_only() -> None:
    spec = NerfSpec(size=8, train_views=2, test_views=1, samples=4, view_direction=True)
    problem = prepare(spec, device=CPU, seeds=SeedStreams(0))
    assert {name: shape.in_features for name, shape in problem.shapes.items()} == {"density": 3, "colour": 6}
    seen: dict[str, Tensor] = {}

    class Spy(Constant):
        def forward(self, coords: Tensor) -> Tensor:
            seen[str(len(self.values))] = coords
            return super().forward(coords)

    batch = problem.batch(slice(0, 5))
    problem.loss(nn.ModuleDict({"density": Spy(0.0), "colour": Spy(0.0, 0.0, 0.0)}), batch)
    assert torch.equal(seen["3"][:, :3], seen["1"])
    assert torch.equal(seen["3"][::4, 3:], batch["directions"])
    # Points of rays that meet the cube lie in it.
    assert seen["1"].reshape(5, 4, 3)[batch["far"] > batch["near"]].abs().le(1.0 + 1e-5).all()


def test_baselines(problem: NerfProblem) -> None:
    train, test = (views.colours / 255.0 for views in (problem.scene.train, problem.scene.test))
    mean = problem.baseline("mean_image").outputs["views"]
    assert mean[0] / 255.0 == pytest.approx(train.mean(axis=0), abs=0.003)
    nearest = problem.baseline("nearest_view").outputs["views"]
    assert all(any(np.array_equal(view, picture) for picture in problem.scene.train.colours) for view in nearest)
    for name in ("constant", "mean_image", "nearest_view"):
        evaluation = problem.baseline(name)
        assert 3.0 < evaluation.metrics["psnr"] < 25.0
        assert evaluation.preview is not None
        assert evaluation.preview.shape == problem.truth().shape == (12, 24, 3)
    assert test.shape == (2, 12, 12, 3)
    with pytest.raises(DataError, match="no baseline"):
        problem.baseline("fbp")


def test_rendering_at_another_size(problem: NerfProblem) -> None:
    evaluation = renderer(problem).render(model(0.0, 0.5), 20)
    assert evaluation.outputs["views"].shape == (1, 20, 20, 3)
    assert evaluation.outputs["depth"].shape == (1, 20, 20)
    assert evaluation.metrics == {}
    with pytest.raises(UnsupportedError, match="too large"):
        renderer(problem).render(model(0.0, 0.5), 100_000)


@pytest.mark.parametrize("view_direction", [False, True])
def test_rendering_at_the_own_size_is_the_first_test_view(tmp_path: Path, view_direction: bool) -> None:
    spec = NerfSpec(size=12, train_views=2, test_views=2, samples=8, bound=1.5, view_direction=view_direction)
    problem = prepare(spec, device=CPU, seeds=SeedStreams(0))
    fields = random_fields(6 if view_direction else 3)
    evaluation, rendered = problem.evaluate(fields), renderer(problem).render(fields)
    assert np.array_equal(rendered.outputs["views"], evaluation.outputs["views"][:1])
    assert np.array_equal(rendered.preview, evaluation.preview)
    paths = renderer(problem).save(rendered, tmp_path, "scene")
    assert {path.name for path in paths} == {"scene.png", "scene.npz"}


def test_the_frame_gives_scene_units_densities_and_colours(problem: NerfProblem) -> None:
    frame = problem.frame
    assert {name: len(field.coords) for name, field in frame.fields.items()} == {"density": 3, "colour": 3}
    places = torch.tensor([[-1.3, 0.0, 1.3]])
    assert to_field(places, frame.fields["density"]) == pytest.approx(torch.tensor([[-1.0, 0.0, 1.0]]))
    values = torch.tensor([[-1.0], [0.2], [100.0]])
    assert torch.allclose(from_field(values, frame.fields["density"]), density(values))
    values = values.expand(3, 3)
    assert torch.allclose(from_field(values, frame.fields["colour"]), colour(values))


def test_coords_are_points_of_the_cube_and_unit_directions() -> None:
    spec = NerfSpec(size=8, train_views=2, test_views=1, samples=4, view_direction=True)
    problem = prepare(spec, device=CPU, seeds=SeedStreams(0))
    points, seen = (problem.coords(1000, SeedStreams(0), field) for field in ("", "colour"))
    assert (points.shape, seen.shape) == ((1000, 3), (1000, 6))
    # A uniform number from -1 to 1 has variance 1 / 3, and so has each part of a uniform direction.
    assert seen.var(dim=0) == pytest.approx(torch.full((6,), 1 / 3), abs=0.04)
    assert points.abs().max() <= 1.0
    assert seen[:, 3:].norm(dim=1) == pytest.approx(torch.ones(1000), abs=1e-5)
    assert torch.equal(problem.coords(5, SeedStreams(0)), problem.coords(5, SeedStreams(0)))
    directions = to_field(seen.double(), problem.frame.fields["colour"])[:, 3:]
    assert torch.allclose(directions, seen[:, 3:].double())
    assert problem.target(points) is None


def test_depth_is_where_the_light_comes_from_and_unknown_of_what_is_seen_through() -> None:
    depths = torch.tensor([[1.0, 2.0, 3.0]]).expand(4, 3)
    share = torch.tensor([[0.0, 1.0, 0.0], [0.3, 0.0, 0.3], [0.2, 0.2, 0.0], [0.0, 0.0, 0.0]])
    depth = expected_depth(share, depths)
    assert depth[:2] == pytest.approx([2.0, 2.0])
    assert depth[2:].isnan().all()


def test_the_true_field_scores_what_its_quadrature_allows() -> None:
    def figure(samples: int, view_direction: bool) -> float:
        options = {"size": 20, "train_views": 1, "test_views": 3, "view_direction": view_direction}
        problem = prepare(NerfSpec(samples=samples, **options), device=CPU, seeds=SeedStreams(0))
        return float(problem.record["psnr_of_true_field"])

    # The views themselves are made by other code, in steps of 0.004 at surfaces.
    assert figure(12, True) < 25.0
    assert figure(128, True) > 45.0
    # The highlight alone is missing.
    assert 33.0 < figure(128, False) < 40.0


def test_the_true_field_of_a_folder_is_not_known(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_views(tmp_path, split, generate(still_life.cameras(2, 12, test=split == "test")))
    problem = prepare(NerfSpec(source=str(tmp_path), samples=4), device=CPU, seeds=SeedStreams(0))
    assert "psnr_of_true_field" not in problem.record
    assert problem.record["synthetic"] is False


def test_the_still_life_is_where_its_distances_say() -> None:
    # From above onto the table, onto the ball, and past everything.
    origins = torch.tensor([[0.0, 0.0, 3.0], [-0.45, -0.35, 3.0], [1.29, 0.0, 3.0]])
    _, opacity, depth = still_life.render(origins, torch.tensor([[0.0, 0.0, -1.0]]).expand(3, 3))
    assert opacity == pytest.approx([1.0, 1.0, 0.0], abs=2e-3)
    # The fog's optical depth outside of the surface makes the mean stop a little above it.
    assert depth[:2] == pytest.approx([3.37, 2.53], abs=0.02)
    assert depth[2].isnan()


def test_the_still_life_has_a_highlight_that_moves_with_the_eye() -> None:
    light = torch.nn.functional.normalize(torch.tensor([[0.45, -0.35, 0.82]]), dim=1)
    # Where the ball faces the light.
    top = torch.tensor([[-0.45, -0.35, 0.05]]) + 0.42 * light
    towards = torch.nn.functional.normalize(torch.cat([light, torch.tensor([[-0.9, 0.3, 0.3]])]), dim=1)
    facing, aside = still_life.shade(top.expand(2, 3), -towards)
    assert (facing - aside).min() > 0.2


def test_the_entry() -> None:
    (entry,) = inrbench_tasks()
    assert entry.primary.name == "psnr"
    assert entry.baselines == ("constant", "mean_image", "nearest_view")
    assert load_object(entry.renderer) is NerfRenderer
