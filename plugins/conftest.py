"""Fixtures that the tests of several plugins share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn


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
