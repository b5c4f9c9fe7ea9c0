import pytest

from inrbench_core.spec.variants import numbered, tell_apart


def labels(boards):
    return [board.label for board in boards]


def test_fields_with_equal_settings_and_different_labels_are_rows_of_their_own_that_share_runs(plan):
    made = plan("{task: line, fields: [{name: shallow, label: one}, {name: shallow, label: two}], seeds: 10}")
    (board,) = made.boards
    rows = {row.label: [run.id for run in row.runs] for row in board.rows}
    assert list(rows) == ["zero", "one", "two"]
    assert rows["one"] == rows["two"]
    assert len(set(rows["one"])) == 10
    assert len(made.runs) == 11


def test_fields_that_are_equal_in_all_are_one_row(rows):
    assert [
        row.label for row in rows("{task: line, fields: [shallow, {name: shallow}, {name: shallow, width: 16}]}")
    ] == ["wave"]


def test_a_recipe_is_not_named_where_another_component_takes_a_place_in_it(rows):
    listed = rows("{task: line, fields: [{name: swell, activation: [wave, kink]}]}")
    swept = rows("{task: line, fields: [swell], sweep: {field.activation: [wave, kink]}}")
    by_name = rows("{task: line, fields: [swell], sweep: {field.activation: [{name: wave}, {name: kink}]}}")
    other = rows("{task: line, fields: [swell], sweep: {field.name: [shallow, measure]}}")
    # Of a list it is not said which value the recipe has; a sweep puts one in at a time.
    assert [row.label for row in listed] == ["wave", "kink"]
    assert [row.label for row in swept] == [row.label for row in by_name] == ["swell", "kink"]
    assert [row.label for row in other] == ["swell", "wave"]
    assert [row.is_baseline for row in other] == [False, True]


def test_equal_labels_are_told_apart_by_what_differs(rows):
    found = rows("""
        task: line
        fields:
          - {name: shallow, label: a, width: 3}
          - {name: shallow, label: a, width: 4}
          - {name: shallow, label: b, training: {lr: 1e-2}}
          - {name: shallow, label: b, training: {lr: 1e-3}}
          - {name: shallow, label: c}
    """)
    assert [row.label for row in found] == ["a (width=3)", "a (width=4)", "b (lr=0.01)", "b (lr=0.001)", "c"]


def test_a_default_component_is_named_only_where_something_inside_it_is_changed(rows):
    found = rows("""
        task: line
        fields:
          - paired
          - {name: paired, encoding: {name: pair, inner: waves}}
          - {name: paired, encoding: {name: pair, inner: {name: plain}, scale: 2}}
          - {name: paired, encoding: waves}
    """)
    assert [row.label for row in found] == ["wave", "pair waves+wave", "pair plain+wave", "waves+wave"]


def test_labels_are_of_one_line_whatever_options_hold(rows):
    found = rows("""
        task: line
        fields: [{name: stacked, note: "two\\nlines"}, {name: stacked, note: "\\e[2Jescape"}]
    """)
    assert [row.label for row in found] == [
        "stacked bumps kink (note=two lines)",
        "stacked bumps kink (note=\\x1b[2Jescape)",
    ]


def test_a_task_has_a_label_of_its_own(load, plan):
    experiment = load("{task: {name: curve, label: my curve}, fields: [shallow]}")
    assert labels(experiment.boards) == ["my curve"]
    ids = [
        set(plan(f"{{task: {task}, fields: [shallow]}}").runs) for task in ("curve", "{name: curve, label: my curve}")
    ]
    assert ids[0] == ids[1]


def test_equal_labels_of_tasks_are_told_apart(load, tmp_path):
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(name)
    experiment = load("""
        tasks:
          - {name: curve, label: same, samples: 8}
          - {name: curve, label: same, samples: 9}
          - {name: curve, signals: [square, circle]}
          - {name: curve, signals: [square, circle, a.txt, b.txt, c.txt]}
          - curve
        fields: [shallow]
    """)
    assert labels(experiment.boards) == [
        "same (samples=8)",
        "same (samples=9)",
        "curve (signals=square, circle)",
        "curve (signals=square, circle, a.txt, 2 more)",
        "curve (source=square)",
    ]


@pytest.mark.parametrize("task", ["line", "{name: line}", "{name: line, samples: 64}", "'small_plugin.py:line'"])
def test_a_task_that_is_written_in_two_ways_is_one_table(load, plan, task):
    assert labels(load(f"{{tasks: [line, {task}], fields: [shallow]}}").boards) == ["line"]
    assert len(plan(f"{{tasks: [line, {task}], fields: [shallow]}}").runs) == 2


def test_tasks_whose_files_differ_in_their_folder_only_are_told_apart_and_show_no_path(load, tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "photo.txt").write_text(folder)
    experiment = load("""
        tasks: [{name: curve, source: a/photo.txt}, {name: curve, source: b/photo.txt}, {name: curve, source: square}]
        fields: [shallow]
    """)
    found = labels(experiment.boards)
    assert found == ["curve (source=photo.txt)", "curve (source=photo.txt) (2)", "curve (source=square)"]
    assert [board.signals[0].label for board in experiment.boards] == ["photo.txt", "photo.txt", "square"]


@pytest.mark.parametrize("label", ['"a\\nb"', '""', '" "', "[a]", "3", '"\\e[31m"'])
@pytest.mark.parametrize("where", ["task", "field"])
def test_a_label_is_one_line_of_text(errors, where, label):
    task = f"{{name: line, label: {label}}}" if where == "task" else "line"
    field = f"{{name: shallow, label: {label}}}" if where == "field" else "shallow"
    (line,) = errors(f"{{task: {task}, fields: [{field}]}}")
    place = "task.label" if where == "task" else "fields[0].label"
    assert line.startswith(f"1: {place}: expected one line of text, got ")


def test_labels_that_nothing_tells_apart_are_numbered():
    assert tell_apart(["a", "a", "b"], [{"x": 1}, {"x": 1}, {"x": 1}]) == ["a", "a (2)", "b"]
    assert numbered(["a", "a", "a (2)", "a", "a (2)"]) == ["a", "a (3)", "a (2)", "a (4)", "a (2) (2)"]


def test_options_of_field_and_training_with_one_name_are_both_looked_at():
    data = [{"training": {"lr": 1}, "field": {"lr": 5}}, {"training": {"lr": 2}, "field": {"lr": 5}}]
    assert tell_apart(["a", "a"], data) == ["a (lr=1)", "a (lr=2)"]
