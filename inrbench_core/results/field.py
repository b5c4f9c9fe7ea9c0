"""load_field: a fitted field, to use in one's own program, in the user's own units."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from inrbench_core.api.components import FieldShape
from inrbench_core.api.errors import InrbenchError
from inrbench_core.api.frame import FieldFrame, Frame
from inrbench_core.api.problem import SeedStreams, from_field, predict, to_field
from inrbench_core.api.spec import Component, ComponentSpec, ParameterBudget
from inrbench_core.fit import build_model
from inrbench_core.fit.device import choose_device
from inrbench_core.fit.hooks import set_progress
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.plugins.fingerprints import Fingerprints, note_imported
from inrbench_core.plugins.loading import load_catalog
from inrbench_core.runs.record import RunRecord
from inrbench_core.runs.runfile import NotARun, read_file

Array = np.ndarray[Any, Any]


class FittedField:
    """A fitted field: called with coordinates in the user's units, it gives values in the user's units.

    Attributes:
        model: the `nn.Module`, in eval mode; it maps coordinates in [-1, 1] to values about [-1, 1]. An
            `nn.ModuleDict` where the problem needed several fields.
        frame: how both map to the user's units.
        record: the run: its settings, metrics and arrays.
    """

    def __init__(self, model: nn.Module, frame: Frame, record: RunRecord, device: torch.device) -> None:
        self.model = model
        self.frame = frame
        self.record = record
        self.device = device

    @property
    def names(self) -> list[str]:
        """The names of its fields; most have one."""
        return list(self.frame.fields)

    @overload
    def __call__(self, coords: Tensor, name: str = "") -> Tensor: ...
    @overload
    def __call__(self, coords: Array, name: str = "") -> Array: ...
    def __call__(self, coords: Tensor | Array, name: str = "") -> Tensor | Array:
        """Values at coordinates.

        Args:
            coords: (N, D), or (D,) for one point, numpy or torch, in the units of `frame`; float32 is computed in.
            name: which field, where there are several; "": the only one.

        Returns:
            (N, C), or (C,), float32, numpy or torch as the coordinates, on their device.

        Raises:
            InrbenchError: if the coordinates have another shape, or the name is needed or unknown.
        """
        frame, model = self._pick(name)
        points = torch.as_tensor(coords, dtype=torch.float64)
        if points.ndim not in (1, 2) or points.shape[-1] != len(frame.coords):
            axes = ", ".join(item.name for item in frame.coords)
            raise InrbenchError(
                f"expected coordinates (N, {len(frame.coords)}): {axes}; got shape {tuple(points.shape)}"
            )
        # In float64, because float32 cannot tell the samples of a long recording apart before they are scaled.
        inner = to_field(points.reshape(-1, len(frame.coords)), frame).float().to(self.device)
        values = from_field(predict(model, inner), frame).reshape(*points.shape[:-1], len(frame.values))
        return values.to(coords.device) if isinstance(coords, Tensor) else values.cpu().numpy()

    def _pick(self, name: str) -> tuple[FieldFrame, nn.Module]:
        if (not name and len(self.names) > 1) or (name and name not in self.names):
            raise InrbenchError(f"which field? Give name=, one of {', '.join(self.names)}")
        name = name or self.names[0]
        return self.frame.fields[name], self.model[name] if isinstance(self.model, nn.ModuleDict) else self.model

    def __repr__(self) -> str:
        parts = [
            f"{name}({', '.join(item.name for item in frame.coords)}) -> "
            f"{', '.join(item.name for item in frame.values)}"
            for name, frame in self.frame.fields.items()
        ]
        return f"<FittedField {'; '.join(parts)}>"


def load_field(
    path: str | Path, *, device: str = "cpu", plugin_files: Sequence[str | Path] = (), catalog: Catalog | None = None
) -> FittedField:
    """The fitted field in a run's file; neither the user's data nor the task's plugin is needed.

    Args:
        path: a file of `runs/` in a folder of results, wherever it is now; its name is the run's id.
        device: auto, cpu, cuda or cuda:N.
        plugin_files: plugin files that its components are in.
        catalog: where its components are looked up; default: what is installed, and the plugin files.

    Raises:
        InrbenchError: if the file is not that of a fitted field, or its components are not installed.
    """
    record = read_record(Path(path))
    return field_of(record, catalog or load_catalog([Path(file) for file in plugin_files]), choose_device(device))


def read_record(path: Path) -> RunRecord:
    """The record in a run's file. Raises InrbenchError, with the path, if it is none."""
    try:
        return read_file(path)
    except FileNotFoundError:
        raise InrbenchError(f"{path}: no such file") from None
    except NotARun as error:
        raise InrbenchError(f"{path}: {error}") from None


def field_of(record: RunRecord, catalog: Catalog, device: torch.device) -> FittedField:
    """The fitted field of a record; see `load_field`."""
    run = record.run
    name = f"run {run['label']} on {run['task_label']}"
    if run["field"] is None:
        raise InrbenchError(f"{name} is the baseline {run['baseline']!r}: it has no field")
    if not record.arrays.weights:
        raise InrbenchError(f"{name} has no weights: it ended as {record.status}")
    try:
        component = catalog.resolve("field", run["field"])
    except ValidationError as error:
        raise InrbenchError(f"{name}: {error.errors()[0]['msg']}") from None
    _check_code(run, component, catalog)
    frame = Frame.from_data(record.frame)
    shapes = {
        key: FieldShape(len(item.coords), len(item.values), item.resolution) for key, item in frame.fields.items()
    }
    if record.width is not None:
        component = component.with_spec(**solved_width(component.spec, record.width))
    model = build_model(component, shapes, seeds=SeedStreams(run["seed"]), device=device).model
    try:
        model.load_state_dict({key: torch.as_tensor(array) for key, array in record.arrays.weights.items()})
    except RuntimeError:
        raise InrbenchError(f"{name}: its weights do not fit the model that the installed plugins build") from None
    model.eval()
    set_progress(model, 1.0)
    return FittedField(model, frame, record, device)


def solved_width(spec: ComponentSpec, width: int) -> dict[str, int]:
    """The options of a field whose parameter budget was solved to a width."""
    return {name: width for name in type(spec).model_fields if isinstance(getattr(spec, name), ParameterBudget)}


def _check_code(run: Mapping[str, Any], component: Component, catalog: Catalog) -> None:
    """Warn if the field was fitted by other code; raise if this process has imported code that was edited since."""
    now = Fingerprints(catalog).of([component])
    if edited := note_imported(catalog, now):
        raise InrbenchError(
            f"the code of {', '.join(edited)} was edited after this process had imported it: start Python again"
        )
    changed = [name for name, found in now.items() if run["code"].get(name) != found]
    if changed:
        warnings.warn(
            f"the code of {', '.join(changed)} is not what it was when this field was fitted; "
            "its values may have changed",
            stacklevel=4,
        )
