"""Learning rate schedules, in closed form."""

from __future__ import annotations

import math

from inrbench_core.spec.training import TrainingSpec


def learning_rate(training: TrainingSpec, step: int, lr: float) -> float:
    """The learning rate, at a step counted from 0, of a group that starts at lr; the last is lr * final_lr."""
    if training.schedule == "constant" or training.steps < 2:
        return lr
    progress = step / (training.steps - 1)
    if training.schedule == "exponential":
        return float(lr * training.final_lr**progress)
    return lr * (training.final_lr + (1 - training.final_lr) * 0.5 * (1 + math.cos(math.pi * progress)))
