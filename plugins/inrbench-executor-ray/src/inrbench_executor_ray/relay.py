"""The process between the driver and Ray: `python -m inrbench_executor_ray.relay DESCRIPTOR PARENT`."""

from __future__ import annotations

import os
import pickle
import queue
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inrbench_core.api.executor import Job
from inrbench_core.plugins.failures import one_line
from inrbench_core.runs.serve import connect, send
from inrbench_executor_ray.code import Parcels, stage
from inrbench_executor_ray.worker import carry_out

LOOPBACK = "127.0.0.1"
_POLL_S = 0.05
# How often it looks at the cluster's nodes and says that it is there.
_LOOK_S = 2.0
_SAY_S = 10.0


class Relay:
    """Hands jobs to Ray and sends the driver what comes of them.

    Args:
        connection: the socket to the driver.
        options: of the executor, as a mapping.
    """

    def __init__(self, connection: socket.socket, options: dict[str, Any]) -> None:
        self.connection = connection
        self.options = options
        self.ray = _connected(options["address"], options["wait_s"])
        resources = {"num_cpus": options["cpus_per_run"], "num_gpus": options["gpus_per_run"]}
        # Whether a job is tried again is the driver's business.
        self._task = self.ray.remote(max_retries=0, **resources)(carry_out)
        self._needed = {"CPU": float(options["cpus_per_run"])}
        if options["gpus_per_run"]:
            self._needed["GPU"] = options["gpus_per_run"]
        self._parcels = Parcels(self.ray.put)
        # What Ray gives of each job, by its number.
        self._streams: dict[int, Any] = {}
        self._waiting: set[int] = set()
        self._looked = 0.0
        self._moved = self._possible = time.monotonic()
        self._said = False

    def serve(self, commands: queue.Queue[tuple[str, Any]]) -> None:
        """Until the driver says that it is over."""
        while True:
            try:
                # With tasks under way the wait is for them.
                what, content = commands.get(block=not self._streams, timeout=_LOOK_S)
            except queue.Empty:
                self._collect()
                self._look()
                continue
            if what == "submit":
                self._submit(*content)
            elif what == "cancel":
                self._cancel(content)
            elif what == "shutdown":
                for number in list(self._streams):
                    self._cancel(number)
                self.ray.shutdown()
                return

    def _submit(self, number: int, job: Job) -> None:
        try:
            files = self._parcels.of(job)
        except OSError as error:
            self._tell(number, "lost", (f"{error.filename}: cannot be read: {error.strerror}", False))
            return
        self._waiting.add(number)
        self._streams[number] = self._task.remote(job.to_data(), files, self.options["cpus_per_run"])

    def _cancel(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        self._waiting.discard(number)
        if stream is not None:
            self.ray.cancel(stream, force=True)

    def _tell(self, number: int, what: str, content: Any) -> None:
        send(self.connection, "event", (number, (what, content)))

    def _collect(self) -> None:
        """Send on what the tasks have yielded."""
        if not self._streams:
            return
        numbers = {id(stream): number for number, stream in self._streams.items()}
        ready, _ = self.ray.wait(list(self._streams.values()), num_returns=1, timeout=_POLL_S)
        while ready:
            for stream in ready:
                self._take(numbers[id(stream)], stream)
            left = list(self._streams.values())
            ready, _ = self.ray.wait(left, num_returns=len(left), timeout=0) if left else ([], [])

    def _take(self, number: int, stream: Any) -> None:
        try:
            what, content = self.ray.get(next(stream))
        except StopIteration:
            what, content = "lost", ("its task ended without a word", True)
        except Exception as error:
            what, content = "lost", self._reason(error)
        if number in self._waiting:
            self._waiting.discard(number)
            self._moved, self._said = time.monotonic(), False
        if what in ("ended", "lost"):
            del self._streams[number]
        self._tell(number, what, content)

    def _reason(self, error: Exception) -> tuple[str, bool]:
        """Why a job is lost, and whether it may go well when it is tried again."""
        kinds = self.ray.exceptions
        text = " ".join(str(error).split())
        if isinstance(error, kinds.OutOfMemoryError):
            return f"its worker process was killed by Ray, because the node's memory was short: {text[:300]}", True
        if isinstance(error, kinds.RayTaskError | kinds.RuntimeEnvSetupError | kinds.TaskUnschedulableError):
            return f"the task cannot be carried out: {one_line(error)[-500:]}", False
        return f"its worker process or its node died ({type(error).__name__}: {text[:200]})", True

    def _look(self) -> None:
        """Say that the connection is alive, and see whether waiting makes sense."""
        now = time.monotonic()
        if now - self._looked < _LOOK_S:
            return
        self._looked = now
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        send(self.connection, "alive", None)
        possible = any(all(node.get(name, 0.0) >= amount for name, amount in self._needed.items()) for node in nodes)
        if possible or not self._waiting:
            self._possible = now
        if len(self._waiting) < len(self._streams) or not self._waiting:
            self._moved = now
        if not self._said and now - self._moved > _SAY_S:
            self._said = True
            text = f"waiting for a Ray node with {_amounts(self._needed)} free"
            send(self.connection, "waiting", text if possible else text + self._has(nodes))
        if now - self._possible > self.options["wait_s"]:
            asked, wait_s = _amounts(self._needed), self.options["wait_s"]
            reason = f"there has been no Ray node with {asked} for {wait_s:g} s{self._has(nodes)}"
            for number in list(self._waiting):
                self._cancel(number)
                self._tell(number, "lost", (reason, False))

    def _has(self, nodes: list[dict[str, float]]) -> str:
        most = {name: max((node.get(name, 0.0) for node in nodes), default=0.0) for name in self._needed}
        return f"; the cluster has {len(nodes)} nodes, with at most {_amounts(most)} in one"


def _amounts(resources: Mapping[str, float]) -> str:
    return " and ".join(f"{amount:g} {name}" for name, amount in resources.items())


def _connected(address: str, wait_s: float) -> Any:
    """The module `ray`, connected to the cluster, whose workers find our code."""
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or address
    # Ray reads these when it is imported.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", str(max(1, int(wait_s))))
    # Under `ray job submit` the job may have a working folder of its own, which is not where our code is.
    os.environ["RAY_OVERRIDE_JOB_RUNTIME_ENV"] = "1"
    if address == "local" or address.startswith(f"{LOOPBACK}:"):
        # Ray would use the network card's address, under which others reach it, and a cluster on loopback not us.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    import ray

    here = {"include_dashboard": False, "_node_ip_address": LOOPBACK} if address == "local" else {}
    with tempfile.TemporaryDirectory(prefix="inrbench-code-") as folder:
        distributions = stage(Path(folder))
        environment = {
            "working_dir": folder,
            # A plugin that only the node has could take the name of one that travels.
            "env_vars": {"INRBENCH_PLUGINS": ",".join(distributions)},
        }
        ray.init(address, runtime_env=environment, log_to_driver=False, logging_level="ERROR", **here)
    return ray


def main() -> None:
    connection = connect()
    # Ray and its processes write to the terminal as they like.
    log = os.open(os.environ["INRBENCH_RAY_LOG"], os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    messages = connection.makefile("rb")
    _, options = pickle.load(messages)
    try:
        relay = Relay(connection, options)
    except Exception as error:
        send(
            connection, "refused", f"no connection to the Ray cluster at {options['address']}: {one_line(error)[:500]}"
        )
        sys.exit(1)
    send(connection, "connected", None)
    commands: queue.Queue[tuple[str, Any]] = queue.Queue()

    def read() -> None:
        while True:
            try:
                commands.put(pickle.load(messages))
            except EOFError:
                os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    relay.serve(commands)


if __name__ == "__main__":
    main()
