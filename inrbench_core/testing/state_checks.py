"""Checks of what a module holds and of what its output depends on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from inrbench_core.api.components import FieldShape
from inrbench_core.api.errors import BudgetError
from inrbench_core.api.problem import SeedStreams
from inrbench_core.api.spec import ParameterBudget
from inrbench_core.fit.build import build_model, count_parameters
from inrbench_core.fit.chunks import is_chunkable
from inrbench_core.fit.hooks import modules_with, regularisation
from inrbench_core.testing.outcome import Skipped, require
from inrbench_core.testing.subject import Subject

BUDGET = 50_000
# The first chunks of a batch; the rest is the last.
CHUNKS = (1, 2, 7, 100)
# Matrix products of other sizes round otherwise, and a frequency of 1000 rad per unit magnifies it.
CHUNK_TOLERANCE = 1e-3
OPTIONAL_METHODS = ("parameter_groups", "regularisation", "set_progress")


def check_same_seed_same_weights(subject: Subject) -> None:
    """Two builds after the same torch.manual_seed are equal, bit for bit, and so are their outputs."""
    for part in subject.parts:
        one, two = part.build(7), part.build(7)
        changed = _differing(one, two)
        require(not changed, f"{part.label}: {', '.join(changed)} differ between two builds with one seed")
        x = part.inputs()
        require(_identical(one(x), two(x)), f"{part.label}: outputs differ between two builds with one seed")


def check_other_seed_other_weights(subject: Subject) -> None:
    """Another seed gives other weights, where anything is drawn at all."""
    drawn = False
    for part in subject.parts:
        with _Draws() as draws:  # type: ignore[no-untyped-call]
            one = part.build(7)
        if draws.count:
            drawn = True
            two, x = part.build(8), part.inputs()
            differ = bool(_differing(one, two)) or not _identical(one(x), two(x))
            require(differ, f"{part.label}: draws random numbers, but another seed changes nothing")
    if not drawn:
        raise Skipped("nothing in it is drawn at random")


def check_state_dict_round_trip(subject: Subject) -> None:
    """A twin of another seed that loads the state gives the same output, bit for bit."""
    for part in subject.parts:
        module, twin, x = part.build(7), part.build(8), part.inputs()
        state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        twin.load_state_dict(state)
        require(
            _identical(module(x), twin(x)),
            f"{part.label}: the output changes when the state is saved and loaded: something drawn is not in "
            "state_dict (a parameter, or register_buffer)",
        )


def check_deterministic(subject: Subject) -> None:
    """The same input gives the same output, in training and in evaluation."""
    for part in subject.parts:
        module, x = part.build(), part.inputs()
        for training in (True, False):
            module.train(training)
            same = _identical(module(x), module(x))
            require(same, f"{part.label}: a second call with the same input gives another output")


def check_chunked_equals_whole(subject: Subject) -> None:
    """Points in chunks give the outputs, and gradients that sum to the gradient, of all points at once."""
    for part in subject.parts:
        module, x = part.build(), part.inputs()
        if not is_chunkable(module):
            raise Skipped("it says that points depend on each other (pointwise = False, or a batch norm)")
        whole, whole_gradients = _output_and_gradients(module, [x])
        chunked, gradients = _output_and_gradients(module, list(torch.split(x, [*CHUNKS, len(x) - sum(CHUNKS)])))
        error = _relative(chunked, whole)
        require(error < CHUNK_TOLERANCE, f"{part.label}: chunks change the output by {error:.2g} of its largest value")
        for name, gradient in gradients.items():
            error = _relative(gradient, whole_gradients[name])
            require(error < CHUNK_TOLERANCE, f"{part.label}: chunks change the gradient of {name} by {error:.2g}")


def check_parameter_count(subject: Subject) -> None:
    """All that is trained is in parameters(), and the count without memory, for budgets, is the true one."""
    for part in subject.parts:
        module = part.build()
        known = {id(parameter) for parameter in module.parameters()}
        hidden = [tuple(leaf.shape) for leaf in _leaves(module(part.inputs(3))) if id(leaf) not in known]
        require(not hidden, f"{part.label}: tensors of shape {hidden} are trained but not in parameters()")
        try:
            with torch.device("meta"):
                counted = count_parameters(part.build())
        except (RuntimeError, NotImplementedError, TypeError, ValueError):
            continue  # budgets then count a real module
        true = count_parameters(module)
        require(counted == true, f"{part.label}: has {true} parameters, and {counted} when built to count them")


def check_optional_methods(subject: Subject) -> None:
    """The methods that the fit engine looks for by name, where there are any, keep to their contract."""
    found = False
    for part in subject.parts:
        module, x = part.build(), part.inputs(7)
        grouping, regularised, staged = (modules_with(module, name) for name in OPTIONAL_METHODS)
        found = found or bool(grouping or regularised or staged)
        for share in (0.0, 0.5, 1.0):
            for inner in staged:
                inner.set_progress(share)
            finite = bool(torch.isfinite(module(x)).all())
            require(finite, f"{part.label}: after set_progress({share:g}) the output is not finite")
        for inner in grouping:
            _require_groups(inner, part.label)
        term = regularisation(regularised)
        if term is not None:
            plain = term.ndim == 0 and bool(torch.isfinite(term)) and term.requires_grad
            require(plain, f"{part.label}: regularisation() should give a finite scalar with a gradient")
    if not found:
        raise Skipped(f"it has none of the methods {', '.join(OPTIONAL_METHODS)}")


def _require_groups(module: Any, label: str) -> None:
    """Groups hold the module's own parameters, each once, with rates that grow with the run's."""
    own = {id(parameter) for parameter in module.parameters()}
    groups, doubled = module.parameter_groups(0.1), module.parameter_groups(0.2)
    held = [id(parameter) for group in groups for parameter in group["params"]]
    require(set(held) <= own, f"{label}: parameter_groups() holds what is no parameter of the module")
    require(len(held) == len(set(held)), f"{label}: parameter_groups() holds a parameter twice")
    rates = [(group["lr"], twice["lr"]) for group, twice in zip(groups, doubled, strict=True)]
    require(
        all(0 < once <= twice for once, twice in rates), f"{label}: parameter_groups(): rates {rates} at lr 0.1 and 0.2"
    )


def check_width_budget(subject: Subject) -> None:
    """A parameter budget is met within 2 %, and the count that is reported is the module's."""
    name = subject.width_name
    if name is None:
        raise Skipped("the spec has no width")
    component = subject.component.with_spec(**{name: ParameterBudget(parameters=BUDGET)})
    shapes = {"field": FieldShape(subject.dimensions, 3)}
    try:
        built = build_model(component, shapes, seeds=SeedStreams(0), device=torch.device("cpu"))
    except BudgetError as error:
        raise AssertionError(str(error)) from None
    true = count_parameters(built.model)
    require(abs(true - BUDGET) <= 0.02 * BUDGET, f"{true} parameters for a budget of {BUDGET}")
    require(true == built.parameters, f"{built.parameters} parameters are reported, and there are {true}")


class _Draws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations within it that draw from a random generator."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += torch.Tag.nondeterministic_seeded in func.tags
        return func(*args, **(kwargs or {}))


def _differing(one: nn.Module, two: nn.Module) -> list[str]:
    other = {**dict(two.named_parameters()), **dict(two.named_buffers())}
    mine = {**dict(one.named_parameters()), **dict(one.named_buffers())}
    return [name for name, tensor in mine.items() if name not in other or not _identical(tensor, other[name])]


def _identical(one: Tensor, two: Tensor) -> bool:
    return one.shape == two.shape and bool(torch.equal(one, two))


def _output_and_gradients(module: nn.Module, chunks: list[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    module.zero_grad()
    outputs = []
    for chunk in chunks:
        y = module(chunk)
        if y.requires_grad:
            y.square().sum().backward()
        outputs.append(y.detach())
    gradients = {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}
    return torch.cat(outputs), gradients


def _relative(one: Tensor, two: Tensor) -> float:
    """The largest difference, relative to the largest value."""
    if one.shape != two.shape:
        return float("inf")
    scale = two.abs().max().item() if two.numel() else 0.0
    return (one - two).abs().max().item() / scale if scale > 0 else float(bool(one.any()))


def _leaves(y: Tensor) -> list[Tensor]:
    """The leaf tensors that autograd would give gradients to."""
    found, seen, queue = [], set(), [y.grad_fn]
    while queue:
        node = queue.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if variable is not None:
            found.append(variable)
        queue += [parent for parent, _ in node.next_functions]
    return found
