"""Exported tables: all of a table goes through a csv or parquet file unchanged, and what is no such file is told."""

import csv
import json
import math
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from inrbench_core.api.entries import Metric
from inrbench_core.api.errors import InrbenchError, StorageError
from inrbench_core.results.load import load_results
from inrbench_core.results.results import Chosen, ResultBoard, Results
from inrbench_core.runs.identity import group_of, run_id, settings_of

ODD_NAMES = ["psnr", 'with, comma and "quotes"', "two\nlines", "carriage\r\nreturn"]
ODD_FIGURES = [0.1 + 0.2, 1e-308, -0.0, math.inf, 1e300, math.nan, 1 / 3]
CASES = ["csv", "parquet"]


def with_records(row, **changes):
    return replace(row, runs=tuple(replace(run, record=replace(run.record, **changes)) for run in row.runs))


@pytest.fixture
def results(make_row):
    """Every kind of row and of run."""
    figures = [{name: ODD_FIGURES[(seed + shift) % 7] for shift, name in enumerate(ODD_NAMES)} for seed in range(7)]
    environment = {"versions": {"inrbench": "0.2.0", "inrbench-task-solid": "1.2.3"}, "torch": "2.13.0"}
    good = with_records(
        make_row("a", figures, signals=("csg", "bunny")),
        environment=environment,
        times={"train": 1 / 7, "total": 2.5},
        flops=1e12 / 3,
        width=32,
        step=50,
        peak_memory_bytes=123456,
        compiled=True,
        problems=("preview: too large",),
    )
    bad = make_row("b, or c", [{"psnr": 1.0}, "diverged: the loss is not a number", "missing"])
    skipped = make_row("d", [], skip="needs second derivatives")
    trial = make_row("tuned", [{"psnr": 2.0}], training={"lr": 0.1}).runs[0]
    tuned = replace(
        make_row("tuned", [{"psnr": 3.0}], training={"lr": 0.2}),
        trials=(replace(trial, role="trial"),),
        chosen=Chosen({"training.lr": 0.2}, "psnr", 2, ("csg",), (7, 8), published="a"),
    )
    pending = replace(
        make_row("pending", [], skip="its options are not chosen yet"),
        trials=(replace(trial, field="pending", role="trial"),),
    )
    zero = make_row("a", [{"psnr": 0.5}], baseline=True)
    metrics = tuple(Metric(name, "dB", higher_is_better=number != 2) for number, name in enumerate(ODD_NAMES))
    rows = (zero, good, bad, skipped, tuned, pending)
    boards = [ResultBoard(label, metrics, "psnr", rows) for label in ("solid", "solid (2)")]
    return Results(tuple(boards))


def run_facts(run):
    """What an exported table keeps of a run; repr, because NaN does not equal itself."""
    record = run.record
    facts = {name: value for name, value in run.facts().items() if name not in ("folder", "origin", "task")}
    kept = (
        None
        if record is None
        else [
            record.step,
            record.width,
            record.peak_memory_bytes,
            record.compiled,
            record.problems,
            sorted(record.metrics.items()),
            sorted(record.times.items()),
            record.environment,
            record.run["task"],
        ]
    )
    return repr((facts, kept))


def table_facts(results):
    return [
        repr((row.label, row.rank, row.metrics, row.parameters, row.train_s, row.statuses, row.problems))
        for board in results.leaderboards()
        for row in board.rows
    ]


@pytest.mark.parametrize("suffix", CASES)
def test_everything_that_tables_need_comes_back_unrounded(results, tmp_path, suffix):
    pytest.importorskip("pyarrow")
    path = tmp_path / f"all.{suffix}"
    results.export(path)
    again = load_results(path)
    for old, new in zip(results.boards, again.boards, strict=True):
        assert (new.label, new.metrics, new.rank_by) == (old.label, old.metrics, old.rank_by)
        for one, two in zip(old.rows, new.rows, strict=True):
            assert (two.label, two.baseline, two.skip, two.chosen) == (one.label, one.baseline, one.skip, one.chosen)
            for runs in ("runs", "trials"):
                assert [run_facts(run) for run in getattr(two, runs)] == [run_facts(run) for run in getattr(one, runs)]
    assert table_facts(again) == table_facts(results)


def test_a_table_that_is_exported_again_is_the_same_but_for_its_origins(results, tmp_path):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    results.export(one)
    load_results(one).export(two)
    lines = [list(csv.DictReader(path.open(newline=""))) for path in (one, two)]
    differing = {name for old, new in zip(*lines, strict=True) for name in old if old[name] != new[name]}
    assert differing == {"origin", "checksum"}
    assert {line["origin"] for line in lines[0]} == {""}
    made = {
        run.origin for run in load_results(two).runs if run.status == "ok" and run.field == "a" and not run.baseline
    }
    assert made == {"two.csv: one.csv, inrbench 0.2.0"}


def test_a_run_says_which_file_and_version_it_is_from_and_that_it_has_no_arrays(results, tmp_path):
    results.export(tmp_path / "all.csv")
    run = next(run for run in load_results(tmp_path / "all.csv").runs if run.field == "a" and not run.baseline)
    assert run.origin == "all.csv, inrbench 0.2.0"
    with pytest.raises(InrbenchError, match=r"run a on solid, seed 0: its figures come from all.csv, inrbench 0.2.0"):
        _ = run.path


def test_the_columns_say_what_was_run_and_ids_and_hashes_are_those_of_the_runs(results, tmp_path):
    results.export(tmp_path / "all.csv")
    with (tmp_path / "all.csv").open(newline="") as file:
        lines = [line for line in csv.DictReader(file) if line["run_data"]]
    assert {line["schema"] for line in lines} == {"inrbench.known/2"}
    for line in lines:
        data = json.loads(line["run_data"])
        assert (line["run"], line["group"]) == (run_id(data), group_of(data))
        assert line["settings"] == settings_of(group_of(data), data)
    same = {(line["signal"], line["signal_hash"]) for line in lines}
    assert len(same) == 2
    assert len({line["task_hash"] for line in lines}) == 1


def test_a_users_files_are_in_it_by_content_and_no_path_is(make_board, make_row, tmp_path):
    secret = "/home/someone/my photos/cat.png"
    row = make_row(
        "a",
        [{"psnr": 1.0}, f"failed: {secret}: changed; see /tmp/x/log.txt, http://a/b or 1/2"],
        signals=(secret,),
        files={secret: "sha256:ab.png"},
    )
    row = replace(row, runs=tuple(replace(run, signal="cat.png") for run in row.runs))
    Results((make_board(row),)).export(tmp_path / "all.csv")
    text = (tmp_path / "all.csv").read_text()
    assert "/home" not in text
    assert "/tmp" not in text
    again = list(load_results(tmp_path / "all.csv").runs)
    assert [run.id for run in again] == [run.id for run in row.runs]
    assert again[1].record.message == "cat.png: changed; see log.txt, http://a/b or 1/2"


@pytest.fixture
def exported(make_board, make_row, tmp_path):
    path = tmp_path / "all.csv"
    Results((make_board(make_row("a", [{"psnr": value} for value in (1.25, 2.5)])),)).export(path)
    return path


def changed_figure(text):
    return text.replace("2.5", "3.5")


def without_last_row(text):
    return "".join(text.splitlines(keepends=True)[:-1])


def only_the_header(text):
    return text.splitlines(keepends=True)[0]


def cut_off_in_a_row(text):
    return text[: len(text) - 100]


def newer_schema(text):
    return text.replace("inrbench.known/2", "inrbench.known/3")


def another_column(text):
    header, *rows = text.splitlines()
    return "\n".join([header.replace(",checksum", ",mood,checksum"), *(row.replace(",", ",x,", 1) for row in rows)])


DAMAGES = {
    changed_figure: "damaged, edited or cut off: its rows do not match their checksum; export it again",
    without_last_row: "damaged, edited or cut off: its rows do not match their checksum; export it again",
    only_the_header: "damaged or cut off",
    cut_off_in_a_row: "damaged or cut off",
    newer_schema: "it is of the schema 'inrbench.known/3', and this version of inrbench reads inrbench.known/2",
    another_column: "inrbench.known/2 has no column 'mood'",
    lambda text: "": "empty",
    lambda text: "field,psnr\nsiren,30\n": "not a table that `inrbench results --export` wrote",
    lambda text: "schema,a\nx,'": "it is of the schema 'x', and this version of inrbench reads inrbench.known/2",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_file_that_is_not_a_whole_table_is_told_in_one_line(exported, damage):
    exported.write_text(damage(exported.read_text()))
    with pytest.raises(InrbenchError) as told:
        load_results(exported)
    assert str(told.value) == f"{exported}: {DAMAGES[damage]}"


def test_foreign_bytes_folders_and_other_suffixes_are_told(tmp_path, exported):
    pytest.importorskip("pyarrow")
    for name, content in {"a.csv": b"\xff\xfe\x00", "b.parquet": b"PAR1 and no more", "c.csv": b"schema,\xff"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InrbenchError, match=f"{name}: (not a table|damaged or cut off)"):
            load_results(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InrbenchError, match=r"notes.txt: expected a name that ends in .csv or .parquet"):
        load_results(tmp_path / "notes.txt")
    with pytest.raises(InrbenchError, match=r"none.csv: no such file"):
        load_results(tmp_path / "none.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InrbenchError, match=r"pipe.csv: not a regular file"):
        load_results(tmp_path / "pipe.csv")


def test_what_cannot_be_written_is_told_and_nothing_is_left(exported, tmp_path, monkeypatch):
    results = load_results(exported)
    with pytest.raises(StorageError, match=r"nowhere/all.csv: cannot be written: No such file or directory"):
        results.export(tmp_path / "nowhere" / "all.csv")
    with pytest.raises(InrbenchError, match=r"all.json: expected a name that ends in .csv or .parquet"):
        results.export(tmp_path / "all.json")
    with pytest.raises(InrbenchError, match=r"none.csv: not written: there is no run to export"):
        Results(()).export(tmp_path / "none.csv")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InrbenchError, match=r"all.parquet: parquet needs pyarrow: pip install 'inrbench\[parquet\]'"):
        results.export(tmp_path / "all.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["all.csv"]


def test_a_run_whose_id_is_not_that_of_its_settings_is_told(make_board, make_row, tmp_path):
    row = make_row("a", [{"psnr": 1.0}])
    forged = replace(row, runs=(replace(row.runs[0], id="0" * 16),))
    Results((make_board(forged),)).export(tmp_path / "all.csv")
    with pytest.raises(InrbenchError, match=r"all.csv: row 1 is not that of a run"):
        load_results(Path(tmp_path / "all.csv"))


def test_a_message_too_long_for_readers_of_csv_is_cut(make_board, make_row, tmp_path):
    long = "the data is " + "x, " * 100_000
    failed = make_row("a", [{"psnr": 1.0}, f"failed: {long}"])
    skipped = make_row("b", [], skip=f"no trial has a figure (failed: {long})")
    troubled = with_records(make_row("c", [{"psnr": 2.0}]), problems=(f"preview: {long}",))
    Results((make_board(failed, skipped, troubled),)).export(tmp_path / "all.csv")
    rows = {row.label: row for row in load_results(tmp_path / "all.csv").boards[0].rows}
    texts = [rows["a"].runs[1].record.message, rows["b"].skip, *rows["c"].runs[0].record.problems]
    assert [len(text) for text in texts] == [1000] * 3
    assert all(text.endswith("...") and "the data is x, x, " in text for text in texts)
