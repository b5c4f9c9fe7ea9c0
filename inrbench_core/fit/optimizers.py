"""Core's own optimisers: each is called as (spec, groups), groups being torch parameter groups with their own `lr`."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from inrbench_core.plugins.builtin import AdamSpec, AdamWSpec, SgdSpec

Groups = list[dict[str, Any]]

# torch keeps its compiler out of `add_param_group` and `step` by wrapping them, and the wrappers import that compiler,
# which takes a second. These classes call what is wrapped; they must not be used within compiled code.
_add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
_step_adam = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))
_step_sgd = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))


class _Adam(torch.optim.Adam):
    add_param_group = _add_param_group
    step = _step_adam


class _AdamW(torch.optim.AdamW):
    add_param_group = _add_param_group
    step = _step_adam


class _Sgd(torch.optim.SGD):
    add_param_group = _add_param_group
    step = _step_sgd


def adam(spec: AdamSpec, groups: Groups) -> torch.optim.Optimizer:
    """torch's Adam."""
    return _Adam(_rates(groups), betas=spec.betas, eps=spec.eps, **_kernels(groups), capturable=_on_cuda(groups))


def adamw(spec: AdamWSpec, groups: Groups) -> torch.optim.Optimizer:
    """torch's AdamW."""
    return _AdamW(
        _rates(groups),
        betas=spec.betas,
        eps=spec.eps,
        weight_decay=spec.weight_decay,
        **_kernels(groups),
        capturable=_on_cuda(groups),
    )


def sgd(spec: SgdSpec, groups: Groups) -> torch.optim.Optimizer:
    """torch's SGD."""
    return _Sgd(_rates(groups), momentum=spec.momentum, **_kernels(groups))


def _kernels(groups: Groups) -> dict[str, bool]:
    """Fused where the kernels can: they know no complex numbers."""
    fused = all(parameter.is_floating_point() for group in groups for parameter in group["params"])
    return {"fused": fused, "foreach": not fused}


def _on_cuda(groups: Groups) -> bool:
    return all(parameter.is_cuda for group in groups for parameter in group["params"])


def _rates(groups: Groups) -> Groups:
    """On CUDA each rate as a tensor there, float32: a step with a Python number cannot be captured in a graph."""
    if not _on_cuda(groups) or not _kernels(groups)["fused"]:
        return groups
    return [{**group, "lr": torch.tensor(group["lr"], device=group["params"][0].device)} for group in groups]
