"""`inrbench ntk`: what it makes of a spec, its table, and its pictures."""

import io
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from inrbench_analysis_ntk import command, overview
from inrbench_analysis_ntk.command import own_settings, print_comparison
from inrbench_analysis_ntk.table import make_tables, print_ntk_tables, table_data
from rich.console import Console

from inrbench_core import InrbenchError, Metric
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.results.results import ResultBoard, ResultRow, ResultRun, Results
from inrbench_core.runs.record import RunArrays, RunRecord
from inrbench_core.runs.store import RunStore
from inrbench_core.spec.builder import build_experiment
from inrbench_core.spec.settings import with_settings
from inrbench_core.spec.yaml_io import SpecError, document_of

# Tests are imported by their files, so what they share is no package.
sys.path.append(str(Path(__file__).parent))
from synthetic_runs import kept, observations

CATALOG = load_catalog()
TASK = {"name": "image", "source": "camera", "size": 16, "held_out": 0.1}
SMALL = {
    "name": "small",
    "task": TASK,
    "fields": [
        {"name": "mlp", "label": "relu", "activation": "relu", "width": 8, "depth": 1},
        {"name": "mlp", "label": "sine", "activation": "sine", "width": 8, "depth": 1, "training": {"steps": 15}},
    ],
    "training": {"steps": 20, "evaluate_every": 10, "compile": "off"},
    "executor": {"name": "local", "jobs": 1},
}


def experiment_of(spec, steps, settings=()):
    """The experiment that the command makes of a spec."""
    data = with_settings(spec, settings, lambda path, message: None)
    return build_experiment(document_of(spec), CATALOG, [*settings, *own_settings(data, steps)])


def rows_of(experiment):
    return {row.label: row.training.steps for board in experiment.boards for row in board.rows}


def test_steps_replace_what_any_part_of_the_spec_says_of_them():
    spec = {
        "task": TASK,
        "fields": [
            "siren",
            {"name": "mlp", "label": "own", "training": {"steps": 7, "lr": 1e-2}},
            {"name": "mlp", "label": "plain", "width": 9},
            [{"name": "mlp", "label": "nested", "activation": ["relu", "tanh"]}],
        ],
        "training": {"steps": 50},
    }
    before = rows_of(experiment_of(spec, None))
    assert before == {**dict.fromkeys(before, 50), "own": 7}
    for steps in (0, 30):
        experiment = experiment_of(spec, steps)
        assert rows_of(experiment) == dict.fromkeys(before, steps)
    assert len(before) == 5
    # The rest of the training stays, and so does a recipe's.
    rates = {row.label: row.training.lr for row in experiment.boards[0].rows}
    assert (rates["own"], rates["siren"]) == (1e-2, 1e-4)


@pytest.mark.parametrize("fields", ["siren", {"name": "siren", "width": 16}, ["siren"]])
def test_one_field_that_is_no_list_is_trained_for_these_steps_too(fields):
    assert rows_of(experiment_of({"task": TASK, "fields": fields}, 3)) == {"siren": 3}


def test_fields_that_differ_in_their_steps_alone_are_one_with_the_same_steps():
    fields = [{"name": "mlp", "training": {"steps": steps}} for steps in (5, 10)]
    sweep = {"training.steps": [1, 2, 3]}
    found = experiment_of({"task": TASK, "fields": fields, "sweep": sweep}, 0)
    assert [row.training.steps for row in found.boards[0].rows] == [0]


def test_steps_are_those_of_the_option_whatever_set_says():
    settings = ["training.steps=9", "fields.1.training.steps=8"]
    assert rows_of(experiment_of(SMALL, None, settings)) == {"relu": 9, "sine": 8}
    assert rows_of(experiment_of(SMALL, 4, settings)) == {"relu": 4, "sine": 4}


@pytest.mark.parametrize(
    ("analyses", "expected"),
    [
        ({}, ["ntk"]),
        ({"analyses": None}, ["ntk"]),
        ({"analyses": "spectrum"}, ["spectrum", "ntk"]),
        ({"analyses": ["spectrum"]}, ["spectrum", "ntk"]),
        ({"analyses": "ntk"}, ["ntk"]),
        ({"analyses": {"name": "ntk", "points": 64}}, ["ntk"]),
        ({"analyses": [{"name": "inrbench-analysis-ntk:ntk", "points": 64}, "spectrum"]}, ["ntk", "spectrum"]),
    ],
)
def test_the_analysis_is_added_where_it_is_not_there_and_keeps_its_options_where_it_is(analyses, expected):
    found = experiment_of({**SMALL, **analyses}, None).analyses
    assert [analysis.name for analysis in found] == expected
    (ntk,) = [analysis for analysis in found if analysis.name == "ntk"]
    assert ntk.spec.points == (64 if "points" in str(analyses) else 1024)


def test_the_analysis_is_added_to_those_that_set_names():
    found = experiment_of({**SMALL, "analyses": ["ntk"]}, None, ["analyses=[spectrum]"]).analyses
    assert [analysis.name for analysis in found] == ["spectrum", "ntk"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"fields": [{"name": "mlp", "training": 5}]}, "fields[0].training: expected a mapping, got 5"),
        ({"fields": [{"name": "mlp", "training": None}]}, "fields[0].training: expected a mapping"),
        ({"fields": [3]}, "fields[0]"),
        ({"fields": ["sirem"]}, "sirem"),
        ({"analyses": [3]}, "analyses[0]"),
        ({"training": "long"}, "training"),
    ],
)
def test_what_is_malformed_is_told_as_eval_tells_it(changes, expected):
    with pytest.raises(SpecError) as caught:
        experiment_of({**SMALL, **changes}, 0)
    assert expected in str(caught.value)
    assert "--set" not in str(caught.value)


def test_without_matplotlib_it_stops_before_anything_is_trained(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    with pytest.raises(InrbenchError, match="pip install matplotlib"):
        command.compare_fields(tmp_path / "no.yaml")


# Tables, of runs that were never carried out.


def run_of(label, seen, *, seed=0, signal="camera", psnr=20.0, status="ok", problems=(), steps=1000, field=None):
    parts = seen if isinstance(seen, dict) else {"": seen}
    arrays = RunArrays(analyses={"ntk": kept(parts)} if seen else {})
    record = RunRecord(
        {
            "field": field or {"name": "mlp", "encoding": {"name": "rff"}, "activation": {"name": "relu"}},
            "data_seed": 0,
        },
        status,
        step=steps,
        metrics={"psnr": psnr},
        parameters=1234,
        problems=tuple(problems),
        message="it went wrong" if status != "ok" else "",
        read_arrays=lambda: arrays,
    )
    return ResultRun(f"{label}{seed}", "image", signal, label, seed, False, "final", record, Path("results"))


def results_of(*rows):
    answer = RunRecord({"field": None, "baseline": "constant", "data_seed": 0}, "ok", metrics={"psnr": 11.0})
    baseline = ResultRun("b", "image", "camera", "constant", 0, True, "final", answer, Path("results"))
    all_rows = [ResultRow("constant", True, "", (baseline,))]
    all_rows += [ResultRow(runs[0].field, False, "", tuple(runs)) for runs in rows]
    return Results((ResultBoard("image", (Metric("psnr", "dB"),), "psnr", tuple(all_rows)),))


def printed(tables, width=200):
    console = Console(width=width, file=io.StringIO())
    print_ntk_tables(console, tables)
    return console.file.getvalue()


def test_figures_of_the_start_are_means_over_seeds_and_curves_are_those_of_the_first():
    fits = [observations((8, 8), decay=decay, seed=seed) for seed, decay in enumerate((2.0, 4.0))]
    results = results_of([run_of("relu", seen, seed=seed) for seed, seen in enumerate(fits)])
    (table,) = make_tables(results)
    (row,) = table.rows
    for name in ("participation_ratio", "decay_exponent", "silent_share", "linearised_error"):
        both = [seen[0].metric(name) for seen in fits]
        assert row.metrics[name].mean == pytest.approx(sum(both) / 2)
        assert row.metrics[name].count == 2
    assert row.metrics["drift"].mean == pytest.approx(0.3)
    assert row.curves.seen[0].arrays["eigenvalues"].tolist() == fits[0][0].arrays["eigenvalues"].tolist()
    assert row.curves.group == "mlp, rff"
    text = printed([table])
    assert "2/2" in text
    assert "constant" not in text
    assert "curves and pictures are those of a field's first run" in text
    assert row.source == "seed 0"


def test_fields_are_ranked_by_the_measured_quality_and_after_no_steps_in_the_order_of_the_spec():
    names = {"a": 10.0, "b": 30.0, "c": 20.0}
    trained = results_of(*([run_of(name, observations((8, 8)), psnr=psnr)] for name, psnr in names.items()))
    (table,) = make_tables(trained)
    assert [row.label for row in table.rows] == ["b", "c", "a"]
    assert "psnr [dB]" in printed([table])
    untrained = observations((8, 8), steps=0)
    runs = ([run_of(name, untrained, psnr=psnr, steps=0)] for name, psnr in names.items())
    (table,) = make_tables(results_of(*runs))
    assert [row.label for row in table.rows] == ["a", "b", "c"]
    text = printed([table])
    assert "participation_ratio" in text
    for word in ("psnr", "drift"):
        assert word not in text


@pytest.mark.parametrize("steps", [1000, 0])
def test_an_answer_with_the_name_of_a_field_is_no_row(steps):
    seen = observations((8, 8), steps=steps)
    results = results_of(
        [run_of("relu", seen, psnr=9.0, steps=steps)], [run_of("constant", seen, psnr=8.0, steps=steps)]
    )
    (board,) = results.boards
    *others, last = board.rows
    last = replace(last, baseline=True, runs=tuple(replace(run, baseline=True) for run in last.runs))
    results = replace(results, boards=(replace(board, rows=(*others, last)),))
    (table,) = make_tables(results)
    assert [row.label for row in table.rows] == ["relu", "constant"]
    assert [row["quality"]["psnr"]["mean"] for row in table_data(table)["rows"]] == [9.0, 8.0]


def test_a_problem_with_several_fields_has_a_row_for_each():
    parts = {"density": observations((8, 8), decay=2), "colour": observations((8, 8), decay=5)}
    (table,) = make_tables(results_of([run_of("siren", parts)]))
    found = {row.label: row.metrics["participation_ratio"].mean for row in table.rows}
    assert found == {f"siren: {part}": seen[0].metric("participation_ratio") for part, seen in parts.items()}
    assert [row["label"] for row in table_data(table)["rows"]] == ["siren: colour", "siren: density"]


def test_a_row_without_figures_says_why():
    good = [run_of("relu", observations((8, 8)))]
    failed = [run_of("sine", [], problems=["analysis ntk: ValueError: no kernel"])]
    diverged = [run_of("tanh", [], status="diverged")]
    (table,) = make_tables(results_of(good, failed, diverged))
    assert [(row.label, row.curves is None) for row in table.rows] == [("relu", False), ("sine", True), ("tanh", True)]
    text = printed([table])
    assert "sine: analysis ntk: ValueError: no kernel" in text
    assert "tanh: diverged: it went wrong" in text
    data = table_data(table)["rows"][1]
    assert data["ntk"]["drift"] == {"mean": None, "std": None, "count": 0}
    assert data["curves"] == {"start": {}, "end": {}}


def test_a_narrow_table_leaves_out_columns_and_cuts_no_figure():
    (table,) = make_tables(results_of([run_of("relu", observations((8, 8)), psnr=23.456)]))
    text = printed([table], width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert "23.46" in text
    assert "not shown at this width: parameters" in text


def test_data_holds_the_curves_with_null_where_a_value_is_not_finite():
    seen = observations((16, 16), decay=6, steps=300)
    (table,) = make_tables(results_of([run_of("relu", seen)]))
    data = json.loads(json.dumps(table_data(table), allow_nan=False))
    (row,) = data["rows"]
    assert row["curves"]["start"]["response"] == seen[0].arrays["response"].tolist()
    measured = seen[-1].arrays["measured_steps"]
    assert any(map(math.isnan, measured))
    assert row["curves"]["end"]["measured_steps"] == [None if math.isnan(step) else step for step in measured]
    assert (row["quality"]["psnr"]["mean"], data["ranked_by"]) == (20.0, "psnr")


def test_each_task_has_its_own_pictures_and_one_that_fails_is_a_warning(tmp_path, capsys, monkeypatch):
    boards = results_of([run_of("a b", observations((8, 8)))], [run_of("a?b", observations((8, 8), steps=100))]).boards
    tables = make_tables(Results((replace(boards[0], label="one task"), replace(boards[0], label="one?task"))))

    def no_disk(rows, target, title):
        raise OSError("disk full")

    monkeypatch.setattr(overview, "draw_spectra", no_disk)
    print_comparison(tables, tmp_path, as_json=True)
    out, err = capsys.readouterr()
    first, second = (task["pictures"] for task in json.loads(out)["tasks"])
    assert first["responses"] == str(tmp_path / "ntk_responses_one_task.png")
    assert first["fields"] == {"a b": f"{tmp_path}/ntk/one_task/a_b.png", "a?b": f"{tmp_path}/ntk/one_task/a_b_2.png"}
    assert second["responses"] == str(tmp_path / "ntk_responses_one_task_2.png")
    assert set(second["fields"].values()) == {f"{tmp_path}/ntk/one_task_2/a_b{number}.png" for number in ("", "_2")}
    assert all(Path(path).is_file() for found in (first, second) for path in found["fields"].values())
    assert first["spectra"] is None
    assert err.splitlines()[0] == f"inrbench: warning: {tmp_path}/ntk_spectra_one_task.png is not drawn: disk full"


# The whole command, in a process of its own.


def inrbench(*arguments, cwd):
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "220", "OMP_NUM_THREADS": "1"}
    line = [sys.executable, "-m", "inrbench_core.cli.app", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, cwd=cwd, env=environment, timeout=600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the small spec was carried out, and what that printed."""
    folder = tmp_path_factory.mktemp("ntk")
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL))
    done = inrbench("ntk", "--spec", "small.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_it_prints_a_table_and_draws_all_fields_side_by_side_and_each_by_itself(folder):
    place, done = folder
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if "1/1" in line}
    assert set(rows) == {"relu", "sine"}
    assert "analysis ntk" not in done.stdout
    for name in ("participation_ratio", "target_energy_100", "drift", "psnr_held_out [dB]"):
        assert name in done.stdout
    assert "picture: results/small/ntk_responses.png" in done.stdout
    found = {str(file.relative_to(place / "results/small")) for file in place.rglob("*.png")}
    assert found == {"ntk_responses.png", "ntk_spectra.png", "ntk/relu.png", "ntk/sine.png"}


def test_its_runs_are_those_of_eval_and_are_not_repeated(folder):
    place, _ = folder
    before = {file: file.stat().st_mtime_ns for file in place.rglob("runs/*.h5")}
    assert len(before) == 2 + len(CATALOG.find("task", "image").entry.baselines)
    again = inrbench("ntk", "--spec", "small.yaml", "--json", cwd=place)
    count = len(before)
    assert (again.returncode, again.stderr) == (0, f"{count} runs, {count} of them done\n")
    data = json.loads(again.stdout)
    (task,) = data["tasks"]
    assert (data["folder"], task["trained"]) == ("results/small", True)
    assert {row["field"] for row in task["rows"]} == {"relu", "sine"}
    assert task["pictures"]["fields"] == {name: f"results/small/ntk/{name}.png" for name in ("relu", "sine")}
    for row in task["rows"]:
        assert sum(row["curves"]["start"]["eigenvalues"]) == pytest.approx(1)
        assert row["ntk"]["drift"]["count"] == 1
    evaluated = inrbench("eval", "--spec", "small.yaml", "--set", "analyses=[ntk]", cwd=place)
    assert (evaluated.returncode, evaluated.stderr) == (0, f"{count} runs, {count} of them done\n")
    assert {file: file.stat().st_mtime_ns for file in place.rglob("runs/*.h5")} == before


def test_no_steps_give_the_fields_as_they_are_at_their_start(folder):
    place, _ = folder
    out = place / "start"
    done = inrbench("ntk", "--spec", "small.yaml", "--steps", "0", "--out", out, "--quiet", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    assert "participation_ratio" in done.stdout
    assert "psnr" not in done.stdout
    assert "drift" not in done.stdout
    records = RunStore(out).records([file.stem for file in out.glob("runs/*.h5")]).values()
    assert {record.step for record in records} == {0}


def test_a_run_that_fails_costs_its_own_row_and_the_exit_status(folder):
    place, _ = folder
    fields = [SMALL["fields"][0], {**SMALL["fields"][0], "label": "wild", "training": {"lr": 1e30}}]
    (place / "wild.yaml").write_text(yaml.safe_dump({**SMALL, "name": "wild", "fields": fields}))
    done = inrbench("ntk", "--spec", "wild.yaml", cwd=place)
    assert done.returncode == 1
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.startswith(("  relu", "  wild"))}
    assert "1/1" in rows["relu"]
    assert "0/1 (1 diverged)" in done.stdout
    assert "wild: diverged: " in done.stdout
    assert not (place / "results/wild/ntk/wild.png").exists()
    assert (place / "results/wild/ntk/relu.png").is_file()
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_and_an_option_that_is_wrong_are_one_line(tmp_path):
    done = inrbench("ntk", "--spec", "no.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "no.yaml: no such file\n",
    )
    done = inrbench("ntk", "--spec", "no.yaml", "--steps", "-1", cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_the_command_is_added_without_torch_matplotlib_or_numpy():
    program = (
        "import sys; from inrbench_core.cli.app import build_app; app = build_app(); "
        "assert 'ntk' in [one.name for one in app.registered_commands]; "
        "print([name for name in ('torch', 'matplotlib', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
