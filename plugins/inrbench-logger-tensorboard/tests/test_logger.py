"""What is in the event files, read back by TensorBoard's own reader, beside what is in the files of runs."""

import io
import json

import numpy as np
import pytest
from inrbench_logger_tensorboard.log import Log
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import inrbench_core as inr
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.runs.events import EventStream, StartedExperiment
from inrbench_core.runs.outcome import failure
from inrbench_core.runs.runfile import encode
from inrbench_core.runs.store import RunStore
from inrbench_core.testing import parametrize_with_checks
from inrbench_core.testing.hook_checks import check_events, plugin_hooks
from inrbench_core.testing.small_runs import stand_in_records

DISTRIBUTION = "inrbench-logger-tensorboard"
SPEC = {
    "name": "logged",
    "task": {"name": "image", "source": "camera", "size": 16, "mode": "grey"},
    "fields": [{"name": "mlp", "label": "a/b", "width": 8, "depth": 2}],
    "training": {"steps": 6, "evaluate_every": 2, "compile": "off"},
    "seeds": [3],
    "executor": {"name": "local", "jobs": 1},
}


@parametrize_with_checks(DISTRIBUTION)
def test_conformance(check):
    check()


def test_it_takes_the_events_of_an_experiment_when_it_is_switched_on(monkeypatch, tmp_path):
    monkeypatch.setenv("INRBENCH_TENSORBOARD", str(tmp_path))
    (hooks,) = [hooks for hooks in plugin_hooks(load_catalog()) if hooks.distribution == DISTRIBUTION]
    check_events(hooks)
    # Two runs that are ok and one that failed.
    assert len(list(tmp_path.glob("stand_in/**/events.out.tfevents.*"))) == 3


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """The results of an experiment and its folder."""
    folder = tmp_path_factory.mktemp("logged")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INRBENCH_TENSORBOARD", "1")
        results = inr.evaluate(SPEC, out=folder)
    return results, folder


def read(folder):
    (file,) = folder.glob("events.out.tfevents.*")
    events = EventAccumulator(str(file), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    return events.Reload()


def text(events, tag):
    return events.Tensors(f"{tag}/text_summary")[0].tensor_proto.string_val[0].decode()


@pytest.mark.slow
def test_the_event_file_has_the_curve_metrics_pictures_and_settings_of_the_run(logged):
    results, folder = logged
    (run,) = [run for run in results.runs if not run.baseline]
    events = read(folder / "tensorboard" / "image" / "a%2Fb" / "camera" / "seed-3")
    arrays = run.record.arrays
    assert list(arrays.curve["step"]) == [2, 4, 6]
    for name in arrays.curve.keys() - {"step", "seconds"}:
        points = events.Scalars(f"curve/{name}")
        assert [point.step for point in points] == [2, 4, 6]
        # Event files keep single precision.
        assert [point.value for point in points] == pytest.approx(arrays.curve[name].tolist(), rel=1e-6)
    times = np.diff([point.wall_time for point in events.Scalars("curve/loss")])
    assert times == pytest.approx(np.diff(arrays.curve["seconds"]), abs=1e-5)
    finals = {tag.removeprefix("final/"): events.Scalars(tag)[0] for tag in events.Tags()["scalars"] if "final/" in tag}
    assert {name: point.value for name, point in finals.items()} == pytest.approx(dict(run.metrics), rel=1e-6)
    assert {point.step for point in finals.values()} == {6}
    for name, picture in (("preview", arrays.preview), ("truth", arrays.truth)):
        (image,) = events.Images(name)
        assert np.array_equal(np.array(Image.open(io.BytesIO(image.encoded_image_string))), picture)
    assert json.loads(text(events, "settings"))["training"]["steps"] == 6
    assert text(events, "status") == "ok"


@pytest.mark.slow
def test_every_run_has_a_folder_and_finished_ones_are_not_logged_again(logged, monkeypatch):
    results, folder = logged
    files = sorted(folder.glob("tensorboard/**/events.out.tfevents.*"))
    assert len(files) == len(list(results.runs)) > 1
    monkeypatch.setenv("INRBENCH_TENSORBOARD", "1")
    inr.evaluate(SPEC, out=folder)
    assert sorted(folder.glob("tensorboard/**/events.out.tfevents.*")) == files


def log_of(folder):
    return Log(folder, RunStore(folder / "results"))


@pytest.fixture
def stream():
    return EventStream(load_catalog().manager)


def send_all(stream, folder, records):
    store = RunStore(folder)
    runs = {run.id: run for run, _ in records}
    stream.send(
        "inrbench_experiment_started", experiment=StartedExperiment("exp", folder, runs, frozenset()), store=store
    )
    for run, record in records:
        stream.send("inrbench_run_started", run=run)
        for step, loss in ((0, float("nan")), (3, 0.5), (5, 0.25)):
            stream.send("inrbench_progress", run=run, progress=inr.Progress(step, 5, 0.1, loss, {"mse": loss / 2}))
        stream.send("inrbench_run_finished", run=run, record=record)


@pytest.mark.parametrize("value", [None, "", "0"])
def test_nothing_is_written_unless_it_is_switched_on(stream, monkeypatch, tmp_path, value):
    monkeypatch.delenv("INRBENCH_TENSORBOARD", raising=False)
    if value is not None:
        monkeypatch.setenv("INRBENCH_TENSORBOARD", value)
    monkeypatch.chdir(tmp_path)
    send_all(stream, tmp_path / "results", stand_in_records())
    assert list(tmp_path.iterdir()) == []


def test_progress_is_logged_from_the_first_step_on_and_a_repeated_run_replaces_what_was_logged(
    stream, monkeypatch, tmp_path
):
    monkeypatch.setenv("INRBENCH_TENSORBOARD", str(tmp_path))
    records = stand_in_records()[:1]
    for _ in range(2):
        send_all(stream, tmp_path / "results", records)
    events = read(log_of(tmp_path / "exp").path(records[0][0]))
    assert [(point.step, point.value) for point in events.Scalars("progress/loss")] == [(3, 0.5), (5, 0.25)]
    assert [(point.step, point.value) for point in events.Scalars("progress/mse")] == [(3, 0.25), (5, 0.125)]


@pytest.mark.parametrize("begins", [1, 2], ids=["at once", "after a worker was lost"])
def test_a_repeated_run_that_fails_leaves_the_log_of_the_good_result_that_is_kept(
    stream, monkeypatch, tmp_path, begins
):
    monkeypatch.setenv("INRBENCH_TENSORBOARD", str(tmp_path))
    ((run, record),) = stand_in_records()[:1]
    store = RunStore(tmp_path / "results")
    with store.lock():
        store.put(run.id, encode(record))
    send_all(stream, tmp_path / "results", [(run, record)])
    log = Log(tmp_path / "exp", store)
    (good,) = log.path(run).iterdir()
    content = good.read_bytes()
    for _ in range(begins):
        log.start(run)
        assert good.read_bytes() == content
    log.finish(run, failure(run, "failed", "ValueError: no luck"))
    assert list(log.path(run).iterdir()) == [good]
    assert good.read_bytes() == content


def test_a_run_that_fails_again_has_the_log_of_the_last_time(stream, monkeypatch, tmp_path):
    monkeypatch.setenv("INRBENCH_TENSORBOARD", str(tmp_path))
    ((run, record),) = stand_in_records()[2:]
    send_all(stream, tmp_path / "results", [(run, record)])
    send_all(stream, tmp_path / "results", [(run, failure(run, "failed", "ValueError: no luck again"))])
    assert text(read(log_of(tmp_path / "exp").path(run)), "status") == "failed: ValueError: no luck again"


def test_a_failed_run_is_logged_with_its_reason(stream, monkeypatch, tmp_path):
    monkeypatch.setenv("INRBENCH_TENSORBOARD", str(tmp_path))
    failed = stand_in_records()[2:]
    send_all(stream, tmp_path / "results", failed)
    events = read(log_of(tmp_path / "exp").path(failed[0][0]))
    assert text(events, "status") == "failed: ValueError: no luck"


def test_a_folder_that_cannot_be_written_is_reported_once(stream, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INRBENCH_TENSORBOARD", str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="raised and is not called any more") as caught:
        send_all(stream, tmp_path / "results", stand_in_records())
    assert len(caught) == 1


def test_folders_of_labels_are_within_the_folder_and_differ(tmp_path):
    from types import SimpleNamespace

    def folder(label):
        run = SimpleNamespace(task_label="t", label=label, signal="s", seed=0)
        return log_of(tmp_path).path(run).relative_to(tmp_path)

    labels = ["inr-bench/siren", "inr-bench_siren", "..", ".", "a b", "größe", "%2E%2E"]
    assert len({folder(label) for label in labels}) == len(labels)
    assert all(len(folder(label).parts) == 4 and ".." not in folder(label).parts for label in labels)
