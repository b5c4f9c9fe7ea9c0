"""Evaluating a field in chunks."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from inrbench_core.api.problem import predict


class Noted(nn.Module):
    """Twice the coordinates; keeps how many points came at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: list[int] = []

    def forward(self, coords: torch.Tensor) -> torch.Tensor:
        self.counts.append(len(coords))
        return 2.0 * coords


@pytest.mark.parametrize(
    ("threads", "points", "counts"),
    [(1, 5000, [2048, 2048, 904]), (2, 5000, [4096, 904]), (4, 5000, [5000]), (1, 0, [0])],
)
def test_a_field_is_evaluated_a_few_points_a_thread_at_a_time(threads, points, counts, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    model, coords = Noted(), torch.rand(points, 3)
    assert torch.equal(predict(model, coords), 2.0 * coords)
    assert model.counts == counts
