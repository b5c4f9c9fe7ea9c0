"""An experiment: what one spec asks for, validated as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inrbench_core.api.entries import FieldEntry, TaskEntry
from inrbench_core.api.spec import Component
from inrbench_core.spec.lists import DataSeed
from inrbench_core.spec.training import TrainingSpec
from inrbench_core.spec.yaml_io import Document, YamlPath


@dataclass(frozen=True)
class Signal:
    """One signal of a task.

    Args:
        label: what tables call it; never a path.
        task: the task, with this signal among its options.
        files: the user's files that it reads: path -> "sha256:HEX" and the file's suffix.
        origin: where in the spec it is named.
    """

    label: str
    task: Component
    files: Mapping[str, str]
    origin: YamlPath


@dataclass(frozen=True)
class FieldRow:
    """One field with its training: a row of a table.

    Args:
        label: what tables call it.
        field: the field.
        training: how it is trained.
        sources: where each option of the training comes from, such as "recipe siren".
        origin: where in the spec it is.
        skip: why it cannot be trained on the task, or "".
    """

    label: str
    field: Component
    training: TrainingSpec
    sources: Mapping[str, str]
    origin: YamlPath
    skip: str = ""

    @property
    def is_baseline(self) -> bool:
        """Whether its entry says that it is there as a measure for the others."""
        return isinstance(self.field.entry, FieldEntry) and self.field.entry.baseline


@dataclass(frozen=True)
class Trial:
    """One of the settings that `select:` or `tuning:` chooses from.

    Args:
        options: dotted key -> value, of the options that are chosen.
        row: the field and its training with these options.
    """

    options: Mapping[str, Any]
    row: FieldRow


@dataclass(frozen=True)
class Choice:
    """A row of a table whose options are chosen by trial runs.

    Args:
        label: what tables call it.
        trials: the settings, without duplicates; of equally good ones the first is chosen.
        published: the label of the row of the same field with the options that the spec says; "" if there is none.
        skip: why there are no trials, or "".
    """

    label: str
    trials: tuple[Trial, ...]
    published: str = ""
    skip: str = ""


@dataclass(frozen=True)
class TaskBoard:
    """One table: a task, its signals and the fields that are compared on them.

    Args:
        label: what tables call the task.
        signals: at least one.
        rows: the fields.
        choices: rows whose options are chosen.
        trial_signals: the signals that they are chosen on; with `Experiment.trial_seeds` they have no (signal, seed)
            in common with the table.
    """

    label: str
    signals: tuple[Signal, ...]
    rows: tuple[FieldRow, ...]
    choices: tuple[Choice, ...] = ()
    trial_signals: tuple[Signal, ...] = ()

    @property
    def entry(self) -> TaskEntry:
        """The task's entry, which knows its metrics and baselines."""
        entry = self.signals[0].task.entry
        assert isinstance(entry, TaskEntry)
        return entry


@dataclass(frozen=True)
class Experiment:
    """A spec's meaning.

    Args:
        name: names the folder of results.
        boards: the tables, in order.
        seeds: without duplicates.
        data_seed: of what is random in the data, for all seeds; "seed": each has its own.
        analyses: what is measured of each fit.
        executor: what carries out the runs.
        stack: whether like fits of small batches may train together.
        timeout_s: time limit of one run, in s, or None.
        device: auto, cpu, cuda or cuda:N.
        document: what it was read from.
        settings: the changes of it, as "dotted.key=value".
        trial_seeds: the seeds of trial runs.
        choose_by: the metric by which trials are chosen; "": the one that ranks.
        remarks: what the user has to know before it is carried out, one line each.
    """

    name: str
    boards: tuple[TaskBoard, ...]
    seeds: tuple[int, ...]
    data_seed: DataSeed
    analyses: tuple[Component, ...]
    executor: Component
    stack: bool
    timeout_s: float | None
    device: str
    document: Document = field(compare=False)
    settings: tuple[str, ...] = field(default=(), compare=False)
    trial_seeds: tuple[int, ...] = ()
    choose_by: str = ""
    remarks: tuple[str, ...] = field(default=(), compare=False)


def plain_identity(value: Any, files: Mapping[str, str]) -> Any:
    """Options as they count for what a run is: a user's file by its content, not by its path."""
    if isinstance(value, Mapping):
        return {key: plain_identity(item, files) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_identity(item, files) for item in value]
    return files.get(value, value) if isinstance(value, str) else value
