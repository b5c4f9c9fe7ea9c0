"""Checks of values and gradients."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from inrbench_core.testing.outcome import Skipped, require
from inrbench_core.testing.shape_checks import is_complex
from inrbench_core.testing.subject import Part, Subject

EDGES = (0.0, -1.0, 1.0, -1e-8, 1e-8, -10.0, 10.0, -100.0, 100.0)
NEAR, FAR = (0.2, 0.1, 0.3), (0.9, 0.5, -0.4)
LEAST_STD, MOST_STD = 0.01, 10.0
STACK_WIDTH, STACK_DEPTH = 256, 4
KAN_WIDTH = 64


def check_finite_values(subject: Subject) -> None:
    """No NaN and no infinity over the domain, at its edges, near 0 and far outside."""
    for part, module, label, x in _cases(subject):
        y = module(x)
        require(_finite(y), f"{part.label}, {x.dtype}: the output is not finite {label}")


def check_finite_gradients(subject: Subject) -> None:
    """Gradients by the input and by all parameters are finite at the same places."""
    for part, module, label, x in _cases(subject):
        module.zero_grad()
        x.requires_grad_()
        y = module(x)
        if not y.requires_grad:
            continue
        y.sum().backward()
        tensors = {"the input": x, **dict(module.named_parameters())}
        for name, tensor in tensors.items():
            finite = tensor.grad is None or _finite(tensor.grad)
            require(finite, f"{part.label}, {x.dtype}: the gradient by {name} is not finite {label}")


def check_finite_second_derivatives(subject: Subject) -> None:
    """Second derivatives by the input are finite over the domain, unless the spec says there are none."""
    offered = subject.component.derivatives()
    if offered is not None and offered < 2:
        raise Skipped(f"the spec says that it has only {offered} useful derivatives")
    for part in subject.parts:
        module, x = part.build(), part.inputs().requires_grad_()
        y = module(x)
        if not y.requires_grad:
            continue
        (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        if not first.requires_grad:
            continue
        (second,) = torch.autograd.grad(first.sum(), x, allow_unused=True)
        require(second is None or _finite(second), f"{part.label}: a second derivative is not finite")


def check_no_dead_parameters(subject: Subject) -> None:
    """After a backward pass over the domain no parameter has an all-zero gradient, nor a slice of one along K."""
    trained = False
    for part in subject.parts:
        module = part.build()
        y = module(part.inputs())
        if not any(parameter.requires_grad for parameter in module.parameters()):
            continue
        require(y.requires_grad, f"{part.label}: the output depends on no parameter, and there are some")
        weights = torch.randn(y.shape, generator=torch.Generator().manual_seed(21))
        (y * weights).sum().backward()
        for name, parameter in module.named_parameters():
            trained = True
            gradient = parameter.grad
            require(gradient is not None, f"{part.label}: nothing depends on {name}")
            assert gradient is not None
            require(bool(gradient.any()), f"{part.label}: the gradient of {name} is zero everywhere")
            # Coefficients of univariate functions are (out, in, K): one without a gradient does nothing. Within
            # a field the inputs of inner layers need not cover their domain, so that proves nothing there.
            sliced = gradient.ndim > 2 and subject.kind != "field"
            alive = gradient.flatten(0, -2).ne(0).any(dim=0) if sliced else torch.tensor([True])
            dead = [index for index, lives in enumerate(alive.tolist()) if not lives]
            require(not dead, f"{part.label}: {name}[..., {dead}] have zero gradients")
    if not trained:
        raise Skipped("it has no trainable parameters")


def check_coordinates_matter(subject: Subject) -> None:
    """The point (0.2, 0.1) does not look like (0.9, 0.5), nor like itself with one coordinate changed."""
    part = subject.part
    module = part.build() if subject.kind != "field" else subject.network(1)
    near, far = (torch.tensor([point[: part.in_features]]) for point in (NEAR, FAR))
    moved = {"all coordinates": far}
    for axis in range(part.in_features):
        moved[f"coordinate {axis}"] = torch.where(torch.arange(part.in_features) == axis, far, near)
    with torch.no_grad():
        here = module(near)
        for what, point in moved.items():
            difference = (module(point) - here).abs().max().item()
            threshold = 1e-4 * here.abs().max().item()
            require(difference > threshold, f"moving {what} changes the output by {difference:.2g} only")


def check_first_batch_statistics(subject: Subject) -> None:
    """At the start, what each layer gives varies across points with a std in [0.01, 10].

    Measured are the linear layers' outputs (pre-activations) of a network of 6 layers, 256 wide, or
    the outputs of a KAN of 6 layers, 64 wide.
    """
    width = KAN_WIDTH if subject.kind == "basis" else STACK_WIDTH
    layers = list(subject.network(1, width=width, depth=STACK_DEPTH).children())[:-1]
    step = 2 if subject.kind == "activation" else 1
    x = subject.part.inputs(1024)
    with torch.no_grad():
        for index, layer in enumerate(layers):
            x = layer(x)
            if index % step:
                continue
            std = x.std(dim=0).square().mean().sqrt().item()
            if std < LEAST_STD and subject.kind == "activation" and _contracts(layers[1]):
                raise Skipped(
                    f"layer {index // step} varies by {std:.2g} across points, but the function is monotone and "
                    "bounded with a slope of at most 1/4: it contracts under any usual initialisation"
                )
            require(
                LEAST_STD <= std <= MOST_STD,
                f"layer {index // step} of {len(layers) // step} varies by {std:.2g} across points, "
                f"not by {LEAST_STD:g} to {MOST_STD:g}",
            )


def _contracts(activation: nn.Module) -> bool:
    """Whether it is like the sigmoid: monotone, with a slope of at most 1/4 that goes to zero at both ends."""
    z = torch.linspace(-30.0, 30.0, 6001, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(activation(z).sum(), z)
    monotone = bool((slope >= 0).all() or (slope <= 0).all())
    steepest, ends = slope.abs().max().item(), max(abs(slope[0].item()), abs(slope[-1].item()))
    return monotone and steepest <= 0.25 + 1e-9 and ends < 1e-6


def _cases(subject: Subject) -> Iterator[tuple[Part, nn.Module, str, Tensor]]:
    for part in subject.parts:
        for dtype in (torch.float32, torch.float64):
            module = part.build()
            if dtype == torch.float64:
                if is_complex(module):
                    continue
                module = module.double()
            yield part, module, "over the domain", part.inputs().to(dtype)
            for edge in EDGES:
                # One column at the edge at a time matters too: norms and products mix columns.
                x = part.inputs(part.in_features + 1).to(dtype)
                x[0] = edge
                x[range(1, part.in_features + 1), range(part.in_features)] = edge
                yield part, module, f"at {edge:g}", x


def _finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())
