"""Recipes that carry a publication's name beside its code, from the user's own checkouts, on one picture.

    python benchmarks/recipes.py --checkouts DIR [--size 32] [--steps 300] [--recipes efficient-kan siren]

DIR holds clones of the repositories below, each in a folder of its repository's name. Their network is made as their
code makes it, and its parameters are copied into ours, so that no luck of the start is between both; how they start,
the tests of recipes compare. "Differs" is the largest difference of both outputs before training, as a share of the
largest output. Both are then trained by the same engine (the camera, one pixel in ten held out, whole batch, the
recipe's own training), and are to agree within 0.5 dB of the training pixels. Recipes of ours start as they do, and
stand beside the published ones whose functions they share.

`fourier-features` is published as a notebook for jax: its stand-in here is written anew from it, with coordinates in
[0, 1) and sigma 10.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from common import training_spec, verdict
from published_code import Published
from torch import Tensor, nn

from inrbench_core.api.problem import Problem, SeedStreams
from inrbench_core.fit import build_model, fit
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.loading import load_catalog

REPOSITORIES = {
    "efficient-kan": "https://github.com/Blealtan/efficient-kan",
    "fast-kan": "https://github.com/ZiyaoLi/fast-kan",
    "ChebyKAN": "https://github.com/SynodicMonth/ChebyKAN",
    "Wav-KAN": "https://github.com/zavareh1/Wav-KAN",
    "siren": "https://github.com/vsitzmann/siren",
    "FINER": "https://github.com/liuzhen0212/FINER",
    "wire": "https://github.com/vishwa91/wire",
    "BSPS6": "https://github.com/Fre-Ar/BSPS6",
}
CLOSE_DB = 0.5
KAN_SIZES = (2, 64, 64, 64, 1)
# A recipe of ours, and the published one with its functions.
OURS = {
    "kan-bspline": "efficient-kan",
    "kan-rbf": "fast-kan",
    "kan-chebyshev": "cheby-kan",
    "kan-wavelet": "wav-kan",
}


def published(file: str, make: Callable[[ModuleType], nn.Module]) -> Callable[[Path], nn.Module]:
    return Published(file, make).load


def chebyshev(module: ModuleType) -> nn.Module:
    """As in the repository's example: a LayerNorm after every layer but the last."""
    layers: list[nn.Module] = []
    for size_in, size_out in itertools.pairwise(KAN_SIZES):
        layers += [module.ChebyKANLayer(size_in, size_out, 4), nn.LayerNorm(size_out)]
    return nn.Sequential(*layers[:-1])


class Siren(nn.Module):
    """SIREN's own network, which takes and returns dictionaries."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__()
        self.net = module.SingleBVPNet(out_features=1, hidden_features=256, num_hidden_layers=3)

    def forward(self, coords: Tensor) -> Tensor:
        values: Tensor = self.net({"coords": coords})["model_out"]
        return values


class FourierFeatures(nn.Module):
    """4 linear layers 256 wide behind 256 Fourier features of coordinates in [0, 1); values scaled to [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("directions", 10.0 * torch.randn(256, 2))
        linears = [nn.Linear(*sizes) for sizes in itertools.pairwise((512, 256, 256, 256, 1))]
        for linear in linears:
            nn.init.xavier_normal_(linear.weight)
            nn.init.normal_(linear.bias, 0.0, 0.01)
        parts = [part for linear in linears for part in (linear, nn.ReLU())]
        self.layers = nn.Sequential(*parts[:-1], nn.Sigmoid())

    def forward(self, coords: Tensor) -> Tensor:
        angles = 2 * math.pi * ((coords + 1) / 2) @ self.directions.T
        values: Tensor = self.layers(torch.cat([angles.sin(), angles.cos()], dim=1))
        return 2 * values - 1


def derived(module: str, name: str, width: int, **options: object) -> Callable[[Path], nn.Module]:
    """A network of 6 layers of the code that is derived from INR-Bench's."""

    def load(checkouts: Path) -> nn.Module:
        sys.path.insert(0, str(checkouts / "BSPS6/src"))
        try:
            make = getattr(import_module(f"models.{module}"), name)
        finally:
            sys.path.pop(0)
        model: nn.Module = make(2, 1, num_layers=6, layer_width=width, **options)
        return model

    return load


def derived_kan(basis: str) -> Callable[[Path], nn.Module]:
    return derived("kan.coordinate_kan", "CoordinateKAN", 64, basis=basis, **GRIDS)


def derived_mlp(activation: str) -> Callable[[Path], nn.Module]:
    return derived("mlp.coordinate_mlp", "CoordinateMLP", 256, act=activation, **PARAMETERS)


GRIDS = {"input_grid_size": 8, "hidden_grid_size": 8, "output_grid_size": 8}
PARAMETERS = {
    "sine_w0": 30.0,
    "sine_w": 30.0,
    "gaussian_a": 0.1,
    "gaussian_b": 1.0,
    "quadratic_a": 3.0,
    "gabor_a": 1.0,
    "gabor_b": 1.0,
}


def layers_of(model: nn.Module) -> list[Any]:
    """The layers with parameters of a network of ours or theirs, without norms."""
    layers = model.layers if isinstance(getattr(model, "layers", None), nn.ModuleList | nn.Sequential) else model
    return [layer for layer in layers if not isinstance(layer, nn.LayerNorm | nn.BatchNorm1d)]


def linears_of(model: nn.Module) -> list[Any]:
    return [part for part in model.modules() if isinstance(part, nn.Linear)]


def copy_splines(ours: nn.Module, theirs: nn.Module) -> None:
    for mine, its in zip(layers_of(ours), layers_of(theirs), strict=True):
        mine.parametrizations.coefficients.original.copy_(its.spline_weight)
        mine.parametrizations.coefficients[0].scale.copy_(its.spline_scaler.unsqueeze(-1))
        mine.base.weight.copy_(its.base_weight)


def copy_bells(ours: nn.Module, theirs: nn.Module) -> None:
    for mine, its in zip(layers_of(ours), layers_of(theirs), strict=True):
        mine.coefficients.copy_(its.spline_linear.weight.reshape(mine.coefficients.shape))
        mine.base.weight.copy_(its.base_linear.weight)
        mine.bias.copy_(its.base_linear.bias)


def copy_chebyshev(ours: nn.Module, theirs: nn.Module) -> None:
    for mine, its in zip(layers_of(ours), layers_of(theirs), strict=True):
        mine.coefficients.copy_(its.cheby_coeffs.transpose(0, 1))


def copy_wavelets(ours: nn.Module, theirs: nn.Module) -> None:
    for mine, its in zip(layers_of(ours), layers_of(theirs), strict=True):
        # Their hat is upside down.
        mine.weight.copy_(-its.wavelet_weights)


def copy_waves(ours: nn.Module, theirs: nn.Module) -> None:
    for mine, its in zip(layers_of(ours), layers_of(theirs), strict=True):
        mine.coefficients.copy_(torch.cat(list(its.fouriercoeffs), dim=-1))
        mine.bias.copy_(its.bias[0])


def copy_linears(ours: nn.Module, theirs: nn.Module) -> None:
    for mine, its in zip(linears_of(ours), linears_of(theirs), strict=True):
        mine.weight.copy_(its.weight)
        mine.bias.copy_(its.bias)


def copy_complex(ours: nn.Module, theirs: nn.Module) -> None:
    *mine, last = linears_of(ours)
    *its, its_last = linears_of(theirs)
    for one, other in zip(mine, its, strict=True):
        one.weight.copy_(other.weight)
        one.bias.copy_(other.bias)
    # The real part of a complex product.
    last.weight.copy_(torch.stack([its_last.weight.real, -its_last.weight.imag], dim=-1).flatten(1))
    last.bias.copy_(its_last.bias.real)


def copy_features(ours: nn.Module, theirs: nn.Module) -> None:
    copy_linears(ours, theirs)
    ours.encoding.directions.copy_(theirs.directions.T / 2)
    # Phases at our origin, the middle of the picture, are 0; there, those of the first corner.
    phase = math.pi * theirs.directions.sum(dim=1)
    sines, cosines = theirs.layers[0].weight.chunk(2, dim=1)
    turned = [sines * phase.cos() - cosines * phase.sin(), sines * phase.sin() + cosines * phase.cos()]
    linears_of(ours)[0].weight.copy_(torch.cat(turned, dim=1))


Make = Callable[[Path], nn.Module]
Copy = Callable[[nn.Module, nn.Module], None]
SPLINES = "efficient-kan/src/efficient_kan/kan.py"
# Recipe: the repository, or none, how to make its network, and how to copy its parameters into ours.
THEIRS: dict[str, tuple[str, Make, Copy]] = {
    "efficient-kan": ("efficient-kan", published(SPLINES, lambda m: m.KAN(KAN_SIZES)), copy_splines),
    "fast-kan": ("fast-kan", published("fast-kan/fastkan/fastkan.py", lambda m: m.FastKAN(KAN_SIZES)), copy_bells),
    "cheby-kan": ("ChebyKAN", published("ChebyKAN/ChebyKANLayer.py", chebyshev), copy_chebyshev),
    "wav-kan": ("Wav-KAN", published("Wav-KAN/KAN.py", lambda m: m.KAN(KAN_SIZES)), copy_wavelets),
    "inr-bench/bspline": ("BSPS6", derived_kan("bspline"), copy_splines),
    "inr-bench/fourier": ("BSPS6", derived_kan("fourier"), copy_waves),
    "inr-bench/identity+relu": ("BSPS6", derived_mlp("relu"), copy_linears),
    "inr-bench/identity+gaussian": ("BSPS6", derived_mlp("gaussian"), copy_linears),
    "inr-bench/identity+scaled_sine": ("BSPS6", derived_mlp("scaled-sine"), copy_linears),
    "siren": ("siren", published("siren/modules.py", Siren), copy_linears),
    "finer": ("FINER", published("FINER/models.py", lambda m: m.Finer(2, 256, 3, 1)), copy_linears),
    "wire": ("wire", published("wire/modules/wire.py", lambda m: m.INR(2, 256, 2, 1)), copy_complex),
    "fourier-features": ("", lambda checkouts: FourierFeatures(), copy_features),
}


def trained(model: nn.Module, problem: Problem, training: Mapping[str, Any], steps: int) -> float:
    """PSNR of the training pixels in dB, after a fit to all of them at once."""
    spec = training_spec(**{**training, "steps": steps, "batch": "full", "evaluate_every": 0, "compile": "off"})
    result = fit(problem, model, spec, seeds=SeedStreams(0))
    if result.evaluation is None:
        raise RuntimeError("the fit ended without an evaluation")
    return float(result.evaluation.metrics["psnr_train"])


def compared(name: str, problem: Problem, catalog: Catalog, options: argparse.Namespace) -> tuple[float, float, float]:
    """The difference of both outputs before training, and PSNR of theirs and of ours; NaN where there are no theirs."""
    recipe = catalog.recipe(name)
    # WIRE is a field, not a recipe.
    field = catalog.resolve("field", name if recipe is None else dict(recipe.stands_for))
    training = field.entry.training if recipe is None else recipe.training
    ours = build_model(field, problem.shapes, seeds=SeedStreams(0), device=torch.device("cpu")).model
    if name not in THEIRS:
        return math.nan, math.nan, trained(ours, problem, training, options.steps)
    torch.manual_seed(0)
    _, make, copy = THEIRS[name]
    theirs = make(options.checkouts)
    with torch.no_grad():
        copy(ours, theirs)
        coords = problem.batch(slice(None))["coords"]
        expected = theirs(coords)
        differs = ((ours(coords) - expected).abs().max() / expected.abs().max()).item()
    return differs, *(trained(model, problem, training, options.steps) for model in (theirs, ours))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkouts", type=Path, required=True, help="folder of the clones")
    parser.add_argument("--recipes", nargs="+", choices=[*THEIRS, *OURS], metavar="RECIPE", help="default: all")
    parser.add_argument("--size", type=int, default=32, help="pixels along each side of the picture")
    parser.add_argument("--steps", type=int, default=300)
    options = parser.parse_args()
    names = options.recipes or [*THEIRS, *OURS]
    folders = {THEIRS[name][0] for name in names if name in THEIRS} - {""}
    missing = [
        f"{folder} ({REPOSITORIES[folder]})" for folder in sorted(folders) if not (options.checkouts / folder).is_dir()
    ]
    if missing:
        parser.exit(2, f"recipes.py: not in {options.checkouts}: {', '.join(missing)}; clone them there\n")
    torch.set_num_threads(1)
    catalog = load_catalog()
    task = {"name": "image", "source": "camera", "size": options.size, "held_out": 0.1}
    problem = catalog.resolve("task", task).build(device=torch.device("cpu"), seeds=SeedStreams(0))
    print(f"camera, {options.size} x {options.size}, {options.steps} steps; dB of training pixels\n")
    print("| recipe | differs | published | ours | gap | within 0.5 dB |\n| --- | ---: | ---: | ---: | ---: | --- |")
    figures: dict[str, float] = {}
    for name in names:
        differs, theirs, ours = compared(name, problem, catalog, options)
        figures[name] = theirs
        if name in THEIRS:
            cells = f"{differs:.0e} | {theirs:.2f} | {ours:.2f} | {ours - theirs:+.2f}"
            print(f"| {name} | {cells} | {verdict(abs(ours - theirs) <= CLOSE_DB)} |", flush=True)
        else:
            theirs = figures.get(OURS[name], math.nan)
            print(f"| {name} | | {theirs:.2f} | {ours:.2f} | {ours - theirs:+.2f} | beside {OURS[name]} |", flush=True)


if __name__ == "__main__":
    main()
