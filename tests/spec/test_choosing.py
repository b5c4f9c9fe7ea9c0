"""select: and tuning: in a spec: what they make, and a line for each mistake."""

import itertools

import pytest

from inrbench_core.spec.choosing import Range, TuningSpec

TUNING = "{{task: line, fields: [shallow, swell], tuning: {{{keys}}}}}"
RATES = "over: {training.lr: [1e-3, 1e-1, log]}"
SWEPT = "{{task: line, fields: [shallow], sweep: {{training.lr: [1, 2], task.samples: [8, 9]}}, select: {{{keys}}}}}"


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("over: {}", "1: tuning: give ranges in over:"),
        (f"trials: 1, {RATES}", "1: tuning.trials: Input should be greater than or equal to 2, got 1"),
        ("over: {training.lr: [1e-1, 1e-3]}", "1: tuning.over.training.lr: low has to be less than high, got [0.1, 0"),
        ("over: {training.lr: [0, 1, log]}", "1: tuning.over.training.lr: a range with log begins above 0, got [0, "),
        ("over: {training.lr: [1, 2, lgo]}", "1: tuning.over.training.lr: after low and high come log, int or both,"),
        ("over: {training.lr: [1, 2, log, log]}", "1: tuning.over.training.lr: after low and high come log, int or b"),
        ("over: {width: [1.5, 4, int]}", "1: tuning.over.width: a range with int has whole numbers as ends, got [1.5"),
        ("over: {training.lr: [1]}", "1: tuning.over.training.lr: expected [low, high], [low, high, log] or {choices"),
        ("over: {training.lr: 3}", "1: tuning.over.training.lr: expected [low, high], [low, high, log] or {choices:"),
        ("over: {training.lr: [1, .inf]}", "1: tuning.over.training.lr: expected [low, high], "),
        ("over: {training.lr: {choices: [1]}}", "1: tuning.over.training.lr: expected {choices: [...]} with two valu"),
        ("over: {activation.omgea: [1, 2]}", "1: tuning.over.activation.omgea: no field has this option; did you mea"),
        ("over: {training.lrr: [1, 2]}", "1: tuning.over.training.lrr: no field has this option; did you mean 'train"),
        ("over: {training: [1, 2]}", "1: tuning.over.training: expected training.KEY, or a path in a field"),
        ("over: {activation.omega: [-5, 5]}", "1: tuning.over.activation.omega: Input should be greater than 0, got -"),
        ("over: {width: [1, 9]}", "1: tuning.over.width: Input should be a valid integer"),
        (f"{RATES}, by: pnsr", "1: tuning.by: task line has no metric 'pnsr'; did you mean 'psnr'?"),
        (
            "over: {training.lr: [1, 2, [log]]}",
            "1: tuning.over.training.lr: after low and high come log, int or both, go",
        ),
        ("over: {training.lr: [1, 2, {log: 1}]}", "1: tuning.over.training.lr: after low and high come log, int or b"),
        (
            "over: {activation.omega: [1, 2], field.activation.omega: [1, 2]}",
            "1: tuning.over.field.activation.omega: the same option as activation.omega",
        ),
        (
            "over: {activation: {choices: [wave, kink]}, activation.omega: [1, 2]}",
            "1: tuning.over.activation.omega: a part of activation, which is tuned as well; give one of the two",
        ),
        (f"{RATES}, seeds: [0]", "1: tuning.seeds: the tables have 0 as well; choose by other seeds"),
        (f"{RATES}, seeds: 0", "1: tuning.seeds: a count of seeds must be a whole number from 1 to 1,000, got 0"),
        (f"{RATES}, trails: 3", "1: tuning.trails: unknown key"),
    ],
)
def test_one_clear_line_for_each_mistake_in_tuning(errors, keys, expected):
    (line,) = errors(TUNING.format(keys=keys if "trials: " in keys else f"trials: 4, {keys}"))
    assert line.startswith(expected)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("by: psnr", "1: select.over: required, but not given"),
        ("over: [training.lrr]", "1: select.over[0]: sweep: does not have 'training.lrr'; did you mean 'training.lr'?"),
        ("over: task.samples", "1: select.over[0]: select goes over training.KEY and field.KEY"),
        ("over: [training.lr], by: mea", "1: select.by: task line has no metric 'mea'; did you mean 'mae'?"),
        ("over: [training.lr], seeds: [7, 0]", "1: select.seeds: the tables have 0 as well; choose by other seeds"),
    ],
)
def test_one_clear_line_for_each_mistake_in_select(errors, keys, expected):
    (line,) = errors(SWEPT.format(keys=keys))
    assert line.startswith(expected)


def test_what_goes_over_the_same_twice_is_a_mistake(errors):
    both = "sweep: {field.width: [4, 8]}, tuning: {trials: 3, over: {width: [4, 8, int]}}"
    assert errors(f"{{task: line, fields: [shallow], {both}}}") == ["1: tuning.over.width: sweep: has it as well"]
    both = f"sweep: {{training.lr: [1, 2]}}, select: {{over: training.lr}}, tuning: {{trials: 2, {RATES}}}"
    assert "1: select: give either select: or tuning:" in errors(f"{{task: line, fields: [shallow], {both}}}")


CURVES = "{{task: {{name: curve, signals: [square, circle]}}, fields: [shallow], tuning: {{trials: 2, {keys}}}}}"


def test_signals_of_trials_leave_the_table_unless_other_seeds_are_given(load, errors, tmp_path):
    (tmp_path / "own.txt").write_text("1")

    def board(more):
        made = load(CURVES.format(keys=f"{RATES}, {more}"))
        (table,) = made.boards
        shown, trial = ([signal.label for signal in part] for part in (table.signals, table.trial_signals))
        return shown, trial, made.trial_seeds

    assert board("by: psnr") == (["square", "circle"], ["square", "circle"], (1000,))
    assert board("signals: [circle]") == (["square"], ["circle"], (0,))
    assert board("signals: own.txt") == (["square", "circle"], ["own.txt"], (0,))
    assert board("signals: [circle], seeds: [5]") == (["square", "circle"], ["circle"], (5,))
    assert board("seeds: 2") == (["square", "circle"], ["square", "circle"], (1000, 1001))
    (line,) = errors(CURVES.format(keys=f"{RATES}, signals: [circle, square]"))
    assert line.startswith("1: tuning.signals: the table has no other signals; give fewer, or give seeds:")
    assert errors(f"{{task: constant, fields: [shallow], tuning: {{trials: 2, {RATES}, signals: [a]}}}}") == [
        "1: tuning.signals: this task has no signals to choose from"
    ]


def test_the_default_seed_is_none_of_the_table(load):
    assert load(f"{{task: line, fields: [shallow], seeds: [1000], tuning: {{trials: 2, {RATES}}}}}").trial_seeds == (
        1001,
    )


def test_trials_have_other_data_than_the_table(load, errors, plan):
    text = "{{task: line, fields: [shallow], seeds: [1], data_seed: {seed}, tuning: {{trials: 2, {keys}}}}}"
    assert load(text.format(seed=1000, keys=RATES)).trial_seeds == (1001,)
    assert errors(text.format(seed=7, keys=f"{RATES}, seeds: [6, 7]")) == [
        "1: tuning.seeds: 7 is the data_seed of the tables; trials have the data of their own seeds"
    ]
    made = plan(text.format(seed=7, keys=f"{RATES}, seeds: [6]"))
    found = {(run.id in made.trials, run.seed, run.data_streams_seed) for run in made.runs.values()}
    # The baseline has the seed of its data.
    assert found == {(True, 6, 6), (False, 1, 7), (False, 7, 7)}


def test_values_fill_a_range_evenly_and_stay_inside():
    tuning = TuningSpec.model_validate(
        {"trials": 5, "over": {"a": [1e-4, 1, "log"], "b": [1, 4, "int"], "c": {"choices": ["x", "y"]}, "d": [-1, 1]}}
    )
    found = list(itertools.islice(tuning.settings(["a", "b", "c", "d"]), 100))
    for low in (1e-4, 1e-3, 1e-2, 1e-1):
        assert 20 <= sum(low <= setting["a"] < 10 * low for setting in found) <= 30
    for number in (1, 2, 3, 4):
        assert 20 <= sum(setting["b"] == number for setting in found) <= 30
    assert 45 <= sum(setting["c"] == "x" for setting in found) <= 55
    assert all(-1 <= setting["d"] <= 1 for setting in found)
    # A field that has some of the options only is tried with the same values of them.
    assert [setting["d"] for setting in tuning.settings(["d"])][:100] == [setting["d"] for setting in found]


def test_whole_numbers_below_zero_have_equal_parts_of_a_range():
    values = [Range(-3, 2, whole=True).at(share / 600) for share in range(600)]
    assert {value: values.count(value) for value in set(values)} == dict.fromkeys(range(-3, 3), 100)


@pytest.mark.parametrize("log", [False, True])
def test_the_ends_of_a_range_of_whole_numbers_are_reached(log):
    whole = Range(2, 5, log=log, whole=True)
    assert (whole.at(0.0), whole.at(0.9999999)) == (2, 5)


def test_a_field_that_cannot_be_trained_and_a_baseline_are_not_tuned(load):
    fields = "[shallow, {name: measure, label: m}, {name: shallow, activation: kink}]"
    task = "{name: line, curvature: true}"
    (board,) = load(f"{{task: {task}, fields: {fields}, tuning: {{trials: 2, {RATES}}}}}").boards
    assert [choice.label for choice in board.choices] == ["wave (tuned)"]


def test_baselines_are_tuned_over_options_of_their_own(load, errors, plan):
    def text(ranges):
        fields = "[shallow, {name: measure, label: m}]"
        return f"{{task: line, fields: {fields}, tuning: {{trials: 4, {RATES}, baselines: {ranges}}}}}"

    (board,) = load(text("{width: [2, 9, int]}")).boards
    of_field, of_baseline = board.choices
    assert (of_field.label, of_baseline.label) == ("wave (tuned)", "m (tuned)")
    assert [list(trial.options) for trial in of_field.trials] == [["training.lr"]] * 4
    assert [list(trial.options) for trial in of_baseline.trials] == [["width"]] * 4
    # The baseline keeps its rate.
    assert len({trial.row.training.lr for trial in of_baseline.trials}) == 1
    planned = {row.label: row.baseline for row in plan(text("{width: [2, 9, int]}")).boards[0].rows}
    assert planned == {"zero": True, "wave": False, "wave (tuned)": False, "m": True, "m (tuned)": True}
    assert errors(text("{widht: [2, 9, int]}")) == [
        "1: tuning.baselines.widht: no baseline has this option; did you mean 'width'?"
    ]


def test_baselines_alone_can_be_tuned(load, errors):
    fields = "[shallow, {name: measure, label: m}]"
    (board,) = load(
        f"{{task: line, fields: {fields}, tuning: {{trials: 2, baselines: {{width: [2, 9, int]}}}}}}"
    ).boards
    assert [choice.label for choice in board.choices] == ["m (tuned)"]
    assert errors(f"{{task: line, fields: {fields}, tuning: {{trials: 2}}}}") == [
        "1: tuning: give ranges in over:, in baselines: or in both"
    ]


def test_a_tuned_label_that_is_taken_is_numbered(load):
    fields = "[{name: shallow, label: mine}, {name: swell, label: mine (tuned)}]"
    (board,) = load(f"{{task: line, fields: {fields}, tuning: {{trials: 2, {RATES}}}}}").boards
    assert [(choice.published, choice.label) for choice in board.choices] == [
        ("mine", "mine (tuned) (2)"),
        ("mine (tuned)", "mine (tuned) (tuned)"),
    ]


def test_a_component_that_a_field_leaves_at_its_default_can_be_tuned(load):
    text = "{task: line, fields: [shallow, swell], tuning: {trials: 3, over: {activation.omega: [20, 30]}}}"
    (board,) = load(text).boards
    for choice in board.choices:
        first, *others = (trial.row for trial in choice.trials)
        assert all(20 <= row.field.spec.activation.spec.omega <= 30 for row in others)
        # A recipe keeps its rate.
        assert {row.training.lr for row in others} == {first.training.lr}


def test_what_a_sweep_gives_once_is_no_choice(load):
    text = """
        task: line
        fields: [{name: swell, label: own, training: {lr: 7e-3}}, swell]
        sweep: {training.lr: [1e-4, 2e-4]}
        select: {over: training.lr}
    """
    (board,) = load(text).boards
    assert [row.label for row in board.rows] == ["own"]
    assert [(choice.label, len(choice.trials)) for choice in board.choices] == [("swell", 2)]


def test_a_metric_that_does_not_judge_chooses_nothing(errors):
    keys = f"{RATES}, by: slope.tilt"
    (line,) = errors(f"{{task: line, fields: [shallow], analyses: [slope], tuning: {{trials: 2, {keys}}}}}")
    assert line == ("1: tuning.by: of slope.tilt neither more nor less is better; choose by one of psnr, mae")


def test_fields_with_fewer_trials_than_asked_for_are_named_with_their_counts(load):
    few = "activation.omega: {choices: [10, 20]}"
    fields = "[shallow, {name: shallow, activation: kink, label: none}]"
    made = load(f"{{task: line, fields: {fields}, tuning: {{trials: 8, over: {{{few}}}}}}}")
    assert made.remarks == (
        "tuning on line: not every field has 8 trials, because its ranges make fewer settings for some: wave 3",
    )
    assert load(f"{{task: line, fields: {fields}, tuning: {{trials: 3, over: {{{few}}}}}}}").remarks == ()
