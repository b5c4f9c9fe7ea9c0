"""Like runs of small batches train together, and are kept, lost, resumed and reported as single runs are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from runs_support import PLUGINS, CarryOut, MakeExperiment, MakePlan, fits, record_of, times_of_files

from inrbench_core.api.hookspecs import hookimpl
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.results.evaluate import Options, carry_out
from inrbench_core.runs.plan import AnyRun
from inrbench_core.runs.record import RunRecord
from inrbench_core.runs.run import FitRun
from inrbench_core.runs.stacking import equal_parts, stacks

LOCAL = {"name": "local", "jobs": 1}
SMALL = {"steps": 60, "batch": 16, "evaluate_every": 20, "compile": "off"}


def sizes(runs: Sequence[AnyRun], workers: int) -> list[int]:
    """Of the jobs that have fits."""
    return [len(job) for job in stacks(runs, workers) if isinstance(job[0], FitRun)]


@pytest.mark.parametrize(
    ("seeds", "workers", "wanted"),
    [(8, 1, [8]), (8, 2, [4, 4]), (9, 2, [4, 5]), (7, 2, [1] * 7), (3, 1, [1] * 3), (40, 1, [13, 13, 14])],
)
def test_a_group_is_split_until_each_worker_has_work(
    plan: MakePlan, seeds: int, workers: int, wanted: list[int]
) -> None:
    assert sizes(list(plan(seeds=seeds, training=SMALL).runs.values()), workers) == wanted


def test_two_groups_keep_two_workers_busy_without_a_split(plan: MakePlan) -> None:
    runs = list(plan(seeds=8, fields=["shallow", "swell"], training=SMALL).runs.values())
    assert sizes(runs, 2) == [8, 8]
    jobs = stacks(runs, 2)
    assert sorted(run.id for job in jobs for run in job) == sorted(run.id for run in runs)
    firsts = [runs.index(job[0]) for job in jobs]
    assert firsts == sorted(firsts)


def test_rates_and_options_of_the_optimiser_share_a_group_and_other_options_do_not(plan: MakePlan) -> None:
    def groups(key: str, *values: object) -> list[int]:
        return sizes(list(plan(seeds=4, training=SMALL, sweep={key: list(values)}).runs.values()), 1)

    assert groups("training.lr", 1e-3, 1e-2) == [8]
    assert groups("training.schedule", "cosine", "constant") == [8]
    assert groups("training.optimizer.name", "adam", "sgd") == [8]
    assert groups("training.steps", 60, 61) == [4, 4]
    assert groups("training.batch", 16, 17) == [4, 4]
    assert groups("field.width", 8, 9) == [4, 4]
    assert groups("training.batch", "full", 4096) == [1] * 8
    assert groups("training.compile", "on") == [1] * 4


def test_parts_are_equal_and_keep_the_order(plan: MakePlan) -> None:
    runs = list(plan(seeds=9).runs.values())
    parts = equal_parts(runs, 3)
    assert [run for part in parts for run in part] == runs
    assert {len(part) for part in parts} == {3, 4}


def test_stacked_runs_give_what_single_runs_give(evaluate: CarryOut) -> None:
    spec = {"seeds": 5, "training": SMALL, "sweep": {"training.lr": [1e-3, 1e-2]}, "executor": LOCAL}
    together, alone = fits(evaluate(**spec, out="auto")), fits(evaluate(**spec, stack="off", out="off"))
    assert [run.id for run in together] == [run.id for run in alone]
    assert {record_of(run).stacked for run in together} == {10}
    assert {record_of(run).stacked for run in alone} == {1}
    for one, other in zip(together, alone, strict=True):
        assert one.metrics == pytest.approx(other.metrics, rel=1e-5)
        curves = [record_of(run).arrays.curve["loss"] for run in (one, other)]
        np.testing.assert_allclose(*curves, rtol=1e-5)
        for name, weights in record_of(other).arrays.weights.items():
            found = record_of(one).arrays.weights[name]
            assert np.linalg.norm(found - weights) <= 1e-5 * np.linalg.norm(weights)
    assert len({run.metrics["psnr"] for run in together}) == 10
    times = [record_of(run).times for run in together]
    assert all(0 < each["train"] <= each["total"] for each in times)


def test_what_is_missing_is_carried_out_and_nothing_else(evaluate: CarryOut, tmp_path: Path) -> None:
    spec = {"seeds": 8, "training": SMALL, "executor": LOCAL}
    first = fits(evaluate(**spec))
    lost = [first[1], *first[3:6], first[7]]
    for run in lost:
        run.path.unlink()
    before = times_of_files(tmp_path / "results")
    again = fits(evaluate(**spec))
    after = times_of_files(tmp_path / "results")
    assert {name: after[name] for name in before} == before
    assert [record_of(run).stacked for run in again] == [8, 5, 8, 5, 5, 5, 8, 5]
    for one, other in zip(first, again, strict=True):
        assert one.metrics == pytest.approx(other.metrics, rel=1e-5)


def test_a_stack_whose_worker_dies_is_tried_again_one_by_one(
    evaluate: CarryOut, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = {"seeds": 4, "training": SMALL, "executor": LOCAL}
    place = tmp_path / "evaluations"
    place.mkdir()
    monkeypatch.setenv("TROUBLE_PLACE", str(place))
    runs = fits(evaluate(task={"name": "trouble", "do": "die_once"}, **spec))
    assert [run.status for run in runs] == ["ok"] * 4
    assert {record_of(run).stacked for run in runs} == {1}
    # One that ended its worker, and three of each run.
    assert len(list(place.iterdir())) == 1 + 4 * 3


def test_a_failure_of_every_member_is_told_of_each(evaluate: CarryOut) -> None:
    spec = {"seeds": 4, "training": SMALL, "executor": LOCAL}
    runs = fits(evaluate(task={"name": "line", "trouble": "raise"}, **spec))
    assert [run.status for run in runs] == ["failed"] * 4
    assert all(record_of(run).message.startswith("ValueError: trouble was asked for (") for run in runs)
    runs = fits(evaluate(task={"name": "line", "trouble": "nan"}, out="nan", **spec))
    assert [run.status for run in runs] == ["diverged"] * 4
    assert {record_of(run).message for run in runs} == {"psnr is not a number after 60 steps"}


def test_signals_are_not_mixed(plan: MakePlan) -> None:
    task = {"name": "image", "size": 16, "signals": ["camera", "coins"]}
    runs = list(plan(task=task, seeds=4, training=SMALL).runs.values())
    jobs = [job for job in stacks(runs, 1) if isinstance(job[0], FitRun)]
    assert [len({run.signal for run in job}) for job in jobs] == [1, 1]
    assert [len(job) for job in jobs] == [4, 4]


def test_with_a_time_limit_each_run_trains_alone(evaluate: CarryOut) -> None:
    runs = fits(evaluate(seeds=4, training=SMALL, executor=LOCAL, timeout_s=60))
    assert {record_of(run).stacked for run in runs} == {1}


def test_the_runs_of_a_job_begin_one_after_the_other_and_take_their_own_time(
    experiment: MakeExperiment, catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []

    class Listener:
        @hookimpl
        def inrbench_run_started(self, run: AnyRun) -> None:
            told.append(("started", run.id))

        @hookimpl
        def inrbench_run_finished(self, run: AnyRun, record: RunRecord) -> None:
            told.append(("finished", run.id))

    # As many steps as a group may have, and fewer than a stack is worth.
    spec = experiment(seeds=4, training={**SMALL, "steps": 40}, executor=LOCAL)
    listener = Listener()
    catalog.manager.register(listener)
    try:
        results = carry_out(spec, catalog, Options(tmp_path / "results"), PLUGINS)
    finally:
        catalog.manager.unregister(listener)
    ids = [run.id for run in fits(results)]
    assert [event for event in told if event[1] in ids] == [
        (what, name) for name in ids for what in ("started", "finished")
    ]
    for run in fits(results):
        times = record_of(run).times
        assert times["total"] < 2 * (sum(times.values()) - times["total"])
