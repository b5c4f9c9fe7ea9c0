"""Which fits train together, and how many of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from inrbench_core.fit import stack
from inrbench_core.fit.stack import most_members


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "wants_compile", lambda *arguments: False)


@pytest.mark.parametrize(
    ("batch", "width", "members"), [(256, 16, 16), (256, 64, 16), (1024, 64, 4), (1024, 65, 1), (2048, 64, 1)]
)
def test_how_many_members_a_stack_has(
    stand_ins: SimpleNamespace, no_compiler: None, batch: int, width: int, members: int
) -> None:
    """The widest intermediate of all members has at most 2^18 values, of 4 members or more."""
    model, problem = stand_ins.make_net(width=width), stand_ins.Wave(4096)
    assert most_members(problem, model, stand_ins.short(steps=100, batch=batch)) == members


def test_what_is_never_stacked(stand_ins: SimpleNamespace, no_compiler: None) -> None:
    def members(problem: Any = None, model: Any = None, **options: Any) -> int:
        options = {"steps": 100, **options}
        return most_members(problem or stand_ins.Wave(), model or stand_ins.make_net(), stand_ins.short(**options))

    assert members() == 16
    assert members(steps=10) == 1
    assert members(precision="bf16") == 1
    problem = stand_ins.Wave()
    problem.differentiates = True
    assert members(problem) == 1
    model = stand_ins.make_net()
    model.set_progress = lambda share: None
    assert members(model=model) == 1
    model = stand_ins.make_net()
    model.regularisation = lambda: torch.zeros(())
    assert members(model=model) == 1


def test_a_fit_that_is_compiled_is_not_stacked(stand_ins: SimpleNamespace) -> None:
    assert most_members(stand_ins.Wave(), stand_ins.make_net(), stand_ins.short(steps=100, compile="on")) == 1
    assert most_members(stand_ins.Wave(), stand_ins.make_net(), stand_ins.short(steps=100, compile="off")) == 16
