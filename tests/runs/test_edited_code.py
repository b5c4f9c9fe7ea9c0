"""Code that is edited while a process lives: no figure of one version stands under the name of another."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PLUGIN = """
    from pathlib import Path
    import numpy as np
    import torch
    from inrbench_core import (
        Activation, ActivationEntry, ComponentSpec, Evaluation, FieldShape, Metric, Problem, TaskEntry, TaskSpec,
        grid_coords, hookimpl, predict,
    )

    class ScaleSpec(ComponentSpec):
        '''A scale.'''

    class Scale(Activation):
        def forward(self, x):
            return 1.0 * torch.sin(x)

    class LineSpec(TaskSpec):
        '''A line.'''

    class Line(Problem):
        shapes = {"line": FieldShape(1, 1, (8,))}
        elements = 8
        record = {}

        def batch(self, index):
            return {"coords": grid_coords((8,))[index]}

        def loss(self, model, batch):
            return model(batch["coords"]).square().mean(dim=1)

        def evaluate(self, model, *, full=True):
            return Evaluation({"figure": float(VALUE)})

        def baseline(self, name):
            raise NotImplementedError

        def truth(self):
            return np.zeros((4, 4, 3), np.uint8)

    VALUE = 0.0

    def prepare(spec, *, device, seeds):
        global VALUE
        late = Path(__file__).with_name("late_part.py")
        if seeds.seed == 0:
            # An edit by the user, while this worker has not imported the module yet.
            late.write_text("VALUE = 55.0\\n")
        else:
            import late_part
            VALUE = late_part.VALUE
        return Line()

    @hookimpl
    def inrbench_tasks():
        yield TaskEntry("edited_line", LineSpec, "edited_plugin:prepare", metrics=(Metric("figure"),), api=1)

    @hookimpl
    def inrbench_activations():
        yield ActivationEntry("scale", ScaleSpec, "edited_plugin:Scale", api=1)
"""
SPEC = {
    "name": "edited",
    "task": "edited_line",
    "fields": [{"name": "mlp", "activation": "scale", "width": 4, "depth": 0}],
    "training": {"steps": 2, "compile": "off"},
    "data_seed": "seed",
    "executor": {"name": "local", "jobs": 1},
}


@pytest.fixture
def run_script(tmp_path: Path) -> object:
    (tmp_path / "edited_plugin.py").write_text(textwrap.dedent(PLUGIN))
    (tmp_path / "late_part.py").write_text("VALUE = 7.0\n")

    def run(script: str) -> str:
        head = f"import inrbench_core as inr\nspec = {SPEC!r}\nfiles = ['edited_plugin.py']\n"
        command = [sys.executable, "-c", head + textwrap.dedent(script)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_an_edit_before_a_late_import_fails_the_run_that_would_use_it(run_script, tmp_path: Path) -> None:
    """The worker has the old code of everything else; the run was planned with the old code of all."""
    told = run_script("""
        results = inr.evaluate({**spec, "seeds": [0, 1]}, plugin_files=files)
        for run in results.runs:
            print(run.seed, run.status, run.record.message, run.metrics)
    """)
    # The first one, during which other modules were imported, cannot tell that it was not concerned.
    _, second = told.splitlines()
    assert second.startswith("1 failed the code of edited_plugin.py is not what the experiment was planned with")
    again = run_script("""
        results = inr.evaluate({**spec, "seeds": [1]}, plugin_files=files)
        print([run.metrics["figure"] for run in results.runs])
    """)
    assert again.strip() == "[55.0]"


def test_a_field_of_edited_code_is_not_loaded_into_a_process_that_has_the_old_code(run_script) -> None:
    told = run_script("""
        from pathlib import Path
        one = {**spec, "seeds": [1]}
        first = inr.load_field(inr.evaluate(one, plugin_files=files).best().path, plugin_files=files)
        plugin = Path("edited_plugin.py")
        plugin.write_text(plugin.read_text().replace("1.0 * torch.sin", "9.0 * torch.sin"))
        results = inr.evaluate(one, plugin_files=files)
        try:
            inr.load_field(results.best().path, plugin_files=files)
        except inr.InrbenchError as error:
            print(error)
    """)
    assert told.strip() == (
        "the code of edited_plugin.py was edited after this process had imported it: start Python again"
    )
