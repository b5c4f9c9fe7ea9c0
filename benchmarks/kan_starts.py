"""Which start and which normalisation of the functions suits the bases of KANs best.

    python benchmarks/kan_starts.py [--bases BASIS ...] [--steps 100]

Fits a KAN 12 wide, of four layers, to three pictures that no table of this project shows: crops of scikit-image's
coins, clock and text, of 24 x 24 pixels. Three quarters of them, drawn at random, are fitted by Adam at two rates,
of which the better one counts; the others are held out. Prints PSNR in dB as a mean over the pictures. Takes about four
minutes of one core.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
import time
from collections import defaultdict
from statistics import mean
from typing import Any

import numpy as np
import skimage.data
import torch
from torch import Tensor

from inrbench_core import FieldShape
from inrbench_core.plugins.loading import load_catalog

POLYNOMIALS = (
    *("chebyshev", "chebyshev2", "legendre", "jacobi", "gegenbauer", "hermite", "laguerre", "bessel"),
    *("fibonacci", "lucas"),
)
BASES = (*POLYNOMIALS, "bspline", "rbf", "fourier", "mexican_hat", "dog")
# Without `normalize`.
WAVELETS = ("mexican_hat", "dog", "morlet", "meyer", "shannon")
STARTS = ("published", "unit", "lecun", "glorot", "power")
CHOICES = (*itertools.product(("none", "variance"), STARTS), ("rms", "unit"))
RATES = (1e-3, 1e-2)
WIDTH, PIXELS = 12, 24
CATALOG = load_catalog([])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bases", nargs="+", default=BASES, metavar="BASIS")
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    began, (coords, values) = time.process_time(), pictures()
    found: dict[tuple[str, str], dict[str, tuple[float, float]]] = defaultdict(dict)
    for basis in options.bases:
        for normalize, scale in CHOICES:
            if basis in WAVELETS and normalize != "none":
                continue
            chosen = {"name": basis, "scale": scale}
            # B-splines have no bias by default, which centred ones need: all of them get one.
            chosen |= {} if basis in WAVELETS else {"normalize": normalize, "bias": True}
            best = fitted(chosen, coords, values, options.steps)
            found[normalize, scale][basis] = (mean(fit for fit, _ in best), mean(held for _, held in best))
        figures = {" ".join(choice): row[basis] for choice, row in found.items() if basis in row}
        print(f"{basis}, {time.process_time() - began:.0f} s: {figures}", file=sys.stderr, flush=True)
    for number, what in enumerate(("fitted values", "values held out")):
        print(f"\n{what}: PSNR in dB\n")
        show({choice: {basis: pair[number] for basis, pair in row.items()} for choice, row in found.items()})
    print(f"\n{time.process_time() - began:.0f} s")


def pictures() -> tuple[Tensor, Tensor]:
    """Coordinates (N, 2) in [-1, 1] and values (3, N) in [0, 1] of crops of coins, clock and text."""
    axis = (torch.arange(PIXELS) + 0.5) * (2.0 / PIXELS) - 1.0
    crops = []
    for name, row, column, step in (("coins", 40, 40, 2), ("clock", 100, 150, 3), ("text", 20, 60, 1)):
        picture = np.asarray(getattr(skimage.data, name)(), dtype=np.float32) / 255.0
        crop = picture[row : row + PIXELS * step, column : column + PIXELS * step]
        crops.append(crop.reshape(PIXELS, step, PIXELS, step).mean(axis=(1, 3)).ravel())
    return torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1).flatten(0, 1), torch.from_numpy(
        np.stack(crops)
    )


def fitted(basis: dict[str, Any], coords: Tensor, values: Tensor, steps: int) -> list[tuple[float, float]]:
    """PSNR of the values fitted and held out, of each picture, at the rate whose fit is best.

    All pictures and rates train together, by Adam in full batches; the rates fall as a cosine to a hundredth.

    Args:
        basis: its name and options.
        coords: (N, D) in [-1, 1].
        values: (pictures, N) in [0, 1].
        steps: of Adam.
    """
    kept = torch.rand(len(coords), generator=torch.Generator().manual_seed(0)) < 0.75
    torch.manual_seed(0)
    field = CATALOG.resolve("field", {"name": "kan", "basis": basis, "width": WIDTH, "depth": 2})
    model = field.build(FieldShape(coords.shape[1], 1))
    members = len(values) * len(RATES)
    state = {
        name: parameter.detach().expand(members, *parameter.shape).clone()
        for name, parameter in model.named_parameters()
    }
    moments = {name: (torch.zeros_like(tensor), torch.zeros_like(tensor)) for name, tensor in state.items()}
    rates = torch.tensor(RATES).repeat_interleave(len(values))
    # The network learns values of zero mean and unit variance.
    shift, unit = values.mean(1, keepdim=True), values.std(1, keepdim=True)
    targets = ((values - shift) / unit).repeat(len(RATES), 1)

    def outputs(state: dict[str, Tensor], points: Tensor) -> Tensor:
        return torch.func.functional_call(model, state, (points,))[:, 0]

    def loss(state: dict[str, Tensor], target: Tensor) -> Tensor:
        return (outputs(state, coords[kept]) - target).square().mean()

    gradients = torch.func.vmap(torch.func.grad(loss))
    for step in range(1, steps + 1):
        factor = 0.01 + 0.99 * (1.0 + math.cos(math.pi * step / steps)) / 2.0
        for name, gradient in gradients(state, targets[:, kept]).items():
            first, second = moments[name]
            first.lerp_(gradient, 0.1)
            second.lerp_(gradient.square(), 0.001)
            change = first / (1.0 - 0.9**step) / ((second / (1.0 - 0.999**step)).sqrt() + 1e-8)
            state[name] -= change * (rates * factor).reshape(-1, *[1] * (gradient.ndim - 1))
    with torch.no_grad():
        squares = (torch.func.vmap(outputs, in_dims=(0, None))(state, coords) - targets).square()
    squares = squares.reshape(len(RATES), *values.shape).nan_to_num(1e4) * unit.square()
    fit, held = (-10.0 * squares[..., part].mean(-1).clamp(min=1e-20).log10() for part in (kept, ~kept))
    best = fit.argmax(0, keepdim=True)
    return list(zip(fit.gather(0, best)[0].tolist(), held.gather(0, best)[0].tolist(), strict=True))


def show(table: dict[tuple[str, str], dict[str, float]]) -> None:
    """Print a row for each choice, a column for each basis and one for the mean of those that all choices have."""
    bases = list(dict.fromkeys(basis for row in table.values() for basis in row))
    shared = [basis for basis in bases if all(basis in row for row in table.values())]
    print("| normalize | scale | " + " | ".join(bases) + " | mean |")
    print("| --- | --- |" + " ---: |" * (len(bases) + 1))
    for (normalize, scale), row in table.items():
        cells = [f"{row[basis]:.1f}" if basis in row else "" for basis in bases]
        print(f"| {normalize} | {scale} | " + " | ".join(cells) + f" | {mean(row[basis] for basis in shared):.2f} |")


if __name__ == "__main__":
    main()
