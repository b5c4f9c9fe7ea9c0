"""The functions that a component computes, sampled so that they can be drawn. Imports torch when asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from inrbench_core.api.spec import Component

if TYPE_CHECKING:
    from torch import Tensor

Array = np.ndarray[Any, Any]
SAMPLES = 961
# A function without a domain of its own is drawn over the widest of these on which it turns no more than this.
REACHES = (4.0, 2.0, 1.0, 0.5, 0.25)
MOST_TURNS = 13
BASIS_REACH = 1.2


@dataclass(frozen=True)
class Curves:
    """Functions of one variable on common samples.

    Args:
        x: shape (n,).
        y: shape (functions, n); not finite where a function has no value.
        argument: what x is called.
        labels: one for each function.
        note: what is drawn, in a few words.
    """

    x: Array
    y: Array
    argument: str
    labels: tuple[str, ...]
    note: str


def sample_curves(component: Component) -> Curves:
    """The functions of a component as it is initialised with seed 0.

    Args:
        component: an activation, a basis or an encoding, which is given one coordinate.

    Raises:
        UnsupportedError: if it does not work with one coordinate; and whatever else its code raises.
    """
    import torch

    sample = {"activation": _activation, "basis": _basis, "encoding": _encoding}[component.kind]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        return sample(component)


def _activation(component: Component) -> Curves:
    x, y = _widest(component.build(position="hidden"))
    return Curves(x, y, "z", (component.name,), "in a hidden layer, as it starts")


def _basis(component: Component) -> Curves:
    from inrbench_core.api.basis import ExpansionBasis

    basis = component.build()
    if not isinstance(basis, ExpansionBasis):
        x, y = _widest(basis.layer(1, 1, position="hidden"))
        return Curves(x, y, "x", ("an edge",), "one edge of a hidden layer, as it starts (seed 0)")
    basis.layer(1, 1, position="first")
    x = _line(BASIS_REACH)
    y = _values(basis.expand, x)
    return Curves(x, y, "x", tuple(f"k = {k}" for k in range(len(y))), "the functions of an edge")


def _encoding(component: Component) -> Curves:
    encoding = component.build(1, (256,))
    x = _line(1.0)
    y = _values(encoding, x)
    return Curves(x, y, "x", tuple(f"feature {k}" for k in range(len(y))), "the features of one coordinate")


def _widest(function: Callable[[Tensor], Tensor]) -> tuple[Array, Array]:
    """The function over the widest reach on which it can still be seen well."""
    for reach in REACHES:
        x = _line(reach)
        y = _values(function, x)
        if turns(y[0]) <= MOST_TURNS:
            break
    return x, y


def turns(y: Array) -> int:
    """How often a sampled function goes from rising to falling or back."""
    steps = np.sign(np.diff(y[np.isfinite(y)]))
    return int(np.count_nonzero(np.diff(steps[steps != 0])))


def _line(reach: float) -> Array:
    return np.linspace(-reach, reach, SAMPLES, dtype=np.float32)


def _values(function: Callable[[Tensor], Tensor], x: Array) -> Array:
    """What a module gives for x, as one column, with a row for each of its functions."""
    import torch

    y: Array = function(torch.from_numpy(x)[:, None]).reshape(len(x), -1).double().numpy()
    return y.T
