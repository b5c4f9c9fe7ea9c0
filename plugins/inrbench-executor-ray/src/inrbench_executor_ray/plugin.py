"""The entry of this distribution. Imports neither torch nor Ray."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, field_validator

from inrbench_core import ComponentSpec, ExecutorEntry, hookimpl


class RaySpec(ComponentSpec):
    """Tasks on a Ray cluster, whose nodes need to share no disk."""

    address: str = Field(
        "auto",
        description="auto: the cluster that this machine is a node of, or the one that RAY_ADDRESS names; host:port of "
        "its head; local: start Ray on this machine for this experiment",
    )
    jobs: int | None = Field(
        None, gt=0, description="jobs at a time; if not given, as many as the cluster has room for"
    )
    cpus_per_run: int = Field(1, gt=0, description="CPU cores of a run, and its threads")
    gpus_per_run: float | None = Field(
        None, ge=0, description="GPUs of a run, below 1 for a share of one; if not given, 1 on cuda and 0 on the CPU"
    )
    wait_s: float = Field(
        120.0,
        gt=0,
        description="time after which it gives up on a cluster that does not answer, or that has no node with what a "
        "run asks for, in s",
    )

    @field_validator("address")
    @classmethod
    def _on_a_node(cls, address: str) -> str:
        if address.startswith("ray://"):
            raise ValueError(
                "Ray Client (ray://) is not supported; run inrbench on a node of the cluster, with address: auto"
            )
        return address

    @field_validator("gpus_per_run")
    @classmethod
    def _whole_above_one(cls, gpus: float | None) -> float | None:
        if gpus is not None and gpus > 1 and gpus != int(gpus):
            raise ValueError("above 1 it has to be a whole number")
        return gpus


@hookimpl
def inrbench_executors() -> Iterator[ExecutorEntry]:
    yield ExecutorEntry("ray", RaySpec, "inrbench_executor_ray.executor:RayExecutor", api=1)
