"""A Ray cluster on this machine, on loopback, whose nodes can be removed: for tests and measurements.

The cluster has a process of its own, `python -m inrbench_executor_ray.testing`, which ends it when its stdin closes: so
nothing is left behind, however the process that uses it ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any

# On loopback, where nobody else reaches it.
ENVIRONMENT = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}
# Bytes that each node keeps for results: little, because /dev/shm may be small.
STORE_BYTES = 80 * 2**20


class LocalCluster:
    """A context manager: a head node, and others that can be removed.

    Args:
        nodes: how many, with the head.
        cpus: CPUs that each node offers.
        gpus: GPUs that each node says it has; Ray does not look for them.
        config: settings of Ray's own, as `memory_usage_threshold`.
        environment: added to that of the nodes.
    """

    def __init__(
        self,
        nodes: int = 3,
        cpus: int = 1,
        gpus: int = 0,
        config: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        arguments = json.dumps({"nodes": nodes, "cpus": cpus, "gpus": gpus, "config": dict(config or {})})
        self.process = subprocess.Popen(
            [sys.executable, "-m", "inrbench_executor_ray.testing", arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **ENVIRONMENT, **(environment or {})},
            start_new_session=True,
        )
        self.address = self._answer()

    def remove_node(self) -> None:
        """Kill the node that was added last, without warning."""
        self._ask("remove")

    def remove_head(self) -> None:
        """Kill the head node: the cluster is gone."""
        self._ask("remove head")

    def _ask(self, what: str) -> None:
        assert self.process.stdin is not None
        print(what, file=self.process.stdin, flush=True)
        self._answer()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            raise RuntimeError("the cluster has ended")
        return line

    def __enter__(self) -> LocalCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.process.communicate()


def main() -> None:
    from ray.cluster_utils import Cluster

    given = json.loads(sys.argv[1])
    # What Ray prints must not come between our own lines.
    out, sys.stdout = os.fdopen(os.dup(1), "w"), sys.stderr
    node = {"num_cpus": given["cpus"], "num_gpus": given["gpus"]}
    node |= {"object_store_memory": STORE_BYTES, "node_ip_address": "127.0.0.1"}
    head = {**node, "include_dashboard": False, "_system_config": given["config"]}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    added = [cluster.add_node(**node) for _ in range(given["nodes"] - 1)]
    print(cluster.address, file=out, flush=True)
    for line in sys.stdin:
        removed = cluster.head_node if "head" in line else added.pop()
        cluster.remove_node(removed, allow_graceful=False)
        print("removed", file=out, flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main()
