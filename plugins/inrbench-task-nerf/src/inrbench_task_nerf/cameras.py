"""Pinhole cameras, in the convention of nerf_synthetic (OpenGL): x right, y up, looking along -z."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Cameras:
    """Cameras of one size and one focal length.

    Args:
        poses: camera to world, float32 (V, 4, 4).
        height: of a view, pixels; likewise `width`.
        angle: horizontal field of view, rad.
    """

    poses: Tensor
    height: int
    width: int
    angle: float

    @property
    def pixels(self) -> int:
        """Of one view."""
        return self.height * self.width

    def rays(self, ray: Tensor) -> tuple[Tensor, Tensor]:
        """Origins and unit directions, (n, 3) each, through the centres of pixels.

        Args:
            ray: int64 (n,), counted view by view and row by row.
        """
        poses = self.poses[ray // self.pixels]
        pixel = ray % self.pixels
        focal = 0.5 * self.width / math.tan(0.5 * self.angle)
        right = (pixel % self.width + 0.5 - 0.5 * self.width) / focal
        up = -(pixel // self.width + 0.5 - 0.5 * self.height) / focal
        local = torch.stack([right, up, -torch.ones_like(right)], dim=1)
        directions = torch.einsum("nij,nj->ni", poses[:, :3, :3], local)
        return poses[:, :3, 3], directions / directions.norm(dim=1, keepdim=True)


def look_at_origin(azimuth: Tensor, elevation: Tensor, distance: float) -> Tensor:
    """Poses (V, 4, 4) of cameras about the origin, z up; angles (V,) in rad."""
    backward = torch.stack([azimuth.cos() * elevation.cos(), azimuth.sin() * elevation.cos(), elevation.sin()], dim=1)
    right = torch.stack([-azimuth.sin(), azimuth.cos(), torch.zeros_like(azimuth)], dim=1)
    up = torch.linalg.cross(backward, right)
    poses = torch.eye(4).repeat(len(azimuth), 1, 1)
    poses[:, :3, :] = torch.stack([right, up, backward, distance * backward], dim=2)
    return poses


def through_cube(origins: Tensor, directions: Tensor, bound: float) -> tuple[Tensor, Tensor]:
    """Where rays enter and leave the cube [-bound, bound]^3, (n,) each; the same number twice if they miss it."""
    # An infinite slope along an axis is right: the ray is always or never between that axis' two planes.
    ends = torch.stack([(-bound - origins) / directions, (bound - origins) / directions]).nan_to_num(nan=0.0)
    near = ends.amin(dim=0).amax(dim=1).clamp_min(0.0)
    far = ends.amax(dim=0).amin(dim=1)
    return near, torch.maximum(near, far)
