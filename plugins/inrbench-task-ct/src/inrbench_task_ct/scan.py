"""A measured scan as a linear system, which classical reconstructions solve."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from inrbench_core import DataError
from inrbench_task_ct.beam import ParallelBeam

Array = np.ndarray[Any, Any]

# Along all rays together. A matrix has 14 bytes for each point; with what it is joined from, or in float64 during a
# product, that is 31 at the peak: 4.7 GB for as many points.
MOST_POINTS = 150_000_000
# While the matrix is made.
POINTS_AT_A_TIME = 1 << 20


@dataclass(frozen=True)
class Scan:
    """Some bins of a sinogram of a slice, whose pixels outside the disc are air and no unknowns.

    Args:
        bins: measured integrals, float64 (B,), view by view, lengths in coordinate units.
        row: which bin of the whole sinogram each of them is, int64 (B,).
        matrix: sparse float32 (V N, P), from the P pixels in the disc to all bins of the sinogram.
        degrees: direction of each view of the whole sinogram, (V,), as `skimage.transform.radon` takes it.
        disc: bool (N, N), P of them True: the pixels that every view sees.
        spacing: of pixels, in coordinate units.
    """

    bins: Array
    row: Array
    matrix: sparse.csr_matrix
    degrees: Array
    disc: Array
    spacing: float

    @property
    def view(self) -> Array:
        """Which view each bin belongs to, int64 (B,)."""
        return self.row // len(self.disc)

    def part(self, chosen: Array) -> Scan:
        """The bins where `chosen`, bool (B,), is True. It shares the matrix, which is by far the largest part."""
        return replace(self, bins=self.bins[chosen], row=self.row[chosen])

    def project(self, pixels: Array) -> Array:
        """A x: the integrals of pixels (P,) for the bins, (B,), of the dtype of the pixels.

        With float64 scipy converts the matrix for the time of a product.
        """
        return (self.matrix @ pixels)[self.row]

    def back_project(self, bins: Array) -> Array:
        """A' y, of values of the bins (B,): (P,), of their dtype."""
        spread = np.zeros(self.matrix.shape[0], bins.dtype)
        spread[self.row] = bins
        return self.matrix.T @ spread

    def sinogram(self) -> tuple[Array, Array]:
        """Whole views as scikit-image has them: the bins, (N, V), lengths in pixels, and directions, degrees (V,)."""
        views = np.unique(self.view)
        return (self.bins / self.spacing).reshape(len(views), -1).T, self.degrees[views]

    def error(self, pixels: Array) -> float:
        """Sum over bins of the squared difference to the integrals of pixels (P,)."""
        return float(np.square(self.project(pixels) - self.bins).sum())

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
    rays = max(1, POINTS_AT_A_TIME // samples)
    parts = [
        _projector(beam, angle, offsets[first : first + rays], samples)[:, inside]
        for angle in angles
        for first in range(0, beam.size, rays)
    ]
    matrix = sparse.vstack(parts, format="csr")
    return Scan(
        sinogram.ravel().astype(np.float64), np.arange(matrix.shape[0]), matrix, np.rad2deg(angles), disc, beam.spacing
    )


def _projector(beam: ParallelBeam, angle: float, offsets: Array, samples: int) -> sparse.csr_matrix:
    """Of rays of one view: float32 (B, N^2), from all pixels to the bins at offsets (B,)."""
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
    bins = np.broadcast_to(np.arange(len(offsets))[:, None], row.shape).ravel()
    weights = np.concatenate([(length * share).ravel() for *_, share in corners])
    pixels = np.concatenate([(y * size + x).ravel() for y, x, _ in corners])
    # Points that share a pixel are summed.
    matrix = sparse.csr_matrix((weights, (np.tile(bins, len(corners)), pixels)), shape=(len(offsets), size**2))
    return matrix.astype(np.float32)
