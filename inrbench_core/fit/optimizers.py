"""Core's own optimisers: each is called as (spec, groups), groups being torch parameter groups with their own `lr`."""

from __future__ import annotations

from typing import Any

import torch

from inrbench_core.plugins.builtin import AdamSpec, AdamWSpec, SgdSpec

Groups = list[dict[str, Any]]


def adam(spec: AdamSpec, groups: Groups) -> torch.optim.Optimizer:
    """torch's Adam."""
    return torch.optim.Adam(groups, betas=spec.betas, eps=spec.eps, **_kernels(groups))


def adamw(spec: AdamWSpec, groups: Groups) -> torch.optim.Optimizer:
    """torch's AdamW."""
    return torch.optim.AdamW(groups, betas=spec.betas, eps=spec.eps, weight_decay=spec.weight_decay, **_kernels(groups))


def sgd(spec: SgdSpec, groups: Groups) -> torch.optim.Optimizer:
    """torch's SGD."""
    return torch.optim.SGD(groups, momentum=spec.momentum, **_kernels(groups))


def _kernels(groups: Groups) -> dict[str, bool]:
    """Fused where the kernels can: they know no complex numbers."""
    fused = all(parameter.is_floating_point() for group in groups for parameter in group["params"])
    return {"fused": fused, "foreach": not fused}
