"""Fixtures that the tests of several plugins share."""

from __future__ import annotations

import importlib.metadata
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

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


@pytest.fixture
def no_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """No distribution that carries samples is installed."""

    def missing(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)


class PixelField(nn.Module):
    """A field that is a picture, (N, N) in [0, 1], linear between pixels."""

    def __init__(self, picture: np.ndarray) -> None:
        super().__init__()
        self.picture = nn.Parameter(torch.as_tensor(picture, dtype=torch.float32))

    def forward(self, coords: Tensor) -> Tensor:
        grid = coords.flip(-1)[None, None]
        return functional.grid_sample(self.picture[None, None] * 2 - 1, grid, align_corners=True).reshape(-1, 1)


@pytest.fixture(scope="session")
def pixel_field() -> type[PixelField]:
    """Makes fields of pictures."""
    return PixelField


# As many as of the published code.
STARTS = 20
# No gradient that is twice too large or too small can pass. It is less than the four standard errors, 0.38 to 0.66, of
# the 20 draws of some recipes; as seeds are fixed, these pass or fail always.
LARGEST_ERROR = 0.3


@pytest.fixture
def assert_starts_as(one_thread: None) -> Callable[..., None]:
    """A recipe from 2 to 3 starts as the published code that it is named after."""

    def check(
        build: Callable[[], nn.Module],
        observed: Callable[[nn.Module], Sequence[nn.Module]],
        expected: tuple[float, float, float, float],
        rms_error: float,
    ) -> None:
        """Means over 20 seeds.

        Args:
            build: draws the model.
            observed: of a model, the modules whose outputs are compared, the first two of them.
            expected: RMS of these outputs on a grid of 16 x 16 coordinates, ends included; norm of the gradient of the
                mean squared error by all parameters, for the targets sin(3x) cos(2y), x y and cos(4x - y); and the
                deviation of that norm from seed to seed, as a share of it.
            rms_error: by what share the RMS may differ.
        """
        rows = []
        for seed in range(STARTS):
            torch.manual_seed(seed)
            model = build()
            rows.append(_first_step(model, observed(model)[:2]))
        first, second, gradient = torch.tensor(rows).mean(dim=0).tolist()
        assert [first, second] == pytest.approx(expected[:2], rel=rms_error)
        # Four standard errors of the difference of both means.
        error = min(4 * expected[3] * math.sqrt(2 / STARTS), LARGEST_ERROR)
        assert gradient == pytest.approx(expected[2], rel=error)

    return check


def _first_step(model: nn.Module, observed: Sequence[nn.Module]) -> list[float]:
    """RMS of the outputs of some modules, and the norm of the gradient."""
    side = torch.linspace(-1, 1, 16)
    coords = torch.stack(torch.meshgrid(side, side, indexing="ij"), dim=-1).reshape(-1, 2)
    x, y = coords.T
    targets = torch.stack([torch.sin(3 * x) * torch.cos(2 * y), x * y, torch.cos(4 * x - y)], dim=1)
    found = []
    for part in observed:
        part.register_forward_hook(lambda module, inputs, out: found.append(out.square().mean().sqrt().item()))
    (model(coords) - targets).square().mean().backward()
    return [*found, math.sqrt(sum(parameter.grad.square().sum().item() for parameter in model.parameters()))]
