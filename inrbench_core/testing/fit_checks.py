"""Checks that train a little, compile, or move to another device."""

from __future__ import annotations

import logging
from functools import cache
from itertools import product
from typing import cast

import numpy as np
import torch
from skimage import data
from torch import Tensor

from inrbench_core.api.problem import grid_coords
from inrbench_core.testing.outcome import Skipped, require
from inrbench_core.testing.subject import Subject

SIDE, ROW, COLUMN = 32, 96, 208
STEPS = 150
OVERFIT_STEPS = 1000
# Components differ in the learning rate they bear by more than a factor of ten: one has to do.
RATES = (3e-3, 3e-2)
# A network that ends in its biases has 0 dB; the slowest sound one, of sigmoids, came to 0.6 dB.
GAIN_DB = 0.3
TARGETS = 4
LARGEST_TARGET = 3.0


def check_output_not_confined(subject: Subject) -> None:
    """A network with 1 and with 3 outputs fits random values up to 3 in size at 4 points to 1e-3.

    A norm or a bounded function after the last layer would prevent it.
    """
    coords = subject.part.inputs(TARGETS)
    for out_features in (1, 3):
        generator = torch.Generator().manual_seed(22)
        target = LARGEST_TARGET * (2.0 * torch.rand(TARGETS, out_features, generator=generator) - 1.0)
        errors = []
        for overfit, seed in product((_overfit, _overfit_slowly), range(3)):
            errors.append(overfit(subject, coords, target, seed))
            if errors[-1] < 1e-3:
                break
        error = min(errors)
        require(error < 1e-3, f"with {out_features} outputs it misses values in [-3, 3] by {error:.2g}")


def check_learns(subject: Subject) -> None:
    """In 150 steps at most it comes nearer to a 32 x 32 crop of a photograph than its mean, by 0.3 dB."""
    gains = [_gain(subject, rate) for rate in RATES[:1]]
    if gains[0] < GAIN_DB:
        gains += [_gain(subject, rate) for rate in RATES[1:]]
    require(
        max(gains) >= GAIN_DB,
        f"best of rates {RATES}: {max(gains):.2f} dB above the picture's mean, not {GAIN_DB:g} dB",
    )


def check_compiles(subject: Subject) -> None:
    """torch.compile captures it in one graph with the same output, or the result says why not."""
    part = subject.part
    module, x = part.build(), part.inputs()
    log = logging.getLogger("torch")
    level = log.level
    torch.compiler.reset()
    log.setLevel(logging.CRITICAL)
    try:
        # Not inductor: generating code takes long, and says nothing of the component.
        compiled = torch.compile(module, fullgraph=True, backend="eager")
        y = compiled(x)
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise Skipped(f"torch.compile does not capture it: {lines[0]}") from None
    finally:
        log.setLevel(level)
        torch.compiler.reset()
    require(torch.allclose(y, module(x), atol=1e-5, rtol=1e-4), f"{part.label}: compiled, it gives another output")


def check_cuda(subject: Subject) -> None:
    """On a GPU it gives the output it gives on the CPU, and gradients."""
    if not torch.cuda.is_available():
        raise Skipped("no CUDA device here")
    for part in subject.parts:
        module, x = part.build(), part.inputs()
        expected = module(x).detach()
        y = module.cuda()(x.cuda())
        require(y.device.type == "cuda", f"{part.label}: the output is on {y.device}")
        if y.requires_grad:
            y.sum().backward()
        error = (y.detach().cpu() - expected).abs().max().item()
        scale = max(1.0, expected.abs().max().item())
        require(error < 1e-3 * scale, f"{part.label}: differs from the CPU by {error:.2g}")


def _overfit(subject: Subject, coords: Tensor, target: Tensor, seed: int) -> float:
    """The largest error that is left after a few steps of a second-order method."""
    torch.manual_seed(seed)
    network = subject.network(target.shape[1])
    optimizer = torch.optim.LBFGS(
        network.parameters(), max_iter=200, tolerance_grad=1e-9, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> float:
        optimizer.zero_grad()
        value: Tensor = (network(coords) - target).square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return cast(float, value)

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        error = (network(coords) - target).abs().max().item()
    return error if np.isfinite(error) else float("inf")


def _overfit_slowly(subject: Subject, coords: Tensor, target: Tensor, seed: int) -> float:
    """The largest error that is left after Adam, which finds its way where wavelets leave long plains."""
    torch.manual_seed(seed)
    network = subject.network(target.shape[1])
    optimizer = torch.optim.Adam(network.parameters(), RATES[0])
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, OVERFIT_STEPS)
    for _ in range(OVERFIT_STEPS):
        optimizer.zero_grad()
        (network(coords) - target).square().sum().backward()
        optimizer.step()
        scheduler.step()
    with torch.no_grad():
        error = (network(coords) - target).abs().max().item()
    return error if np.isfinite(error) else float("inf")


def _gain(subject: Subject, rate: float) -> float:
    """How much nearer to the picture than its mean the network comes at that rate, dB; stops at GAIN_DB."""
    torch.manual_seed(0)
    coords, values = picture(subject.dimensions)
    network = subject.network(1)
    optimizer = torch.optim.Adam(network.parameters(), rate)
    best, power = -float("inf"), values.square().mean().item()
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = (network(coords) - values).square().mean()
        loss.backward()
        optimizer.step()
        error = loss.item()
        if not np.isfinite(error):
            break
        best = max(best, 10.0 * float(np.log10(power / error)) if error > 0 else float("inf"))
        if best >= GAIN_DB:
            break
    return best


@cache
def picture(dimensions: int) -> tuple[Tensor, Tensor]:
    """A crop of scikit-image's cameraman, zero in the mean: coords (1024, dimensions), values (1024, 1).

    With one coordinate it is the crop's rows, one after the other; a third coordinate is 0.5.
    """
    crop = data.camera()[ROW : ROW + SIDE, COLUMN : COLUMN + SIDE].astype(np.float32) / 127.5  # type: ignore[no-untyped-call]
    values = torch.from_numpy(crop - crop.mean()).reshape(-1, 1)
    if dimensions == 1:
        return grid_coords((SIDE * SIDE,)), values
    plane = grid_coords((SIDE, SIDE))
    rest = torch.full((len(plane), dimensions - 2), 0.5)
    return torch.cat([plane, rest], dim=1), values
