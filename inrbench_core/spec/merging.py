"""What counts where several parts of a spec say the same thing: sweeps, recipes and training options."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from inrbench_core.api.spec import Component
from inrbench_core.spec.plain_data import MOST_LEVELS
from inrbench_core.spec.variants import MOST_VARIANTS, Variant, named
from inrbench_core.spec.yaml_io import YamlPath

# Path to change -> its value, and where in the spec that is written.
Changes = Mapping[YamlPath, tuple[Any, YamlPath]]


def combinations(sweep: Mapping[str, Any], report: Callable[[YamlPath, str], None]) -> list[Changes]:
    """Every combination of a sweep; one without changes where there is none.

    Args:
        sweep: dotted key -> list of values.
        report: is told the path and the reason of what is wrong.
    """
    axes = []
    for key, values in sweep.items():
        path = tuple(str(key).split("."))
        if path[0] not in {"training", "task", "field"} or len(path) < 2:
            report(("sweep", key), "a sweep goes over training.KEY, task.KEY or field.KEY")
        elif len(path) > MOST_LEVELS:
            report(("sweep", key), f"a key has at most {MOST_LEVELS} parts")
        elif not values:
            report(("sweep", key), "the list is empty")
        elif isinstance(values, list):
            axes.append([(path, value, ("sweep", key, index)) for index, value in enumerate(values)])
    count = math.prod(len(axis) for axis in axes)
    if count > MOST_VARIANTS:
        report(("sweep",), f"expands to {count:,} combinations; at most {MOST_VARIANTS:,}")
        return []
    return [{path: (value, origin) for path, value, origin in chosen} for chosen in itertools.product(*axes)]


def changed(variant: Variant, changes: Changes, root: str) -> Variant:
    """The variant with the changes that begin with `root`."""
    for path, (value, origin) in changes.items():
        if path[0] == root:
            variant = variant.with_value(path[1:], value, origin)
    return variant


def without(variant: Variant, *keys: str) -> Variant:
    """The variant without some keys that do not belong to the component's own options."""
    if not isinstance(variant.value, Mapping):
        return variant
    return replace(variant, value={key: value for key, value in variant.value.items() if key not in keys})


@dataclass
class MergedTraining:
    """Training options with where each comes from.

    Args:
        values: plain data for a TrainingSpec.
        origins: where in the spec each is written.
        sources: who says so, in a few words.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[YamlPath, YamlPath] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def add(self, options: Mapping[str, Any], source: str, origin: Callable[[str], YamlPath] | None = None) -> None:
        """Let some options replace what is known of them."""
        for key, value in options.items():
            self.values[key] = value
            self.sources[key] = source
            self.origins.pop((key,), None)
            if origin is not None:
                self.origins[(key,)] = origin(key)


def merged_training(
    task: Component | None,
    shared: Mapping[str, Any],
    field_component: Component | None,
    variant: Variant,
    own: Mapping[str, Any],
    changes: Changes,
    recommended: Callable[[Any], Mapping[str, Any]],
    tuned: Changes,
) -> MergedTraining:
    """Merge, what counts least first: task, shared training, components, recipe, sweep, the field's own, a trial's.

    What a field's components or its recipe recommend counts more than what the experiment says for all fields: a
    shared rate would replace SIREN's own without a word. A task's recommendation, such as its batch size, is not
    about a field, and counts less. Rates that fields recommend are meant for Adam: where the chosen optimiser
    recommends its own, that one counts more, and still more what the user writes beside it: a shared rate is meant for
    the optimiser that the shared training names.

    Args:
        task: the task, if that is known.
        shared: the experiment's training.
        field_component: the field, if that is known.
        variant: the field in the spec.
        own: the field's own training.
        changes: of the sweep.
        recommended: what the optimiser that a value names recommends.
        tuned: option -> what it is in a trial of `tuning:`, which even replaces what the field itself says.
    """
    merged = MergedTraining(origins={(): variant.origin(())})
    if task is not None:
        merged.add(task.entry.training, f"task {task.name}")
    merged.add(shared, "shared training", lambda key: ("training", key))
    for part in field_component.walk() if field_component else ():
        merged.add(part.entry.training, f"{part.kind} {part.name}")
    merged.add(variant.training, f"recipe {variant.label}")
    for path, (value, origin) in changes.items():
        if path[0] == "training" and len(path) == 2:
            merged.add({str(path[1]): value}, "sweep", lambda key, origin=origin: origin)  # type: ignore[misc]
        elif path[0] == "training":
            inner = Variant(merged.values, {}).with_value(path[1:], value, origin)
            merged.add({str(path[1]): inner.value[path[1]]}, "sweep", lambda key, origin=origin: origin)  # type: ignore[misc]
    merged.add(own, "own training", lambda key: variant.origin(("training", key)))
    for path, (value, origin) in tuned.items():
        merged.add({str(path[0]): value}, "tuning", lambda key, origin=origin: origin)  # type: ignore[misc]
    optimizer = merged.values.get("optimizer")
    swept = {path[1] for path in changes if path[0] == "training"} | {path[0] for path in tuned}
    is_shared = named(optimizer) == named(shared.get("optimizer"))
    for key, value in recommended(optimizer).items():
        if key in own or key in swept:
            continue
        if is_shared and key in shared:
            merged.add({key: shared[key]}, "shared training", lambda name: ("training", name))
        else:
            merged.add({key: value}, "the optimizer")
    return merged
