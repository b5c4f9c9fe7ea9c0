"""The entry of this distribution. Imports no torch."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from inrbench_core import ComponentSpec, OptimizerEntry, hookimpl


class LbfgsSpec(ComponentSpec):
    """Limited-memory BFGS with a line search, for full batches."""

    history: int = Field(10, gt=0, le=1000, description="updates that the inverse Hessian is approximated from")
    max_iter: int = Field(
        20,
        gt=0,
        le=1000,
        description="iterations in a step; each computes the loss of the whole batch once or more",
    )
    line_search: Literal["strong_wolfe", "none"] = Field(
        "strong_wolfe", description="none: every iteration goes as far as the learning rate says"
    )


@hookimpl
def inrbench_optimizers() -> Iterator[OptimizerEntry]:
    yield OptimizerEntry(
        "lbfgs",
        LbfgsSpec,
        "inrbench_optimizer_lbfgs.lbfgs:lbfgs",
        reference="Liu and Nocedal 1989, doi:10.1007/BF01589116",
        formula="x - lr H grad, H an approximation of the inverse Hessian from the latest steps and gradients",
        training={"lr": 1.0, "schedule": "constant"},
        api=1,
    )
