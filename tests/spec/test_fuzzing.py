"""Whatever a spec holds, it is an experiment with a plan, or one line for each thing that is wrong with it."""

import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import pytest
import yaml

from inrbench_core.api.text import printable
from inrbench_core.results.load import experiment_data
from inrbench_core.runs.plan import make_plan
from inrbench_core.runs.run import run_from_data
from inrbench_core.spec.builder import build_experiment, load_experiment
from inrbench_core.spec.yaml_io import MOST_CHARACTERS, SpecError, document_of

sys.path.append(str(Path(__file__).parent))
import mutations

MOST_SECONDS = 5.0
OWN = [
    """\
name: plain
task: line
fields:
  - shallow
  - {name: shallow, label: wide, encoding: [plain, {name: waves, omega: 2}], activation: [wave, kink], width: 24}
  - {name: swell, activation: {orders: 5}, training: {lr: 7e-3, optimizer: sgd}}
  - name: shallow
    width: {parameters: 99}
training: {steps: 20, batch: full, lr: 3e-3, optimizer: {name: adamw, betas: [0.9, 0.99]}, compile: off}
seeds: 3
sweep: {training.lr: [1e-3, 1e-4], field.activation: [wave, kink]}
executor: {name: local, jobs: 2}
timeout_s: 60
device: cpu
""",
    """\
tasks:
  - &curve {name: curve, label: both, signals: [square, circle, one.txt, folder/*.txt]}
  - {name: curve, source: folder/one.txt, samples: 16}
  - {<<: *curve, label: again, samples: 32}
  - {name: scan, signals: [a, b], folder: c}
  - constant
fields:
  [tower, paired, {name: tower, note: x}, {name: stacked, basis: {name: bumps, activation: [wave, kink]}}, measure]
analyses: [roughness, {name: flatness, points: 4}]
seeds: [0, 5, 5, 7]
""",
    """\
task: {name: line, curvature: true, trouble: ""}
fields: {name: shallow, encoding: table, activation: [wave, {name: wave, omega: 1.5, orders: 4}]}
sweep: {task.samples: [8, 16], training.optimizer.momentum: [0.1, 0.2], field.width: [4, {parameters: 50}]}
training: {optimizer: sgd, schedule: cosine, final_lr: 0.1, evaluate_every: 5}
""",
    """\
task: {name: curve, signals: [square, circle]}
fields: [shallow, {name: tower, training: {lr: 1e-3}}]
tuning:
  trials: 4
  over:
    training.lr: [1e-4, 1e-1, log]
    width: [4, 8, int]
    basis: {choices: [bumps, {name: bumps, grid: 9}]}
  signals: [circle]
  by: psnr
""",
    """\
task: line
fields: [shallow, swell]
sweep: {training.lr: [1e-3, 1e-4], field.activation: [wave, kink]}
select: {over: [training.lr, field.activation], seeds: [100], by: mae}
seeds: 2
""",
]
# Those of the repository are long, and each is changed less often.
SPECS = OWN * 5 + [file.read_text() for file in sorted((Path(__file__).parents[2] / "specs").rglob("*.yaml"))]


class TooLong(BaseException):
    """No Exception, which a guard might take for a plugin's fault."""


def stop(number, frame):
    raise TooLong


@pytest.fixture
def folder(tmp_path):
    """A folder with the files that specs name, and with things that are no files."""
    (tmp_path / "folder").mkdir()
    for name in ("one.txt", "folder/one.txt", "folder/two [a].txt", "folder/.hidden.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder" / "up").symlink_to(tmp_path)
    (tmp_path / "folder" / "again").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


def make_experiment(kind, rng, folder, catalog):
    """The experiment of a spec that is changed at random, and a text to know it by."""
    text = rng.choice(SPECS)
    if kind == "text":
        text = mutations.changed_text(text, rng)
        file = folder / "spec.yaml"
        file.write_text(text, encoding="utf-8", errors="surrogatepass")
        return text, lambda: load_experiment(file, catalog)
    data = yaml.safe_load(text)
    if kind == "set":
        settings = [mutations.odd_setting(data, rng) for _ in range(rng.randint(1, 3))]
        return settings, lambda: build_experiment(document_of(data), catalog, settings)
    data = mutations.changed_data(data, rng)
    return data, lambda: build_experiment(document_of(data), catalog)


def wrong_with_experiment(experiment, catalog):
    plan = make_plan(experiment, catalog, "cpu")
    json.dumps(experiment_data(plan))
    for board in experiment.boards:
        for labels in ([row.label for row in board.rows], [one.label for one in board.signals]):
            if len(set(labels)) < len(labels) or any(not label or printable(label) != label for label in labels):
                return f"labels {labels}"
    for run in list(plan.runs.values())[:3]:
        if run_from_data(run.to_data(), catalog).id != run.id:
            return f"another id from the data of {run.title}"
    return ""


def wrong_with_error(error):
    lines = str(error).splitlines()
    if len(lines) != len(error.problems) or not lines:
        return f"{len(lines)} lines for {len(error.problems)} problems"
    for line in lines:
        if printable(line) != line or len(line) > MOST_CHARACTERS + 3 or " raised " in line:
            return f"the line {line!r}"
    return ""


def fault(make, catalog):
    """What is wrong with a case, or nothing."""
    started = time.perf_counter()
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    try:
        found = wrong_with_experiment(make(), catalog)
    except SpecError as error:
        found = wrong_with_error(error)
    except TooLong:
        found = "hangs: " + traceback.format_exc(limit=-6)
    except BaseException:
        found = traceback.format_exc(limit=-6)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    seconds = time.perf_counter() - started
    return found or (f"took {seconds:.1f} s" if seconds > MOST_SECONDS else "")


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.long)])
def test_changed_specs_are_plans_or_lines(count, folder, catalog, monkeypatch):
    monkeypatch.chdir(folder)
    before = signal.signal(signal.SIGALRM, stop)
    faults = []
    try:
        for number in range(count):
            rng = random.Random(number)
            shown, make = make_experiment(rng.choice(["text", "text", "data", "data", "set"]), rng, folder, catalog)
            if found := fault(make, catalog):
                faults.append(f"case {number}: {found}\n{shown!r:.3000}")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not faults, f"{len(faults)} of {count}\n\n" + "\n\n".join(faults[:10])


def test_the_specs_that_are_changed_are_good_ones(folder, catalog, monkeypatch):
    for text in OWN:
        (folder / "spec.yaml").write_text(text)
        make_plan(load_experiment(folder / "spec.yaml", catalog), catalog, "cpu")
