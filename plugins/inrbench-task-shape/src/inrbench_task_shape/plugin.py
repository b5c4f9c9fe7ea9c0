"""The entries of this distribution. Imports no torch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from inrbench_core import Metric, TaskEntry, TaskSpec, hookimpl
from inrbench_core.api.sources import find_source
from inrbench_task_shape.samples import SAMPLES

# Solids in closed form, by what is known of them (see solids.py).
WITH_DISTANCE = ("csg", "menger3", "sphere", "torus")
OCCUPANCY_ONLY = ("gyroid",)
MESHES = (".ply", ".obj", ".stl")
VOLUME = ".npy"
KNOWN = "csg, menger3, sphere, torus (generated), bunny (extra [samples]), a ply, obj or stl file"

CHAMFER_POINTS = Metric("chamfer_points", higher_is_better=False)
BASELINES = ("constant", "grid", "local_linear", "dct", "dct_counted")


class ShapeSpec(TaskSpec):
    """What both shape tasks share: the solid, the training points and the evaluation grid."""

    source: str = Field("csg", validate_default=False, description=KNOWN)
    points: int = Field(262_144, ge=16, description="training points, drawn once for each seed")
    near_surface: float = Field(
        0.5, ge=0, le=1, description="share of the points drawn about the surface; the others are uniform in the cube"
    )
    resolution: int = Field(128, ge=8, le=512, description="points along each axis of the evaluation grid")
    values_per_parameter: float = Field(
        4, gt=0, description="values of the evaluation grid for each number that the transform-coding baselines keep"
    )

    @field_validator("source")
    @classmethod
    def _find(cls, source: str, info: ValidationInfo) -> str:
        """A known name as it is; else the absolute path of a file that is there."""
        if source in OCCUPANCY_ONLY and source not in cls._names():
            raise ValueError(f"{source} has no distance in closed form: it is for the occupancy task only")
        found = find_source(source, info, "solid", cls._names(), SAMPLES)
        suffix, suffixes = Path(found).suffix.lower(), cls._suffixes()
        if found in (*cls._names(), *SAMPLES) or suffix in suffixes:
            return found
        if suffix == VOLUME:
            raise ValueError(f"{found}: a volume of voxels has no exact distances: it is for the occupancy task only")
        raise ValueError(f"{found}: not one of {', '.join(suffixes)}")

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        return WITH_DISTANCE

    @classmethod
    def _suffixes(cls) -> tuple[str, ...]:
        return MESHES


class OccupancySpec(ShapeSpec):
    """Fit a solid: whether a point lies inside."""

    source: str = Field("csg", validate_default=False, description=f"{KNOWN}, gyroid, or an npy volume")
    loss: Literal["cross_entropy", "squared_error"] = Field(
        "cross_entropy", description="the field is a logit, or -1 outside and 1 inside; either way > 0 is inside"
    )

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        return (*WITH_DISTANCE, *OCCUPANCY_ONLY)

    @classmethod
    def _suffixes(cls) -> tuple[str, ...]:
        return (*MESHES, VOLUME)


class SdfSpec(ShapeSpec):
    """Fit a solid: the signed distance to its surface, negative inside."""

    mode: Literal["regression", "eikonal"] = Field(
        "regression", description="distances are given, or only surface points with normals and that |grad f| = 1"
    )
    truncation: float = Field(
        0.1, gt=0, le=2, description="regression: distances are cut off here, and are 1 here for the field"
    )

    def required_derivatives(self) -> int:
        return 1 if self.mode == "eikonal" else 0


@hookimpl
def inrbench_tasks() -> Iterator[TaskEntry]:
    yield TaskEntry(
        "occupancy",
        OccupancySpec,
        "inrbench_task_shape.occupancy:prepare",
        reference="Mescheder et al. 2019, arXiv:1812.03828",
        formula="mean of cross entropy(sigmoid(f(x, y, z)), inside) over sampled points",
        training={"batch": 16_384},
        signal="shape",
        metrics=(Metric("iou"), Metric("accuracy"), CHAMFER_POINTS),
        baselines=BASELINES,
        renderer="inrbench_task_shape.renderer:ShapeRenderer",
        api=1,
    )
    yield TaskEntry(
        "sdf",
        SdfSpec,
        "inrbench_task_shape.sdf:prepare",
        reference="Park et al. 2019, arXiv:1901.05103; eikonal: Sitzmann et al. 2020, arXiv:2006.09661, section 4.2",
        formula="mean of (f(x, y, z) - clamp(distance / truncation, -1, 1))^2 over sampled points",
        training={"batch": 16_384},
        signal="shape",
        metrics=(
            Metric("iou"),
            Metric("chamfer", higher_is_better=False),
            Metric("normal_consistency"),
            Metric("f_score"),
            CHAMFER_POINTS,
        ),
        baselines=BASELINES,
        renderer="inrbench_task_shape.renderer:ShapeRenderer",
        api=1,
    )
