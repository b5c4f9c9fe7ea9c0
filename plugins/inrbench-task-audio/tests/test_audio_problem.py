import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from inrbench_task_audio.mdct import mdct_coded
from inrbench_task_audio.metrics import log_spectral_distance, log_spectral_distance_neaf, psnr, snr
from inrbench_task_audio.picture import draw_recording
from inrbench_task_audio.plugin import AudioSpec, HeldOut, inrbench_tasks
from inrbench_task_audio.problem import AudioProblem, prepare
from inrbench_task_audio.recording import Recording
from inrbench_task_audio.renderer import AudioRenderer, time_coords
from torch import Tensor, nn

from inrbench_core import Frame, SeedStreams, UnsupportedError
from inrbench_core.api.entries import load_object
from inrbench_core.api.problem import from_field, to_field

SPEC = AudioSpec(duration_s=0.5, sample_rate=8000)


class Lookup(nn.Module):
    """Answers with the sample nearest to t: a perfect model of a known signal."""

    def __init__(self, samples: np.ndarray, gain: float = 1.0) -> None:
        super().__init__()
        self.samples = torch.from_numpy(samples) * gain

    def forward(self, coords: Tensor) -> Tensor:
        position = (coords.double() + 1) / 2 * (self.samples.numel() - 1)
        return self.samples[position.round().long()]


def problem(spec: AudioSpec = SPEC, seed: int = 0) -> AudioProblem:
    return prepare(spec, device=torch.device("cpu"), seeds=SeedStreams(seed))


def renderer(audio: AudioProblem) -> AudioRenderer:
    """From what is left of a frame when it has been written down; there is no recording any more."""
    return AudioRenderer(Frame.from_data(json.loads(json.dumps(audio.frame.to_data()))), torch.device("cpu"))


def ramp(peak: float = 0.25) -> AudioProblem:
    """100 samples at 50 Hz from 3 s on, whose values tell their place."""
    samples = np.linspace(-1.0, 1.0, 100, dtype=np.float32)
    recording = Recording(samples, 50, 3.0, peak, {})
    return AudioProblem(recording, AudioSpec(), device=torch.device("cpu"), seeds=SeedStreams(0))


def test_snr_and_psnr_of_a_known_error() -> None:
    reference = np.sqrt(2) * np.sin(2 * np.pi * np.arange(1000) / 50)  # mean square 1
    assert snr(reference, reference + 0.1) == pytest.approx(20.0, abs=1e-9)
    assert snr(reference, np.zeros(1000)) == pytest.approx(0.0, abs=1e-12)
    assert psnr(reference, reference + 0.1) == pytest.approx(10 * math.log10(400), abs=1e-9)
    assert snr(reference, reference) == psnr(reference, reference) == 200.0
    assert math.isnan(snr(np.zeros(4), np.ones(4)))
    assert snr(reference, np.full(1000, np.inf)) == -math.inf


@pytest.mark.parametrize("size", [1, 100, 2048, 600_000])
def test_log_spectral_distance_is_zero_for_a_copy_and_the_gain_in_db_otherwise(size: int) -> None:
    noise = np.random.default_rng(0).standard_normal(size)
    assert log_spectral_distance(noise, noise) == 0.0
    # White noise lies above the floor in every bin, so that halving it is 6.02 dB everywhere.
    assert log_spectral_distance(noise, noise / 2) == pytest.approx(20 * math.log10(2), rel=1e-6)


def test_levels_below_the_floor_do_not_count() -> None:
    assert log_spectral_distance(np.full(4096, 1e-7), np.zeros(4096)) == 0.0


@pytest.mark.parametrize("size", [1025, 4096, 300_000])
def test_the_distance_of_neaf_equals_torchs_transform(size: int) -> None:
    noise = np.random.default_rng(0).standard_normal((2, size)) * 0.1
    noise[1, size // 3 :] = 0.0  # below the floor
    spectra = torch.stft(torch.from_numpy(noise), 2048, window=torch.ones(2048, dtype=float), return_complex=True)
    logs = torch.log10(spectra.abs().square() + 1e-8)
    expected = ((logs[0] - logs[1]).square().mean(dim=1) + 1e-8).sqrt().mean().item()
    assert log_spectral_distance_neaf(*noise) == pytest.approx(expected, rel=1e-9)


def test_the_distance_of_neaf_is_bounded_and_needs_a_frame() -> None:
    noise = np.random.default_rng(0).standard_normal(4096)
    assert log_spectral_distance_neaf(noise, noise) == pytest.approx(1e-4)
    # A tenth of the gain in dB, as far as the floor is out of reach.
    assert log_spectral_distance_neaf(noise, noise / 2) == pytest.approx(2 * math.log10(2), rel=1e-3)
    assert log_spectral_distance_neaf(1e9 * noise, np.zeros(4096)) == 10.0
    assert math.isnan(log_spectral_distance_neaf(noise[:1024], noise[:1024]))


def test_held_out_samples_are_never_in_a_batch() -> None:
    audio = problem()
    batch = audio.batch(slice(None))
    positions = ((batch["coords"].squeeze(1).double() + 1) / 2 * 3999).round().long().numpy()
    assert audio.held_out.size == 400
    assert audio.elements == 3600
    assert np.array_equal(np.union1d(positions, audio.held_out), np.arange(4000))
    assert not np.intersect1d(positions, audio.held_out).size
    assert np.array_equal(batch["values"].squeeze(1).numpy(), audio.recording.samples[positions])


@pytest.mark.parametrize("held_out", [None, HeldOut(share=0.3), HeldOut(pattern="decimation")])
def test_the_samples_of_batches_are_trained_and_all_others_are_not(held_out: HeldOut | None) -> None:
    audio = problem(SPEC.model_copy(update={"held_out": held_out}))
    grid = audio.coords(10**6, SeedStreams(0))
    positions = ((audio.batch(slice(None))["coords"].squeeze(1).double() + 1) / 2 * 3999).round().long()
    expected = torch.zeros(4000, dtype=torch.bool)
    expected[positions] = True
    assert torch.equal(audio.is_trained(grid), expected)
    # Up to half a sample from it a moment counts as the sample.
    assert torch.equal(audio.is_trained(grid + 0.4 * 2 / 3999), expected)


def test_held_out_samples_follow_the_seed() -> None:
    assert np.array_equal(problem(seed=1).held_out, problem(seed=1).held_out)
    assert not np.array_equal(problem(seed=1).held_out, problem(seed=2).held_out)


def test_coordinates_of_a_long_recording_are_all_different() -> None:
    coords = time_coords(torch.arange(5_292_000), 5_292_000).squeeze(1)
    steps = coords.diff()
    assert (coords[0], coords[-1]) == (-1.0, 1.0)
    assert steps.min() > 0.5 * 2 / 5_292_000


def test_evaluation_of_a_model_with_a_known_error() -> None:
    audio = problem()
    evaluation = audio.evaluate(Lookup(audio.recording.samples, gain=0.9))
    for name in ("snr", "snr_train", "snr_held_out"):
        assert evaluation.metrics[name] == pytest.approx(20.0, abs=1e-4)
    assert evaluation.metrics["lsd"] == pytest.approx(-20 * math.log10(0.9), abs=0.02)
    peak = audio.recording.peak
    assert evaluation.outputs["waveform"] == pytest.approx(audio.recording.samples * 0.9 * peak, abs=1e-6)
    assert evaluation.preview is not None
    assert evaluation.preview.shape == audio.truth().shape
    assert audio.evaluate(Lookup(audio.recording.samples, gain=0.9), full=False).metrics == {
        "snr": pytest.approx(20.0, abs=1e-4)
    }


def test_loss_is_the_squared_error_of_each_element() -> None:
    audio = problem()
    batch = audio.batch(torch.tensor([0, 7, 99]))
    model = nn.Linear(1, 1)
    nn.init.zeros_(model.weight)
    nn.init.constant_(model.bias, 0.5)
    assert torch.allclose(audio.loss(model, batch), (0.5 - batch["values"].squeeze(1)) ** 2)


def test_silence_scores_nothing() -> None:
    assert problem().baseline("silence").metrics["snr"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", ["linear", "cubic", "sinc", "autoregressive"])
def test_what_interpolates_copies_the_training_samples(name: str) -> None:
    audio = problem()
    evaluation = audio.baseline(name)
    train = np.setdiff1d(np.arange(4000), audio.held_out)
    copied = audio.recording.samples[train] * audio.recording.peak
    assert evaluation.outputs["waveform"][train] == pytest.approx(copied, rel=1e-6)
    held_out = evaluation.metrics.pop("snr_held_out")
    assert math.isfinite(held_out)
    assert all(math.isnan(value) for value in evaluation.metrics.values())
    assert evaluation.parameters is None


def test_linear_interpolation_is_not_trivially_right_and_more_can_be_known() -> None:
    spec = AudioSpec(duration_s=0.25)
    scores = {name: problem(spec).baseline(name).metrics["snr_held_out"] for name in ("linear", "autoregressive")}
    assert scores["linear"] < 10.0
    assert scores["autoregressive"] > 20.0


@pytest.mark.parametrize(("name", "kept"), [("mdct", 1000), ("mdct_counted", 500)])
def test_transform_coding_spends_the_numbers_that_it_is_allowed(name: str, kept: int) -> None:
    audio = problem()
    evaluation = audio.baseline(name)
    assert evaluation.parameters == 1000
    assert math.isnan(evaluation.metrics["snr_held_out"])
    assert evaluation.metrics["snr"] == pytest.approx(
        snr(audio.recording.samples, mdct_coded(audio.recording.samples, kept, counted=False)), abs=1e-4
    )


def test_without_held_out_samples_the_figure_is_not_defined() -> None:
    audio = problem(SPEC.model_copy(update={"held_out": None}))
    assert audio.elements == 4000
    metrics = audio.evaluate(Lookup(audio.recording.samples, gain=0.5)).metrics
    assert math.isnan(metrics["snr_held_out"])
    assert metrics["snr"] == pytest.approx(20 * math.log10(2), abs=1e-4)
    for name in ("linear", "cubic", "sinc", "autoregressive"):
        assert math.isnan(audio.baseline(name).metrics["snr_held_out"])


def test_the_record_says_what_is_held_out_and_that_the_signal_is_synthetic(tmp_path: Path) -> None:
    record = problem().record
    assert (record["held_out"], record["held_out_samples"], record["synthetic"]) == ("runs", 400, True)
    soundfile.write(tmp_path / "own.wav", np.sin(np.arange(900) * 0.3), 8000)
    own = problem(AudioSpec(source=str(tmp_path / "own.wav"), held_out=None)).record
    assert (own["held_out"], own["held_out_samples"], own["synthetic"]) == ("nothing", 0, False)


def test_render_at_another_sample_rate() -> None:
    rendered = renderer(ramp()).render(nn.Identity(), 37)
    assert rendered.outputs["waveform"] == pytest.approx(np.linspace(-0.25, 0.25, 37), abs=1e-6)
    assert rendered.metrics == {}
    assert renderer(ramp()).render(nn.Identity()).outputs["waveform"].shape == (100,)
    with pytest.raises(UnsupportedError, match="too large"):
        renderer(ramp()).render(nn.Identity(), 10**9)


def test_the_frame_gives_seconds_of_the_file_and_amplitudes_of_its_own_scale() -> None:
    audio = ramp(peak=0.25)
    field = audio.frame.fields["field"]
    seconds = torch.tensor([[3.0], [3.5], [3.0 + 99 / 50]], dtype=torch.float64)
    # Sample 25 comes half a second after the first.
    values = from_field(audio.target(to_field(seconds, field)), field)
    assert values.squeeze(1) == pytest.approx([-0.25, 0.25 * (2 * 25 / 99 - 1), 0.25], abs=1e-6)
    assert (field.coords[0].unit, field.resolution) == ("s", (100,))


def test_a_wav_whose_peak_is_not_one_comes_back_as_it_was(tmp_path: Path) -> None:
    # Floats may have any range.
    written = (1000.0 * np.sin(np.arange(900) * 0.3) * np.linspace(0, 1, 900)).astype(np.float32)
    soundfile.write(tmp_path / "in.wav", written, 8000, subtype="FLOAT")
    audio = problem(AudioSpec(source=str(tmp_path / "in.wav"), start_s=0.0125))
    (tmp_path / "in.wav").unlink()
    assert audio.frame.fields["field"].coords[0].low == 0.0125
    saved = renderer(audio)
    model = Lookup(audio.recording.samples)
    for evaluation in (saved.render(model), audio.evaluate(model)):
        saved.save(evaluation, tmp_path, "out")
        samples, rate = soundfile.read(tmp_path / "out.wav")
        assert rate == 8000
        assert samples == pytest.approx(written[100:], abs=1e-3)


def test_the_target_is_what_the_loss_asks_for_and_the_nearest_sample_between_them() -> None:
    audio = problem()
    batch = audio.batch(slice(None))
    assert torch.equal(audio.target(batch["coords"]), batch["values"])
    coords = audio.coords(50, SeedStreams(0))
    assert (coords.shape, coords.min(), coords.max()) == ((50, 1), -1.0, 1.0)
    aside = time_coords(torch.tensor([7]), audio.size) + 0.4 * 2 / (audio.size - 1)
    assert audio.target(aside).item() == audio.recording.samples[7]


def test_the_entry_ranks_by_what_was_held_out() -> None:
    (entry,) = inrbench_tasks()
    assert entry.metric(entry.rank_by).name == "snr_held_out"
    assert load_object(entry.renderer) is AudioRenderer


def test_picture_shows_a_tone_at_its_frequency() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000).astype(np.float32)
    picture = draw_recording(tone, 8000).astype(int).sum(axis=2)
    rows = picture[134:394, 300]  # inside the spectrogram, 4 kHz on top
    assert 4.0 * (1 - rows.argmax() / 260) == pytest.approx(1.0, abs=0.1)


def test_picture_of_a_diverged_model_is_drawn() -> None:
    assert draw_recording(np.full(50, np.nan, np.float32), 8000).dtype == np.uint8


def test_a_saved_rendering_can_be_heard_at_its_own_rate(tmp_path: Path) -> None:
    task = problem()
    half = renderer(task)
    evaluation = half.render(Lookup(0.5 * task.recording.samples), task.size // 2)
    paths = half.save(evaluation, tmp_path, "half")
    assert {path.name for path in paths} == {"half.png", "half.npz", "half.wav"}
    samples, rate = soundfile.read(tmp_path / "half.wav")
    # A rate is a whole number.
    assert (samples.size - 1) / rate == pytest.approx((task.size - 1) / task.recording.rate, rel=1e-3)
    assert samples == pytest.approx(evaluation.outputs["waveform"], abs=1e-6)
