"""Event files of runs: scalars, pictures and settings."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from torch.utils.tensorboard import SummaryWriter

from inrbench_core import Progress
from inrbench_core.runs.record import RunRecord
from inrbench_core.runs.run import AnyRun
from inrbench_core.runs.store import RunStore

# A fit that is killed loses the events of so many seconds, of the default 120 otherwise.
FLUSH_SECONDS = 10


@dataclass(frozen=True)
class _Open:
    """The file of a run that is under way.

    Args:
        writer: of the file.
        began: time since the epoch, in s.
        earlier: the files that were there before.
    """

    writer: SummaryWriter
    began: float
    earlier: frozenset[Path]


class Log:
    """Writes the runs of an experiment.

    Args:
        folder: of all of them.
        store: the folder of results.
    """

    def __init__(self, folder: Path, store: RunStore) -> None:
        self.folder = folder
        self.store = store
        self._open: dict[str, _Open] = {}

    def path(self, run: AnyRun) -> Path:
        """The folder of a run."""
        return self.folder.joinpath(*map(_name, (run.task_label, run.label, run.signal, f"seed-{run.seed}")))

    def start(self, run: AnyRun) -> None:
        """Begin a run's file. What was logged of it before stays until `finish`: the run may not go well this time."""
        if run.id in self._open:
            # Its worker was lost, and it begins again.
            earlier = self._open[run.id].earlier
            self._close(run.id)
            self._delete(self._files(run) - earlier)
        earlier = self._files(run)
        writer = SummaryWriter(str(self.path(run)), flush_secs=FLUSH_SECONDS)
        self._open[run.id] = _Open(writer, time.time(), earlier)
        writer.add_text("settings", _code(json.dumps(run.to_data(), indent=2)))

    def progress(self, run: AnyRun, progress: Progress) -> None:
        """Log the loss and the latest metrics."""
        # Before the first step the loss is NaN, and there is nothing to draw while a run is prepared.
        if run.id not in self._open or not progress.step:
            return
        writer = self._open[run.id].writer
        for name, value in {"loss": progress.loss, **progress.metrics}.items():
            writer.add_scalar(f"progress/{name}", value, progress.step)

    def finish(self, run: AnyRun, record: RunRecord) -> None:
        """Log what the run has come to, and keep the one file that is of the result that the folder keeps."""
        if run.id not in self._open:
            # A run that is lost before it begins has no event of its beginning.
            self.start(run)
        opened = self._open[run.id]
        writer, began = opened.writer, opened.began
        # `record.arrays` would keep the arrays of all runs in memory.
        arrays = record.read_arrays()
        for name in arrays.curve.keys() - {"step", "seconds"}:
            points = zip(arrays.curve["step"], arrays.curve["seconds"], arrays.curve[name], strict=True)
            for step, seconds, value in points:
                writer.add_scalar(f"curve/{name}", float(value), int(step), walltime=began + float(seconds))
        for name, value in record.metrics.items():
            writer.add_scalar(f"final/{name}", value, record.step)
        for name, picture in (("preview", arrays.preview), ("truth", arrays.truth)):
            if picture is not None:
                writer.add_image(name, picture, record.step, dataformats="HWC")
        writer.add_text("status", ": ".join(filter(None, (record.status, record.message))), record.step)
        self._close(run.id)
        # TensorBoard would draw several files as one curve.
        self._delete(opened.earlier if self._is_kept(run, record) else self._files(run) - opened.earlier)

    def close(self) -> None:
        """End all files."""
        for run_id in list(self._open):
            self._close(run_id)

    def _is_kept(self, run: AnyRun, record: RunRecord) -> bool:
        """Whether the folder of results keeps this record, and not an earlier one that is good."""
        stored = None if record.status == "ok" else self.store.records([run.id]).get(run.id)
        return stored is None or stored.status != "ok"

    def _files(self, run: AnyRun) -> frozenset[Path]:
        return frozenset(self.path(run).glob("events.out.tfevents.*"))

    @staticmethod
    def _delete(files: Iterable[Path]) -> None:
        for file in files:
            file.unlink(missing_ok=True)

    def _close(self, run_id: str) -> None:
        if run_id in self._open:
            self._open.pop(run_id).writer.close()


def _name(label: str) -> str:
    """A folder's name for a label, another one for each: `inr-bench/siren` is one folder, and `..` no way out."""
    name = quote(label, safe=" +,=()[]")
    return name if name.strip(".") else name.replace(".", "%2E")


def _code(text: str) -> str:
    # TensorBoard reads texts as Markdown.
    return "\n".join(f"    {line}" for line in text.splitlines())
