"""Checks of shapes and dtypes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from inrbench_core.testing.outcome import Skipped, require
from inrbench_core.testing.subject import WIDTH, Subject

BATCHES = (0, 1, 2, 7)


def check_out_features(subject: Subject) -> None:
    """(N, in_features) becomes (N, out_features), float32, with the out_features that was declared."""
    for part in subject.parts:
        module = part.build()
        declared = module.out_features if subject.kind == "encoding" else WIDTH
        y = module(part.inputs(5))
        require(
            tuple(y.shape) == (5, declared),
            f"{part.label}: input (5, {part.in_features}) should give (5, {declared}), and gives {tuple(y.shape)}",
        )


def check_batch_sizes(subject: Subject) -> None:
    """Any number of points goes through, forward and backward: none, one, two, seven."""
    for part in subject.parts:
        module = part.build()
        for batch in BATCHES:
            x = part.inputs(batch).requires_grad_()
            y = module(x)
            require(len(y) == batch, f"{part.label}: {batch} points give {len(y)} rows")
            if y.requires_grad:
                y.sum().backward()


def check_dtypes(subject: Subject) -> None:
    """float32 gives float32, and after `module.double()` float64 gives float64."""
    for part in subject.parts:
        module, x = part.build(), part.inputs(7)
        y = module(x)
        require(y.dtype == torch.float32, f"{part.label}: float32 gives {y.dtype}")
        if is_complex(module):
            raise Skipped("float32 is right; it has complex tensors, which module.double() leaves as they are")
        y = module.double()(x.double())
        require(y.dtype == torch.float64, f"{part.label}: float64 gives {y.dtype}")


def check_elementwise(subject: Subject) -> None:
    """An activation keeps any shape, and treats every number alike and apart from the others."""
    activation = subject.component.build(position="hidden")
    x = torch.linspace(-2.0, 2.0, 24)
    y: Tensor = activation(x)
    require(y.shape == x.shape, f"input {tuple(x.shape)} gives {tuple(y.shape)}")
    for shape in ((2, 3, 4), (24, 1)):
        shaped = activation(x.reshape(shape))
        require(tuple(shaped.shape) == shape, f"input {shape} gives {tuple(shaped.shape)}")
        require(torch.allclose(shaped.reshape(-1), y, atol=1e-6), f"numbers in shape {shape} are treated otherwise")
    require(torch.allclose(activation(x.flip(0)), y.flip(0), atol=1e-6), "a number's place matters")


def is_complex(module: nn.Module) -> bool:
    """Whether it has complex parameters or buffers."""
    return any(tensor.is_complex() for tensor in (*module.parameters(), *module.buffers()))
