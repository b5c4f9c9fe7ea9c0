"""From a document to an experiment: every problem is told at once, with its line."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from inrbench_core.api.entries import AnalysisEntry, TaskEntry
from inrbench_core.api.spec import Component, TaskSpec
from inrbench_core.api.suggest import did_you_mean
from inrbench_core.plugins.catalog import Catalog, shorten, validate
from inrbench_core.spec.choices import MadeRow, RowKey, TrialChanges, selected, told_apart, tuned, uneven
from inrbench_core.spec.choosing import BASELINES, options_of, row_data
from inrbench_core.spec.experiment import Experiment, FieldRow, TaskBoard
from inrbench_core.spec.head import ExperimentHead, name_of
from inrbench_core.spec.lists import OWN_DATA
from inrbench_core.spec.merging import Changes, changed, combinations, merged_training, without
from inrbench_core.spec.plain_data import MOST_LEVELS
from inrbench_core.spec.settings import with_settings
from inrbench_core.spec.task_signals import TASK_KEYS, SignalReader, Signals, task_labels
from inrbench_core.spec.variants import Variant, canonical, flatten
from inrbench_core.spec.yaml_io import Document, YamlPath, load_yaml

# Runs of one experiment; more take hours to plan and could not be carried out.
MOST_RUNS = 1_000_000
FIELD_KEYS = ("label", "training")


def load_experiment(file: Path, catalog: Catalog, settings: Sequence[str] = ()) -> Experiment:
    """Read and resolve a spec file.

    Args:
        file: the YAML file.
        catalog: where names are looked up.
        settings: changes as "dotted.key=value", the value in YAML.

    Raises:
        SpecError: with every problem found, each with its line.
    """
    return build_experiment(load_yaml(file), catalog, settings)


def build_experiment(document: Document, catalog: Catalog, settings: Sequence[str] = ()) -> Experiment:
    """Resolve a document; see `load_experiment`."""
    return _Builder(document, catalog, settings).build()


class _Builder(SignalReader):
    """Makes boards and rows of the parts of a document."""

    def __init__(self, document: Document, catalog: Catalog, settings: Sequence[str]) -> None:
        super().__init__(document, catalog)
        self.settings = settings

    def build(self) -> Experiment:
        head = self._head()
        self.training(head.training, {(): ("training",)})
        self._check_analyses(head)
        sweep = combinations(head.sweep, self.problem)
        self._check_choosing(head)
        tasks = self._task_variants(head)
        fields = self.expand("field", head.fields, ("fields",))
        if not tasks:
            self._probe("field", fields)
        self._check_count(len(sweep) * len(tasks) * len(fields) * len(head.seeds))
        boards = self._boards(head, sweep, tasks, fields)
        self.stop_on_problems()
        choosing = head.choosing
        return Experiment(
            name=head.name,
            boards=tuple(boards),
            seeds=tuple(head.seeds),
            data_seed=head.data_seed,
            analyses=tuple(head.analyses),
            executor=head.executor,
            stack=head.stack == "auto",
            timeout_s=head.timeout_s,
            device=head.device,
            document=self.document,
            settings=tuple(self.settings),
            trial_seeds=choosing.trial_seeds(head.seeds, head.data_seed) if choosing else (),
            choose_by=choosing.by if choosing else "",
            remarks=tuple(uneven(boards, head.tuning)) if head.tuning else (),
        )

    def _check_count(self, count: int) -> None:
        """Stop at once if there are too many runs, because making them would take too long."""
        if count > MOST_RUNS:
            self.problem((), f"expands to {count:,} runs; at most {MOST_RUNS:,}")
            self.stop_on_problems()

    def _head(self) -> ExperimentHead:
        data = self.document.data
        if not isinstance(data, Mapping):
            self.problem((), f"expected a mapping with task:, fields: and so on, got {_yaml_type(data)}")
            self.stop_on_problems()
        data = with_settings({"name": name_of(self.document.file), **data}, self.settings, self.problem)
        try:
            return validate(ExperimentHead, data, self.context)
        except ValidationError as error:
            self.invalid(error, Variant(data, {(): ()}))
            # Tell what is wrong elsewhere as well, where that can be read at all.
            for kind, keys in {"task": ("task", "tasks"), "field": ("fields",)}.items():
                for key in keys:
                    if data.get(key):
                        self._probe(kind, self.expand(kind, data[key], (key,)))
            if isinstance(data.get("training"), Mapping):
                self.training(data["training"], {(): ("training",)})
            if isinstance(data.get("sweep"), Mapping):
                combinations(data["sweep"], self.problem)
            self.stop_on_problems()
            raise

    def _check_analyses(self, head: ExperimentHead) -> None:
        names = [analysis.name for analysis in head.analyses]
        for index, name in enumerate(names):
            if name in names[:index]:
                self.problem(("analyses", index), f"{name!r} is already in the list")

    def _check_choosing(self, head: ExperimentHead) -> None:
        """Look for mistakes in `select:` and `tuning:` that need neither tasks nor fields."""
        if head.select is not None and head.tuning is not None:
            self.problem(("select",), "give either select: or tuning:")
        for index, key in enumerate(head.select.over if head.select else ()):
            if key not in head.sweep:
                self.problem(("select", "over", index), f"sweep: does not have {key!r}{did_you_mean(key, head.sweep)}")
            elif key.startswith("task."):
                self.problem(("select", "over", index), "select goes over training.KEY and field.KEY")
        for part, paths in (head.tuning.all_paths() if head.tuning else {}).items():
            for key, path in paths.items():
                if len(path) < 2 or not all(path) or len(path) > MOST_LEVELS:
                    self.problem(
                        ("tuning", part, key), "expected training.KEY, or a path in a field such as activation.omega"
                    )
                elif ".".join(map(str, path)) in head.sweep:
                    self.problem(("tuning", part, key), "sweep: has it as well")
            self._check_overlaps(paths, part)
        if head.choosing is not None and (both := sorted(set(head.choosing.seeds) & set(head.seeds))):
            numbers = ", ".join(map(str, both))
            self.problem((head.choosing_key, "seeds"), f"the tables have {numbers} as well; choose by other seeds")
        if head.choosing is not None and head.data_seed in set(head.choosing.seeds) - set(head.seeds):
            self.problem(
                (head.choosing_key, "seeds"),
                f"{head.data_seed} is the data_seed of the tables; trials have the data of their own seeds",
            )

    def _check_overlaps(self, paths: Mapping[str, YamlPath], part: str) -> None:
        """Stop if two keys of a part of `tuning:` name the same option, or one names a part of the other."""
        found = False
        for one, other in itertools.combinations(paths, 2):
            inner, outer = sorted((one, other), key=lambda key: -len(paths[key]))
            if paths[inner] == paths[outer]:
                self.problem(("tuning", part, other), f"the same option as {one}")
            elif paths[inner][: len(paths[outer])] == paths[outer]:
                self.problem(("tuning", part, inner), f"a part of {outer}, which is tuned as well; give one of the two")
            else:
                continue
            found = True
        if found:
            # Settings would be made of both, and each would be a problem of its own.
            self.stop_on_problems()

    def _probe(self, kind: str, variants: list[Variant]) -> None:
        """Look for mistakes in what cannot be resolved into runs."""
        for variant in variants:
            self.component(kind, without(variant, *(TASK_KEYS if kind == "task" else FIELD_KEYS)))
            if kind == "field" and (own := self._own_training(variant)) is not None:
                self.training(own, {(): variant.origin(("training",))})

    def _task_variants(self, head: ExperimentHead) -> list[Variant]:
        if (head.task is None) == (not head.tasks):
            self.problem((), "give either task: or tasks:")
            return []
        key, value = ("task", head.task) if head.task is not None else ("tasks", head.tasks)
        return self.expand("task", value, (key,))

    def _boards(
        self, head: ExperimentHead, sweep: list[Changes], tasks: list[Variant], fields: list[Variant]
    ) -> list[TaskBoard]:
        """One board for each task and combination of its options, with the rows of all other combinations."""
        known: dict[str, Signals] = {}
        chosen: list[tuple[Changes, Signals]] = []
        answers = observations = trials = 0
        for changes, value in itertools.product(sweep, tasks):
            variant = changed(value, changes, "task")
            key = canonical(variant.value)
            if key not in known:
                known[key] = found = self._all_signals(head, variant)
                answers += len(found.signals) * found.baselines
            chosen.append((changes, known[key]))
            observations += len(known[key].signals) * len(fields)
            trials += len(known[key].trial_signals) * len(fields)
        # Of data that all seeds share a baseline has one answer.
        count = answers * (len(head.seeds) if head.data_seed == OWN_DATA else 1)
        count += observations * len(head.seeds) * (2 if head.tuning else 1)
        if head.choosing is not None:
            of_row = head.tuning.trials if head.tuning else 1
            count += trials * of_row * len(head.choosing.trial_seeds(head.seeds, head.data_seed))
        self._check_count(count)
        boards: dict[str, tuple[Signals, dict[RowKey, MadeRow]]] = {}
        for changes, found in chosen:
            task = found.signals[0].task if found.signals else None
            _, rows = boards.setdefault(found.text, (found, {}))
            for number, variant in enumerate(fields):
                if made := self._row(head, task, variant, changes):
                    rows.setdefault(made[0], MadeRow(made[1], number, changes))
        # Without signals there is a problem, and this was done for the sake of others.
        self.stop_on_problems()
        labels = task_labels([found for found, _ in boards.values()])
        tables = [
            self._board(head, label, found, list(rows.values()), fields)
            for label, (found, rows) in zip(labels, boards.values(), strict=True)
        ]
        self._check_tuned(head, tables)
        return tables

    def _all_signals(self, head: ExperimentHead, variant: Variant) -> Signals:
        found = self.signals(variant)
        entry = self.entry("task", variant.value)
        if head.choosing is None or not isinstance(entry, TaskEntry):
            return found
        better = {metric.name: metric.higher_is_better for metric in entry.metrics}
        for analysis in head.analyses:
            assert isinstance(analysis.entry, AnalysisEntry)
            better |= {f"{analysis.name}.{metric.name}": metric.higher_is_better for metric in analysis.entry.metrics}
        by = head.choosing.by or entry.rank_by or entry.primary.name
        if by not in better:
            known = did_you_mean(by, better) or f"; there are {', '.join(better)}"
            self.problem((head.choosing_key, "by"), f"task {entry.name} has no metric {by!r}{known}")
        elif better[by] is None:
            known = ", ".join(name for name, value in better.items() if value is not None)
            self.problem(
                (head.choosing_key, "by"), f"of {by} neither more nor less is better; choose by one of {known}"
            )
        return self.with_trials(found, variant, head.choosing_key, head.choosing)

    def _board(
        self, head: ExperimentHead, label: str, found: Signals, made: list[MadeRow], fields: list[Variant]
    ) -> TaskBoard:
        """A table, with what is chosen in it."""
        task = found.signals[0].task

        def make(item: MadeRow, trial: TrialChanges) -> tuple[RowKey, FieldRow] | None:
            return self._row(head, task, fields[item.field], item.changes, trial)

        if head.tuning is not None:
            rows, choices = tuned(made, head.tuning, make)
        elif head.select is not None:
            rows, choices = selected(made, head.select.over)
        else:
            return TaskBoard(label, found.signals, told_apart([item.row for item in made]))
        return TaskBoard(label, found.signals, rows, tuple(choices), found.trial_signals)

    def _check_tuned(self, head: ExperimentHead, boards: Sequence[TaskBoard]) -> None:
        """Tell of each key of `tuning:` that no field has."""
        for part, paths in (head.tuning.all_paths() if head.tuning else {}).items():
            kind = "baseline" if part == BASELINES else "field"
            rows = [row for board in boards for row in board.rows if row.is_baseline == (part == BASELINES)]
            found = {key for row in rows for key in options_of(row, paths)}
            for key in paths.keys() - found:
                known = {name.removeprefix("field.") for row in rows for name in flatten(row_data(row))}
                self.problem(("tuning", part, key), f"no {kind} has this option{did_you_mean(key, known)}")

    def _row(
        self,
        head: ExperimentHead,
        task: Component | None,
        variant: Variant,
        changes: Changes,
        trial: TrialChanges | None = None,
    ) -> tuple[RowKey, FieldRow] | None:
        """The row of a field in one combination, after a key that is equal for equal ones; None if there is none."""
        value = changed(variant, changes, "field")
        value = trial.applied(value) if trial else value
        field = self.component("field", without(value, *FIELD_KEYS))
        own = self._own_training(value)
        label = self.label(value) or value.label
        if own is None:
            return None
        component: Component | None = field.value if field else None
        tuned_training = trial.training if trial else {}
        merged = merged_training(task, head.training, component, value, own, changes, self._recommended, tuned_training)
        training = self.training(merged.values, merged.origins)
        if field is None or component is None or training is None or task is None:
            return None
        origin = value.origin(())
        skip = self._skipped(task, component, origin)
        row = FieldRow(label or component.describe(), component, training.value, merged.sources, origin, skip)
        return (row.label, field.text, training.text), row

    def _skipped(self, task: Component, field: Component, origin: YamlPath) -> str:
        spec = task.spec
        assert isinstance(spec, TaskSpec)
        return self.asked(task, lambda: spec.accepts(field) or "", origin) or ""

    def _recommended(self, optimizer: Any) -> Mapping[str, Any]:
        """The training that an optimiser recommends."""
        entry = self.entry("optimizer", optimizer)
        return {} if entry is None else entry.training

    def _own_training(self, variant: Variant) -> Mapping[str, Any] | None:
        """What a field itself says of its training; None, and a problem, if that is no mapping."""
        own = variant.value.get("training", {}) if isinstance(variant.value, Mapping) else {}
        if not isinstance(own, Mapping):
            self.problem(variant.origin(("training",)), f"expected a mapping, got {shorten(own)}")
            return None
        return own


def _yaml_type(value: Any) -> str:
    words = {list: "a list", str: "text", type(None): "nothing", bool: "true or false"}
    return words.get(type(value), "a number")
