"""The generated scene: a ball, a cube and a ring on a round table, textured, with highlights."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from inrbench_task_nerf.cameras import Cameras, look_at_origin

BOUND = 1.3
# nerf_synthetic's camera.
ANGLE, DISTANCE = 0.6911112, 4.0
_DENSITY, _SOFTNESS = 160.0, 0.006
# Steps lead to this distance from a surface, and within it are this long.
_SHELL, _STEP = 0.02, 0.004
# A share of a ray's light, in 255ths a quarter.
_INVISIBLE = 1e-3
_LIGHT = (0.45, -0.35, 0.82)
_PHONG, _SHINE = 20, 0.35


def cameras(count: int, size: int, *, test: bool) -> Cameras:
    """Square views: for training spread over the upper half by golden angles, for testing on a circle."""
    number = torch.arange(count)
    if test:
        azimuth, elevation = 2.0 * math.pi * (number + 0.5) / count, torch.full((count,), math.radians(30.0))
    else:
        azimuth = math.pi * (3.0 - math.sqrt(5.0)) * number
        # Even by area between 5 and 70 degrees.
        low, high = math.sin(math.radians(5.0)), math.sin(math.radians(70.0))
        elevation = torch.asin(low + (high - low) * torch.frac((number + 0.5) * 0.7548776662466927))
    return Cameras(look_at_origin(azimuth, elevation, DISTANCE), size, size, ANGLE)


def distances(points: Tensor) -> Tensor:
    """Signed distance, or a lower bound, to ball, cube, ring and table: (n, 3) -> (n, 4)."""
    ball = (points - points.new_tensor([-0.45, -0.35, 0.05])).norm(dim=1) - 0.42
    beyond = _turned(points - points.new_tensor([0.5, -0.3, -0.02])).abs() - 0.33
    cube = beyond.clamp_min(0.0).norm(dim=1) + beyond.amax(dim=1).clamp_max(0.0)
    x, y, z = (points - points.new_tensor([0.1, 0.6, 0.07])).unbind(dim=1)
    ring = torch.hypot(torch.hypot(x, z) - 0.32, y) - 0.12
    radial = torch.stack([torch.hypot(points[:, 0], points[:, 1]) - 1.2, (points[:, 2] + 0.45).abs() - 0.08], dim=1)
    table = radial.clamp_min(0.0).norm(dim=1) + radial.amax(dim=1).clamp_max(0.0)
    return torch.stack([ball, cube, ring, table], dim=1)


def _turned(points: Tensor) -> Tensor:
    x, y, z = points.unbind(dim=1)
    cosine, sine = math.cos(0.5), math.sin(0.5)
    return torch.stack([cosine * x + sine * y, cosine * y - sine * x, z], dim=1)


def _albedo(points: Tensor, part: Tensor) -> Tensor:
    """Colour of the material at points (n, 3) of the parts (n,), in [0, 1]."""
    x, y, z = points.unbind(dim=1)
    stripes = torch.sin(20.0 * z + 3.0 * torch.sin(9.0 * x))
    checks = torch.tanh(4.0 * torch.sin(15.0 * x) * torch.sin(15.0 * y) * torch.sin(15.0 * z + 0.7))
    bands = torch.sin(34.0 * (x + 0.6 * z))
    rings = torch.tanh(3.0 * torch.sin(22.0 * torch.hypot(x + 0.2, y - 0.1)))
    pattern = torch.stack([stripes, checks, bands, rings], dim=1).gather(1, part[:, None])
    base = points.new_tensor([[0.80, 0.30, 0.22], [0.25, 0.45, 0.80], [0.85, 0.70, 0.20], [0.45, 0.55, 0.40]])
    swing = points.new_tensor([[0.15, 0.25, 0.10], [0.20, 0.20, -0.15], [-0.25, 0.10, 0.15], [0.20, 0.10, 0.20]])
    return (base[part] + swing[part] * pattern).clamp(0.0, 1.0)


def log_density(points: Tensor) -> Tensor:
    """Logarithm of the density per unit of length, (n,), at points (n, 3)."""
    return math.log(_DENSITY) + functional.logsigmoid(-distances(points).amin(dim=1) / _SOFTNESS)


def shade(points: Tensor, directions: Tensor | None) -> Tensor:
    """Colour, (n, 3) in [0, 1], at points (n, 3) seen along unit directions (n, 3).

    Lambert, and one Phong lobe of white light; without directions Lambert only.
    """
    near = distances(points)
    part = near.argmin(dim=1)
    step = 1e-3
    sides = [
        distances(points + offset).amin(dim=1) - distances(points - offset).amin(dim=1)
        for offset in step * torch.eye(3, device=points.device)
    ]
    normal = functional.normalize(torch.stack(sides, dim=1), dim=1)
    light = functional.normalize(points.new_tensor(_LIGHT), dim=0)
    facing = normal @ light
    colour = _albedo(points, part) * (0.35 + 0.65 * facing.clamp_min(0.0))[:, None]
    if directions is not None:
        mirrored = 2.0 * facing[:, None] * normal - light
        lobe = (-(mirrored * directions).sum(dim=1)).clamp_min(0.0) ** _PHONG * (facing > 0.0)
        colour = colour + _SHINE * lobe[:, None]
    return colour.clamp(0.0, 1.0)


def render(origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Colour (n, 3) times opacity, opacity (n,) and depth (n,), NaN where nothing is, of rays.

    Volume rendering of the density 160 sigmoid(-distance / 0.006), in steps of 0.004 at surfaces and longer ones where
    there is next to nothing.
    """
    near = DISTANCE - math.sqrt(3.0) * BOUND
    depth = torch.full_like(origins[:, 0], near)
    light = torch.ones_like(depth)
    colours, depths = torch.zeros_like(origins), torch.zeros_like(depth)
    active = torch.arange(len(origins))
    while len(active):
        points = origins[active] + depth[active, None] * directions[active]
        distance = distances(points).amin(dim=1)
        step = (distance - _SHELL).clamp_min(_STEP)
        share = light[active] * -torch.expm1(-_DENSITY * torch.sigmoid(-distance / _SOFTNESS) * step)
        seen = share > _INVISIBLE
        colours[active[seen]] += share[seen, None] * shade(points[seen], directions[active[seen]])
        depths[active] += share * depth[active]
        light[active] -= share
        depth[active] += step
        active = active[(light[active] > _INVISIBLE) & (depth[active] < near + 2.0 * math.sqrt(3.0) * BOUND)]
    opacity = 1.0 - light
    return colours, opacity, torch.where(opacity > 0.5, depths / opacity, torch.nan)
