"""The optional methods of modules that the fit engine looks for by name; see `inrbench_core.api.components`."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from inrbench_core.api.problem import Problem


def modules_with(model: nn.Module, method: str) -> list[Any]:
    """The modules within a model, itself included, that have a method of that name."""
    return [part for part in model.modules() if callable(getattr(part, method, None))]


def set_progress(model: nn.Module, share: float) -> None:
    """Tell every module that asks for it which share of its training is done, from 0 to 1.

    A trained model is used with 1.
    """
    for part in modules_with(model, "set_progress"):
        part.set_progress(share)


def parameter_groups(model: nn.Module, problem: Problem, lr: float) -> list[dict[str, Any]]:
    """All that is trained, as torch parameter groups, each with its own `lr`; frozen parameters are left out.

    Args:
        model: its parameters that no module puts into a group of its own come first, in one group at `lr`.
        problem: what it has trained beside the model is the last group, at `lr`.
        lr: the run's learning rate.

    Raises:
        ValueError: if a module's groups are not such, hold what is not its own parameter, or hold one that is in
            another group already; or if there is nothing to train.
    """
    names = {parameter: name for name, parameter in model.named_parameters()}
    taken: dict[nn.Parameter, str] = {}
    groups = []
    for path, part in model.named_modules():
        if callable(getattr(part, "parameter_groups", None)):
            owner = f"{type(part).__name__}.parameter_groups{f' (at {path})' if path else ''}"
            for group in part.parameter_groups(lr):
                groups.append(_checked(group, part, owner))
                for parameter in groups[-1]["params"]:
                    if parameter in taken:
                        raise ValueError(f"{owner}: {names[parameter]} is in a group of {taken[parameter]} already")
                    taken[parameter] = owner
    rest = {"params": [parameter for parameter in names if parameter not in taken], "lr": lr}
    beside = {"params": list(problem.parameters().values()), "lr": lr}
    trained = [
        {**group, "params": [parameter for parameter in group["params"] if parameter.requires_grad]}
        for group in (rest, *groups, beside)
    ]
    trained = [group for group in trained if group["params"]]
    if not trained:
        raise ValueError("the model has no parameters to train; with steps: 0 it is only evaluated")
    return trained


def regularisation(parts: list[Any]) -> Tensor | None:
    """The sum of the terms that modules add to the loss, a scalar, or None if there are none.

    Args:
        parts: those that have a method `regularisation`.
    """
    terms = [part.regularisation() for part in parts]
    return sum(terms[1:], start=terms[0]) if terms else None


def _checked(group: Any, part: nn.Module, owner: str) -> dict[str, Any]:
    """A module's group with its parameters as a list."""
    if not isinstance(group, dict) or not {"params", "lr"} <= group.keys():
        raise ValueError(f"{owner}: a group is a mapping with 'params' and 'lr'")
    params = group["params"]
    params = [params] if isinstance(params, Tensor) else list(params)
    own = set(part.parameters())
    if not all(parameter in own for parameter in params):
        raise ValueError(f"{owner}: a group holds a tensor that is no parameter of the module")
    return {**group, "params": params}
