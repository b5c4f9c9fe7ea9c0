"""A plugin file that imports torch, which a plugin module must not."""

from __future__ import annotations

from typing import Any

import torch

from inrbench_core import Activation, ActivationEntry, ComponentSpec, hookimpl


class HeavySpec(ComponentSpec):
    """Hyperbolic tangent."""


class Heavy(Activation):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x)


@hookimpl
def inrbench_activations() -> Any:
    yield ActivationEntry("heavy", HeavySpec, "heavy_plugin:Heavy", api=1)
