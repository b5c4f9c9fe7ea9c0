"""Noticing that a fit has diverged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

# Networks with bounded activations never overflow, however absurd their weights: a mean squared error
# this many times the first one means outputs 10,000 times as large as the signal.
HOPELESS = 1e8


class Diverged(Exception):
    """A fit has no future. `step` says since when, and the text why; never leaves `fit`."""

    def __init__(self, step: int, reason: str) -> None:
        super().__init__(f"{reason} at step {step}")
        self.step = step


class LossWatch:
    """Holds the losses of the latest steps until it is worth waiting for the device to read them."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.pending: list[Tensor] = []

    def add(self, loss: Tensor) -> None:
        """Note a step's loss, a scalar on the device."""
        self.pending.append(loss)

    def check(self, step: int) -> float:
        """The loss of `step`, the latest; raises Diverged at the first step that is beyond hope."""
        losses = torch.stack(self.pending).tolist()
        self.pending.clear()
        for at, loss in enumerate(losses, start=step - len(losses) + 1):
            if not math.isfinite(loss):
                raise Diverged(at, "the loss is not finite")
            if self.first is None:
                self.first = loss
            if self.first > 0 and loss > HOPELESS * self.first:
                raise Diverged(at, f"the loss is {loss / self.first:.0e} times that of the first step")
        return float(losses[-1])


def check_parameters(parameters: Iterable[Tensor], step: int) -> None:
    """Raise Diverged if a parameter is not finite."""
    finite = [parameter.detach().isfinite().all() for parameter in parameters]
    if finite and not torch.stack(finite).all().item():
        raise Diverged(step, "a parameter is not finite")


def check_metrics(before: Mapping[str, float], now: Mapping[str, float], step: int) -> None:
    """Raise Diverged if a metric has become NaN. One that always was is not defined for this problem."""
    for name, value in now.items():
        if math.isnan(value) and not math.isnan(before.get(name, math.nan)):
            raise Diverged(step, f"{name} is not a number")
