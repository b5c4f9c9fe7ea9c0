"""Training in bf16 and TF32."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from inrbench_core.api.components import FieldShape
from inrbench_core.api.errors import UnsupportedError
from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import fit
from inrbench_core.fit.batches import Batches
from inrbench_core.fit.precision import in_precision
from inrbench_core.fit.stepping import Stepper

SEEDS = SeedStreams(0)
# The share by which bf16, of 8 significant bits, rounds at most.
ROUNDING = 2.0**-8


def gradient(stand_ins, precision: str, dtype: torch.dtype = torch.float32) -> Tensor:
    """Of the first step, of all parameters, float64."""
    model = stand_ins.make_net().to(dtype)
    options = {"precision": precision, "optimizer": {"name": "sgd", "momentum": 0}, "compile": "off"}
    Stepper(stand_ins.Wave(dtype=dtype), model, stand_ins.short(**options), SEEDS).step(1)
    return torch.cat([parameter.grad.flatten().double() for parameter in model.parameters()])


def test_a_gradient_is_as_exact_as_the_precision(stand_ins) -> None:
    exact = gradient(stand_ins, "float32", torch.float64)
    errors = {name: float((gradient(stand_ins, name) - exact).norm() / exact.norm()) for name in ("float32", "bf16")}
    assert errors["float32"] < 1e-5
    # More than float32's: products were rounded indeed.
    assert ROUNDING / 16 < errors["bf16"] < 8 * ROUNDING


def test_bf16_fits_nearly_as_well_below_35_db(stand_ins) -> None:
    def psnr(precision: str) -> float:
        training = stand_ins.short(steps=300, lr=2e-4, precision=precision, compile="off")
        result = fit(stand_ins.Wave(), stand_ins.make_net(), training, seeds=SEEDS)
        assert result.evaluation is not None
        return 10 * math.log10(4 / result.evaluation.metrics["mse"])

    reference = psnr("float32")
    assert 20 < reference < 35
    assert abs(psnr("bf16") - reference) < 0.5


def test_parameters_loss_and_evaluation_stay_in_float32(stand_ins) -> None:
    seen: dict[str, set[torch.dtype]] = {"loss": set(), "evaluation": set(), "inside": set()}

    class Looks(stand_ins.Wave):
        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
            seen["loss"].add(model(batch["coords"]).dtype)
            assert not torch.is_autocast_enabled("cpu")
            return super().loss(model, batch)

        def evaluate(self, model: nn.Module, *, full: bool = True):
            seen["inside"].clear()
            seen["evaluation"].add(model(self.points).dtype)
            assert seen["inside"] == {torch.float32}
            return super().evaluate(model, full=full)

    model = stand_ins.make_net()
    model[0].register_forward_hook(lambda module, args, output: seen["inside"].add(output.dtype))
    result = fit(Looks(), model, stand_ins.short(precision="bf16", compile="off"), seeds=SEEDS)
    assert result.status == "ok"
    assert seen["loss"] == seen["evaluation"] == {torch.float32}
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_several_fields_are_trained_in_bf16_part_by_part(stand_ins) -> None:
    model = nn.ModuleDict({"a": stand_ins.make_net(), "b": stand_ins.make_net(width=8)})
    training = stand_ins.short(steps=3, precision="bf16", compile="off")
    called = in_precision(model, training)
    assert called["a"](torch.ones(2, 1)).dtype == torch.float32
    assert not torch.equal(called["b"](torch.ones(2, 1)), model["b"](torch.ones(2, 1)))
    assert fit(stand_ins.SumOfFields(), model, training, seeds=SEEDS).status == "ok"


def test_tf32_is_refused_on_a_cpu(stand_ins) -> None:
    with pytest.raises(UnsupportedError, match="tf32 exists on CUDA devices only"):
        fit(stand_ins.Wave(), stand_ins.make_net(), stand_ins.short(precision="tf32"), seeds=SEEDS)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float64])
def test_bf16_is_refused_for_parameters_of_other_types(stand_ins, dtype: torch.dtype) -> None:
    model = stand_ins.make_net()
    model.other = nn.Parameter(torch.zeros(1, dtype=dtype))
    name = str(dtype).removeprefix("torch.")
    with pytest.raises(UnsupportedError, match=f"bf16 needs parameters of float32, not {name}"):
        fit(stand_ins.Wave(), model, stand_ins.short(precision="bf16"), seeds=SEEDS)


def test_bf16_is_refused_for_losses_of_derivatives(stand_ins) -> None:
    problem = stand_ins.Wave()
    problem.differentiates = True
    with pytest.raises(UnsupportedError, match="derivatives by coordinates"):
        fit(problem, stand_ins.make_net(), stand_ins.short(precision="bf16"), seeds=SEEDS)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_the_setting_of_the_process_holds_during_steps_only(stand_ins, monkeypatch, precision, before) -> None:
    seen: dict[str, set[bool]] = {"loss": set(), "evaluation": set()}
    settings = torch.backends.cuda.matmul

    class Looks(stand_ins.Wave):
        def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
            if len(batch["coords"]) == self.elements:  # Probes before the first step see fewer.
                seen["loss"].add(settings.allow_tf32)
            return super().loss(model, batch)

        def evaluate(self, model: nn.Module, *, full: bool = True):
            seen["evaluation"].add(settings.allow_tf32)
            return super().evaluate(model, full=full)

    monkeypatch.setattr("inrbench_core.fit.stepping.check_precision", lambda *_: None)
    settings.allow_tf32 = before
    try:
        training = stand_ins.short(steps=2, precision=precision, compile="off")
        fit(Looks(), stand_ins.make_net(), training, seeds=SEEDS)
        assert seen == {"loss": {precision == "tf32"}, "evaluation": {before}}
        assert settings.allow_tf32 == before
    finally:
        settings.allow_tf32 = False


def test_minibatches_on_the_cpu_are_torchs_permutations(stand_ins) -> None:
    batches = Batches(10, stand_ins.training(batch=5), SEEDS, torch.device("cpu"))
    drawn = torch.cat([part for _ in range(4) for part in batches.next_chunks(5)])
    generator = torch.Generator().manual_seed(SEEDS.derive("sampling"))
    assert drawn.tolist() == [*torch.randperm(10, generator=generator), *torch.randperm(10, generator=generator)]


FIELDS = [
    {"name": "mlp", "activation": "sine", "width": 16, "depth": 1},
    {"name": "mlp", "activation": "relu", "encoding": "rff", "width": 16, "depth": 1},
    *(
        {"name": "kan", "basis": basis, "width": 8, "depth": 1}
        for basis in ("chebyshev", "bspline", "grbf", "dog", "fcn")
    ),
]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.get("basis") or field["activation"])
def test_coordinates_are_not_rounded_in_bf16(catalog, field: dict[str, object]) -> None:
    """Pixels of a signal that has more of them than bf16 has numbers have values of their own."""
    torch.manual_seed(0)
    model = catalog.resolve("field", field).build(FieldShape(2, 3))
    first = []
    inner = model.layers[1 if field["name"] == "mlp" else 0]
    inner.register_forward_hook(lambda module, args, output: first.append(output))
    # 1.0 and its neighbours: the next numbers of bf16 are 1 - 2^-8 and 1 + 2^-7.
    coords = torch.tensor([[1.0, 0.5], [1.0 - 2.0**-11, 0.5], [1.0 - 2.0**-12, 0.5]])
    values = model(coords)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model(coords)
    assert first[1].dtype == torch.float32
    assert torch.equal(*first)
    assert len(first[1].unique(dim=0)) == 3
    # Layers with functions of their own on each edge have no matrix products.
    assert torch.equal(rounded.float(), values) == (field.get("basis") in ("dog", "fcn"))
    assert float((rounded.float() - values).detach().norm()) < 16 * ROUNDING * float(values.detach().norm())


@pytest.mark.parametrize("basis", ["chebyshev", "bspline", "grbf", "fourier"])
def test_expansion_layers_keep_their_kernels_in_bf16(catalog, monkeypatch, basis: str) -> None:
    from inrbench_core.api import basis as module

    calls = []
    values = module.native_values

    def noted(x: Tensor, key: str, size: int) -> Tensor:
        calls.append(x.dtype)
        return values(x, key, size)

    monkeypatch.setattr(module, "native_values", noted)
    model = catalog.resolve("field", {"name": "kan", "basis": basis, "width": 8, "depth": 1}).build(FieldShape(2, 3))
    if model.layers[0]._key is None:
        pytest.skip("there is no compiler")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(torch.rand(5, 2)).float().sum().backward()
    assert calls == [torch.float32] * 3
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
