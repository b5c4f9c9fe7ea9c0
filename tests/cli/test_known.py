"""`inrbench results --export` and `inrbench eval --known`, as two people would use them."""

import json

import pytest

ONE_MORE = "  - swell\ntraining"


@pytest.fixture
def shared(evaluated, run_cli, tmp_path):
    _, folder = evaluated
    done = run_cli("results", folder / "results/small", "--export", tmp_path / "all.csv")
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"inrbench: exported to {tmp_path / 'all.csv'}; runs: 5\n"
    return tmp_path / "all.csv"


def files(folder):
    return sorted((folder / "runs").glob("*.h5"))


def test_a_newcomer_fits_only_the_field_that_is_new(shared, small, plugin, run_cli, tmp_path):
    (tmp_path / "small.yaml").write_text(small.replace("training", ONE_MORE))
    command = ("eval", "--spec", "small.yaml", "--known", "all.csv", *plugin)
    plan = json.loads(run_cli(*command, "--dry-run", "--json", cwd=tmp_path).stdout)
    assert (plan["runs"], plan["done"]) == (7, 5)
    done = run_cli(*command, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(files(tmp_path / "results/small")) == 2
    (board,) = json.loads(done.stdout)["tasks"]
    assert {row["field"]: row["statuses"] for row in board["rows"]} == {
        "zero": {"ok": 1},
        **{name: {"ok": 2} for name in ("wave", "kink", "swell")},
    }
    shared.unlink()
    runs = json.loads(run_cli("results", "results/small", "--format", "runs", "--json", cwd=tmp_path).stdout)["runs"]
    origins = {run["field"]: run["origin"] for run in runs}
    assert origins.pop("swell") == ""
    assert {origin.partition(", inrbench ")[0] for origin in origins.values()} == {"all.csv"}


def test_tables_of_a_file_are_those_of_its_folder(shared, evaluated, run_cli):
    _, folder = evaluated
    both = [json.loads(run_cli("results", place, "--json").stdout) for place in (shared, folder / "results/small")]
    names = ("field", "rank", "metrics", "train_s", "statuses", "problems", "runs")
    rows = [[[row[name] for name in names] for row in data["tasks"][0]["rows"]] for data in both]
    assert rows[0] == rows[1]
    # The same runs in a file and in their folder are those of the folder.
    merged = run_cli("results", shared, folder / "results/small", "--format", "runs", "--json")
    assert {run["origin"] for run in json.loads(merged.stdout)["runs"]} == {""}
    assert merged.stderr == ""


def test_mistakes_are_one_line(shared, small, plugin, run_cli, tmp_path):
    (tmp_path / "small.yaml").write_text(small)
    shared.write_text(shared.read_text()[:-50])
    for command in (("results", shared), ("eval", "--spec", tmp_path / "small.yaml", "--known", shared, *plugin)):
        done = run_cli(*command, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1
        assert f"{shared}: damaged or cut off" in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_known_run_cannot_be_rendered(shared, small, plugin, run_cli, tmp_path):
    (tmp_path / "small.yaml").write_text(small)
    run_cli("eval", "--spec", "small.yaml", "--known", shared, *plugin, cwd=tmp_path)
    done = run_cli("render", "results/small", *plugin, cwd=tmp_path)
    assert done.returncode == 2
    assert "only its figures are known, from an exported table" in done.stderr
    assert len(done.stderr.splitlines()) == 1
