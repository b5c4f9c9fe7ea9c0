import importlib.metadata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from inrbench_task_audio import recording as recording_module
from inrbench_task_audio.plugin import AudioSpec
from inrbench_task_audio.recording import load_recording
from inrbench_task_audio.synthesis import SAMPLE_RATE, synthesise
from pydantic import ValidationError

from inrbench_core import DataError


def write(path: Path, values: np.ndarray, rate: int = 8000, subtype: str = "FLOAT") -> str:
    soundfile.write(path, values, rate, subtype=subtype)
    return str(path)


@pytest.mark.parametrize("name", ["cello", "pluck"])
def test_generated_recordings_are_bit_identical_at_every_call(name: str) -> None:
    first, second = synthesise(name, 0.5), synthesise(name, 0.5)
    assert first.shape == (22_050,)
    assert np.abs(first).max() == 1.0
    assert np.array_equal(first, second)


def test_cello_has_the_octave_bands_of_the_recording_it_stands_for() -> None:
    # Octave-band energies, dB, 55 Hz to 7 kHz, of gt_bach, the recording that SIREN was shown on.
    bach = [-11.2, -8.3, -3.4, -6.4, -12.3, -15.9, -27.8]
    power = np.abs(np.fft.rfft(synthesise("cello"))) ** 2
    frequency = np.fft.rfftfreq(round(7.0 * SAMPLE_RATE), 1 / SAMPLE_RATE)
    bands = [power[(frequency >= 55 * 2**k) & (frequency < 110 * 2**k)].sum() for k in range(7)]
    assert 10 * np.log10(np.array(bands) / power.sum()) == pytest.approx(bach, abs=4.0)


def test_cello_begins_on_its_first_note() -> None:
    spectrum = np.abs(np.fft.rfft(synthesise("cello", 0.2), n=2**17))
    frequency = np.fft.rfftfreq(2**17, 1 / SAMPLE_RATE)
    low = (frequency > 60) & (frequency < 130)
    assert frequency[low][spectrum[low].argmax()] == pytest.approx(98.0, abs=2.0)  # G2


@pytest.mark.parametrize(("suffix", "subtype"), [("wav", "PCM_16"), ("flac", "PCM_24"), ("aiff", "PCM_16")])
def test_a_file_is_read_back_scaled_to_peak_one(tmp_path: Path, suffix: str, subtype: str) -> None:
    values = 0.5 * np.sin(np.arange(400) * 0.1)
    write(tmp_path / f"a.{suffix}", values, subtype=subtype)
    spec = AudioSpec.model_validate({"source": f"a.{suffix}"}, context={"folder": str(tmp_path)})
    recording = load_recording(spec)
    assert spec.source == str(tmp_path / f"a.{suffix}")
    assert recording.rate == 8000
    assert recording.samples == pytest.approx(values / np.abs(values).max(), abs=1e-4)
    assert recording.record["peak"] == pytest.approx(0.5, abs=1e-3)
    assert recording.record["channels"] == 1


def test_channels_are_averaged_and_the_excerpt_is_exact(tmp_path: Path) -> None:
    ramp = np.arange(1, 801) / 1000.0
    source = write(tmp_path / "stereo.wav", np.stack([ramp, np.zeros(800)], axis=1))
    recording = load_recording(AudioSpec(source=source, start_s=0.025, duration_s=0.05))
    assert recording.record["channels"] == 2
    assert recording.record["peak"] == pytest.approx(0.3, abs=1e-6)
    assert recording.samples * recording.record["peak"] == pytest.approx(ramp[200:600] / 2, abs=1e-6)


def test_resampling_keeps_a_tone_and_its_pitch(tmp_path: Path) -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    recording = load_recording(AudioSpec(source=write(tmp_path / "tone.wav", tone), sample_rate=12_000))
    expected = np.sin(2 * np.pi * 440 * np.arange(12_000) / 12_000)
    assert recording.samples.shape == (12_000,)
    assert recording.samples[500:-500] * recording.record["peak"] == pytest.approx(expected[500:-500], abs=2e-3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(100), "silent"),
        (np.stack([np.ones(100), -np.ones(100)], axis=1), "the channels cancel each other when they are averaged"),
        # Half of the last bit is left of these.
        (np.stack([np.ones(100), np.full(100, -1 + 2.0**-15)], axis=1), "the channels cancel each other"),
        (np.r_[np.ones(50), np.nan, np.ones(50)], "NaN"),
        (np.ones(1), "has 1 samples"),
    ],
)
def test_unusable_recordings_are_one_clear_error(tmp_path: Path, values: np.ndarray, message: str) -> None:
    source = write(tmp_path / "bad.wav", values)
    with pytest.raises(DataError, match=message):
        load_recording(AudioSpec(source=source))


def test_a_file_that_is_no_recording_and_an_excerpt_beyond_the_end(tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("no audio")
    with pytest.raises(DataError, match="not a recording"):
        load_recording(AudioSpec(source=str(text)))
    source = write(tmp_path / "short.wav", np.ones(800))
    for options in ({"start_s": 0.1}, {"duration_s": 0.2}):
        with pytest.raises(DataError, match=r"0\.1 s long"):
            load_recording(AudioSpec(source=source, **options))


@pytest.mark.parametrize(("suffix", "subtype"), [("wav", "PCM_16"), ("wav", "PCM_24"), ("aiff", "PCM_16")])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, subtype: str) -> None:
    path = Path(write(tmp_path / f"a.{suffix}", np.ones(8000), subtype=subtype))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    present = soundfile.info(path).frames
    assert 3900 < present < 4000
    with pytest.raises(DataError, match=rf"a\.{suffix}: truncated: {present} of (8000|7999) samples"):
        load_recording(AudioSpec(source=str(path)))


@pytest.mark.parametrize(("suffix", "message"), [("flac", "not a recording that libsndfile"), ("ogg", "truncated: ")])
def test_other_truncated_files_are_one_clear_error(tmp_path: Path, suffix: str, message: str) -> None:
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.random.default_rng(0).uniform(-1, 1, 80_000), 8000)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=rf"a\.{suffix}: {message}"):
        load_recording(AudioSpec(source=str(path)))


def test_a_wav_that_was_written_into_a_pipe_has_no_length_in_its_header(tmp_path: Path) -> None:
    path = Path(write(tmp_path / "a.wav", np.ones(800), subtype="PCM_16"))
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    assert load_recording(AudioSpec(source=str(path))).samples.size == 800


def test_declared_sizes_are_bounded_before_anything_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "a.wav", np.ones((800, 2)))
    monkeypatch.setattr(recording_module, "MAX_VALUES", 1599)
    monkeypatch.setattr(soundfile.SoundFile, "read", None)
    with pytest.raises(DataError, match=r"a\.wav: the excerpt has 1600 values; .* give a duration_s:"):
        load_recording(AudioSpec(source=source))
    with pytest.raises(DataError, match="cello: ends at 3600 s"):
        load_recording(AudioSpec(start_s=80_000))


def test_resampling_to_more_samples_than_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "a.wav", np.ones(800))
    monkeypatch.setattr(recording_module, "MAX_VALUES", 20_000)
    with pytest.raises(DataError, match="the excerpt has 38400 values"):
        load_recording(AudioSpec(source=source, sample_rate=384_000))


def test_what_took_long_is_read_from_disk_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "a.wav", 0.5 * np.sin(np.arange(800)))
    monkeypatch.setenv("INRBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("inrbench_core.api.cache.LEAST_SECONDS", 0.0)
    first = load_recording(AudioSpec(source=source, sample_rate=12_000))
    monkeypatch.setattr(recording_module, "_mixed", None)
    second = load_recording(AudioSpec(source=source, sample_rate=12_000))
    assert np.array_equal(first.samples, second.samples)
    assert (first.record, first.rate, first.peak, first.start_s) == (
        second.record,
        second.rate,
        second.peak,
        second.start_s,
    )
    # Another excerpt is not the same, nor is a file whose content has changed.
    for options in ({"sample_rate": 12_000, "start_s": 0.01}, {}):
        with pytest.raises(TypeError):
            load_recording(AudioSpec(source=source, **options))
    write(tmp_path / "a.wav", 0.5 * np.cos(np.arange(800)))
    with pytest.raises(TypeError):
        load_recording(AudioSpec(source=source, sample_rate=12_000))


@pytest.mark.parametrize(
    ("source", "message"), [("celo", "did you mean 'cello'"), ("no.wav", "no such file"), ("a/b", "no such file")]
)
def test_a_wrong_source_is_told_by_the_spec(source: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AudioSpec(source=source)


def test_a_sample_without_its_distribution_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    with pytest.raises(ValidationError, match=r"pip install 'inrbench-task-audio\[samples\]'"):
        AudioSpec(source="flute")


@pytest.mark.parametrize(("name", "seconds"), [("flute", 5.47), ("speech", 5.77)])
def test_samples_are_the_recordings_they_stand_for(name: str, seconds: float) -> None:
    try:
        spec = AudioSpec(source=name)
    except ValidationError:
        pytest.skip("the extra [samples] is not installed")
    record = load_recording(spec).record
    assert record["duration_s"] == pytest.approx(seconds, abs=0.01)
    assert record["sample_rate"] == 44_100
