import pytest

from inrbench_core.results.evaluate import evaluate
from inrbench_core.results.load import load_results
from inrbench_core.runs.plan import make_plan
from inrbench_core.spec.builder import load_experiment


def labels(rows):
    return [row.label for row in rows]


def test_lists_where_components_go_expand_to_all_combinations(plan):
    made = plan("""
        task: line
        fields:
          - {name: shallow, encoding: [plain, {name: waves, omega: 2}], activation: [wave, kink]}
        seeds: 3
    """)
    (board,) = made.boards
    fields = [row for row in board.rows if not row.baseline]
    assert sorted(labels(fields)) == ["kink", "wave", "waves+kink", "waves+wave"]
    assert [[run.seed for run in row.runs] for row in fields] == [[0, 1, 2]] * 4
    assert len(made.runs) == 1 + 4 * 3


def test_every_field_runs_once_on_all_tasks_and_signals_before_the_second_seed(plan):
    made = plan("""
        tasks: [{name: curve, signals: [square, circle]}, line]
        fields: [shallow, swell]
        seeds: 2
    """)
    order = [(run.seed, run.task_label, run.signal, run.label) for run in made.runs.values()]
    blocks = [
        ("curve", "square", ["mean", "zero"], ["wave", "swell"]),
        ("line", "line", ["zero"], ["wave", "swell"]),
        ("curve", "circle", ["mean", "zero"], ["wave", "swell"]),
    ]
    assert order == [
        (seed, task, signal, label)
        for seed in (0, 1)
        for task, signal, baselines, fields in blocks
        for label in ([] if seed else baselines) + fields
    ]


def test_a_recipe_is_a_field_with_changes(rows):
    (row,) = rows("{task: line, fields: {name: swell, activation: {orders: 5}, width: 4}}")
    assert row.label == "swell"
    assert row.field.to_data() == {
        "name": "shallow",
        "encoding": {"name": "plain"},
        "activation": {"name": "wave", "omega": 9.0, "orders": 5},
        "width": 4,
    }


def test_a_mapping_replaces_a_number_of_a_recipe(rows):
    """Not merged with it, as the options of a component are: the number is no name."""
    (row,) = rows("{task: line, fields: {name: swell, width: {parameters: 99}}}")
    assert row.field.to_data()["width"] == {"parameters": 99}


def test_a_recipe_with_another_component_is_that_recipe_no_more(rows):
    other, same = rows(
        "{task: line, fields: [{name: swell, activation: kink}, {name: swell, activation: {name: wave}}]}"
    )
    assert (other.label, other.training.lr) == ("kink", 1e-3)
    assert (same.label, same.training.lr) == ("swell", 5e-3)


def test_a_sweep_expands_and_labels_tell_its_rows_apart(load):
    experiment = load("""
        task: line
        fields: [{name: shallow, activation: wave}]
        sweep: {training.lr: [1e-3, 1e-4], field.activation.omega: [1, 2], task.samples: [8, 16]}
    """)
    assert [board.label for board in experiment.boards] == ["line (samples=8)", "line (samples=16)"]
    for board in experiment.boards:
        assert labels(board.rows) == [f"wave (lr={lr}, omega={o})" for lr in (0.001, 0.0001) for o in (1.0, 2.0)]


@pytest.mark.parametrize(("data_seed", "expected"), [("", [0]), ("data_seed: 5, ", [5]), ("data_seed: seed, ", [1, 2])])
def test_baselines_come_once_for_each_task_and_data_seed(plan, data_seed, expected):
    made = plan(f"{{task: line, fields: [shallow, swell], {data_seed}seeds: [1, 2]}}")
    assert [(run.label, run.seed) for run in made.runs.values() if run.is_baseline] == [
        ("zero", seed) for seed in expected
    ]


@pytest.mark.parametrize("wrong", ["-1", "1.5", "true", "seeds", "[1]"])
def test_a_data_seed_is_a_number_or_seed(errors, wrong):
    (line,) = errors(f"{{task: line, fields: [shallow], data_seed: {wrong}}}")
    assert line.startswith("1: data_seed: expected a whole number from 0, or seed, got ")


def test_a_width_may_count_values_for_each_parameter(rows, errors):
    (row,) = rows("{task: line, fields: [{name: shallow, width: {values_per_parameter: 2.5}}]}")
    assert row.field.to_data()["width"] == {"values_per_parameter": 2.5}
    for wrong in ("{}", "{parameters: 9, values_per_parameter: 4}"):
        assert errors(f"{{task: line, fields: [{{name: shallow, width: {wrong}}}]}}") == [
            "1: fields[0].width: give either parameters or values_per_parameter"
        ]


def test_a_field_that_is_a_measure_is_a_baseline_in_plan_and_files_and_tables(
    plugin_files, write_spec, catalog, tmp_path
):
    file = write_spec("""
        task: {name: line, samples: 8}
        fields: [measure, shallow]
        training: {steps: 1, compile: off}
        executor: {name: local, jobs: 1}
        device: cpu
    """)
    expected = {"zero": True, "wave": False, "measure wave": True}
    experiment = load_experiment(file, catalog, ["fields.0={name: measure, label: measure wave}"])
    made = make_plan(experiment, catalog, "cpu")
    assert {row.label: row.baseline for row in made.boards[0].rows} == expected
    assert {run.label: run.is_baseline for run in made.runs.values()} == expected
    results = evaluate(
        file,
        out=tmp_path / "results",
        settings=["fields.0={name: measure, label: measure wave}"],
        plugin_files=plugin_files,
    )
    for found in (results, load_results(tmp_path / "results")):
        assert {run.field: run.baseline for run in found.runs} == expected
        assert {run.field: run.record.baseline for run in found.runs} == expected
        assert {row.label: row.baseline for row in found.leaderboards()[0].rows} == expected
        assert {row.label for row in found.leaderboards()[0].rows if row.rank} == {"wave"}


def test_a_pair_that_cannot_work_is_a_row_with_its_reason_and_no_run(plan):
    made = plan("{task: {name: line, curvature: true}, fields: [{name: shallow, activation: [wave, kink]}], seeds: 2}")
    skipped = {row.label: row.skip for row in made.boards[0].rows if row.skip}
    assert list(skipped) == ["kink"]
    assert "takes 2 derivatives" in skipped["kink"]
    assert {run.label for run in made.runs.values()} == {"zero", "wave"}


def test_a_specs_name_is_by_default_that_of_its_file(write_spec, catalog):
    long = "x" * 120
    for file, name in (
        ("plain.yaml", "plain"),
        ("my first spec.yaml", "my_first_spec"),
        ("..yaml", "experiment"),
        (f"{long}.yaml", long[:100]),
    ):
        assert load_experiment(write_spec("{task: line, fields: [shallow]}", file), catalog).name == name


def test_integral_floats_are_accepted_for_whole_numbers(rows):
    (row,) = rows("{task: line, fields: [shallow], training: {steps: 1e3}}")
    assert row.training.steps == 1000


@pytest.mark.parametrize(("word", "meaning"), [("off", "off"), ("on", "on"), ("auto", "auto"), ("no", "off")])
def test_yaml_switches_mean_what_they_say(rows, word, meaning):
    (row,) = rows(f"{{task: line, fields: [shallow], training: {{compile: {word}}}}}")
    assert row.training.compile == meaning


def test_seeds_are_a_count_or_a_list_and_each_counts_once(load):
    text = "{{task: line, fields: [shallow], seeds: {seeds}}}"
    for written, meant in (("3", (0, 1, 2)), ("[7, 0, 7, 0]", (7, 0)), (f"[{10**18 - 1}]", (10**18 - 1,))):
        assert load(text.format(seeds=written)).seeds == meant
    assert load("{task: line, fields: [shallow]}").seeds == (0,)


def test_analyses_are_names_or_mappings_and_count_in_the_runs(plan, load):
    text = "{{task: line, fields: [shallow], analyses: {analyses}}}"
    one, several = load(text.format(analyses="roughness")), load(text.format(analyses="[roughness, {name: flatness}]"))
    assert [analysis.name for analysis in one.analyses] == ["roughness"]
    assert [analysis.to_data() for analysis in several.analyses] == [
        {"name": "roughness", "points": 16},
        {"name": "flatness", "points": 16},
    ]
    made = plan(text.format(analyses="[{name: roughness, points: 4}, flatness]"))
    fits = [run for run in made.runs.values() if not run.is_baseline]
    assert [[analysis.to_data()["points"] for analysis in run.analyses] for run in fits] == [[4, 16]]
    names = [metric.name for metric in made.boards[0].metrics]
    assert names == ["psnr", "mae", "roughness.mean", "flatness.mean"]


def test_the_time_limit_belongs_to_the_experiment(load, errors):
    assert load("{task: line, fields: [shallow], timeout_s: 1.5}").timeout_s == 1.5
    assert load("{task: line, fields: [shallow]}").timeout_s is None
    (line,) = errors("{task: line, fields: [shallow], executor: {name: local, timeout_s: 5}}")
    assert line == "1: executor.timeout_s: unknown key; known are jobs"


def test_stacking_belongs_to_the_experiment(load, errors):
    assert load("{task: line, fields: [shallow]}").stack
    assert load("{task: line, fields: [shallow], stack: auto}").stack
    assert not load("{task: line, fields: [shallow], stack: off}").stack
    (line,) = errors("{task: line, fields: [shallow], stack: on}")
    assert line == "1: stack: Input should be 'auto' or 'off', got 'on'"
    (line,) = errors("{task: line, fields: [shallow], training: {stack: off}}")
    assert "training.stack: unknown key" in line


def test_an_optimizer_is_a_name_or_a_mapping(rows):
    text = "{{task: line, fields: [shallow], training: {{optimizer: {optimizer}}}}}"
    (name,), (mapping,) = rows(text.format(optimizer="sgd")), rows(text.format(optimizer="{name: sgd, momentum: 0.5}"))
    assert name.training.optimizer.to_data() == {"name": "sgd", "momentum": 0.9}
    assert mapping.training.optimizer.to_data() == {"name": "sgd", "momentum": 0.5}
    swept = rows(
        "{task: line, fields: [shallow], training: {optimizer: sgd}, sweep: {training.optimizer.momentum: [0, 0.5]}}"
    )
    assert {row.label: row.training.optimizer.spec.momentum for row in swept} == {
        "wave (momentum=0.0)": 0.0,
        "wave (momentum=0.5)": 0.5,
    }
