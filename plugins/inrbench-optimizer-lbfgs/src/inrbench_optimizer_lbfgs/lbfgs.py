"""torch's L-BFGS, behind the groups of a model."""

from __future__ import annotations

from typing import Any

import torch

from inrbench_core import UnsupportedError
from inrbench_optimizer_lbfgs.plugin import LbfgsSpec

# torch's own 1e-9 ends a step early once the mean squared error is below about 1e-6; this is the float32 resolution
# of an error of 1e-8.
TOLERANCE = 1e-15


def lbfgs(spec: LbfgsSpec, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """One optimiser for all groups, which have to have one rate and no other option.

    Raises:
        UnsupportedError: if they differ: the approximated Hessian is one of all parameters together.
    """
    rates = sorted({group["lr"] for group in groups})
    options = sorted({name for group in groups for name in group} - {"params", "lr"})
    if len(rates) > 1:
        listed = ", ".join(f"{rate:g}" for rate in rates)
        raise UnsupportedError(f"lbfgs has one learning rate for all parameters, and this model asks for {listed}")
    if options:
        raise UnsupportedError(f"lbfgs has no {' and no '.join(options)}, which this model asks for")
    return torch.optim.LBFGS(
        [parameter for group in groups for parameter in group["params"]],
        lr=rates[0],
        max_iter=spec.max_iter,
        history_size=spec.history,
        tolerance_grad=0.0,
        tolerance_change=TOLERANCE,
        line_search_fn=None if spec.line_search == "none" else spec.line_search,
    )
