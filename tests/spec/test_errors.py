"""Every mistake in a spec is one line that says where it is and what to do."""

import pytest

from inrbench_core.plugins.loading import load_catalog
from inrbench_core.spec.builder import load_experiment
from inrbench_core.spec.yaml_io import SpecError


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
        ("task: line, analyses: [roughnes]", "analyses[0]"),
    ):
        told = errors(f"{{{top}, {fields}, training: {{stepz: 3}}}}")
        for part in [path, *expected]:
            assert any(line.startswith(f"1: {part}") for line in told), (top, part, told)
    assert len(errors("{task: lnie, fields: [], training: {stepz: 3}}")) == 3


def test_a_mistake_that_is_there_twice_is_told_in_both_places(errors):
    assert errors("""\
        task: line
        fields:
          - {name: shallow, activation: wav}
          - {name: shallow, activation: wav}
        sweep: {training.lr: [1e-3, 1e-4]}
    """) == [
        f"{line}: fields[{line - 3}].activation: no activation named 'wav'; did you mean 'wave'?" for line in (3, 4)
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1, 2]", "1: expected a mapping with task:, fields: and so on, got a list"),
        ("just words", "1: expected a mapping with task:, fields: and so on, got text"),
        ("{task: line}", "1: fields: required, but not given"),
        ("{fields: [shallow]}", "1: give either task: or tasks:"),
        ("{task: line, tasks: [line], fields: [shallow]}", "1: give either task: or tasks:"),
        ("{task: line, fields: []}", "1: fields: the list is empty; name at least one field"),
        (
            "{task: line, fields: [shallow], trainig: {}}",
            "1: trainig: unknown key; did you mean 'training' or 'tuning'?",
        ),
        ("{task: line, fields: [shallow], sweep: {lr: [1]}}", "1: sweep.lr: a sweep goes over training.KEY"),
        ("{task: line, fields: [shallow], training: {batch: 0.5}}", "1: training.batch: expected full or a whole"),
        ("{task: line, fields: [shallow], training: {batch: .inf}}", "1: training.batch: expected full or a whole"),
        ("{task: line, fields: [shallow], training: [1]}", "1: training: expected a mapping, got [1]"),
        (
            "{task: line, fields: [shallow], training: {lr: [1e-3, 1e-4]}}",
            "1: training.lr: Input should be a valid number, got [0.001, 0.0001]; a list expands in place of",
        ),
        ("{task: line, fields: [[shallow, 3]]}", "1: fields[0][1]: expected the name of a field"),
        ("{task: line, fields: [{name: shallow, training: 3}]}", "1: fields[0].training: expected a mapping, got 3"),
        ("{task: line, fields: [shallow, {name: shallow, activation: []}]}", "1: fields[1].activation: the list is em"),
        (
            "{task: line, fields: [{name: shallow, encoding: {name: plain, x: 1}}]}",
            "1: fields[0].encoding.x: unknown ",
        ),
        ("{task: line, fields: [{name: shallow, width: 1e30}]}", "1: fields[0].width: "),
        (
            "{task: line, fields: [{name: shallow, width: {parms: 3, parameters: 9}}]}",
            "1: fields[0].width.parms: unkn",
        ),
        ("{task: line, fields: [shallow], device: 'cuda:99999999999'}", "1: device: "),
        ("{task: line, fields: [shallow], timeout_s: 0}", "1: timeout_s: Input should be greater than 0, got 0"),
        ("{task: line, fields: [shallow], timeout_s: .inf}", "1: timeout_s: Input should be a finite number, got inf"),
        ("{task: line, fields: [shallow], timeout_s: soon}", "1: timeout_s: Input should be a valid number"),
        ("{task: line, fields: [shallow], name: ..}", "1: name: expected up to 100 letters, digits, '_', '.' and '-'"),
        (f"{{task: line, fields: [shallow], name: {'字' * 100}}}", "1: name: takes 300 bytes; at most 200"),
        (
            "{task: line, fields: ['elsewhere:shallow']}",
            "1: fields[0]: there is no field 'elsewhere:shallow'; write 'small_plugin.py:shallow'",
        ),
        ("{task: line, fields: [shallow], executor: nothing}", "1: executor: no executor named 'nothing'"),
        ("{task: line, fields: [shallow], executor: loacl}", "1: executor: no executor named 'loacl'; did you mean"),
        ("{task: line, fields: [shallow], analyses: nothing}", "1: analyses[0]: no analysis named 'nothing'"),
        ("{task: line, fields: [shallow], analyses: [flatness, wave]}", "1: analyses[1]: no analysis named 'wave'"),
        ("{task: line, fields: [shallow], analyses: [{name: flatness, points: 1}]}", "1: analyses[0].points: Input sh"),
        ("{task: line, fields: [shallow], analyses: [flatness, flatness]}", "1: analyses[1]: 'flatness' is already i"),
        (
            "{task: line, fields: [shallow], training: {optimizer: adma}}",
            "1: training.optimizer: no optimizer named 'a",
        ),
        (
            "{task: line, fields: [shallow], training: {optimizer: {name: sgd, momentum: 2}}}",
            "1: training.optimizer.momentum: Input should be less than 1, got 2",
        ),
        (
            "{task: line, fields: [shallow], training: {optimizer: [adam, sgd]}}",
            "1: training.optimizer: expected the name of an optimizer",
        ),
    ],
)
def test_one_clear_line_for_each_mistake(errors, text, expected):
    (line,) = errors(text)
    assert line.startswith(expected)


@pytest.mark.parametrize("seeds", ["0", "-1", "1.5", "1001", "9999999", ".inf", ".nan"])
def test_a_count_of_seeds_is_a_whole_number_within_bounds(errors, seeds):
    (line,) = errors(f"{{task: line, fields: [shallow], seeds: {seeds}}}")
    assert line.startswith("1: seeds: a count of seeds must be a whole number from 1 to 1,000, got ")


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        ("[]", "1: seeds: Value should have at least 1 item after validation, not 0, got []"),
        ("[1, -1]", "1: seeds[1]: Input should be greater than or equal to 0, got -1"),
        ("[1e18, 1e19]", "1: seeds[1]: Unable to parse input string as an integer, exceeded maximum size, got 1e+19"),
        (f"[0, '{2**63}']", f"1: seeds[1]: Input should be less than {2**63}, got '{2**63}'"),
        (f"[{2**63}]", "1: seeds[0]: a whole number has at most 18 digits"),
        ("[a]", "1: seeds[0]: Input should be a valid integer"),
        ("three", "1: seeds: Input should be a valid list, got 'three'"),
    ],
)
def test_seeds_are_whole_numbers_of_63_bits(errors, seeds, expected):
    (line,) = errors(f"{{task: line, fields: [shallow], seeds: {seeds}}}")
    assert line.startswith(expected)


PLUGIN = '''
from inrbench_core import ComponentSpec, FieldEntry, TaskSpec, TaskEntry, Metric, hookimpl
from pydantic import field_validator

class ShakySpec(ComponentSpec):
    """It raises."""
    width: int = 3

    @field_validator("width")
    @classmethod
    def _width(cls, value):
        return {3: 3}[value]

class FussySpec(TaskSpec):
    """It raises, too."""
    files: bool = False

    def accepts(self, field):
        raise RuntimeError("two\\nlines")

    def user_files(self):
        return [None][1] if self.files else []

@hookimpl
def inrbench_fields():
    yield FieldEntry("shaky", ShakySpec, "shaky:x", api=1)

@hookimpl
def inrbench_tasks():
    yield TaskEntry("fussy", FussySpec, "shaky:x", metrics=(Metric("psnr"),), api=1)
'''


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "{task: line, fields: [{name: shaky, width: 4}]}",
            "1: fields[0]: field 'shaky' of shaky.py raised KeyError",
        ),
        ("{task: fussy, fields: [shaky]}", "1: fields[0]: task 'fussy' of shaky.py raised RuntimeError: two lines"),
        (
            "{task: {name: fussy, files: true}, fields: [shaky]}",
            "1: task.source: task 'fussy' of shaky.py raised Ind",
        ),
    ],
)
def test_a_plugin_that_raises_is_one_line_and_counts_as_broken(plugin_files, write_spec, tmp_path, text, expected):
    (tmp_path / "shaky.py").write_text(PLUGIN)
    catalog = load_catalog([*plugin_files, tmp_path / "shaky.py"])
    with pytest.raises(SpecError) as caught:
        load_experiment(write_spec(text), catalog)
    assert str(caught.value).partition("spec.yaml:")[2].startswith(expected)
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.broken
