"""`signals:` of a task: one table over several names and files."""

import os

import pytest

from inrbench_core.spec import signals


@pytest.fixture
def photos(tmp_path):
    for name in ("photos/a.txt", "photos/b.txt", "photos/.hidden.txt", "photos/deep/a.txt", "mine.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path / "photos"


@pytest.fixture
def labels(load):
    def find(signals, task="curve"):
        (board,) = load(f"{{task: {{name: {task}, signals: {signals}}}, fields: [shallow]}}").boards
        return [signal.label for signal in board.signals]

    return find


def test_names_files_and_patterns_become_one_table_with_a_row_for_each_field(plan, photos):
    made = plan("""
        task: {name: curve, signals: [circle, mine.txt, photos/*.txt]}
        fields: [shallow, swell]
        seeds: 2
    """)
    (board,) = made.boards
    assert board.board.label == "curve"
    assert [row.label for row in board.rows] == ["mean", "zero", "wave", "swell"]
    for row in board.rows:
        seeds = (0,) if row.baseline and row.source is None else (0, 1)
        assert [(run.signal, run.seed) for run in row.runs] == [
            (signal, seed) for seed in seeds for signal in ("circle", "mine.txt", "a.txt", "b.txt")
        ]
        assert len({run.group for run in row.runs}) == 1
    assert len(made.runs) == 2 * 4 + 2 * 2 * 4


def test_each_signal_has_its_own_file_and_no_label_is_a_path(load, photos):
    (board,) = load("{task: {name: curve, signals: [photos/*.txt, square]}, fields: [shallow]}").boards
    assert [list(signal.files) for signal in board.signals] == [[str(photos / "a.txt")], [str(photos / "b.txt")], []]
    assert [signal.task.spec.source for signal in board.signals][2] == "square"
    assert [signal.origin for signal in board.signals] == [("task", "signals", index) for index in (0, 0, 1)]


def test_equal_file_names_are_numbered_and_what_is_named_twice_counts_once(labels, photos):
    assert labels("[photos/a.txt, photos/deep/a.txt, photos/b.txt]") == ["a.txt", "a.txt (2)", "b.txt"]
    assert labels("[square, square, photos/a.txt, photos/*.txt, ./photos/../photos/b.txt]") == [
        "square",
        "a.txt",
        "b.txt",
    ]


def test_files_with_the_same_content_count_once(labels, photos):
    (photos / "copy.txt").write_bytes((photos / "a.txt").read_bytes())
    assert labels("[photos/*.txt]") == ["a.txt", "b.txt"]


def test_patterns_are_relative_to_the_specs_folder_sorted_and_see_no_hidden_files(labels, photos, monkeypatch):
    monkeypatch.chdir("/")
    assert labels("[photos/*.txt]") == ["a.txt", "b.txt"]
    assert labels("['photos/?.txt']") == ["a.txt", "b.txt"]
    assert labels("[photos/.*.txt]") == [".hidden.txt"]
    assert labels("['photos/**/*.txt']") == ["a.txt", "b.txt", "a.txt (2)"]
    assert labels(f"['{photos}/[ab].txt']") == ["a.txt", "b.txt"]
    monkeypatch.setenv("HOME", str(photos))
    assert labels("['~/*.txt']") == ["a.txt", "b.txt"]


def test_a_file_with_brackets_in_its_name_is_no_pattern(labels, photos):
    (photos / "c[1].txt").write_text("c")
    assert labels("['photos/c[1].txt']") == ["c[1].txt"]


def test_links_that_lead_upwards_do_not_go_on_for_ever(labels, photos):
    for name in ("up", "also"):
        (photos / name).symlink_to(photos.parent)
    assert labels("['photos/**/b.txt']") == ["b.txt"]


def test_file_names_are_shown_on_one_line(labels, photos):
    for name in ("two\nlines.txt", "\x1b[2J.txt", os.fsdecode(b"\xff.txt")):
        (photos / name).write_bytes(os.fsencode(name))
    assert labels("['photos/[!ab]*.txt']") == ["\\x1b[2J.txt", "two lines.txt", "\\udcff.txt"]


def test_signals_go_to_the_option_that_a_task_says(load):
    (board,) = load("{task: {name: scan, signals: [a, b]}, fields: [shallow]}").boards
    assert [signal.task.spec.scan for signal in board.signals] == ["a", "b"]
    (board,) = load("{task: {name: 'spec_plugin.py:scan', signals: [a, b]}, fields: [shallow]}").boards
    assert [signal.label for signal in board.signals] == ["a", "b"]


def test_a_sweep_goes_over_signals_as_well(load):
    experiment = load("{task: curve, fields: [shallow], sweep: {task.source: [square, circle]}}")
    assert [board.label for board in experiment.boards] == ["curve (source=square)", "curve (source=circle)"]
    experiment = load("{task: curve, fields: [shallow], sweep: {task.signals: [[square], [square, circle]]}}")
    assert [board.label for board in experiment.boards] == ["curve (source=square)", "curve (signals=square, circle)"]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("{name: curve, signals: ['*.nothing']}", "task.signals[0]: no file matches '*.nothing'"),
        ("{name: curve, signals: [square, '~nosuchuser/*.txt']}", "task.signals[1]: no file matches '~nosuchuser/*"),
        ("{name: curve, signals: [square, nothing]}", "task.signals[1]: unknown curve 'nothing'"),
        ("{name: curve, signals: [square, absent.txt]}", "task.signals[1]: no such file: "),
        ("{name: curve, signals: [photos]}", "task.signals[0]: "),
        ("{name: curve, signals: [square], source: circle}", "task.signals: give either signals: or source:"),
        ("{name: scan, signals: [a], scan: b}", "task.signals: give either signals: or scan:"),
        ("{name: curve, signals: []}", "task.signals: expected a list of names, files, and patterns such as photos/*"),
        (
            "{name: curve, signals: square}",
            "task.signals: expected a list of names, files, and patterns such as photos",
        ),
        ("{name: curve, signals: [square, 3]}", "task.signals[1]: expected a name, a file or a pattern, got int"),
        ("{name: constant, signals: [a]}", "task.signals: this task has no signals to choose from"),
    ],
)
def test_one_clear_line_for_each_mistake(errors, photos, task, expected):
    (line,) = errors(f"{{task: {task}, fields: [shallow]}}")
    assert line.startswith(f"1: {expected}")


def test_signals_of_a_task_that_is_not_there_say_only_that(errors):
    assert errors("{task: {name: lnie, signals: [a]}, fields: [shallow]}") == [
        "1: task.name: no task named 'lnie'; did you mean 'line'?"
    ]


def test_signals_without_end_are_refused(errors, photos, monkeypatch):
    monkeypatch.setattr(signals, "MOST_SIGNALS", 2)
    for named in ("'photos/**/*.txt'", "square, circle, mine.txt", "square, 'photos/?.txt'"):
        assert errors(f"{{task: {{name: curve, signals: [{named}]}}, fields: [shallow]}}") == [
            "1: task.signals: expands to more than 2 signals"
        ]
