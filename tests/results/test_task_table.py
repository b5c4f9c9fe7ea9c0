"""The tool that prints the README's table of tasks."""

import subprocess
import sys
from pathlib import Path

import inrbench_core as inr

ROOT = Path(__file__).parent.parent.parent
STAND_INS = ROOT / "tests" / "stand_ins"


def test_it_prints_a_row_for_each_task_with_the_best_field_in_bold(tmp_path):
    spec = {
        "name": "line",
        "task": "line",
        "fields": [{"name": "shallow", "label": "siren"}, {"name": "shallow", "activation": "kink", "label": "relu"}],
        "training": {"steps": 20, "evaluate_every": 0, "compile": "off"},
        "seeds": 2,
        "executor": "inline",
    }
    plugins = [STAND_INS / "small_plugin.py", STAND_INS / "executors_plugin.py"]
    results = inr.evaluate(spec, out=tmp_path / "line", plugin_files=plugins)
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "task_table.py", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    head, _, row = done.stdout.splitlines()
    cells = dict(zip(head.split("|"), (cell.strip() for cell in row.split("|")), strict=True))
    means = {row.label: row.metrics["psnr"].mean for row in results.leaderboards()[0].rows}
    assert means["siren"] > means["relu"]
    assert cells[" metric "] == "psnr [dB] ↑"
    assert cells[" siren "].startswith(f"**{means['siren']:.2f} ± ")
    assert cells[" relu "].startswith(f"{means['relu']:.2f} ± ")
    assert cells[" best baseline "] == f"zero {means['zero']:.2f}"


def test_a_tuned_field_has_the_figure_of_its_tuned_row_and_the_one_before_in_brackets(tmp_path):
    spec = {
        "name": "line",
        "task": "line",
        "fields": [{"name": "shallow", "label": "siren"}],
        "training": {"steps": 20, "evaluate_every": 0, "compile": "off", "lr": 1e-5},
        "seeds": 2,
        "executor": "inline",
        "tuning": {"trials": 2, "over": {"training.lr": {"choices": [0.01, 0.02]}}},
    }
    plugins = [STAND_INS / "small_plugin.py", STAND_INS / "executors_plugin.py"]
    results = inr.evaluate(spec, out=tmp_path / "line", plugin_files=plugins)
    means = {row.label: row.metrics["psnr"].mean for row in results.leaderboards()[0].rows}
    assert means["siren (tuned)"] > means["siren"] + 0.1
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "task_table.py", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    _, _, row = done.stdout.splitlines()
    assert f"**{means['siren (tuned)']:.2f} ± " in row
    assert f" [{means['siren']:.2f}] |" in row
