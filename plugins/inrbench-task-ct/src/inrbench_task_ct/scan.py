"""A measured scan as a linear system, which classical reconstructions solve."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from inrbench_core import DataError
from inrbench_task_ct.beam import ParallelBeam

Array = np.ndarray[Any, Any]

# Along all rays together: the matrix of as many points takes about 5 GB.
MOST_POINTS = 200_000_000


@dataclass(frozen=True)
class Scan:
    """Some bins of a sinogram of a slice, whose pixels outside the disc are air and no unknowns.

    Args:
        bins: measured integrals, float64 (B,), view by view, lengths in coordinate units.
        matrix: sparse (B, P), from the P pixels in the disc to the bins.
        view: which view each bin belongs to, int64 (B,).
        degrees: direction of each view of the whole sinogram, (V,), as `skimage.transform.radon` takes it.
        disc: bool (N, N), P of them True: the pixels that every view sees.
        spacing: of pixels, in coordinate units.
    """

    bins: Array
    matrix: sparse.csr_matrix
    view: Array
    degrees: Array
    disc: Array
    spacing: float

    def part(self, chosen: Array) -> Scan:
        """The bins where `chosen`, bool (B,), is True."""
        return replace(self, bins=self.bins[chosen], matrix=self.matrix[chosen], view=self.view[chosen])

    def sinogram(self) -> tuple[Array, Array]:
        """Whole views as scikit-image has them: the bins, (N, V), lengths in pixels, and directions, degrees (V,)."""
        views = np.unique(self.view)
        return (self.bins / self.spacing).reshape(len(views), -1).T, self.degrees[views]

    def error(self, pixels: Array) -> float:
        """Sum over bins of the squared difference to the integrals of pixels (P,)."""
        return float(np.square(self.matrix @ pixels - self.bins).sum())

    def picture(self, pixels: Array) -> Array:
        """Pixels of the disc, (P,), as a slice (N, N) with air around."""
        picture = np.zeros(self.disc.shape)
        picture[self.disc] = pixels
        return picture


def make_scan(beam: ParallelBeam, sinogram: Array, disc: Array, samples: int) -> Scan:
    """The linear system of a sinogram (V, N), through the same points as `ParallelBeam.integrals`.

    Args:
        beam: the geometry.
        sinogram: integrals in coordinate units.
        disc: bool (N, N): the pixels that every view sees.
        samples: points along each ray; between pixels a slice is bilinear.

    Raises:
        DataError: if the matrix would be too large.
    """
    points = beam.views * beam.size * samples
    if points > MOST_POINTS:
        raise DataError(
            f"classical reconstructions take at most {MOST_POINTS:,} points (views x size x samples), and these are "
            f"{points:,}: choose a smaller size, or fewer views or samples"
        )
    angles = beam.angles.cpu().double().numpy()
    offsets = beam.offsets.cpu().double().numpy()
    inside = np.flatnonzero(disc)
    matrix = sparse.vstack([_projector(beam, angle, offsets, samples)[:, inside] for angle in angles], format="csr")
    view = np.repeat(np.arange(beam.views), beam.size)
    return Scan(sinogram.ravel().astype(np.float64), matrix, view, np.rad2deg(angles), disc, beam.spacing)


def _projector(beam: ParallelBeam, angle: float, offsets: Array, samples: int) -> sparse.csr_matrix:
    """Of one view: (N, N^2), from all pixels to its bins."""
    size = beam.size
    half = np.sqrt(np.maximum(beam.radius**2 - offsets**2, 0.0))[:, None]
    along = half * ((np.arange(samples) + 0.5) * (2.0 / samples) - 1.0)
    across = offsets.clip(-beam.radius, beam.radius)[:, None]
    sine, cosine = np.sin(angle), np.cos(angle)
    # In pixels from the corner.
    row = (along * cosine - across * sine + beam.centre + 1.0) / beam.spacing
    column = (along * sine + across * cosine + beam.centre + 1.0) / beam.spacing
    top, left = (np.floor(place).astype(np.int64).clip(0, size - 2) for place in (row, column))
    down, right = row - top, column - left
    length = 2.0 * half / samples
    corners = (
        (top, left, (1.0 - down) * (1.0 - right)),
        (top, left + 1, (1.0 - down) * right),
        (top + 1, left, down * (1.0 - right)),
        (top + 1, left + 1, down * right),
    )
    bins = np.broadcast_to(np.arange(size)[:, None], row.shape).ravel()
    weights = np.concatenate([(length * share).ravel() for *_, share in corners])
    pixels = np.concatenate([(y * size + x).ravel() for y, x, _ in corners])
    # Points that share a pixel are summed.
    return sparse.csr_matrix((weights, (np.tile(bins, len(corners)), pixels)), shape=(size, size**2))
