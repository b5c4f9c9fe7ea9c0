import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from inrbench_core.api.errors import StorageError, UnsupportedError
from inrbench_core.cli.progress import SilentListener
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.runs.execute import choose_device, execute
from inrbench_core.runs.experiment import run_experiment
from inrbench_core.runs.store import RunStore
from inrbench_core.spec.experiment import load_experiment

PLUGIN = Path(__file__).parent.parent / "stand_ins" / "small_plugin.py"


@pytest.fixture(scope="module")
def catalog():
    return load_catalog([PLUGIN])


@pytest.fixture
def experiment(write_spec, catalog):
    return lambda text: load_experiment(write_spec(text), catalog)


@pytest.fixture
def carry_out(catalog, tmp_path):
    def run(experiment, folder="results", **options):
        store = RunStore(tmp_path / folder)
        return run_experiment(experiment, store, catalog, SilentListener(), plugin_files=[PLUGIN], **options)

    return run


class Counting(SilentListener):
    def __init__(self):
        self.began = []

    def started(self, run):
        self.began.append(run.label)


TWO = "{task: line, fields: [shallow, swell], training: {steps: 20}, executor: {name: local, jobs: 1}}"


def test_what_is_done_is_not_repeated(experiment, catalog, tmp_path):
    store, counting = RunStore(tmp_path / "results"), Counting()
    first = run_experiment(experiment(TWO), store, catalog, counting, plugin_files=[PLUGIN])
    assert [record.status for record in first] == ["ok"] * 3
    assert len(counting.began) == 3
    store.path(first[-1].id).unlink()
    again = Counting()
    second = run_experiment(experiment(TWO), store, catalog, again, plugin_files=[PLUGIN])
    assert again.began == ["swell"]
    assert [record.metrics for record in second] == [record.metrics for record in first]


def test_the_same_spec_gives_the_same_numbers_in_fresh_folders(experiment, carry_out):
    text = "{task: line, fields: [shallow], training: {steps: 30, batch: 16}, seeds: 2}"
    one, two = (carry_out(experiment(text), folder) for folder in ("one", "two"))
    assert [dict(record.metrics) for record in one] == [dict(record.metrics) for record in two]
    np.testing.assert_array_equal(one[-1].curve["loss"], two[-1].curve["loss"])
    assert one[-1].metrics["psnr"] != one[-2].metrics["psnr"]


def test_each_failure_is_recorded_and_the_others_go_on(experiment, carry_out):
    text = """
tasks:
  - {name: line, trouble: raise}
  - {name: line, trouble: die}
  - {name: line, trouble: nan}
  - line
fields: [shallow]
training: {steps: 3, evaluate_every: 0}
executor: {name: local, jobs: 1}
"""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        records = carry_out(experiment(text))
    fits = {record.spec["task"]["trouble"]: record for record in records if record.spec["field"]}
    assert fits["raise"].status == "failed"
    assert re.fullmatch(r"ValueError: trouble was asked for \(small_plugin_torch\.py:\d+\)", fits["raise"].message)
    assert "Traceback" in fits["raise"].traceback
    assert fits["die"].status == "failed"
    assert "its worker process died (signal SIGKILL)" in fits["die"].message
    assert fits["nan"].status == "diverged"
    assert fits[""].status == "ok"


def test_a_run_past_its_time_limit_is_ended(experiment, carry_out):
    text = (
        "{task: {name: line, trouble: sleep}, fields: [shallow], training: {steps: 1},"
        " executor: {name: local, jobs: 2, timeout_s: 8}}"
    )
    records = carry_out(experiment(text))
    assert records[-1].status == "failed"
    assert "past the time limit of 8 s" in records[-1].message


def test_divergence_is_recorded_with_its_step(experiment):
    (run,) = [
        run
        for run in experiment("{task: line, fields: [shallow], training: {steps: 50, lr: 1e38, optimizer: sgd}}").runs
        if run.field
    ]
    record = execute(run)
    assert record.status == "diverged"
    assert 1 < record.step <= 3
    assert record.message == f"the loss is not finite at step {record.step}"


def test_a_skipped_pair_has_a_record_with_the_reason(experiment, carry_out):
    text = (
        "{task: {name: line, curvature: true}, fields: [{name: shallow, activation: [wave, kink]}],"
        " training: {steps: 2}}"
    )
    records = carry_out(experiment(text))
    assert [record.status for record in records] == ["ok", "ok", "skipped"]
    assert "takes 2 derivatives" in records[-1].message


def test_a_device_that_is_not_there_fails_with_one_line(experiment):
    run = experiment("{task: line, fields: [shallow], device: 'cuda:99'}").runs[-1]
    record = execute(run)
    assert record.status == "failed"
    assert record.message.startswith("device 'cuda:99' is not available")
    assert record.traceback == ""
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(UnsupportedError, match="no device 'abacus'"):
        choose_device("abacus")


def test_a_full_disk_stops_with_one_line_and_keeps_what_is_done(experiment, catalog, tmp_path):
    class Filling(RunStore):
        """Its disk is full as soon as this process writes a record; workers write by themselves."""

        def write(self, record):
            raise OSError(28, "No space left on device")

    text = """
tasks: [line, {name: line, trouble: die}, {name: line, samples: 32}]
fields: [shallow]
training: {steps: 3}
executor: {name: local, jobs: 1}
"""
    store = Filling(tmp_path / "results")
    with pytest.raises(StorageError, match=r"results: cannot be written: No space left on device; stopped\."):
        run_experiment(experiment(text), store, catalog, SilentListener(), plugin_files=[PLUGIN])
    assert any(store.read(run.id) is not None for run in store.planned())


def test_a_folder_that_cannot_be_written_is_one_line(experiment, catalog, tmp_path):
    (tmp_path / "results").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="results: cannot be written: "):
        run_experiment(experiment(TWO), RunStore(tmp_path / "results"), catalog, SilentListener())
