"""Training with matrix products of less precision than float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from inrbench_core.api.errors import UnsupportedError
from inrbench_core.api.problem import Problem
from inrbench_core.spec.training import TrainingSpec


def check_precision(training: TrainingSpec, problem: Problem, model: nn.Module) -> None:
    """Raise UnsupportedError if the training's precision cannot be had on this device, for this problem and field.

    TF32 exists on CUDA devices only. With bf16, a derivative by coordinates would be computed from rounded values,
    and parameters of other types than float32, such as complex ones, would be left out.
    """
    tensors = [*model.parameters(), *problem.parameters().values()]
    if training.precision == "tf32" and any(tensor.device.type != "cuda" for tensor in tensors):
        raise UnsupportedError("training.precision: tf32 exists on CUDA devices only; use float32 or bf16")
    if training.precision != "bf16":
        return
    if problem.differentiates:
        raise UnsupportedError("training.precision: bf16 cannot fit derivatives by coordinates; use float32")
    others = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in tensors} - {"float32"})
    if others:
        raise UnsupportedError(f"training.precision: bf16 needs parameters of float32, not {others[0]}; use float32")


def in_precision(model: nn.Module, training: TrainingSpec) -> nn.Module:
    """The model as the loss should call it: with bf16 under autocast, with outputs in float32; else the model itself.

    Args:
        model: a field, an `nn.ModuleDict` of fields, or a compiled twin of such.
        training: its `precision`.
    """
    if training.precision != "bf16":
        return model
    if isinstance(model, nn.ModuleDict):
        # The loss looks fields up by name.
        return nn.ModuleDict({name: _Autocast(part) for name, part in model.items()})
    return _Autocast(model)


class _Autocast(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.training = model.training

    def forward(self, coords: Tensor) -> Tensor:
        with torch.autocast(coords.device.type, dtype=torch.bfloat16):
            values: Tensor = self.model(coords)
        return values.float()


@contextmanager
def product_precision(training: TrainingSpec) -> Iterator[None]:
    """Within it, CUDA's float32 matrix products use TF32 if the training says so, and not otherwise.

    torch keeps this as a setting of the process; it is restored.
    """
    settings = torch.backends.cuda.matmul
    before = settings.allow_tf32
    settings.allow_tf32 = training.precision == "tf32"
    try:
        yield
    finally:
        settings.allow_tf32 = before
