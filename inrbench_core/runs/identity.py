"""What makes a run the same run: hashes of what was asked for and of the code that computes it. Imports no torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from inrbench_core.spec.experiment import plain_identity
from inrbench_core.spec.lists import OWN_DATA, DataSeed


def digest(value: Any) -> str:
    """A hash of plain data, 16 hex digits, that does not depend on the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def streams_seed(data_seed: DataSeed, seed: int) -> int:
    """What noise, masks and the like of a run with some seed are drawn from."""
    return seed if data_seed == OWN_DATA else data_seed


def group_of(data: Mapping[str, Any]) -> str:
    """The hash of a run's settings without its signal and seed: runs that are observations of one row share it.

    Runs of different data seeds do not, unless each has the data of its own seed.

    Args:
        data: a run as `Run.to_data` gives it; its `seed` and `signal` are not looked at.
    """
    task = plain_identity(data["task"], data["files"])
    task.pop(data["signal_option"], None)
    return digest([task, data["field"], data["baseline"], data["training"], data["analyses"], data["data_seed"]])


def settings_of(group: str, data: Mapping[str, Any]) -> str:
    """The hash of what was asked for: the group, the signal by its content, and the seed."""
    signal = data["task"].get(data["signal_option"])
    return digest([group, plain_identity(signal, data["files"]), sorted(data["files"].values()), data["seed"]])


def id_of(settings: str, data: Mapping[str, Any]) -> str:
    """The hash of the settings, the code that computes them and the kind of device (cpu or cuda)."""
    return digest([settings, data["code"], data["targets"], data["device"].partition(":")[0]])


def run_id(data: Mapping[str, Any]) -> str:
    """The id of a run, from its plain data alone. Raises KeyError, TypeError or AttributeError if it is no run."""
    return id_of(settings_of(group_of(data), data), data)
