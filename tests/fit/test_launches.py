"""How many kernels a GPU would launch for a training step, and how often the CPU would wait for it.

A step runs on the meta device, where each operation is dispatched as on a GPU and anything that reads a value raises.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from inrbench_core.api.components import FieldShape
from inrbench_core.api.problem import SeedStreams
from inrbench_core.fit import build_model
from inrbench_core.fit.batches import Batches
from inrbench_core.fit.stepping import Stepper
from inrbench_core.fit.watch import LossWatch
from inrbench_core.plugins.loading import load_catalog

META = torch.device("meta")
# These only make a tensor, or name its elements otherwise.
WITHOUT_KERNEL = {"empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "_unsafe_view"}
SIZES = (2, 64, 64, 64, 3)


class Launches(TorchDispatchMode):
    """Counts the operations that are a kernel on a GPU, and copies from the CPU to another device."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels = self.uploads = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._overloadpacket.__name__
        if not func.is_view and name not in WITHOUT_KERNEL:
            self.kernels += 1
        result = func(*args, **(kwargs or {}))
        if name in ("_to_copy", "copy_") and isinstance(result, Tensor) and result.device == META:
            self.uploads += any(isinstance(arg, Tensor) and arg.device.type == "cpu" for arg in args)
        return result


class Reads(TorchDispatchMode):
    """Counts how often the CPU would wait for a GPU, of a task on the CPU: reads of values and copies to the host."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.count = 0
        for name in ("cpu", "tolist"):
            self._note_calls(monkeypatch, name, getattr(Tensor, name))

    def _note_calls(self, monkeypatch: pytest.MonkeyPatch, name: str, method: Any) -> None:
        def noted(tensor: Tensor, *args: Any) -> Any:
            self.count += 1
            return method(tensor, *args)

        monkeypatch.setattr(Tensor, name, noted)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func._overloadpacket.__name__ in ("_local_scalar_dense", "nonzero", "equal", "masked_select")
        return func(*args, **(kwargs or {}))


def siren() -> nn.Module:
    """2 -> 64 -> 64 -> 64 -> 3."""
    options = {"name": "mlp", "activation": "sine", "width": SIZES[1], "depth": 2}
    return load_catalog().resolve("field", options).build(FieldShape(2, 3))


def kan(name: str) -> nn.Module:
    """2 -> 64 -> 64 -> 64 -> 3 of a basis with its defaults."""
    basis = load_catalog().resolve("basis", name)
    positions = ("first", "hidden", "hidden", "last")
    pairs = zip(itertools.pairwise(SIZES), positions, strict=True)
    return nn.Sequential(*(basis.build().layer(*pair, position=position) for pair, position in pairs))


def make_stepper(stand_ins, model: nn.Module, points: int, **options: Any) -> Stepper:
    """On the meta device, of a problem with two coordinates and three values."""
    problem = stand_ins.Wave(points)
    problem.points = torch.empty(points, 2, device=META)
    problem.values = torch.empty(points, 3, device=META)
    training = stand_ins.training(steps=10, evaluate_every=0, compile="off", **options)
    stepper = Stepper(problem, model.to(META).train(), training, SeedStreams(0))
    # The default's kernel is one launch as well, but refuses the meta device.
    stepper.optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, foreach=True)
    return stepper


@pytest.mark.parametrize(
    ("name", "package", "most"),
    [
        ("siren", "inrbench_field_mlp", 50),
        # Two of each of the four layers centre and scale the functions, which is the default.
        ("fourier", "inrbench_basis_fourier", 94),
        ("chebyshev", "inrbench_basis_polynomial", 149),
        ("bspline", "inrbench_basis_spline", 190),
        ("dog", "inrbench_basis_wavelet", 360),
        ("fcn", "inrbench_basis_fcn", 370),
    ],
)
def test_launches_of_a_step(name, package, most, stand_ins, chunks_of):
    pytest.importorskip(package)
    points = 32
    chunks_of(points)
    stepper = make_stepper(stand_ins, siren() if name == "siren" else kan(name), points)
    stepper.step(1)
    with Launches() as seen:
        stepper.step(2)
    # Three matrix products of four layers, but for the gradient by the coordinates, and the loss.
    assert 12 <= seen.kernels <= most


def test_minibatches_are_uploaded_once_a_pass(stand_ins):
    training = stand_ins.training(batch=8)
    batches = Batches(64, training, SeedStreams(0), META)
    with Launches() as seen:
        for _ in range(16):
            assert [len(part) for part in batches.next_chunks(4)] == [4, 4]
    assert seen.uploads <= 2


def test_a_step_on_minibatches_does_not_wait(stand_ins, chunks_of):
    chunks_of(8)
    stepper = make_stepper(stand_ins, nn.Linear(2, 3), 64, batch=16)
    watch = LossWatch()
    for number in range(1, 11):
        watch.add(stepper.step(number))
    with pytest.raises(NotImplementedError):
        watch.check(10)


@pytest.mark.parametrize(("full", "most"), [(False, 1), (True, 3)])
@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("image", "inrbench_task_image"),
        ("audio", "inrbench_task_audio"),
        ("superresolution", "inrbench_task_superresolution"),
        ("denoising", "inrbench_task_denoising"),
        ("inpainting", "inrbench_task_inpainting"),
        ("ct", "inrbench_task_ct"),
        ("mri", "inrbench_task_mri"),
    ],
)
def test_evaluation_reads_from_the_device_a_few_times_at_most(name, package, full, most, monkeypatch):
    pytest.importorskip(package)
    options = {"name": name, **({"duration_s": 0.1} if name == "audio" else {"size": 32})}
    problem = load_catalog().resolve("task", options).build(device=torch.device("cpu"), seeds=SeedStreams(0))
    (shape,) = problem.shapes.values()
    model = nn.Linear(shape.in_features, shape.out_features)
    with Reads(monkeypatch) as seen, torch.no_grad():
        problem.evaluate(model, full=full)
    assert 1 <= seen.count <= most


@pytest.mark.parametrize(
    ("options", "package"),
    [
        ({"name": "video", "frames": 4, "size": 16}, "inrbench_task_video"),
        ({"name": "nerf", "size": 8, "train_views": 2, "test_views": 3, "samples": 4}, "inrbench_task_nerf"),
    ],
)
def test_the_curve_of_frames_and_views_is_read_once(options, package, monkeypatch):
    pytest.importorskip(package)
    catalog, device, seeds = load_catalog(), torch.device("cpu"), SeedStreams(0)
    problem = catalog.resolve("task", options).build(device=device, seeds=seeds)
    field = catalog.resolve("field", {"name": "mlp", "activation": "relu", "width": 4, "depth": 1})
    model = build_model(field, problem.shapes, seeds=seeds, device=device).model
    with Reads(monkeypatch) as seen, torch.no_grad():
        problem.evaluate(model, full=False)
    assert seen.count == 1


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x.sum().item(),
        lambda x: bool(x.sum() > 0),
        lambda x: x.tolist(),
        lambda x: x.cpu(),
        lambda x: x.nonzero(),
        lambda x: x[x > 0],
        lambda x: torch.equal(x, x + 1),
    ],
)
def test_reading_a_value_on_the_meta_device_raises(read):
    # What the tests above rest on.
    with pytest.raises((RuntimeError, NotImplementedError)):
        read(torch.empty(4, device=META))
