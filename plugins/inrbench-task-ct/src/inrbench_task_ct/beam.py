"""The forward operator: line integrals along parallel rays."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from inrbench_core import grid_coords


class ParallelBeam:
    """A parallel-beam scan of a square slice, in the geometry of `skimage.transform.radon`.

    Coordinates are (row, column) in [-1, 1], outer pixels' centres at the ends. The axis of rotation is
    the centre of pixel size // 2, which for even sizes is half a pixel off 0. The ray of angle a and
    offset s, both from there, runs through s (-sin a, cos a) + t (cos a, sin a). It is cut to the disc
    that every view sees, and lengths are in coordinate units.

    Args:
        size: pixels of a side, and bins of a view.
        views: directions, evenly spread over 180 degrees.
        device: where angles, offsets and the pixels' coordinates along a side are.
    """

    def __init__(self, size: int, views: int, device: torch.device | None = None) -> None:
        self.size, self.views = size, views
        self.spacing = 2.0 / (size - 1)
        self.centre, self.radius = disc(size)
        self.pixels = grid_coords((size,), device).squeeze(1)
        self.angles = (torch.arange(views, dtype=torch.float64) * (math.pi / views)).float().to(device)
        self.offsets = ((torch.arange(size, dtype=torch.float64) - size // 2) * self.spacing).float().to(device)

    def rays(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Angle, rad, and offset of bins; bins are counted view by view: int64 (n,) to two of (n,)."""
        return self.angles[index // self.size], self.offsets[index % self.size]

    def integrals(self, function: Callable[[Tensor], Tensor], angle: Tensor, offset: Tensor, samples: int) -> Tensor:
        """Integrals of a function along rays, by the midpoint rule.

        Args:
            function: maps coordinates (m, 2) to values (m,).
            angle, offset: the rays, (n,) each.
            samples: points along each ray.

        Returns:
            shape (n,); 0 for a ray that misses the disc.
        """
        half = (self.radius**2 - offset.square()).clamp_min(0.0).sqrt()
        middles = (torch.arange(samples, device=offset.device) + 0.5) * (2.0 / samples) - 1.0
        along = half.unsqueeze(1) * middles
        # A ray that misses the disc counts 0; its points are put on the rim, where fields are defined.
        across = offset.clamp(-self.radius, self.radius).unsqueeze(1)
        sine, cosine = angle.sin().unsqueeze(1), angle.cos().unsqueeze(1)
        points = torch.stack([along * cosine - across * sine, along * sine + across * cosine], dim=-1) + self.centre
        return function(points.reshape(-1, 2)).reshape(-1, samples).mean(dim=1) * (2.0 * half)


def disc(size: int) -> tuple[float, float]:
    """Centre (the same along both axes) and radius of the disc that every view of a slice of that size sees."""
    middle, spacing = size // 2, 2.0 / (size - 1)
    return -1.0 + middle * spacing, (size - 1 - middle) * spacing


def inside_disc(size: int, rows: Tensor, columns: Tensor) -> Tensor:
    """Which points of a grid are in the disc of a slice of that size; coordinates (H,) and (W,) to bool (H, W)."""
    centre, radius = disc(size)
    squared = (rows - centre).square().unsqueeze(1) + (columns - centre).square()
    return squared <= (radius * (1.0 + 1e-6)) ** 2
