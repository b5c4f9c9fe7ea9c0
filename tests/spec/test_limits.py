"""What would take too long, or too much memory, is one line at once; what is allowed takes time in proportion."""

import time
import tracemalloc

import pytest

from inrbench_core.runs.plan import make_plan
from inrbench_core.spec.builder import build_experiment
from inrbench_core.spec.yaml_io import document_of

# Of one error, on a slow and busy core; each of these takes some hundredths of that.
A_FEW_SECONDS = 5.0


@pytest.fixture
def quick_errors(errors):
    def collect(text, *settings):
        started = time.perf_counter()
        found = errors(text, *settings)
        assert time.perf_counter() - started < A_FEW_SECONDS
        return found

    return collect


def numbers(count):
    return "[" + ", ".join(f"{number}e-6" for number in range(1, count + 1)) + "]"


def test_too_many_runs_are_one_line_with_count_and_limit(quick_errors):
    text = f"{{task: line, fields: [shallow], sweep: {{training.lr: {numbers(9998)}}}, seeds: 1000}}"
    assert quick_errors(text) == ["1: expands to 9,998,000 runs; at most 1,000,000"]


def test_signals_and_baselines_count_as_runs(quick_errors, tmp_path):
    for number in range(40):
        (tmp_path / f"{number}.txt").write_text(str(number))
    fields = f"fields: [shallow], sweep: {{training.lr: {numbers(100)}}}, seeds: 1000"
    assert quick_errors(f"{{task: {{name: curve, signals: ['*.txt']}}, {fields}}}") == [
        # 40 signals, 1,000 seeds, 100 rates and 2 baselines.
        "1: expands to 4,000,080 runs; at most 1,000,000"
    ]


def test_a_sweep_over_a_task_counts_each_of_its_tables_once(plan):
    samples = ", ".join(map(str, range(1, 101)))
    made = plan(f"{{task: line, fields: [shallow, swell], sweep: {{task.samples: [{samples}]}}, seeds: 20}}")
    assert (len(made.boards), len(made.runs)) == (100, 100 * (1 + 2 * 20))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "{{task: line, fields: [{{name: shallow, encoding: [{plain}], activation: [{wave}]}}]}}",
            "1: fields[0]: its lists expand to 40,000 combinations; at most 10,000",
        ),
        (
            "{{task: line, fields: [shallow], sweep: {{field.activation.omega: [{ones}], field.width: [{ones}]}}}}",
            "1: sweep: expands to 40,000 combinations; at most 10,000",
        ),
        (
            "{{task: line, fields: [{few}]}}",
            "1: fields: expands to more than 10,000 combinations",
        ),
        (
            "{{tasks: [{many}], fields: [shallow]}}",
            "1: tasks: expands to more than 10,000 combinations",
        ),
    ],
)
def test_what_expands_without_end_is_one_line(quick_errors, text, expected):
    few = "{name: shallow, encoding: [" + "plain, " * 90 + "], activation: [" + "wave, " * 90 + "]}, "
    text = text.format(
        plain="plain, " * 200, wave="wave, " * 200, ones="1, " * 200, few=few * 40, many="line, " * 20_000
    )
    assert quick_errors(text) == [expected]


def test_mistakes_without_end_are_told_up_to_a_number(quick_errors):
    names = ", ".join(f"shall{number}" for number in range(10_000))
    assert len(quick_errors(f"{{task: line, fields: [{names}]}}")) == 1000
    sweep = f"sweep: {{training.lr: {numbers(9998)}}}"
    assert len(quick_errors(f"{{task: line, fields: [shalow], {sweep}}}")) == 1
    rates = ", ".join(["fast"] * 9998)
    assert len(quick_errors(f"{{task: line, fields: [shallow], sweep: {{training.lr: [{rates}]}}}}")) == 1000


def planned(rows, seeds, catalog):
    """Seconds and bytes of planning that many runs, and the baselines."""
    rates = [1e-6 * number for number in range(1, rows + 1)]
    document = document_of({"task": "line", "fields": ["shallow"], "sweep": {"training.lr": rates}, "seeds": seeds})
    started = time.process_time()
    experiment = build_experiment(document, catalog)
    plan = make_plan(experiment, catalog, "cpu")
    seconds = time.process_time() - started
    assert len(plan.runs) == rows * seeds + 1
    return seconds


@pytest.mark.parametrize(("small", "large"), [((100, 200), (100, 800)), ((1_000, 4), (4_000, 4))])
def test_the_time_of_a_plan_grows_with_the_number_of_runs(catalog, small, large):
    planned(*small, catalog)
    first, second = (min(planned(*size, catalog) for _ in range(2)) for size in (small, large))
    # Four times the runs; quadratic time would be 16 times as long.
    assert second / first < 8


def test_a_planned_run_takes_little_memory(catalog):
    tracemalloc.start()
    plan = make_plan(
        build_experiment(document_of({"task": "line", "fields": ["shallow"], "seeds": 1000}), catalog), catalog, "cpu"
    )
    before, _ = tracemalloc.get_traced_memory()
    count = len(plan.runs)
    del plan
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A million of them have to fit in the memory of a small machine.
    assert (before - after) / count < 2000


@pytest.mark.long
def test_a_million_runs_are_planned(catalog):
    print("seconds:", planned(9_999, 100, catalog))
