"""`inrbench compare`: two fields of a folder, or two folders."""

import json


def test_two_fields_of_a_folder(evaluated, run_cli):
    _, folder = evaluated
    done = run_cli("compare", "wave", "kink", "--in", folder / "results/small")
    assert done.returncode == 0, done.stderr
    head, line = done.stdout.splitlines()
    assert head.startswith("line: wave ")
    assert "1 signal, 2 seeds in common" in head
    assert "p = " in line
    data = json.loads(run_cli("compare", "wave", "kink", "--in", folder / "results/small", "--json").stdout)
    (pair,) = data["pairs"]
    assert pair["differences"]["these signals"]["verdict"] == line.strip()
    assert pair["left_out"] == 0


def test_a_folder_and_itself_are_equal(evaluated, run_cli):
    _, folder = evaluated
    done = run_cli("compare", "results/small", "results/small", cwd=folder)
    assert done.returncode == 0, done.stderr
    verdicts = [line for line in done.stdout.splitlines() if line.startswith("  ")]
    *fields, baseline = verdicts
    assert len(fields) == 2
    assert all("are equal by psnr (on these signals, p = 1 corrected for 2 rows" in line for line in fields)
    assert baseline.startswith("  no interval and no verdict: at least 2 seeds in common are needed; ")


def test_mistakes_are_one_line_each(evaluated, run_cli):
    _, folder = evaluated
    for arguments, message in (
        (("a", "b"), "a: no such folder; to compare fields, say which folder they are in: --in DIR"),
        (("a", "b", "--in", "nowhere"), "nowhere: no results here"),
        (("a", "kink", "--in", "results/small"), "no row 'a'"),
        (("results/small", "results/small", "--sort", "mea"), "no metric 'mea'; did you mean 'mae'"),
    ):
        done = run_cli("compare", *arguments, cwd=folder)
        assert done.returncode == 2
        assert message in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert done.stdout == ""
