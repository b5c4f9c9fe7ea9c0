"""What is said while an experiment runs, and how long the rest takes."""

import io
import math
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from rich.console import Console

from inrbench_core.api.entries import Metric
from inrbench_core.api.executor import Progress
from inrbench_core.cli.duration import duration
from inrbench_core.cli.progress import LiveDisplay, PlainDisplay
from inrbench_core.runs import eta
from inrbench_core.runs.eta import Estimate
from inrbench_core.runs.run import BaselineRun, FitRun

MINUTE, HOUR, DAY = 60, 3600, 86_400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (8.04, "8.0 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (3 * MINUTE + 20, "3 min 20 s"),
        (5 * HOUR + 10 * MINUTE + 5, "5 h 10 min"),
        (2 * DAY + 4 * HOUR, "2 d 4 h"),
        (HOUR, "1 h"),
        (math.nan, "unknown"),
        (math.inf, "unknown"),
    ],
)
def test_durations_have_two_units_at_most(seconds, text):
    assert duration(seconds) == text


class Clock:
    """A clock that the test turns."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(eta, "time", made)
    return made


def fit(seed=0, group="a", label="wave", title=None):
    """As much of a run as displays look at."""
    run = object.__new__(FitRun)
    facts = {
        "id": f"{group}{seed}",
        "group": group,
        "label": label,
        "task_label": title or "line",
        "signal": "line",
        "seed": seed,
        "task": SimpleNamespace(name="line", entry=None),
        "training": SimpleNamespace(steps=100),
    }
    for name, value in facts.items():
        object.__setattr__(run, name, value)
    return run


def baseline(seed=0):
    run = object.__new__(BaselineRun)
    facts = {
        "id": f"zero{seed}",
        "group": "zero",
        "label": "zero",
        "task_label": "line",
        "signal": "line",
        "seed": seed,
    }
    for name, value in {**facts, "task": SimpleNamespace(name="line", entry=None)}.items():
        object.__setattr__(run, name, value)
    return run


def record(status="ok", seconds=10.0, **figures):
    return SimpleNamespace(status=status, message="why", metrics=figures, times={"total": seconds})


def step(number, seconds):
    return Progress(number, 100, seconds, 0.5)


def test_nothing_is_known_before_the_first_steps(clock):
    run = fit()
    estimate = Estimate([run])
    estimate.started(run)
    estimate.progress(run, Progress(0, 100, 0.0, math.nan, phase="preparing"))
    assert math.isnan(estimate.seconds_left())


def test_a_few_steps_of_one_run_tell_what_it_takes_and_what_its_other_seeds_take(clock):
    runs = [fit(seed) for seed in range(3)]
    estimate = Estimate(runs)
    estimate.started(runs[0])
    clock.now += 5  # Preparation.
    estimate.progress(runs[0], Progress(0, 100, 0.0, math.nan, phase="compiling"))
    clock.now += 2
    estimate.progress(runs[0], step(20, 2.0))
    # 8 s of 80 more steps, and twice all of it for the other seeds: 7 s until now and 8 s more.
    assert estimate.seconds_left() == pytest.approx(8 + 2 * 15)
    clock.now += 8
    estimate.finished(runs[0], record(seconds=12.0))
    assert estimate.seconds_left() == pytest.approx(2 * 12)


def test_a_field_that_has_not_begun_is_taken_to_be_as_slow_as_the_mean_of_the_others(clock):
    first, second, third = fit(group="a"), fit(group="b"), fit(group="c")
    estimate = Estimate([first, second, third])
    for run, seconds in ((first, 10.0), (second, 30.0)):
        estimate.started(run)
        estimate.finished(run, record(seconds=seconds))
    assert estimate.seconds_left() == pytest.approx(20.0)


def test_several_at_a_time_share_the_rest_and_the_longest_run_is_the_least(clock):
    runs = [fit(seed) for seed in range(6)]
    estimate = Estimate(runs)
    for run in runs[:2]:
        estimate.started(run)
    for run in runs[:2]:
        estimate.finished(run, record(seconds=10.0))
    assert estimate.seconds_left() == pytest.approx(4 * 10 / 2)
    for run in runs[2:5]:
        estimate.started(run)
        estimate.finished(run, record(seconds=10.0))
    assert estimate.seconds_left() == pytest.approx(10.0)


def test_runs_that_train_together_count_as_one(clock):
    runs = [fit(seed) for seed in range(8)]
    estimate = Estimate(runs)
    for run in runs:
        estimate.started(run)
        estimate.progress(run, replace(step(50, 5.0), together=8))
    # Each is half done with 5 s, its share of 40.
    assert estimate.seconds_left() == pytest.approx(8 * 5.0)


def test_baselines_and_failures_cost_nothing_that_is_counted(clock):
    runs = [fit(seed) for seed in range(2)]
    measure = baseline()
    estimate = Estimate([*runs, measure])
    estimate.started(measure)
    estimate.finished(measure, record(seconds=1000.0))
    assert math.isnan(estimate.seconds_left())
    estimate.started(runs[0])
    estimate.progress(runs[0], step(50, 5.0))
    estimate.finished(runs[0], record("failed", seconds=0.1))
    assert estimate.seconds_left() == pytest.approx(5.0)
    estimate.started(runs[1])
    estimate.finished(runs[1], record())
    assert estimate.seconds_left() == 0.0


def test_a_run_that_is_lost_before_it_began_is_not_waited_for(clock):
    runs = [fit(0), fit(1)]
    estimate = Estimate(runs)
    estimate.started(runs[0])
    estimate.finished(runs[0], record())
    estimate.finished(runs[1], record("failed"))
    assert estimate.seconds_left() == 0.0


ENTRY = SimpleNamespace(metrics=(Metric("psnr", "dB"),))


@pytest.fixture(autouse=True)
def metrics_of_the_task(monkeypatch):
    monkeypatch.setattr(FitRun, "task_entry", ENTRY)
    monkeypatch.setattr(BaselineRun, "task_entry", ENTRY)


def go_through(display, clock, runs):
    """One run after the other, of 10 s each."""
    display.inrbench_experiment_started(SimpleNamespace(runs={run.id: run for run in runs}, done=frozenset()))
    for run in runs:
        display.inrbench_run_started(run)
        for phase in ("preparing", "compiling"):
            display.inrbench_progress(run, Progress(0, 100, 0.0, math.nan, phase=phase))
        clock.now += 5
        display.inrbench_progress(run, Progress(50, 100, 5.0, 0.5, {"psnr": 12.345}))
        clock.now += 5
        display.inrbench_run_finished(run, record(psnr=23.456))


def test_plain_lines_say_what_begins_what_is_compiled_what_ended_and_what_is_left(clock, capsys):
    go_through(PlainDisplay(), clock, [fit(0), fit(1)])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "2 runs",
        "starting workers",
        "  line / wave / seed 0: compiling",
        "[1/2] line / wave / seed 0: psnr 23.46 dB in 10.0 s; about 10 s left",
        "  line / wave / seed 1: compiling, about 10 s left",
        "[2/2] line / wave / seed 1: psnr 23.46 dB in 10.0 s",
    ]


def test_plain_lines_of_a_long_run_come_once_a_minute(clock, capsys, monkeypatch):
    from inrbench_core.cli import progress as module

    monkeypatch.setattr(module, "time", clock)
    display, run = PlainDisplay(), fit()
    display.inrbench_experiment_started(SimpleNamespace(runs={run.id: run}, done=frozenset()))
    display.inrbench_run_started(run)
    for second in range(1, 151):
        clock.now += 1
        display.inrbench_progress(run, Progress(second, 300, float(second), 0.5, {"psnr": 12.345}))
    assert capsys.readouterr().err.splitlines()[2:] == [
        "  line / wave / seed 0: step 61/300, psnr 12.35 dB, about 3 min 59 s left",
        "  line / wave / seed 0: step 122/300, psnr 12.35 dB, about 2 min 58 s left",
    ]


def test_what_is_done_already_is_counted_and_no_worker_is_said_to_start(capsys):
    runs = {run.id: run for run in (fit(0), fit(1))}
    PlainDisplay().inrbench_experiment_started(SimpleNamespace(runs=runs, done=frozenset(runs)))
    assert capsys.readouterr().err.splitlines() == ["2 runs, 2 of them done"]


@pytest.fixture
def live(monkeypatch):
    """A live display that draws on a page of 80 columns, and that page."""
    page = io.StringIO()
    console = Console(file=page, width=80, force_terminal=True, color_system=None)
    monkeypatch.setattr("inrbench_core.cli.progress.make_console", lambda **options: console)
    display = LiveDisplay()

    def drawn():
        page.seek(0)
        page.truncate()
        console.print(display.live.renderable)
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", page.getvalue()).splitlines()

    return display, drawn


def test_the_live_display_says_the_same_with_an_overall_time_left(clock, live):
    display, drawn = live
    runs = [fit(0), fit(1)]
    display.inrbench_experiment_started(SimpleNamespace(runs={run.id: run for run in runs}, done=frozenset()))
    assert re.fullmatch(r"runs .* 0/2 0:00:00 starting workers *", drawn()[0])
    display.inrbench_run_started(runs[0])
    display.inrbench_progress(runs[0], Progress(0, 100, 0.0, math.nan, phase="compiling"))
    assert drawn()[1].split()[-1] == "compiling"
    assert "starting workers" not in drawn()[0]
    clock.now += 5
    display.inrbench_progress(runs[0], Progress(50, 100, 5.0, 0.5, {"psnr": 12.345}))
    overall, line = drawn()
    assert overall.rstrip().endswith("about 15 s left")
    assert re.fullmatch(r"line / wave / seed 0 +\S+ +50/100 psnr 12\.35 dB *", line)
    display.inrbench_run_finished(runs[0], record(psnr=23.456))
    (overall,) = drawn()
    assert "1/2" in overall
    assert overall.rstrip().endswith("about 10 s left")


def test_a_long_name_is_shortened_in_front_and_no_figure_is_cut(clock, live):
    display, drawn = live
    run = fit(title="a task of a name that is so long that it alone takes more than all of a line of 80 characters")
    display.inrbench_experiment_started(SimpleNamespace(runs={run.id: run}, done=frozenset()))
    display.inrbench_run_started(run)
    display.inrbench_progress(run, Progress(50, 100, 5.0, 0.5, {"psnr": 12.345}))
    _, line = drawn()
    assert len(line) <= 80
    assert line.startswith("…")
    assert "/ wave / seed 0 " in line
    assert line.rstrip().endswith("50/100 psnr 12.35 dB")


def test_through_a_pipe_eval_says_all_of_it(evaluated):
    done, _ = evaluated
    lines = done.stderr.splitlines()
    assert lines[:2] == ["5 runs", "starting workers"]
    assert [line[:5] for line in lines if line.startswith("[")] == [f"[{count}/5]" for count in range(1, 6)]
    assert re.search(r"seed 0: psnr \d+\.\d\d dB in \d+\.\d s; about .* left", done.stderr)
    assert not lines[-1].endswith("left")


def test_quiet_says_nothing(evaluated, run_cli, plugin):
    done, folder = evaluated
    quiet = run_cli("eval", "--spec", "small.yaml", "--quiet", *plugin, cwd=folder)
    assert (quiet.stderr, quiet.stdout) == ("", done.stdout)
