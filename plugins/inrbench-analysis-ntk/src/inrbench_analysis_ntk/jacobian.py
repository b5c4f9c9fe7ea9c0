"""The Jacobian of a field's values by its parameters: how a model is divided into parts, and what is made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from inrbench_analysis_ntk.parts import POINTS, LinearPart, LocalPart, Part, Tangents, real
from inrbench_core import UnsupportedError

Channels = Literal["mean", "full"]

# Points at which a division is compared with autograd before it is used.
PROBES = 24
# Of float32 gradients; a part that misses something is off by far more.
TOLERANCE = 1e-3


@dataclass
class Unit:
    """A module and those of its parameters whose derivatives are taken there.

    Args:
        module: its name in the model.
        linear: as a `LinearPart`, else as a `LocalPart`.
        parameters: names in the model.
        batched, forward_mode: see `LocalPart`.
    """

    module: str
    linear: bool
    parameters: list[str] = field(default_factory=list)
    batched: bool = True
    forward_mode: bool = True


class Jacobian:
    """Derivatives of a field's values by all its trainable parameters, at N points.

    Layers that are linear in their parameters are kept as their inputs and the sensitivities of the values to their
    outputs; other parameters are handled by derivatives of the module that has them, and where that is not possible,
    of the whole model. Which it is, is decided at a few points, by comparison with autograd.

    Args:
        model: in eval mode; maps (N, D) to (N, C), each point by itself.
        coords: (N, D), on the model's device.

    Attributes:
        values: the model's, (N, C), detached.

    Raises:
        UnsupportedError: if the model has no trainable parameters, its values or gradients are not finite, or its value
            at a point depends on other points.
    """

    def __init__(self, model: nn.Module, coords: Tensor) -> None:
        # Drawn, because evenly spaced points of a grid may all lie on one line.
        chosen = torch.randperm(len(coords), generator=torch.Generator().manual_seed(0))[:PROBES]
        units = divide(model, coords[chosen.to(coords.device)])
        self.values, self.parts = _make_parts(model, units, coords)

    def gram(self, channels: Channels = "mean", scale: Tangents | None = None) -> Tensor:
        """The neural tangent kernel.

        Args:
            channels: mean: of the kernels of all channels, (N, N); full: (N C, N C), a point's channels side by side.
            scale: of parameters, see `Part.rows`; for the mean only.
        """
        grams = (part.full_gram() if channels == "full" else part.gram(scale) for part in self.parts)
        total = next(grams)
        for other in grams:
            total = total.add_(other)
        return total

    def product(self, vectors: Tensor, channels: Channels = "mean", scale: Tangents | None = None) -> Tensor:
        """The kernel times vectors, (N, B) or (N C, B), without the kernel; arguments as of `gram`."""
        count, outputs = self.values.shape
        columns = []
        for vector in vectors.T:
            if channels == "full":
                columns.append(self._product(vector.reshape(count, outputs), scale).reshape(-1))
                continue
            total = torch.zeros_like(vector)
            for channel in range(outputs):
                weights = torch.zeros_like(self.values)
                weights[:, channel] = vector
                total += self._product(weights, scale)[:, channel]
            columns.append(total / outputs)
        return torch.stack(columns, dim=1)

    def _product(self, weights: Tensor, scale: Tangents | None) -> Tensor:
        total = torch.zeros_like(self.values)
        for part in self.parts:
            pulled = part.pull(weights)
            if scale is not None:
                pulled = {name: _scaled(gradient, scale[name]) for name, gradient in pulled.items()}
            total += part.push(pulled)
        return total

    def energies(self, vectors: Tensor, scale: Tangents | None = None) -> Tensor:
        """v^T K v for each column v of vectors, (N, B), with the mean kernel: (B,), for half the work of a product."""
        outputs = self.values.shape[1]
        found = [part.energies(vectors, channel, scale) for part in self.parts for channel in range(outputs)]
        return torch.stack(found).sum(0) / outputs

    def diagonal(self) -> Tensor:
        """K(x, x), the mean over channels, (N,)."""
        outputs = self.values.shape[1]
        return sum((part.squares(c) for part in self.parts for c in range(outputs)), torch.zeros(())) / outputs


def divide(model: nn.Module, probes: Tensor) -> list[Unit]:
    """Which parameters are handled where: as near to them as gives the gradients that autograd gives.

    Args:
        model: see `Jacobian`.
        probes: a few points.

    Raises:
        UnsupportedError: see `Jacobian`.
    """
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not names:
        raise UnsupportedError("the field has no trainable parameters, so that it has no neural tangent kernel")
    calls, values = _called(model, probes)
    weights = torch.randn(values.shape, generator=torch.Generator().manual_seed(0)).to(values)
    parameters = dict(model.named_parameters())
    truth = dict(
        zip(
            names,
            torch.autograd.grad(
                values, [parameters[name] for name in names], weights, allow_unused=True, materialize_grads=True
            ),
            strict=True,
        )
    )
    if not all(bool(tensor.isfinite().all()) for tensor in (values, *truth.values())):
        raise UnsupportedError("the field's values or their gradients are not finite, so that there is no kernel")
    units = _first_units(model, names, calls)
    while True:
        _, parts = _make_parts(model, units, probes)
        wrong = [
            (unit, missed)
            for unit, part in zip(units, parts, strict=True)
            if (missed := _check(unit, part, weights, truth))
        ]
        if not wrong:
            return units
        for unit, missed in wrong:
            if unit.module == "" and not unit.linear:
                raise UnsupportedError(
                    f"the gradient by {missed[0]} at one point depends on other points, so that there is no kernel"
                )
            unit.parameters = [name for name in unit.parameters if name not in missed]
            # What is not linear after all may still be local; what is not local is so in a module around it.
            place = unit.module if unit.linear else _usable(unit.module.rpartition(".")[0], calls)
            _local(units, place).parameters.extend(missed)
        units = [unit for unit in units if unit.parameters]


@dataclass
class _Call:
    inputs: Any
    output: Any


def _called(model: nn.Module, coords: Tensor) -> tuple[dict[str, list[_Call]], Tensor]:
    """What each module was called with, by name, and the model's values, with their graph."""
    calls: dict[str, list[_Call]] = {}
    handles = [
        module.register_forward_hook(
            lambda module, inputs, keywords, output, name=name: calls.setdefault(name, []).append(
                _Call(None if keywords or len(inputs) != 1 else inputs[0], output)
            ),
            with_kwargs=True,
        )
        for name, module in model.named_modules()
    ]
    try:
        values = model(coords)
    finally:
        for handle in handles:
            handle.remove()
    return calls, values


def _is_pointwise(call: _Call, count: int) -> bool:
    tensors = isinstance(call.inputs, Tensor) and isinstance(call.output, Tensor)
    return tensors and len(call.inputs) == count == len(call.output) and call.output.requires_grad


def _first_units(model: nn.Module, names: list[str], calls: Mapping[str, list[_Call]]) -> list[Unit]:
    """Each parameter where it belongs to, as far as that module is called once with one tensor."""
    count = len(calls[""][0].output)
    usable = {name: found for name, found in calls.items() if len(found) == 1 and _is_pointwise(found[0], count)}
    units: list[Unit] = []
    for name in names:
        owner, _, own = name.rpartition(".")
        if owner in usable and own in _features(model.get_submodule(owner), usable[owner][0].inputs):
            unit = next((unit for unit in units if unit.linear and unit.module == owner), None)
            if unit is None:
                unit = Unit(owner, True)
                units.append(unit)
        else:
            unit = _local(units, _usable(owner, calls))
        unit.parameters.append(name)
    return units


def _usable(module: str, calls: Mapping[str, list[_Call]]) -> str:
    """This module or the nearest around it that is called once, point by point."""
    count = len(calls[""][0].output)
    while module and not (len(calls.get(module, ())) == 1 and _is_pointwise(calls[module][0], count)):
        module = module.rpartition(".")[0]
    return module


def _local(units: list[Unit], module: str) -> Unit:
    for unit in units:
        if unit.module == module and not unit.linear:
            return unit
    units.append(Unit(module, False))
    return units[-1]


def _features(module: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    """For those of a module's own parameters that its output is linear in: the features, (N, *shape[1:])."""
    if type(module).forward is nn.Linear.forward and inputs.ndim == 2:
        features = {"weight": inputs, "bias": torch.ones_like(inputs[:, 0])}
    elif hasattr(module, "linear_features"):
        features = module.linear_features(inputs)
    else:
        return {}
    # A parametrized weight is no parameter of its module.
    return {name: value.detach() for name, value in features.items() if module._parameters.get(name) is not None}


def _make_parts(model: nn.Module, units: list[Unit], coords: Tensor) -> tuple[Tensor, list[Part]]:
    """The model's values and a part for each unit, made chunk by chunk, since a graph is larger than what is kept."""
    kept: list[dict[str, list[Tensor]]] = [{} for _ in units]
    values = []
    for chunk in coords.split(POINTS):
        calls, found = _called(model, chunk)
        values.append(found.detach())
        sensitivities = _sensitivities(found, [calls[unit.module][0].output for unit in units])
        for unit, store, sensitivity in zip(units, kept, sensitivities, strict=True):
            store.setdefault("sensitivity", []).append(sensitivity)
            inputs = calls[unit.module][0].inputs.detach()
            if unit.linear:
                with torch.no_grad():
                    features = _features(model.get_submodule(unit.module), inputs)
                for name in unit.parameters:
                    store.setdefault(name, []).append(features[name.rpartition(".")[2]])
            else:
                store.setdefault("inputs", []).append(inputs)
    joined = [{name: torch.cat(pieces) for name, pieces in store.items()} for store in kept]
    return torch.cat(values), [_part(model, unit, store) for unit, store in zip(units, joined, strict=True)]


def _sensitivities(values: Tensor, outputs: list[Tensor]) -> Iterator[Tensor]:
    """The derivative of every value by the outputs of its point, (n, C, *outputs), for each of `outputs`."""
    channels = [
        torch.autograd.grad(
            values[:, channel].sum(), outputs, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        for channel in range(values.shape[1])
    ]
    return (torch.stack(pieces, dim=1) for pieces in zip(*channels, strict=True))


def _part(model: nn.Module, unit: Unit, kept: Mapping[str, Tensor]) -> Part:
    if unit.linear:
        shapes = {name: model.get_parameter(name).shape for name in unit.parameters}
        return LinearPart(shapes, {name: kept[name] for name in unit.parameters}, kept["sensitivity"])
    start = len(unit.module) + 1 if unit.module else 0
    names = {name: name[start:] for name in unit.parameters}
    module = model.get_submodule(unit.module)
    ways = {"batched": unit.batched, "forward_mode": unit.forward_mode}
    return LocalPart(module, names, kept["inputs"], kept["sensitivity"], **ways)


def _check(unit: Unit, part: Part, weights: Tensor, truth: Tangents) -> list[str]:
    """The unit's parameters by which the part's gradient is not that of autograd; settles how a local one works."""
    try:
        pulled = part.pull(weights)
        if isinstance(part, LocalPart) and not _settle(unit, part, weights, pulled):
            return list(unit.parameters)
    except Exception:
        # A plugin's module may refuse to be called apart from its model, with whatever exception.
        if not unit.module:
            raise
        return list(unit.parameters)
    return [name for name in unit.parameters if not _agree(pulled[name], truth[name])]


def _settle(unit: Unit, part: LocalPart, weights: Tensor, pulled: Tangents) -> bool:
    """Find out whether the module has rules for vmap and forward mode that are right.

    Returns:
        whether its points are independent: the gradients of single points add up to that of all.
    """
    for way, is_right in (("batched", _gradients_agree), ("forward_mode", _derivatives_agree)):
        try:
            good = is_right(part, weights, pulled)
        except Exception:
            # torch refuses with RuntimeError, a plugin's module with whatever it raises for one point.
            good = False
        if not good:
            setattr(unit, way, False)
            setattr(part, way, False)
    return part.batched or _gradients_agree(part, weights, pulled)


def _gradients_agree(part: LocalPart, weights: Tensor, pulled: Tangents) -> bool:
    """Gradients point by point against those of all points together."""
    gradients = [weights[:, channel] @ part.gradients(channel, slice(None)) for channel in range(weights.shape[1])]
    return _agree(torch.stack(gradients).sum(0), torch.cat([real(pulled[name]).reshape(-1) for name in part.values]))


def _derivatives_agree(part: LocalPart, weights: Tensor, pulled: Tangents) -> bool:
    """Forward mode against two backward passes."""
    forward = part.push(pulled)
    part.forward_mode = False
    try:
        return _agree(forward, part.push(pulled))
    finally:
        part.forward_mode = True


def _agree(found: Tensor, wanted: Tensor) -> bool:
    # Both may be zero, as where every unit of a layer is inactive.
    return bool((found - wanted).norm() <= TOLERANCE * wanted.norm())


def _scaled(gradient: Tensor, scale: Tensor) -> Tensor:
    return torch.view_as_complex(torch.view_as_real(gradient) * scale) if gradient.is_complex() else gradient * scale
