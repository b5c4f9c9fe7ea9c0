"""One run, fully resolved: one task, one field, one training, one seed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import inrbench_core
from inrbench_core.api.entries import FieldEntry, TaskEntry
from inrbench_core.api.spec import Component
from inrbench_core.plugins.catalog import Catalog
from inrbench_core.spec.training import TrainingSpec


@dataclass(frozen=True)
class RunSpec:
    """What one run does.

    Args:
        task: the task.
        field: the field to fit, or None for a baseline.
        baseline: name of the task's baseline, or "" for a fit.
        training: how to train; None for a baseline.
        seed: the one seed that all random streams derive from.
        device: "auto", "cpu", "cuda" or "cuda:N".
        label: what tables call the field or the baseline.
        task_label: what tables call the task.
        skip: why it cannot be run, or "".
        user_data: SHA-256 of each of the user's files that the task reads.
    """

    task: Component
    field: Component | None
    baseline: str
    training: TrainingSpec | None
    seed: int
    device: str
    label: str
    task_label: str
    skip: str = ""
    user_data: tuple[str, ...] = ()

    @property
    def task_entry(self) -> TaskEntry:
        """The task's entry, which knows its metrics."""
        assert isinstance(self.task.entry, TaskEntry)
        return self.task.entry

    @property
    def is_baseline(self) -> bool:
        """Whether it is there as a measure: an answer that needs no network, or a field that is meant as one."""
        return self.field is None or (isinstance(self.field.entry, FieldEntry) and self.field.entry.baseline)

    @cached_property
    def id(self) -> str:
        """Hash of all that decides the result, with the versions of the distributions involved."""
        data = {**self.to_data(), "versions": self.versions()}
        for name in ("label", "task_label", "skip"):
            del data[name]
        canonical = json.dumps(data, sort_keys=True, separators=(",", ":"))
        return hashlib.blake2b(canonical.encode(), digest_size=8).hexdigest()

    def versions(self) -> dict[str, str]:
        """Versions of core and of every distribution that the run uses."""
        outermost = [self.task, self.field] if self.field else [self.task]
        used = {part.distribution: part.version for component in outermost for part in component.walk()}
        return {"inrbench": inrbench_core.__version__, **dict(sorted(used.items()))}

    def to_data(self) -> dict[str, Any]:
        """A JSON-able mapping from which `from_data` makes the same run."""
        return {
            "task": self.task.to_data(),
            "field": self.field.to_data() if self.field else None,
            "baseline": self.baseline,
            "training": self.training.model_dump(mode="json") if self.training else None,
            "seed": self.seed,
            "device": self.device,
            "label": self.label,
            "task_label": self.task_label,
            "skip": self.skip,
            "user_data": list(self.user_data),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any], catalog: Catalog) -> RunSpec:
        """Rebuild a run. Raises pydantic.ValidationError if a component is not there any more."""
        return cls(
            task=catalog.resolve("task", data["task"]),
            field=catalog.resolve("field", data["field"]) if data["field"] else None,
            baseline=data["baseline"],
            training=TrainingSpec.model_validate(data["training"]) if data["training"] else None,
            seed=data["seed"],
            device=data["device"],
            label=data["label"],
            task_label=data["task_label"],
            skip=data["skip"],
            user_data=tuple(data["user_data"]),
        )
