"""An outsider's executor: each job in a plain subprocess that is given JSON and prints files, with no shared folder."""

from __future__ import annotations

import base64
import json
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from inrbench_core import Executor, ExecutorContext, ExecutorEvent, Job, Progress

WORKER = Path(__file__).parent / "subprocess_worker.py"


class SubprocessExecutor(Executor):
    """Two processes at a time.

    Args:
        spec: no options.
        context: the experiment.
    """

    at_once = 2

    def __init__(self, spec: Any, context: ExecutorContext) -> None:
        super().__init__(spec, context)
        self.waiting: list[Job] = []
        self.running: dict[str, _Process] = {}
        self.said: queue.Queue[tuple[_Process, Mapping[str, Any]]] = queue.Queue()

    def submit(self, job: Job) -> None:
        self.waiting.append(job)

    def unfinished(self) -> Collection[str]:
        return {job.id for job in self.waiting} | set(self.running)

    def events(self, timeout_s: float) -> Iterable[ExecutorEvent]:
        while self.waiting and len(self.running) < self.at_once:
            job = self.waiting.pop(0)
            self.running[job.id] = _Process(job, self.said)
        found = []
        try:
            found.append(self.said.get(timeout=timeout_s))
            while True:
                found.append(self.said.get_nowait())
        except queue.Empty:
            pass
        for process, message in found:
            # What a process says after its job was cancelled is not heard.
            if self.running.get(process.job.id) is process:
                yield self._event(process, message)

    def _event(self, process: _Process, message: Mapping[str, Any]) -> ExecutorEvent:
        job_id, what = process.job.id, message["what"]
        if what in ("ended", "lost"):
            self.running.pop(job_id).end()
        if what == "progress":
            return ExecutorEvent(job_id, "progress", message["run"], Progress(**message["progress"]))
        if what == "finished":
            return ExecutorEvent(job_id, "finished", message["run"], content=base64.b64decode(message["content"]))
        return ExecutorEvent(job_id, what, error=message.get("error", ""), retry=message.get("retry", False))

    def cancel(self, job_id: str) -> None:
        self.waiting = [job for job in self.waiting if job.id != job_id]
        if job_id in self.running:
            self.running.pop(job_id).end()

    def shutdown(self) -> None:
        self.waiting.clear()
        for job_id in list(self.running):
            self.cancel(job_id)


class _Process:
    """A worker, and the thread that listens to it."""

    def __init__(self, job: Job, said: queue.Queue[Any]) -> None:
        self.job = job
        self.job_files = {path: base64.b64encode(Path(path).read_bytes()).decode() for path in _paths(job)}
        self.folder = Path(tempfile.mkdtemp(prefix="subprocess-executor-"))
        self.process = subprocess.Popen(
            [sys.executable, WORKER, *_import_paths(job)],
            cwd=self.folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdin is not None
        json.dump({"job": job.to_data(), "files": self.job_files}, self.process.stdin)
        self.process.stdin.close()
        threading.Thread(target=self._listen, args=(said,), daemon=True).start()

    def _listen(self, said: queue.Queue[Any]) -> None:
        assert self.process.stdout is not None
        ended = False
        for line in self.process.stdout:
            message = json.loads(line)
            ended = ended or message["what"] in ("ended", "lost")
            said.put((self, message))
        if not ended:
            error = f"its process ended with status {self.process.wait()}"
            said.put((self, {"what": "lost", "error": error, "retry": True}))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder)


def _paths(job: Job) -> list[str]:
    """What the worker needs: the user's files, and plugin files with the modules beside them."""
    beside = [str(file) for plugin in job.plugin_files for file in Path(plugin).parent.glob("*.py")]
    return sorted({*job.files, *beside})


def _import_paths(job: Job) -> list[str]:
    """Where installed packages are, without the folders of plugin files."""
    apart = {str(Path(plugin).parent) for plugin in job.plugin_files}
    return [path for path in sys.path if path and path not in apart]
