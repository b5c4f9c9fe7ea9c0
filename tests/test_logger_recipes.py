"""The plugin files of docs/loggers.md log what a run has come to, to stand-ins for the packages they import."""

import re
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from inrbench_core.plugins.loading import load_catalog
from inrbench_core.runs.events import EventStream
from inrbench_core.testing.small_runs import stand_in_records

PAGE = (Path(__file__).parent.parent / "docs" / "loggers.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def send(tmp_path, monkeypatch):
    """Has the recipe of a page's file take a run that is ok and one that failed."""

    def send(name, stand_in):
        monkeypatch.setitem(sys.modules, stand_in.__name__, stand_in)
        (tmp_path / name).write_text(dict(BLOCKS)[name])
        stream = EventStream(load_catalog([tmp_path / name]).manager)
        for run, record in stand_in_records()[1:]:
            with warnings.catch_warnings():
                # The stream turns what a logger raises into a warning.
                warnings.simplefilter("error")
                stream.send("inrbench_run_finished", run=run, record=record)

    return send


def test_every_recipe_of_the_page_is_run():
    assert [name for name, _ in BLOCKS] == ["my_wandb.py", "my_mlflow.py"]
    assert PAGE.count("```") == 4


def curve_of(record):
    curve = record.arrays.curve
    return [
        (int(step), {name: float(values[index]) for name, values in curve.items() if name != "step"})
        for index, step in enumerate(curve["step"])
    ]


def test_weights_and_biases_gets_the_curve_settings_and_final_metrics(send):
    runs = []
    wandb = ModuleType("wandb")

    @contextmanager
    def init(*, project, group, name, config):
        run = SimpleNamespace(settings=(project, group, name), config=config, points=[], summary={})
        run.log = lambda data, step: run.points.append((step, data))
        runs.append(run)
        yield run

    wandb.init = init
    send("my_wandb.py", wandb)
    (_, (run, record), (failed, _)) = stand_in_records()
    good, bad = runs
    assert good.settings == ("inrbench", "stand_in", run.title)
    assert good.config["training"]["steps"] == 5
    assert good.points == curve_of(record)
    assert len(good.points) > 0
    assert good.summary == {"status": "ok", **record.metrics}
    assert (bad.settings[2], bad.points, bad.summary) == (failed.title, [], {"status": "failed"})


def test_mlflow_gets_the_curve_parameters_and_final_metrics(send):
    runs = []
    mlflow = ModuleType("mlflow")

    @contextmanager
    def start_run(*, run_name, tags):
        runs.append(SimpleNamespace(name=run_name, tags=tags, params={}, points=[]))
        yield

    mlflow.set_experiment = lambda name: None
    mlflow.start_run = start_run
    mlflow.log_params = lambda params: runs[-1].params.update(params)
    mlflow.log_metrics = lambda metrics, step: runs[-1].points.append((step, metrics))
    send("my_mlflow.py", mlflow)
    (_, (run, record), _) = stand_in_records()
    good, bad = runs
    assert (good.name, good.tags) == (run.title, {"status": "ok"})
    assert good.params == {"task": "stand_in", "signal": "stand_in", "field": "stand_in", "seed": 1}
    final = {f"final/{name}": value for name, value in record.metrics.items()}
    assert good.points == [*curve_of(record), (record.step, final)]
    assert bad.tags == {"status": "failed"}
