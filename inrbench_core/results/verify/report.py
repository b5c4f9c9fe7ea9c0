"""What `inrbench verify` says: findings, what could not be checked, and notes. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inrbench_core.results.results import ResultRun

# What each probe finds, in the order in which findings are listed.
PROBES = {
    "files": "a file is damaged, of another format, or holds another run than its name says",
    "missing-seed": "a run that the experiment asks for has no result",
    "spec": "a run has other settings than the stored spec asks for, or the spec does not ask for it at all",
    "budget": "a row has more parameters, or more samples in a step, than it was to have",
    "steps": "a row was trained for another number of steps than it was to be",
    "code": "runs of one table were made by different code",
    "devices": "runs of one table were made on different kinds of devices",
    "stale-baseline": "a baseline is of other code or other data than the fields beside it",
    "selected-seeds": "the folder has results of other seeds, and those in the table are the better ones",
    "seed-used-twice": "one fit is filed under two seeds",
    "data": "a run was fitted to, or measured on, other data than its record names",
    "weights": "the stored weights do not give the stored outputs",
    "metrics": "the stored weights, or the baseline, give other metrics than those that are stored",
    "held-out": "a field was trained on samples that its record calls held out",
    "refit": "a run that was fitted again gives other metrics than those that are stored",
}
FIT_AGAIN = "fit it again with --fresh"


@dataclass(frozen=True)
class Finding:
    """One thing that disagrees.

    Args:
        probe: the probe that found it; one of `PROBES`.
        what: what disagrees.
        advice: what to do.
        runs: titles of the runs; none: it concerns a file or a row.
        ids: of the runs.
        stored: what the files say.
        found: what was found instead.
    """

    probe: str
    what: str
    advice: str
    runs: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    stored: Any = None
    found: Any = None

    def line(self) -> str:
        """The finding as one line."""
        subject = f"{_some(self.runs)}: " if self.runs else ""
        values = "" if self.stored is None else f": stored {_shown(self.stored)}, found {_shown(self.found)}"
        return f"{self.probe}: {subject}{self.what}{values}; {self.advice}"


@dataclass(frozen=True)
class Unchecked:
    """What a probe could not look at.

    Args:
        runs: titles of the runs; none: the whole experiment.
        reason: why, in one line.
    """

    runs: tuple[str, ...]
    reason: str

    def line(self) -> str:
        """The same as one line."""
        return f"{_some(self.runs)}: {self.reason}" if self.runs else self.reason


@dataclass(frozen=True)
class Note:
    """What is worth knowing and is no error.

    Args:
        text: one line.
    """

    text: str


Remark = Finding | Unchecked | Note


@dataclass(frozen=True)
class Report:
    """What was found in a folder of results.

    Args:
        folder: as the user named it.
        runs: how many runs its tables have, trials included.
        recomputed: how many of them were computed again from their weights, or by their baseline.
        refitted: how many of them were fitted again.
        findings: what disagrees, by probe.
        unchecked: what could not be checked; runs with the same reason are one.
        notes: what is no error.
    """

    folder: str
    runs: int
    recomputed: int
    refitted: int
    findings: tuple[Finding, ...]
    unchecked: tuple[Unchecked, ...]
    notes: tuple[str, ...]


def title(run: ResultRun) -> str:
    """What to call a run; a trial by its id, too, since all trials of a row have its name."""
    field = f"{run.field}, trial {run.id}" if run.role == "trial" else run.field
    return " / ".join([*dict.fromkeys((run.task, run.signal)), field, f"seed {run.seed}"])


def finding(probe: str, runs: Sequence[ResultRun], what: str, advice: str, **values: Any) -> Finding:
    """A finding about runs; see `Finding`."""
    return Finding(probe, what, advice, tuple(map(title, runs)), tuple(run.id for run in runs), **values)


def make_report(folder: str, runs: int, remarks: Sequence[Remark], *, recomputed: int = 0, refitted: int = 0) -> Report:
    """Sort remarks by probe, and put together what has the same reason."""
    order = list(PROBES)
    findings = sorted(
        dict.fromkeys(remark for remark in remarks if isinstance(remark, Finding)),
        key=lambda found: order.index(found.probe),
    )
    reasons: dict[str, dict[str, None]] = {}
    for remark in remarks:
        if isinstance(remark, Unchecked):
            reasons.setdefault(remark.reason, {}).update(dict.fromkeys(remark.runs))
    unchecked = tuple(Unchecked(tuple(titles), reason) for reason, titles in reasons.items())
    notes = tuple(dict.fromkeys(remark.text for remark in remarks if isinstance(remark, Note)))
    return Report(folder, runs, recomputed, refitted, tuple(findings), unchecked, notes)


def _some(runs: Sequence[str]) -> str:
    return runs[0] if len(runs) == 1 else f"{len(runs)} runs, the first {runs[0]}"


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
