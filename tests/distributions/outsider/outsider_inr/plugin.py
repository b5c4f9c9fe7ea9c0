from pydantic import Field

from inrbench_core import ActivationEntry, ComponentSpec, hookimpl


class OutsineSpec(ComponentSpec):
    """Cosine of the scaled pre-activation."""

    omega: float = Field(30.0, gt=0, description="frequency factor, rad per unit")


@hookimpl
def inrbench_activations():
    yield ActivationEntry("outsine", OutsineSpec, "outsider_inr.outsine:Outsine", formula="cos(omega z)", api=1)
