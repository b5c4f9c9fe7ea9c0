import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from inrbench_task_image.transform_coding import dct_coded
from inrbench_task_video.between import Fade, Motion
from inrbench_task_video.clip import Clip
from inrbench_task_video.picture import shown_frames
from inrbench_task_video.plugin import VideoSpec, inrbench_tasks
from inrbench_task_video.problem import INTERPOLATIONS, VideoProblem, prepare
from inrbench_task_video.renderer import VideoRenderer
from PIL import Image
from scipy.ndimage import gaussian_filter, map_coordinates
from torch import Tensor, nn

from inrbench_core import Frame, SeedStreams, UnsupportedError
from inrbench_core.api.entries import load_object
from inrbench_core.api.problem import from_field, grid_coords, to_field

CPU = torch.device("cpu")


class Lookup(nn.Module):
    """Answers with the colour of the nearest pixel, plus an error: a model of known quality."""

    def __init__(self, frames: np.ndarray, error: float = 0.0) -> None:
        super().__init__()
        self.values = torch.from_numpy(frames) / 127.5 - 1.0 + 2.0 * error

    def forward(self, coords: Tensor) -> Tensor:
        sizes = torch.tensor(self.values.shape[:3])
        t, y, x = ((coords + 1) / 2 * (sizes - 1)).round().long().unbind(dim=1)
        return self.values[t, y, x]


def noise_clip(shape: tuple[int, ...] = (10, 14, 17, 3)) -> Clip:
    return Clip(np.random.default_rng(0).integers(60, 190, shape, dtype=np.uint8), {"source": "test"})


def problem(clip: Clip | None = None, seed: int = 0, **options: float | None) -> VideoProblem:
    spec = VideoSpec.model_validate(options)
    return VideoProblem(clip or noise_clip(), spec, device=CPU, seeds=SeedStreams(seed))


def renderer(video: VideoProblem) -> VideoRenderer:
    """From what is left of a frame when it has been written down; there is no clip any more."""
    return VideoRenderer(Frame.from_data(json.loads(json.dumps(video.frame.to_data()))), CPU)


def test_held_out_frames_are_never_in_a_batch_and_all_others_are() -> None:
    video = problem()
    batch = video.batch(slice(None))
    frames = ((batch["coords"][:, 0] + 1) / 2 * 9).round().long()
    assert video.held_out == [1, 2, 3, 5, 6, 7]
    assert video.elements == 4 * 14 * 17 == len(frames)
    assert sorted(set(frames.tolist()) | set(video.held_out)) == list(range(10))
    assert not set(frames.tolist()) & set(video.held_out)
    assert torch.equal(batch["values"], Lookup(video.frames)(batch["coords"]))
    assert len(torch.unique(batch["coords"], dim=0)) == video.elements


def test_a_batch_of_chosen_elements_is_that_part_of_all() -> None:
    video, chosen = problem(), torch.tensor([0, 5, 503, 951])
    for name, values in video.batch(chosen).items():
        assert torch.equal(values, video.batch(slice(None))[name][chosen])


@pytest.mark.parametrize("keep_every", [None, 3])
def test_the_frames_of_batches_are_trained_and_all_others_are_not(keep_every: int | None) -> None:
    video = problem(keep_every=keep_every)
    grid = video.coords(10**6, SeedStreams(0))
    expected = torch.zeros(10, 14, 17, dtype=torch.bool)
    frames = ((video.batch(slice(None))["coords"][:, 0] + 1) / 2 * 9).round().long()
    expected[frames] = True
    assert torch.equal(video.is_trained(grid), expected.flatten())
    # Up to half a frame from it a moment counts as the frame.
    later = grid + torch.tensor([0.4 * 2 / 9, 0.0, 0.0])
    assert torch.equal(video.is_trained(later), expected.flatten())


@pytest.mark.parametrize(
    ("frames", "keep_every", "held_out"),
    [(10, None, []), (10, 2, [1, 3, 5, 7]), (9, 4, [1, 2, 3, 5, 6, 7]), (4, 9, [1, 2]), (2, 4, []), (3, 2, [1])],
)
def test_held_out_frames_have_a_fixed_stride_whatever_the_seed(
    frames: int, keep_every: int | None, held_out: list[int]
) -> None:
    for seed in range(3):
        video = problem(noise_clip((frames, 4, 4, 3)), seed, keep_every=keep_every)
        assert video.held_out == held_out
        assert sorted(video.held_out + video.train) == list(range(frames))
    assert (video.record["keep_every"], video.record["held_out_frames"]) == (keep_every or 1, len(held_out))


def test_evaluation_of_a_model_with_a_known_error() -> None:
    video = problem()
    evaluation = video.evaluate(Lookup(video.frames, error=0.1))
    for name in ("psnr", "psnr_train", "psnr_held_out"):
        assert evaluation.metrics[name] == pytest.approx(20.0, abs=1e-4)
    assert 0.8 < evaluation.metrics["ssim"] < 1.0
    assert evaluation.outputs["frames"].astype(int) == pytest.approx(video.frames + 25.5, abs=1)
    assert evaluation.preview is not None
    assert evaluation.preview.shape == video.truth().shape
    assert video.evaluate(Lookup(video.frames, error=0.1), full=False).metrics == {
        "psnr": pytest.approx(20.0, abs=1e-4)
    }


def test_psnr_is_the_mean_over_frames_not_of_the_pooled_error() -> None:
    video = problem(keep_every=None)
    model = Lookup(video.frames)
    model.values += 2.0 * 10.0 ** -torch.linspace(1.0, 2.0, 10)[:, None, None, None]  # 20 dB to 40 dB
    metrics = video.evaluate(model).metrics
    assert metrics["psnr"] == pytest.approx(30.0, abs=1e-3)
    assert math.isnan(metrics["psnr_held_out"])


def test_a_perfect_model() -> None:
    video = problem()
    evaluation = video.evaluate(Lookup(video.frames))
    assert evaluation.metrics["ssim"] == pytest.approx(1.0, abs=1e-6)
    # Of float32 in [-1, 1], rounding is left.
    assert 140.0 < evaluation.metrics["psnr"] <= 200.0
    assert np.array_equal(evaluation.outputs["frames"], video.frames)
    assert np.array_equal(evaluation.preview, video.truth())


def test_predictions_are_cut_to_the_range_of_colours() -> None:
    video = problem(Clip(np.full((3, 12, 12, 1), 255, np.uint8), {}))
    assert video.evaluate(Lookup(video.frames, error=5.0)).metrics["psnr"] == 200.0


def test_curve_of_a_large_clip_looks_at_a_part_of_every_frame() -> None:
    video = problem(noise_clip((4, 200, 200, 1)))
    assert video.record["curve_pixels_per_frame"] == 131_072 / 4
    model = Lookup(video.frames)
    model.values[:, :, 100:] += 0.2
    exact, estimate = (video.evaluate(model, full=full).metrics["psnr"] for full in (True, False))
    assert estimate == pytest.approx(exact, abs=0.1)


def test_loss_is_the_squared_error_of_each_element() -> None:
    video = problem()
    model = Lookup(video.frames, error=0.15)
    assert video.loss(model, video.batch(torch.tensor([1, 2, 3]))) == pytest.approx([0.09] * 3, abs=1e-5)


def test_linear_baseline_is_exact_where_the_clip_fades_linearly() -> None:
    fade = np.broadcast_to(np.arange(0, 200, 20, dtype=np.uint8)[:, None, None, None], (10, 12, 12, 3)).copy()
    metrics = problem(Clip(fade, {})).baseline("linear").metrics
    assert metrics["psnr_held_out"] > 100.0
    assert math.isnan(metrics["psnr"])
    noisy = problem(noise_clip((11, 40, 40, 3)), keep_every=2).baseline("linear").metrics
    # Of independent noise of variance v the blend of two frames errs by 1.5 v.
    assert noisy["psnr_held_out"] == pytest.approx(-10 * math.log10(1.5 * (130**2 - 1) / 12 / 255**2), abs=0.3)


def moving_clip(frames: int = 9, size: int = 48) -> Clip:
    """A smooth random texture that moves by 0.75 pixels down and 0.5 to the right from one frame to the next."""
    texture = gaussian_filter(np.random.default_rng(0).standard_normal((80, 80)), 3)
    texture = (texture - texture.min()) / np.ptp(texture)
    row, column = np.indices((size, size)) + 16.0
    shown = [map_coordinates(texture, [row - 0.75 * t, column - 0.5 * t], order=3) for t in range(frames)]
    grey = np.clip(np.rint(np.stack(shown) * 255), 0, 255).astype(np.uint8)
    return Clip(np.stack([grey] * 3, axis=-1), {})


def test_motion_is_compensated_where_it_is_a_known_translation() -> None:
    clip = moving_clip()
    before, after = clip.frames[0] / np.float32(255), clip.frames[4] / np.float32(255)
    inside = (slice(8, -8), slice(8, -8))
    for t in (1, 2, 3):
        error = (Motion(before, after).at(t / 4) - clip.frames[t] / 255.0)[inside]
        assert -10 * math.log10(np.square(error).mean()) > 45.0
    video = problem(clip)
    scores = {name: video.baseline(name).metrics["psnr_held_out"] for name in ("linear", "motion_compensated")}
    # The texture is not known beyond the edge.
    assert scores["motion_compensated"] > scores["linear"] + 6.0


@pytest.mark.parametrize("shape", [(5, 5, 7, 1), (5, 20, 3, 3)])
def test_motion_of_small_frames_and_of_none(shape: tuple[int, ...]) -> None:
    still = np.repeat(noise_clip((1, *shape[1:])).frames, shape[0], axis=0)
    metrics = problem(Clip(still, {})).baseline("motion_compensated").metrics
    assert metrics["psnr_held_out"] > 80.0
    assert math.isfinite(problem(noise_clip(shape)).baseline("motion_compensated").metrics["psnr_held_out"])


def test_motion_compensated_frames_are_cached_for_their_clip_and_training_frames(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs: list[int] = []

    class CountedFade(Fade):
        def __init__(self, before: np.ndarray, after: np.ndarray) -> None:
            super().__init__(before, after)
            pairs.append(1)

    monkeypatch.setitem(INTERPOLATIONS, "motion_compensated", CountedFade)
    clip, other = noise_clip((9, 14, 17, 3)), noise_clip((9, 17, 14, 3))
    computed, read = (problem(clip, keep_every=4).baseline("motion_compensated") for _ in range(2))
    assert len(pairs) == 2
    assert read.metrics == pytest.approx(computed.metrics, abs=0, nan_ok=True)
    assert np.array_equal(read.outputs["frames"], computed.outputs["frames"])
    # Two pairs of frames 0, 4, 8; four of 0, 2, 4, 6, 8.
    problem(other, keep_every=4).baseline("motion_compensated")
    problem(clip, keep_every=2).baseline("motion_compensated")
    assert len(pairs) == 2 + 2 + 4


@pytest.mark.parametrize("name", ["linear", "motion_compensated"])
def test_what_is_made_of_neighbours_copies_the_training_frames(name: str) -> None:
    video = problem()
    evaluation = video.baseline(name)
    assert np.array_equal(evaluation.outputs["frames"][video.train], video.frames[video.train])
    held_out = evaluation.metrics.pop("psnr_held_out")
    assert math.isfinite(held_out)
    assert all(math.isnan(value) for value in evaluation.metrics.values())


@pytest.mark.parametrize(("name", "kept"), [("dct", 1785), ("dct_counted", 892)])
def test_transform_coding_spends_the_numbers_that_it_is_allowed(name: str, kept: int) -> None:
    # 10 x 14 x 17 x 3 values.
    video = problem()
    evaluation = video.baseline(name)
    assert evaluation.parameters == 1785
    coded = dct_coded(video.frames / np.float32(255), kept, counted=False).clip(0, 1)
    errors = np.square(coded - video.frames / 255.0).mean(axis=(1, 2, 3))
    assert evaluation.metrics["psnr"] == pytest.approx((-10 * np.log10(errors)).mean(), abs=1e-4)
    assert math.isnan(evaluation.metrics["psnr_held_out"])


def test_constant_baseline_errs_by_the_variance() -> None:
    metrics = problem(noise_clip((10, 40, 40, 3))).baseline("constant").metrics
    assert metrics["psnr"] == pytest.approx(-10 * math.log10((130**2 - 1) / 12 / 255**2), abs=0.1)


def test_render_at_another_size() -> None:
    saved = renderer(problem(noise_clip((3, 20, 30, 3))))
    rendered = saved.render(nn.Identity(), 60)
    frames = rendered.outputs["frames"]  # red is t, green is y, blue is x
    assert frames.shape == (3, 40, 60, 3)
    assert frames[1, :, 0, 0] == pytest.approx(np.full(40, 128), abs=1)
    assert frames[0, :, 0, 1].astype(float) == pytest.approx(np.linspace(0, 255, 40), abs=0.51)
    assert rendered.metrics == {}
    with pytest.raises(UnsupportedError, match="3 frames of 30000 x 20000 pixels take more than 2 GiB"):
        saved.render(nn.Identity(), 30_000)


def test_rendering_at_the_own_size_shows_what_an_evaluation_shows() -> None:
    video = problem()
    evaluation, rendered = video.evaluate(Lookup(video.frames)), renderer(video).render(Lookup(video.frames))
    assert np.array_equal(rendered.outputs["frames"], evaluation.outputs["frames"])
    # The same frames are marked as held out.
    assert np.array_equal(rendered.preview, evaluation.preview)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_saved_rendering_is_a_gif_of_all_frames(tmp_path: Path, channels: int) -> None:
    task = problem(noise_clip((3, 20, 30, channels)))
    evaluation = task.evaluate(Lookup(task.frames))
    paths = renderer(task).save(evaluation, tmp_path, "clip")
    assert {path.name for path in paths} == {"clip.png", "clip.npz", "clip.gif"}
    with Image.open(tmp_path / "clip.gif") as gif:
        assert (gif.n_frames, gif.size, gif.info["duration"]) == (3, (30, 20), 40)
        # A gif has 256 colours at most.
        first = np.asarray(gif.convert("RGB"), float)
    assert np.abs(first - evaluation.outputs["frames"][0]).mean() < (1 if channels == 1 else 30)


def test_the_frame_gives_seconds_pixels_and_colours_of_the_source() -> None:
    frames = noise_clip((5, 4, 6, 3)).frames
    # Frames 20 to 24 of a clip of 10 per second, shrunk to half their width and height.
    video = problem(Clip(frames, {}, 20, (2.0, 2.4), (8, 12), 255.0))
    field = video.frame.fields["field"]
    assert [quantity.unit for quantity in field.coords] == ["s", "px", "px"]
    assert video.frame.facts["fps"] == pytest.approx(10.0)
    # Pixel 1 of a row that was shrunk to half covers pixels 2 and 3 of the source.
    place = torch.tensor([[2.0, 0.5, 0.5], [2.1, 2.5, 4.5], [2.4, 6.5, 10.5]], dtype=torch.float64)
    values = from_field(video.target(to_field(place, field)), field)
    assert values.numpy() == pytest.approx(np.stack([frames[0, 0, 0], frames[1, 1, 2], frames[4, 3, 5]]), abs=1e-4)


def test_without_a_frame_rate_time_is_the_number_of_the_frame_and_floats_stay_below_one() -> None:
    video = problem(Clip(noise_clip((5, 4, 6, 1)).frames, {}, 7, white=1.0))
    field = video.frame.fields["field"]
    assert (field.coords[0].unit, field.coords[0].low, field.coords[0].high) == ("frame", 7.0, 11.0)
    assert from_field(torch.tensor([[-1.0], [1.0]]), field).flatten().tolist() == [0.0, 1.0]
    assert (field.coords[2].low, field.coords[2].high) == (0.0, 5.0)


def test_the_target_is_what_the_loss_asks_for_and_the_nearest_pixel_between_them() -> None:
    video = problem()
    batch = video.batch(slice(None))
    assert torch.equal(video.target(batch["coords"]), batch["values"])
    grid = video.coords(10**6, SeedStreams(0))
    assert torch.equal(grid, grid_coords((10, 14, 17)))
    assert torch.equal(video.target(grid), Lookup(video.frames)(grid))
    assert torch.equal(video.target(grid + 0.4 * 2 / 16), Lookup(video.frames)(grid))


def test_the_entry_ranks_by_what_was_held_out() -> None:
    (entry,) = inrbench_tasks()
    assert entry.metric(entry.rank_by).name == "psnr_held_out"
    assert load_object(entry.renderer) is VideoRenderer


def test_sheet_shows_held_out_and_other_frames_in_turn() -> None:
    assert shown_frames(4, [2]) == [0, 1, 2, 3]
    assert shown_frames(24, [t for t in range(24) if t % 4]) == [1, 4, 6, 10, 13, 16, 18, 22]


def test_a_clip_too_small_for_ssim_and_a_diverged_model() -> None:
    video = problem(noise_clip((3, 5, 7, 1)))
    metrics = video.evaluate(Lookup(video.frames, error=math.nan)).metrics
    assert math.isnan(metrics["psnr"])
    assert math.isnan(metrics["ssim"])


def test_the_default_clip_is_prepared_from_a_spec() -> None:
    video = prepare(VideoSpec(frames=3, size=16), device=CPU, seeds=SeedStreams(0))
    assert video.shapes["field"].resolution == (3, 16, 16)
    assert video.held_out == [1]
    assert video.record["synthetic"] is True
