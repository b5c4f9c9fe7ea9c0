import numpy as np
import pytest
from inrbench_task_audio.held_out import held_out_samples
from inrbench_task_audio.plugin import AudioSpec, HeldOut
from pydantic import ValidationError

from inrbench_core import DataError, SeedStreams


def held_out(size: int, seed: int = 0, rate: int = 1000, **options: object) -> np.ndarray:
    return held_out_samples(HeldOut.model_validate(options), size, rate, SeedStreams(seed))


def runs_of(index: np.ndarray) -> list[np.ndarray]:
    return np.split(index, np.flatnonzero(np.diff(index) > 1) + 1)


@pytest.mark.parametrize(
    ("size", "run_ms", "share", "count"), [(1000, 5, 0.1, 20), (997, 20, 0.5, 25), (50, 3, 0.72, 12)]
)
def test_runs_have_their_length_and_neighbours_on_both_sides(
    size: int, run_ms: float, share: float, count: int
) -> None:
    for seed in range(20):
        index = held_out(size, seed, run_ms=run_ms, share=share)
        assert [run.size for run in runs_of(index)] == [run_ms] * count
        assert index.min() > 0
        assert index.max() < size - 1


def test_runs_lie_anywhere_and_follow_the_seed() -> None:
    # One run of 2 among 6 samples begins at 1, 2 or 3, each as likely.
    starts = [int(held_out(6, seed, run_ms=2)[0]) for seed in range(300)]
    assert np.bincount(starts, minlength=4)[1:] == pytest.approx([100, 100, 100], abs=30)
    assert np.array_equal(held_out(500, 3, run_ms=2), held_out(500, 3, run_ms=2))


def test_a_run_has_one_sample_at_least() -> None:
    assert [run.size for run in runs_of(held_out(100, run_ms=0.1, share=0.1))] == [1] * 10


def test_decimation_keeps_every_kth_sample_whatever_the_seed() -> None:
    for seed in (0, 1):
        assert held_out(10, seed, pattern="decimation", keep_every=4).tolist() == [1, 2, 3, 5, 6, 7, 9]


def test_single_samples_lie_anywhere_and_follow_the_seed() -> None:
    first, other = (held_out(1000, seed, pattern="samples", share=0.3) for seed in (0, 1))
    assert first.size == np.unique(first).size == 300
    assert not np.array_equal(first, other)
    assert held_out(16, pattern="samples", share=0.9).size == 14


def test_a_share_that_does_not_fit_is_an_error_that_names_the_largest() -> None:
    # 49 of 99 samples: every second one, and both ends are kept.
    with pytest.raises(DataError, match=r"share 0\.9 is too large for runs of 1 samples.* largest is 0\.494:"):
        held_out(99, run_ms=1, share=0.9)
    assert held_out(99, run_ms=1, share=0.494).tolist() == list(range(1, 98, 2))


def test_nothing_is_held_out_without_a_pattern() -> None:
    assert held_out_samples(None, 100, 1000, SeedStreams(0)).size == 0


@pytest.mark.parametrize("options", [{"run_ms": 20}, {"pattern": "decimation", "keep_every": 20}])
def test_a_recording_that_is_too_short_is_told(options: dict[str, object]) -> None:
    with pytest.raises(DataError, match="20 samples are too few for"):
        held_out(20, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_every": 4}, "keep_every belongs to pattern decimation, not to runs"),
        ({"pattern": "decimation", "share": 0.2}, "share belongs to pattern runs or samples, not to decimation"),
        ({"pattern": "samples", "run_ms": 1}, "run_ms belongs to pattern runs, not to samples"),
    ],
)
def test_an_option_of_another_pattern_is_an_error(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AudioSpec.model_validate({"held_out": options})


def test_a_resolved_spec_is_valid() -> None:
    for options in ({"run_ms": 3}, {"pattern": "decimation", "keep_every": 4}, None):
        spec = AudioSpec.model_validate({"held_out": options})
        assert AudioSpec.model_validate(spec.model_dump()) == spec
