"""Fingerprints of code: an edit of code shows, an edit of prose does not, wherever the files are."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from inrbench_core.api.fingerprint import imported_names, is_importable, package_fingerprint, source_fingerprint
from inrbench_core.plugins.fingerprints import Fingerprints
from inrbench_core.plugins.loading import load_catalog

STAND_INS = Path(__file__).parent.parent / "stand_ins"
SMALL = STAND_INS / "small_plugin.py"

PLUGIN = '''
"""A plugin."""
from pydantic import Field
from inrbench_core import ActivationEntry, ComponentSpec, hookimpl


class BendSpec(ComponentSpec):
    """A bend."""

    height: float = Field(2.0, gt=0, description="how high")


def more():
    return [ActivationEntry("more", BendSpec, "bent_inr.bend:Bend", formula="x", reference="somebody", api=1)]


@hookimpl
def inrbench_activations():
    """The activations."""
    yield ActivationEntry("bend", BendSpec, "bent_inr.bend:Bend", api=1)
'''
BEND = '''
"""A bend."""
import torch
from inrbench_core import Activation
from bent_inr.helpers import shift


class Bend(Activation):
    """Bends."""

    def __init__(self, spec, **options):
        super().__init__(spec, **options)
        self.height = spec.height

    def forward(self, x, factor=1.5, *, lower=None, upper=1):
        """Bend."""
        # As in the paper.
        table = {**{"a": factor}, "b": 2.0}
        return torch.sin(self.height * x + shift(table["b"]))
'''
HELPERS = "def shift(by):\n    return 0.1 * by\n"
FILES = {
    "__init__.py": '"""A package."""\n',
    "plugin.py": PLUGIN,
    "bend.py": BEND,
    "helpers.py": HELPERS,
    "data/table.txt": "1 2 3\n",
    "README.md": "A plugin.\n",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The fingerprint of the package with some changes of text: (file, old, new)."""
    count = 0

    def of(*changes: tuple[str, str, str]) -> str:
        nonlocal count
        count += 1
        files = dict(FILES)
        for name, old, new in changes:
            assert not old or old in files[name], old
            files[name] = files.get(name, "").replace(old, new) if old else new
        write(tmp_path / str(count) / "bent_inr", files)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(tmp_path / str(count)))
            return package_fingerprint("bent_inr")

    return of


PROSE = {
    "docstring of a module": ("bend.py", '"""A bend."""', '"""Another\n\ntext."""'),
    "docstring of a class": ("bend.py", '"""Bends."""', '"""Bends a lot."""'),
    "docstring of a function": ("bend.py", '"""Bend."""', '"""Bend it."""'),
    "no docstring": ("bend.py", '        """Bend."""\n', ""),
    "comment": ("bend.py", "# As in the paper.", "# Not as in the paper."),
    "blank lines": ("bend.py", "\n\n\nclass", "\n\n\n\n\nclass"),
    "formatting": ("bend.py", "torch.sin(self.height * x", "torch.sin(\n            (self.height*x)"),
    "quotes": ("bend.py", '"b": 2.0', "'b': 2.0"),
    "writing of a number": ("bend.py", "1.5", "15e-1"),
    "description of an option": ("plugin.py", "how high", "the height, in m"),
    "formula of an entry": ("plugin.py", 'formula="x"', 'formula="y"'),
    "reference of an entry": ("plugin.py", 'reference="somebody"', 'reference="somebody else"'),
    "docstring of a hook": ("plugin.py", '"""The activations."""', '"""All."""'),
    # What hooks return is in the options and targets of a run.
    "hook implementation": ("plugin.py", 'yield ActivationEntry("bend"', 'yield ActivationEntry("bending"'),
    "README": ("README.md", "A plugin.", "The plugin."),
    "compiled file": ("__pycache__/bend.cpython-311.pyc", "", "anything"),
    "marker of types": ("py.typed", "", ""),
}
CODE = {
    "constant": ("helpers.py", "0.1", "0.2"),
    "sign": ("helpers.py", "0.1", "-0.1"),
    "operator": ("bend.py", "x + shift", "x - shift"),
    "function": ("bend.py", "torch.sin", "torch.cos"),
    "default of an argument": ("bend.py", "factor=1.5", "factor=2.5"),
    "which argument has a default": ("bend.py", "lower=None, upper=1", "lower=1, upper=None"),
    "which argument has to be given": ("bend.py", "lower=None, upper", "lower, upper"),
    "default of an option": ("plugin.py", "Field(2.0", "Field(3.0"),
    "bound of an option": ("plugin.py", "gt=0", "ge=0"),
    "decorator": ("bend.py", "    def forward", "    @torch.no_grad()\n    def forward"),
    "order of merging": ("bend.py", '{**{"a": factor}, "b": 2.0}', '{"b": 2.0, **{"a": factor}}'),
    "what is merged": ("bend.py", '{**{"a": factor}, "b": 2.0}', '{"b": {"a": factor}, **2.0}'),
    "type of a number": ("bend.py", '"b": 2.0', '"b": 2'),
    "string that is no docstring": ("bend.py", '"b": 2.0', '"c": 2.0'),
    "base class": ("bend.py", "Bend(Activation)", "Bend(object)"),
    "import": ("bend.py", "import torch\n", "import torch.fx as torch\n"),
    "statement": ("helpers.py", "    return", "    by += 1\n    return"),
    "name of a module": ("extra.py", "", "x = 1\n"),
    "data file": ("data/table.txt", "1 2 3", "1 2 4"),
    "function that is no hook": ("plugin.py", '"more", BendSpec', '"most", BendSpec'),
    "argument that is called like prose": ("helpers.py", "0.1 * by", "dict(reference=0.1, formula=by)"),
    "syntax error": ("helpers.py", "def", "deff"),
}


@pytest.mark.parametrize("name", PROSE)
def test_prose_does_not_count(fingerprint: Callable[..., str], name: str) -> None:
    assert fingerprint(PROSE[name]) == fingerprint()


def test_code_counts(fingerprint: Callable[..., str]) -> None:
    found = {name: fingerprint(change) for name, change in CODE.items()}
    found["unchanged"] = fingerprint()
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize("keyword", ["reference", "formula", "description"])
def test_arguments_called_like_prose_count_in_other_calls(fingerprint: Callable[..., str], keyword: str) -> None:
    one, two = (fingerprint(("helpers.py", "0.1", f"float({keyword}={value})")) for value in (1, 2))
    assert one != two


@pytest.mark.parametrize("text", ["no python", " + ".join(["by"] * 10_000)], ids=["no python", "ten thousand terms"])
def test_a_file_that_has_no_syntax_tree_to_look_at_counts_as_it_is(fingerprint: Callable[..., str], text: str) -> None:
    assert fingerprint(("helpers.py", "0.1 * by", text)) != fingerprint(("helpers.py", "0.1 * by", f"{text} + 1"))


def test_the_place_of_the_files_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One method for wheels, editable installs and folders."""
    found = set()
    site, source = tmp_path / "lib" / "site-packages", tmp_path / "home" / "project" / "src"
    write(site / "bent_inr", {**FILES, "__pycache__/bend.cpython-311.pyc": "compiled", "py.typed": ""})
    write(site / "bent_inr-1.0.dist-info", {"RECORD": "bent_inr/bend.py,sha256=x,1\n"})
    write(source / "bent_inr", FILES)
    for place in (site, source):
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(place))
            found.add(package_fingerprint("bent_inr"))
    assert len(found) == 1


def test_other_plugins_and_what_is_developed_here_count_where_they_are_imported(
    fingerprint: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that is installed and no plugin does not count: its version is on record."""
    installed = tmp_path / "site-packages"
    folders = {"related_inr": installed, "third_inr": installed, "unrelated_inr": installed}
    folders |= {"developed_inr": tmp_path / "src", "not_imported_inr": tmp_path / "src"}
    for folder in set(folders.values()):
        monkeypatch.syspath_prepend(str(folder))
    imports = "import related_inr.layers\nimport developed_inr\nfrom unrelated_inr import thing\ndef"
    change = ("helpers.py", "def", imports)
    monkeypatch.setattr("inrbench_core.api.fingerprint.plugin_packages", {"related_inr", "third_inr"})

    def found(name: str, text: str) -> str:
        for package, folder in folders.items():
            content = "import third_inr\n" if package == "related_inr" else ""
            write(folder / package, {"__init__.py": content + (text if package == name else "x = 1\n")})
        importlib.invalidate_caches()
        return fingerprint(change)

    plain = found("", "")
    assert found("related_inr", "x = 2\n") != plain
    # Not directly, but by the one that is imported.
    assert found("third_inr", "x = 2\n") != plain
    assert found("developed_inr", "x = 2\n") != plain
    assert found("unrelated_inr", "x = 2\n") == plain
    assert found("not_imported_inr", "x = 2\n") == plain
    # Two that import each other.
    assert found("third_inr", "import related_inr\n") != plain


def test_a_single_module_is_a_package_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    found = []
    for text in ("x = 1\n", "x = 1  # one\n", "x = 2\n"):
        (tmp_path / "lone_inr.py").write_text(text)
        found.append(package_fingerprint("lone_inr"))
    assert found[0] == found[1] != found[2]
    assert is_importable("lone_inr")
    assert not is_importable("no_such_inr")
    with pytest.raises(ModuleNotFoundError, match="no_such_inr"):
        package_fingerprint("no_such_inr")


def test_some_rooms_of_a_package(fingerprint: Callable[..., str], tmp_path: Path) -> None:
    core = package_fingerprint("inrbench_core", ("api", "fit"))
    assert core != package_fingerprint("inrbench_core", ("api",)) != package_fingerprint("inrbench_core")


def test_imported_names(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(
        "import a.b, c as d\nfrom e.f import g\nfrom . import h\nfrom .i import j\ndef k():\n    import l\n"
    )
    assert imported_names(file) == {"a", "c", "e", "l"}
    file.write_text("import (")
    assert imported_names(file) == set()


def test_hooks_count_in_a_plugin_file(tmp_path: Path) -> None:
    """Its targets and defaults are nowhere else than in it."""
    file = tmp_path / "plugin.py"
    found = []
    for text in (PLUGIN, PLUGIN.replace('"bend"', '"bent"'), PLUGIN.replace("The activations", "All")):
        file.write_text(text)
        found.append(source_fingerprint(tmp_path, [file]))
    assert found[0] != found[1]
    assert found[0] == found[2]


def of_distribution(plugin_file: Path, distribution: str, kind: str, name: str) -> str:
    catalog = load_catalog([SMALL, plugin_file])
    return Fingerprints(catalog).of([catalog.resolve(kind, name)])[distribution]


def test_what_is_beside_a_plugin_file_counts_where_it_is_used(tmp_path: Path) -> None:
    """Targets, imports, imports of imports, and packages; not what happens to be in the same folder."""
    files = {
        "filed_plugin.py": PLUGIN.replace("bent_inr.bend", "filed_bend"),
        "filed_bend.py": BEND.replace("bent_inr.helpers", "filed_helpers"),
        "filed_helpers.py": "import filed_package.inner\nimport wave\n" + HELPERS,
        "filed_package/__init__.py": "",
        "filed_package/inner.py": "x = 1\n",
        "filed_package/table.txt": "1 2 3",
        "unused.py": "x = 1\n",
        # Called like a module of Python's own, which it is not.
        "wave/__init__.py": "x = 1\n",
    }
    folder = write(tmp_path / "plugins", files)

    def found() -> str:
        return of_distribution(folder / "filed_plugin.py", "filed_plugin.py", "activation", "bend")

    def edited(name: str, old: str, new: str) -> str:
        assert old in files[name]
        (folder / name).write_text(files[name].replace(old, new))
        try:
            return found()
        finally:
            (folder / name).write_text(files[name])

    plain = found()
    for name, old, new in (
        ("filed_plugin.py", "2.0", "3.0"),
        ("filed_bend.py", "sin", "cos"),
        ("filed_helpers.py", "0.1", "0.2"),
        ("filed_package/inner.py", "1", "2"),
        ("filed_package/table.txt", "1", "2"),
    ):
        assert edited(name, old, new) != plain, name
    for name, old, new in (
        ("filed_bend.py", "# As in", "# Not as in"),
        ("filed_bend.py", '"""Bends."""', '"""Bent."""'),
        ("unused.py", "1", "2"),
        ("wave/__init__.py", "1", "2"),
    ):
        assert edited(name, old, new) == plain, name
    shutil.copytree(folder, tmp_path / "elsewhere")
    sys.modules.pop("filed_plugin")
    assert of_distribution(tmp_path / "elsewhere" / "filed_plugin.py", "filed_plugin.py", "activation", "bend") == plain


def install(folder: Path, modules: dict[str, str], points: str) -> Path:
    """What an editable installation looks like to Python: a folder on the path with metadata beside the code."""
    metadata = "Metadata-Version: 2.1\nName: bent-inr\nVersion: 1.0\n"
    write(folder / "bent_inr-1.0.dist-info", {"METADATA": metadata, "entry_points.txt": points, "RECORD": ""})
    return write(folder, modules)


def test_the_packages_of_targets_count_where_hooks_are_in_another_module(tmp_path: Path) -> None:
    """Hooks name targets by strings, so nothing imports them."""
    modules = {f"bent_inr/{name}": text for name, text in FILES.items() if name != "plugin.py"}
    install(tmp_path, {**modules, "bent_hooks.py": PLUGIN}, "[inrbench]\nbent = bent_hooks\n")
    code = (
        "from inrbench_core.plugins.fingerprints import Fingerprints\n"
        "from inrbench_core.plugins.loading import load_catalog\n"
        "catalog = load_catalog()\n"
        "print(Fingerprints(catalog).of([catalog.resolve('activation', 'bend')])['bent-inr'])"
    )

    def found() -> str:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, check=True, capture_output=True
        ).stdout.decode()

    plain = found()
    (tmp_path / "bent_inr" / "bend.py").write_text(BEND.replace("sin", "cos"))
    assert found() != plain


# What is edited, by what, and whether it is to be fitted again.
EDITS = (
    ("# As in the paper.", "# Not as in the paper.", False),
    ('"""Bends."""', '"""Bends\n\n    a lot."""', False),
    ("torch.sin(self.height * x", "torch.sin(x * self.height", True),
    ("torch.sin", "torch.cos", True),
)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["installed", "plugin file"])
def test_an_edited_plugin_is_fitted_again_and_an_edited_comment_is_not(
    run_cli: Callable[..., subprocess.CompletedProcess[str]],
    write_spec: Callable[[str], Path],
    tmp_path: Path,
    how: str,
) -> None:
    """The same spec counted the old runs as its own, and showed the old figures."""
    spec = write_spec(
        "{task: line, fields: [{name: shallow, activation: [bend, wave]}], training: {steps: 3},"
        " executor: {name: inline}}"
    )
    code, options = tmp_path / "code", ["--plugin-file", SMALL, "--plugin-file", STAND_INS / "executors_plugin.py"]
    if how == "installed":
        modules = {f"bent_inr/{name}": text for name, text in FILES.items()}
        install(code, modules, "[inrbench]\nbent = bent_inr.plugin\n")
        file = code / "bent_inr" / "bend.py"
    else:
        modules = {"bend_plugin.py": PLUGIN.replace("bent_inr.bend", "lone_bend"), "lone_bend.py": BEND}
        write(code, {name: text.replace("bent_inr.helpers", "lone_helpers") for name, text in modules.items()})
        write(code, {"lone_helpers.py": HELPERS})
        file, options = code / "lone_bend.py", [*options, "--plugin-file", code / "bend_plugin.py"]

    def evaluate() -> tuple[set[Path], float]:
        arguments = ("eval", "--spec", spec, "--out", tmp_path / "out", "--json", *options)
        done = run_cli(*arguments, env={"PYTHONPATH": str(code)})
        assert done.returncode == 0, done.stderr
        (board,) = json.loads(done.stdout)["tasks"]
        (bend,) = (row for row in board["rows"] if row["field"] == "bend")
        return set((tmp_path / "out" / "runs").iterdir()), bend["metrics"]["mae"]["mean"]

    before, value = evaluate()
    assert len(before) == 3
    for old, new, fitted in EDITS:
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        after, found = evaluate()
        # Only what the plugin takes part in, and old results are kept.
        assert after >= before
        assert len(after - before) == fitted
        if "cos" in new:
            assert found != value
        elif not fitted:
            assert found == value
        before, value = after, found
    # The edit undone: what was fitted then is shown again.
    file.write_text(file.read_text().replace("torch.cos", "torch.sin"))
    assert evaluate()[0] == before


def test_what_an_editor_leaves_beside_code_does_not_count(fingerprint: Callable[..., str]) -> None:
    plain = fingerprint()
    for name in (".bend.py.swp", "bend.py~", "bend.py.orig", ".idea/workspace.xml"):
        assert fingerprint((name, "", "x")) == plain, name
