"""What docs/kernels.md shows works as it is written there."""

import math
import re
from pathlib import Path

import pytest
import torch

from inrbench_core.api import basis as module
from inrbench_core.plugins.loading import load_catalog

PAGE = (Path(__file__).parent.parent / "docs" / "kernels.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    return text


@pytest.fixture
def plugin(tmp_path):
    (tmp_path / "my_cosines.cpp").write_text(block("cpp"))
    (tmp_path / "my_cosines.py").write_text(block("python"))
    return tmp_path / "my_cosines.py"


@pytest.mark.slow
def test_the_kernel_of_the_page_gives_what_its_functions_give(plugin, run_cli, monkeypatch):
    done = run_cli("check", "--plugin-file", plugin)
    assert done.returncode == 0, done.stdout + done.stderr
    torch.manual_seed(0)
    layer = (
        load_catalog([plugin])
        .resolve("basis", {"name": "cosines", "normalize": "none"})
        .build()
        .layer(3, 4, position="hidden")
        .double()
    )
    assert layer._key is not None
    x = torch.randn(300, 3, dtype=torch.float64, requires_grad=True)
    found = layer(x)
    angles = torch.arange(6, dtype=torch.float64) * math.pi / 2 * (torch.tanh(x)[..., None] + 1)
    wanted = torch.einsum("nik,oik->no", torch.cos(angles), layer.coefficients)
    kernel, formula = (
        torch.autograd.grad(y.square().sum(), (x, layer.coefficients)) for y in (found, wanted + layer.bias)
    )
    torch.testing.assert_close(found, wanted + layer.bias, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(kernel, formula, rtol=1e-9, atol=1e-9)
    assert layer(torch.full((1, 3), torch.nan, dtype=torch.float64)).isnan().all()
    monkeypatch.setattr(module, "serves", lambda x: False)
    torch.testing.assert_close(layer(x), found, rtol=1e-10, atol=1e-10)
