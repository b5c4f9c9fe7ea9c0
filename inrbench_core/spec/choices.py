"""Making the rows whose options are chosen of the rows of a table; see `choosing`. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from inrbench_core.spec.choosing import BASELINES, OVER, TuningSpec, option_at, options_of, row_data
from inrbench_core.spec.experiment import Choice, FieldRow, TaskBoard, Trial
from inrbench_core.spec.merging import Changes
from inrbench_core.spec.variants import Variant, canonical, flatten, numbered, replaced, tell_apart
from inrbench_core.spec.yaml_io import YamlPath

# Label, field and training: rows that agree in all of them are one.
RowKey = tuple[str, str, str]


@dataclass(frozen=True)
class MadeRow:
    """A row with what it was made of.

    Args:
        row: the row.
        field: number of the field in the spec.
        changes: of the sweep.
    """

    row: FieldRow
    field: int
    changes: Changes


@dataclass(frozen=True)
class TrialChanges:
    """What a trial of `tuning:` changes in a row.

    Args:
        row: the row with the options that the spec says.
        field: path in the field -> value.
        training: option, as a path of one key -> value.
    """

    row: FieldRow
    field: Changes
    training: Changes

    @classmethod
    def of(cls, row: FieldRow, setting: Mapping[str, Any], paths: Mapping[str, YamlPath], part: str) -> TrialChanges:
        """What one setting changes; `paths` say where its keys are, and `part` which part of `tuning:` has them."""
        training: Any = row_data(row)["training"]
        field_changes: dict[YamlPath, tuple[Any, YamlPath]] = {}
        options: dict[YamlPath, YamlPath] = {}
        for key, value in setting.items():
            (root, *path), origin = paths[key], ("tuning", part, key)
            if root == "field":
                field_changes[tuple(path)] = value, origin
            else:
                training = replaced(training, tuple(path), value)
                options[(path[0],)] = origin
        return cls(row, field_changes, {path: (training[path[0]], origin) for path, origin in options.items()})

    def applied(self, variant: Variant) -> Variant:
        """The field's variant with the changes; components on the way that it leaves at their default are named."""
        data = self.row.field.to_data()
        for path, (value, origin) in self.field.items():
            for length in range(1, len(path)):
                place = path[:length]
                try:
                    option_at(variant.value, place)
                except KeyError:
                    if isinstance(named := option_at(data, place), Mapping) and "name" in named:
                        name = {"name": named["name"]}
                        variant = replace(variant, value=replaced(variant.value, place, name))
            variant = variant.with_value(path, value, origin)
        return variant


MakeTrial = Callable[[MadeRow, TrialChanges], tuple[RowKey, FieldRow] | None]


def tuned(made: Sequence[MadeRow], tuning: TuningSpec, make: MakeTrial) -> tuple[tuple[FieldRow, ...], list[Choice]]:
    """The rows of a table, and a tuned one for each that can be trained; of baselines where they are to be tuned.

    Args:
        made: the rows.
        tuning: what is tuned.
        make: makes the row of a trial; None if it is not valid, which is told then.
    """
    rows = told_apart([item.row for item in made])
    labels = [row.label for row in rows]
    choices: list[Choice] = []
    for item, row in zip(made, rows, strict=True):
        if row.skip or not tuning.ranges(BASELINES if row.is_baseline else OVER):
            continue
        label = numbered([*labels, *(choice.label for choice in choices), f"{row.label} (tuned)"])[-1]
        trials = _trials(replace(item, row=row), tuning, make)
        skip = "" if trials else "it has none of the options that tuning goes over"
        choices.append(Choice(label, trials, row.label, skip))
    return rows, choices


def _trials(made: MadeRow, tuning: TuningSpec, make: MakeTrial) -> tuple[Trial, ...]:
    part = BASELINES if made.row.is_baseline else OVER
    paths = tuning.paths(part)
    published = options_of(made.row, paths)
    if not published:
        return ()
    trials = {canonical(row_data(made.row)): Trial(published, made.row)}
    for setting in tuning.settings(list(published), part):
        if len(trials) == tuning.trials:
            break
        found = make(made, TrialChanges.of(made.row, setting, paths, part))
        if found is None:
            break
        row = found[1]
        # What the task does not accept, as another component may not be, is no setting to choose from.
        if not row.skip:
            trials.setdefault(canonical(row_data(row)), Trial(options_of(row, paths), row))
    return tuple(trials.values())


def uneven(boards: Sequence[TaskBoard], tuning: TuningSpec) -> Iterator[str]:
    """A line for each table in which fields have fewer trials than are asked for, with these fields."""
    for board in boards:
        fewer = {
            choice.published: len(choice.trials) for choice in board.choices if 0 < len(choice.trials) < tuning.trials
        }
        if fewer:
            counts = ", ".join(f"{label} {count}" for label, count in fewer.items())
            yield (
                f"tuning on {board.label}: not every field has {tuning.trials} trials, because its ranges make fewer "
                f"settings for some: {counts}"
            )


def selected(made: Sequence[MadeRow], over: Collection[str]) -> tuple[tuple[FieldRow, ...], list[Choice]]:
    """The rows of a table, of which those that differ only in some keys of the sweep are one whose options are chosen.

    Baselines, rows that cannot be trained, and what is there once only stay as they are.
    """
    paths: dict[str, YamlPath] = {key: tuple(key.split(".")) for key in over}
    groups: dict[str, list[FieldRow]] = {}
    for item in made:
        kept = [[path, value] for path, (value, _) in item.changes.items() if path not in paths.values()]
        groups.setdefault(canonical([item.field, kept]), []).append(item.row)
    rows: list[FieldRow] = []
    choices: list[tuple[str, list[FieldRow]]] = []
    for group in groups.values():
        usable = [row for row in group if not row.skip]
        if len(usable) < 2 or usable[0].is_baseline:
            rows += group if usable and usable[0].is_baseline else usable or group[:1]
        else:
            choices.append((" or ".join(dict.fromkeys(row.label for row in usable)), usable))
    data = [flatten(row_data(row)) for row in (*rows, *(group[0] for _, group in choices))]
    for flat in data[len(rows) :]:
        for key in [key for key in flat if any(key == one or key.startswith(f"{one}.") for one in paths)]:
            del flat[key]
    labels = tell_apart([*(row.label for row in rows), *(label for label, _ in choices)], data)
    return (
        tuple(replace(row, label=label) for row, label in zip(rows, labels, strict=False)),
        [
            Choice(label, tuple(Trial(options_of(row, paths), row) for row in group))
            for label, (_, group) in zip(labels[len(rows) :], choices, strict=True)
        ],
    )


def told_apart(rows: Sequence[FieldRow]) -> tuple[FieldRow, ...]:
    """The rows with labels of which no two are equal."""
    labels = tell_apart([row.label for row in rows], map(row_data, rows))
    return tuple(replace(row, label=label) for row, label in zip(rows, labels, strict=True))
