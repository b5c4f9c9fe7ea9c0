"""A plugin that imports torch: as a plugin file it may, as the plugin module of a distribution it must not."""

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
