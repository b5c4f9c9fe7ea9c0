"""Fixtures that the tests of several plugins share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from inrbench_core import Frame, Problem, Renderer, TaskEntry
from inrbench_core.api.entries import load_object


@pytest.fixture(autouse=True, scope="session")
def cache_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Prepared data is kept in a folder of this session, not in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INRBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Small networks take longer on several threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, which keeps what took no time as well."""
    monkeypatch.setenv("INRBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("inrbench_core.api.cache.LEAST_SECONDS", 0.0)
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def stored_renderer() -> Callable[[TaskEntry, Problem], Renderer]:
    """The entry's renderer, made from the problem's frame as a run's file keeps it: as JSON."""

    def make(entry: TaskEntry, problem: Problem) -> Renderer:
        frame = Frame.from_data(json.loads(json.dumps(problem.frame.to_data())))
        return load_object(entry.renderer)(frame, torch.device("cpu"))

    return make


@pytest.fixture(scope="session")
def derivatives() -> Callable[[Callable[[Tensor], Tensor], Tensor], list[np.ndarray]]:
    """f, f' and f'' at z, by torch."""

    def evaluate(f: Callable[[Tensor], Tensor], z: Tensor) -> list[np.ndarray]:
        z = z.clone().requires_grad_()
        y = f(z)
        (first,) = torch.autograd.grad(y.sum(), z, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), z)
        return [part.detach().double().numpy() for part in (y, first, second)]

    return evaluate


@pytest.fixture(scope="session")
def assert_free_at_every_point() -> Callable[[nn.Module, int], None]:
    """Newton's method gives a field 2 -> outputs, in float64, any values at six points."""

    def check(field: nn.Module, outputs: int) -> None:
        coords = torch.rand(6, 2, dtype=torch.float64) * 2 - 1
        target = torch.rand(6, outputs, dtype=torch.float64) * 2 - 1
        for _ in range(20):
            residuals = (target - field(coords)).flatten()
            rows = [torch.autograd.grad(-r, list(field.parameters()), retain_graph=True) for r in residuals]
            jacobian = torch.stack([torch.cat([part.flatten() for part in row]) for row in rows])
            # The smallest step that removes the residuals to first order.
            kernel = jacobian @ jacobian.T + 1e-3 * torch.eye(len(residuals))
            step = jacobian.T @ torch.linalg.solve(kernel, residuals.detach())
            nn.utils.vector_to_parameters(nn.utils.parameters_to_vector(field.parameters()) + step, field.parameters())
        assert (field(coords) - target).abs().max().item() < 1e-3

    return check
