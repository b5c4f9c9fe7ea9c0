"""What a field of a solid gives on a grid: a volume, its surface, a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inrbench_core import Evaluation, FieldFrame, Frame, Renderer, UnsupportedError, grid_coords, predict
from inrbench_core.api.problem import from_field
from inrbench_task_shape.meshes import Mesh
from inrbench_task_shape.picture import draw
from inrbench_task_shape.surfaces import extract

Array = np.ndarray[Any, Any]

# Of the volume, more are left out of what is kept.
KEPT_RESOLUTION = 64
# A volume of 4 GiB.
MOST_RESOLUTION = 1024
POINTS_AT_A_TIME = 1 << 18


def grid_blocks(resolution: int, device: torch.device) -> Iterator[Tensor]:
    """The points of a grid over the cube, a few planes of x at a time, (n, 3)."""
    axis = grid_coords((resolution,), device).squeeze(1)
    plane = grid_coords((resolution, resolution), device)
    planes = max(1, POINTS_AT_A_TIME // len(plane))
    for part in axis.split(planes):
        yield torch.cat([part.repeat_interleave(len(plane))[:, None], plane.repeat(len(part), 1)], dim=1)


def sample_volume(model: nn.Module, resolution: int, sign: float, device: torch.device) -> Array:
    """A field's values on a grid times `sign`, so that they are negative inside: float32, (resolution,) * 3."""
    values = np.empty(resolution**3, np.float32)
    start = 0
    for block in grid_blocks(resolution, device):
        part = sign * predict(model, block).float().squeeze(1)
        values[start : start + len(block)] = part.cpu().numpy()
        start += len(block)
    return values.reshape((resolution,) * 3)


def present(values: Array, mesh: Mesh | None, frame: Frame, metrics: dict[str, float]) -> Evaluation:
    """The evaluation of a volume.

    Args:
        values: float32 (R, R, R), finite, negative inside.
        mesh: its surface, over [-1, 1]^3, or None if it has none.
        frame: of a ShapeProblem.
        metrics: what it scores.

    Returns:
        the picture, and in the user's units: `values`, float32, at most `KEPT_RESOLUTION` along each axis; `vertices`,
        float64 (V, 3), and `faces`, int32 (F, 3), if there is a surface.
    """
    field = frame.fields["field"]
    stride = -(-values.shape[0] // KEPT_RESOLUTION)
    kept = torch.from_numpy(frame.facts["sign"] * values[::stride, ::stride, ::stride, None])
    outputs: dict[str, Array] = {"values": from_field(kept, field).squeeze(-1).float().numpy()}
    if mesh is not None:
        outputs["vertices"] = to_own_frame(mesh.vertices, field)
        outputs["faces"] = mesh.faces.astype(np.int32)
    return Evaluation(metrics, outputs, draw(values))


def to_own_frame(points: Array, field: FieldFrame) -> Array:
    """Points (n, 3) of the cube [-1, 1]^3 in the user's coordinates, float64."""
    low, high = (np.array([getattr(axis, end) for axis in field.coords]) for end in ("low", "high"))
    return low + (high - low) * (points.astype(np.float64) + 1.0) / 2.0


class ShapeRenderer(Renderer):
    """Volume and surface on any grid; needs the fact `sign`, which makes values of the field negative inside."""

    def render(self, model: nn.Module, size: int | None = None) -> Evaluation:
        """On a grid of `size` points along each axis; default: as many as the evaluation's.

        Raises:
            UnsupportedError: if a surface cannot be taken from a grid of that size, or a value is not finite.
        """
        resolution = size or (self.frame.fields["field"].resolution or (0,))[0]
        if not 2 <= resolution <= MOST_RESOLUTION:
            raise UnsupportedError(f"a solid is rendered on 2 to {MOST_RESOLUTION} points along an axis: not {size}")
        values = sample_volume(model, resolution, self.frame.facts["sign"], self.device)
        if not np.isfinite(values).all():
            raise UnsupportedError("the field has values that are not finite, so it has no surface")
        return present(values, extract(values), self.frame, {})

    def save(self, evaluation: Evaluation, folder: Path, stem: str) -> list[Path]:
        """Also STEM.ply, the surface in the user's coordinates, if there is one."""
        paths, outputs = super().save(evaluation, folder, stem), evaluation.outputs
        if "vertices" in outputs:
            paths.append(folder / f"{stem}.ply")
            paths[-1].write_bytes(ply(outputs["vertices"], outputs["faces"]))
        return paths


def ply(vertices: Array, faces: Array) -> bytes:
    """A binary PLY file of vertices (V, 3) in double precision, which coordinates far from 0 need, and faces (F, 3)."""
    places = "".join(f"property double {axis}\n" for axis in "xyz")
    corners = f"element face {len(faces)}\nproperty list uchar int vertex_indices\n"
    header = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(vertices)}\n{places}{corners}end_header\n"
    rows = np.empty(len(faces), [("count", "u1"), ("corners", "<i4", 3)])
    rows["count"], rows["corners"] = 3, faces
    return header.encode() + vertices.astype("<f8").tobytes() + rows.tobytes()
