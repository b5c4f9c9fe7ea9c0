"""Learning rate schedules, in closed form."""

from __future__ import annotations

import math

from inrbench_core.spec.training import TrainingSpec


def learning_rate(training: TrainingSpec, step: int) -> float:
    """The learning rate of a step, counted from 0: lr at the first, lr * final_lr at the last."""
    if training.schedule == "constant" or training.steps < 2:
        return training.lr
    progress = step / (training.steps - 1)
    if training.schedule == "exponential":
        return float(training.lr * training.final_lr**progress)
    return training.lr * (training.final_lr + (1 - training.final_lr) * 0.5 * (1 + math.cos(math.pi * progress)))
