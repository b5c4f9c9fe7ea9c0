"""What makes a run the same run, from a spec's point of view."""

import pytest

from inrbench_core.runs.run import run_from_data


@pytest.fixture
def fits(plan):
    return lambda text, *settings: [run for run in plan(text, *settings).runs.values() if not run.is_baseline]


def test_a_run_comes_back_from_its_data_with_the_same_id(plan, catalog, tmp_path):
    (tmp_path / "one.txt").write_text("one")
    made = plan("""
        tasks: [line, {name: curve, label: mine, signals: [square, one.txt]}]
        fields: [{name: shallow, width: {parameters: 99}}, swell, {name: tower, label: mine}]
        analyses: [roughness]
        training: {optimizer: {name: sgd, momentum: 0.5}}
        seeds: [3]
    """)
    assert len(made.runs) == 4 + 10
    for run in made.runs.values():
        again = run_from_data(run.to_data(), catalog)
        assert again == run
        assert again.id == run.id


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ("fields.0.label=b", True),
        ("task.label=another", True),
        ("executor.jobs=2", True),
        ("timeout_s=9", True),
        ("stack=off", True),
        ("name=another", True),
        ("fields.0.encoding=plain", True),
        ("training.lr=3e-3", True),
        ("fields.0.width=9", False),
        ("seeds=[1]", False),
        ("task.samples=7", False),
        ("training.steps=5", False),
        ("training.optimizer=sgd", False),
        ("training.optimizer={name: adam, eps: 1e-7}", False),
        ("analyses=[roughness]", False),
        ("fields.0.activation=kink", False),
    ],
)
def test_the_id_depends_on_all_that_decides_the_result_and_on_nothing_else(fits, change, same):
    text = """
        task: {name: line, samples: 8}
        fields: [{name: shallow, label: a, activation: {name: wave}, width: 8, training: {lr: 3e-3}}]
        training: {steps: 4}
        executor: {name: local}
    """
    (before,), (after,) = fits(text), fits(text, change)
    assert (before.id == after.id) is same
    assert (before.settings == after.settings) is same


def test_users_files_count_by_content_and_not_by_path(fits, tmp_path):
    def ids(name):
        return {run.id for run in fits(f"{{task: {{name: curve, source: {name}}}, fields: [shallow], seeds: 2}}")}

    for name in ("here.txt", "folder/there.txt", "here.dat"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one")
    first = ids("here.txt")
    assert ids("folder/there.txt") == first
    # What reads a file goes by its suffix.
    assert not ids("here.dat") & first
    (tmp_path / "here.txt").write_text("two")
    assert not ids("here.txt") & first


def test_runs_of_one_row_share_a_group_over_signals_and_seeds(fits):
    text = "{task: {name: curve, signals: [square, circle]}, fields: [shallow, swell], seeds: 3}"
    groups = {}
    for run in fits(text):
        groups.setdefault(run.label, set()).add(run.group)
    assert {label: len(found) for label, found in groups.items()} == {"wave": 1, "swell": 1}
    assert groups["wave"] != groups["swell"]


def test_one_signal_among_several_is_the_run_that_it_is_alone(fits):
    several = fits("{task: {name: curve, signals: [square, circle]}, fields: [shallow]}")
    (alone,) = fits("{task: {name: curve, source: circle}, fields: [shallow]}")
    assert [run.id == alone.id for run in several] == [False, True]
