import textwrap
from pathlib import Path

import pytest

from inrbench_core.plugins.loading import load_catalog
from inrbench_core.spec.experiment import load_experiment
from inrbench_core.spec.runspec import RunSpec
from inrbench_core.spec.yaml_io import SpecError

STAND_INS = Path(__file__).parent.parent / "stand_ins"


@pytest.fixture(scope="module")
def catalog():
    return load_catalog([STAND_INS / "small_plugin.py"])


@pytest.fixture
def load(write_spec, catalog):
    return lambda text, *settings: load_experiment(write_spec(textwrap.dedent(text)), catalog, settings)


@pytest.fixture
def errors(load):
    def collect(text, *settings):
        with pytest.raises(SpecError) as caught:
            load(text, *settings)
        return [line.partition("spec.yaml:")[2] for line in str(caught.value).splitlines()]

    return collect


def fits(experiment):
    return [run for run in experiment.runs if run.field is not None]


def test_lists_where_components_go_multiply_out(load):
    runs = fits(
        load("""
        task: line
        fields:
          - {name: shallow, encoding: [plain, {name: waves, omega: 2}], activation: [wave, kink]}
        seeds: 3
    """)
    )
    assert len(runs) == 2 * 2 * 3
    assert sorted({run.label for run in runs}) == ["kink", "wave", "waves+kink", "waves+wave"]
    assert sorted({run.seed for run in runs}) == [0, 1, 2]


def test_training_is_merged_from_the_least_particular_to_the_most(load):
    runs = fits(
        load("""
        task: line
        fields:
          - {name: shallow, label: default}
          - {name: shallow, activation: kink, label: plain}
          - {name: swell, label: recipe}
          - {name: swell, label: own, training: {lr: 7e-3}}
    """)
    )
    assert {run.label: run.training.lr for run in runs} == {"default": 2e-3, "plain": 1e-3, "recipe": 5e-3, "own": 7e-3}
    shared = fits(load("{task: line, fields: [shallow, {name: swell, training: {lr: 7e-3}}], training: {lr: 3e-3}}"))
    assert [run.training.lr for run in shared] == [3e-3, 7e-3]


def test_a_recipe_is_a_field_with_changes(load):
    (run,) = fits(load("{task: line, fields: {name: swell, activation: {orders: 5}, width: 4}}"))
    assert run.label == "swell"
    assert run.field.to_data() == {
        "name": "shallow",
        "encoding": {"name": "plain"},
        "activation": {"name": "wave", "omega": 9.0, "orders": 5},
        "width": 4,
    }


def test_a_recipe_with_another_component_is_that_recipe_no_more(load):
    other, same = fits(
        load("{task: line, fields: [{name: swell, activation: kink}, {name: swell, activation: {name: wave}}]}")
    )
    assert (other.label, other.training.lr) == ("kink", 1e-3)
    assert (same.label, same.training.lr) == ("swell", 5e-3)


def test_what_multiplies_out_without_end_is_refused(errors):
    many = ", ".join(["wave"] * 200)
    text = (
        f"{{task: line, fields: [{{name: shallow, encoding: [{', '.join(['plain'] * 200)}], activation: [{many}]}}]}}"
    )
    assert errors(text) == ["1: fields[0]: its lists multiply out to 40,000 of it; 10,000 at most"]
    sweep = ", ".join(f"field.activation.{key}: {list(range(1, 200))}" for key in ("omega", "orders"))
    told = errors(f"{{task: line, fields: [shallow], sweep: {{{sweep}}}}}")
    assert told == ["1: sweep: it multiplies out to 39,601 combinations; 10,000 at most"]


def test_a_sweep_multiplies_out_and_labels_tell_its_runs_apart(load):
    experiment = load("""
        task: line
        fields: [{name: shallow, activation: wave}]
        sweep: {training.lr: [1e-3, 1e-4], field.activation.omega: [1, 2], task.samples: [8, 16]}
    """)
    runs = fits(experiment)
    assert len(runs) == 8
    assert {run.label for run in runs} == {f"wave (lr={lr}, omega={o})" for lr in (0.001, 0.0001) for o in (1.0, 2.0)}
    assert {run.task_label for run in runs} == {"line (samples=8)", "line (samples=16)"}


def test_baselines_come_once_for_each_task_and_seed(load):
    experiment = load("{task: line, fields: [shallow, swell], seeds: 2}")
    assert [(run.label, run.seed) for run in experiment.runs if run.baseline] == [("zero", 0), ("zero", 1)]


def test_a_field_that_is_meant_as_a_measure_counts_as_a_baseline(load, catalog):
    assert [(run.label, run.is_baseline) for run in load("{task: line, fields: [shallow]}").runs] == [
        ("zero", True),
        ("wave", False),
    ]
    (entry,) = [item.entry for item in catalog.of_kind("field") if item.entry.name == "grid"]
    assert entry.baseline


def test_a_pair_that_cannot_work_is_skipped_with_its_reason(load):
    runs = fits(load("{task: {name: line, curvature: true}, fields: [{name: shallow, activation: [wave, kink]}]}"))
    assert [bool(run.skip) for run in runs] == [False, True]
    assert "takes 2 derivatives" in runs[1].skip


def test_a_specs_name_is_by_default_that_of_its_file(write_spec, catalog):
    for file, name in (("plain.yaml", "plain"), ("my first spec.yaml", "my_first_spec"), ("..yaml", "experiment")):
        assert load_experiment(write_spec("{task: line, fields: [shallow]}", file), catalog).name == name


def test_integral_floats_are_accepted_for_whole_numbers(load):
    (run,) = fits(load("{task: line, fields: [shallow], training: {steps: 1e3}}"))
    assert run.training.steps == 1000


@pytest.mark.parametrize(("word", "meaning"), [("off", "off"), ("on", "on"), ("auto", "auto"), ("no", "off")])
def test_yaml_switches_mean_what_they_say(load, word, meaning):
    (run,) = fits(load(f"{{task: line, fields: [shallow], training: {{compile: {word}}}}}"))
    assert run.training.compile == meaning


def test_every_problem_is_told_at_once_with_its_line(errors):
    assert errors("""\
        task: lnie
        fields:
          - name: shallow
            encoding: wavs
            activation: {name: wave, omgea: 3}
          - {name: shallow, width: -1}
          - {name: shallow, activation: {name: wave, orders: two}}
          - shalow
        training: {steps: 10, lr: fast}
    """) == [
        "1: task: no task named 'lnie'; did you mean 'line'?",
        "4: fields[0].encoding: no encoding named 'wavs'; did you mean 'waves'?",
        "5: fields[0].activation.omgea: unknown key; did you mean 'omega'?",
        "6: fields[1].width: Input should be greater than 0, got -1",
        "7: fields[2].activation.orders: Input should be a valid integer, "
        "unable to parse string as an integer, got 'two'",
        "8: fields[3]: no field named 'shalow'; did you mean 'shallow'?",
        "9: training.lr: Input should be a valid number, unable to parse string as a number, got 'fast'",
    ]


def test_problems_of_one_part_hide_none_of_another(errors):
    expected = ["training.stepz", "fields[0].widht", "fields[0].training.lrr", "fields[1]"]
    fields = "fields: [{name: shallow, widht: 3, training: {lrr: 1}}, shalow]"
    for top, path in (
        ("task: lnie", "task"),
        ("tasks: []", ""),
        ("task: line, seeds: -1", "seeds"),
        ("task: line, sweep: {foo.bar: [1]}", "sweep.foo.bar"),
        ("task: line, seeds: 0, sweep: {foo.bar: [1]}", "sweep.foo.bar"),
    ):
        told = errors(f"{{{top}, {fields}, training: {{stepz: 3}}}}")
        for part in [path, *expected]:
            assert any(line.startswith(f"1: {part}") for line in told), (top, part, told)
    assert len(errors("{task: lnie, fields: [], training: {stepz: 3}}")) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1, 2]", "1: expected a mapping with task:, fields: and so on, got a list"),
        ("just words", "1: expected a mapping with task:, fields: and so on, got text"),
        ("{task: line}", "1: fields: required, but not given"),
        ("{fields: [shallow]}", "1: give either task: or tasks:"),
        ("{task: line, fields: []}", "1: fields: the list is empty; name at least one field"),
        ("{task: line, fields: [shallow], trainig: {}}", "1: trainig: unknown key; did you mean 'training'?"),
        (
            "{task: line, fields: [shallow], seeds: 0}",
            "1: seeds: a count of seeds must be a whole number from 1",
        ),
        ("{task: line, fields: [shallow], sweep: {lr: [1]}}", "1: sweep.lr: a sweep goes over training.KEY"),
        (
            "{task: line, fields: [shallow], training: {batch: 0.5}}",
            "1: training.batch: ",
        ),
        ("{task: line, fields: [shallow], training: [1]}", "1: training: expected a mapping, got [1]"),
        (
            "{task: line, fields: [shallow], training: {lr: [1e-3, 1e-4]}}",
            "1: training.lr: Input should be a valid number, got [0.001, 0.0001]; a list multiplies out in place of",
        ),
        ("{task: line, fields: [[shallow, 3]]}", "1: fields[0][1]: expected the name of a field"),
        (
            "{task: line, fields: [shallow, {name: shallow, activation: []}]}",
            "1: fields[1].activation: the list is empty; name at least one activation",
        ),
        ("{task: line, fields: [shallow], seeds: .inf}", "1: seeds: a count of seeds must be a whole number from 1"),
        ("{task: line, fields: [shallow], seeds: .nan}", "1: seeds: a count of seeds must be a whole number from 1"),
        ("{task: line, fields: [shallow], training: {batch: .inf}}", "1: training.batch: expected full or a whole"),
        ("{task: line, fields: [{name: shallow, width: 1e30}]}", "1: fields[0].width: "),
        (
            "{task: line, fields: [{name: shallow, width: {parms: 3, parameters: 9}}]}",
            "1: fields[0].width.parms: unknown key",
        ),
        ("{task: line, fields: [shallow], device: 'cuda:99999999999'}", "1: device: "),
        ("{task: line, fields: [shallow], name: ..}", "1: name: expected up to 100 letters, digits, '_', '.' and '-'"),
        ('{task: line, fields: [{name: shallow, label: "a\\nb"}]}', "1: fields[0].label: expected one line of text"),
        (
            "{task: line, fields: ['elsewhere:shallow']}",
            "1: fields[0]: there is no field 'elsewhere:shallow'; write 'small_plugin.py:shallow'",
        ),
        ("{task: line, fields: [shallow], executor: nothing}", "1: executor: no executor named 'nothing'; there are l"),
        ("{task: line, fields: [shallow], executor: loacl}", "1: executor: no executor named 'loacl'; did you mean"),
    ],
)
def test_one_clear_line_for_each_mistake(errors, text, expected):
    (line,) = errors(text)
    assert line.startswith(expected)


def test_set_changes_the_spec(load, errors):
    text = "{task: line, fields: [{name: shallow}], training: {steps: 10}}"
    (run,) = fits(load(text, "training.steps=20", "fields.0.width=5", "training.lr=1e-2"))
    assert (run.training.steps, run.field.spec.width, run.training.lr) == (20, 5, 0.01)
    assert "expected key=value" in errors(text, "steps")[0]
    assert "not valid YAML: '[1'" in errors(text, "training.lr=[1")[0]
    assert {
        run.training.lr
        for run in fits(
            load(
                "{task: line, fields: [shallow], sweep: {training.lr: [1]}}",
                "fields.0=swell",
                "sweep={training.lr: [1e-3, 2e-3]}",
            )
        )
    } == {1e-3, 2e-3}
    assert "nothing at 'fields.7.width'" in errors(text, "fields.7.width=1")[0]


def test_a_run_comes_back_from_its_data_with_the_same_id(load, catalog):
    for run in load("{task: line, fields: [{name: shallow, width: {parameters: 99}}, swell]}").runs:
        again = RunSpec.from_data(run.to_data(), catalog)
        assert again == run
        assert again.id == run.id


def test_the_id_depends_on_all_that_decides_the_result_and_not_on_labels(load):
    text = "{{task: line, fields: [{{name: shallow, label: {label}, width: {width}}}], seeds: [{seed}]}}"
    base, relabelled, wider, reseeded = (
        fits(load(text.format(label=label, width=width, seed=seed)))[0].id
        for label, width, seed in (("a", 8, 0), ("b", 8, 0), ("a", 9, 0), ("a", 8, 1))
    )
    assert base == relabelled
    assert len({base, wider, reseeded}) == 3


def test_the_id_depends_on_what_is_in_the_users_files(load, tmp_path):
    file = tmp_path / "line.txt"

    def ids():
        return [run.id for run in load(f"{{task: {{name: line, source: {file}}}, fields: [shallow]}}").runs]

    file.write_text("one")
    before = ids()
    assert ids() == before
    file.write_text("two")
    assert not set(before) & set(ids())
