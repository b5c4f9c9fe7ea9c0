"""The forward operators: samples of a picture's Fourier transform, along lines of the grid or spokes.

Both take a real picture of N x N pixels and give M complex samples, as pairs of a real and an imaginary part. The
transform is orthonormal: the sample at frequency (u, v), in cycles over N pixels, is
sum f[r, c] exp(-2 pi i (u (r - N // 2) + v (c - N // 2)) / N) / N.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

Array = np.ndarray[Any, Any]

# The density of lines outside the centre falls with this power of the distance to the highest frequency, as in Lustig
# et al. 2007, who use powers from 1 to 6.
DENSITY_POWER = 2
GOLDEN_ANGLE = math.pi * (math.sqrt(5.0) - 1.0) / 2.0


class KSpace(ABC):
    """Some samples of the Fourier transform of pictures, N x N, in parts that are independent of each other.

    Attributes:
        size: N.
        parts: into how many parts of equal size samples and picture fall.
        rows: of the picture that the samples of one part depend on: part p on the rows from p * rows on.
        samples: of one part.
    """

    size: int
    parts: int
    rows: int
    samples: int

    @abstractmethod
    def forward(self, picture: Tensor) -> Tensor:
        """Parts of a picture, (n, rows, N), to their samples, (n, samples, 2)."""

    @abstractmethod
    def adjoint(self, samples: Tensor) -> Tensor:
        """Samples of parts, (n, samples, 2), to pictures, (n, rows, N): the transpose of `forward`."""

    @abstractmethod
    def spectrum(self) -> Array:
        """What `adjoint` after `forward` multiplies a picture's Fourier transform by.

        Returns:
            float64, (P, P): of numpy's fft2 of the picture, padded with zeros to P x P pixels, P at least N.
        """

    @abstractmethod
    def density_weights(self) -> Array:
        """The area of k-space that each sample of a part stands for, float64, (samples,): 1 on the full grid."""

    @abstractmethod
    def at_centre(self) -> Array:
        """Which samples of a part lie in the middle of k-space or, with several parts, of their line: int64."""


class Lines(KSpace):
    """Lines of the grid: all frequencies along the rows' axis, u, and some along the columns' axis, v.

    An orthonormal inverse transform along u, which is sampled fully, leaves squared errors and white noise as they
    are. After it the samples of each row of the picture depend on this row alone: it is a part.

    Args:
        size: N.
        lines: the frequencies v, int64, ascending, from -(N // 2) to (N - 1) // 2.
        device, dtype: of the operator.
    """

    def __init__(
        self, size: int, lines: Array, device: torch.device | None = None, dtype: torch.dtype = torch.float32
    ) -> None:
        self.size, self.lines = size, lines
        self.parts, self.rows, self.samples = size, 1, len(lines)
        turns = _turns(size, lines) / math.sqrt(size)
        self._cosine, self._sine = (_tensor(part, device, dtype) for part in (turns.real, turns.imag))

    def forward(self, picture: Tensor) -> Tensor:
        row = picture.squeeze(1)
        return torch.stack([row @ self._cosine.T, row @ self._sine.T], dim=-1)

    def adjoint(self, samples: Tensor) -> Tensor:
        real, imaginary = samples.unbind(-1)
        return (real @ self._cosine + imaginary @ self._sine).unsqueeze(1)

    def spectrum(self) -> Array:
        measured = np.zeros(self.size)
        measured[self.lines] = 1.0
        # The spectrum of a real picture at -v is the conjugate of that at v.
        mirrored = measured[-np.arange(self.size)]
        return np.broadcast_to((measured + mirrored) / 2.0, (self.size, self.size))

    def density_weights(self) -> Array:
        return np.ones(self.samples)

    def at_centre(self) -> Array:
        return np.flatnonzero(self.lines == 0)


class Spokes(KSpace):
    """Spokes through the centre of k-space, with N samples each, one cycle apart. There is one part: everything.

    Args:
        size: N.
        angles: of the spokes, rad, float64, (S,): a spoke runs along (u, v) = (sin, cos).
        device, dtype: of the operator.
    """

    def __init__(
        self, size: int, angles: Array, device: torch.device | None = None, dtype: torch.dtype = torch.float32
    ) -> None:
        self.size, self.angles = size, angles
        self.parts, self.rows, self.samples = 1, size, size * len(angles)
        self.radii = np.arange(size) - size // 2
        self.u, self.v = (
            (direction[:, None] * self.radii).reshape(-1) for direction in (np.sin(angles), np.cos(angles))
        )
        # The exponential of a sum is a product: first along the columns, then along the rows.
        along_rows, along_columns = _turns(size, self.u) / size, _turns(size, self.v)
        self._rows = [_tensor(part.T, device, dtype) for part in (along_rows.real, along_rows.imag)]
        self._columns = [_tensor(part.T, device, dtype) for part in (along_columns.real, along_columns.imag)]

    def forward(self, picture: Tensor) -> Tensor:
        (row_cosine, row_sine), (column_cosine, column_sine) = self._rows, self._columns
        real, imaginary = picture @ column_cosine, picture @ column_sine
        return torch.stack(
            [
                (real * row_cosine - imaginary * row_sine).sum(dim=1),
                (real * row_sine + imaginary * row_cosine).sum(dim=1),
            ],
            dim=-1,
        )

    def adjoint(self, samples: Tensor) -> Tensor:
        real, imaginary = (part.unsqueeze(1) for part in samples.unbind(-1))
        (row_cosine, row_sine), (column_cosine, column_sine) = self._rows, self._columns
        cosine = real * row_cosine + imaginary * row_sine
        sine = imaginary * row_cosine - real * row_sine
        return cosine @ column_cosine.T + sine @ column_sine.T

    def spectrum(self) -> Array:
        # A convolution with the transform of the sampling pattern, at all differences of places from -N to N - 1.
        differences = np.fft.fftfreq(2 * self.size, 1 / (2 * self.size))
        kernel = np.zeros((2 * self.size, 2 * self.size))
        for angle in self.angles:
            along_rows, along_columns = (
                np.exp(2j * np.pi / self.size * np.outer(differences, direction * self.radii))
                for direction in (np.sin(angle), np.cos(angle))
            )
            kernel += (along_rows @ along_columns.T).real
        # No two pixels are N apart.
        kernel[self.size], kernel[:, self.size] = 0.0, 0.0
        return np.fft.fft2(kernel / self.size**2).real

    def density_weights(self) -> Array:
        """Annulus by annulus, shared out by half the angles to the neighbouring spokes."""
        order = np.argsort(self.angles % np.pi)
        sorted_angles = (self.angles % np.pi)[order]
        ahead = np.diff(sorted_angles, append=sorted_angles[0] + np.pi)
        gaps = np.empty(len(order))
        gaps[order] = (ahead + np.roll(ahead, 1)) / 2.0
        # Both ends of a spoke's gap; the disc of radius 1/2 in the middle has an area of pi / 4.
        width = np.where(self.radii == 0, 0.25, np.abs(self.radii))
        return (gaps[:, None] * width).reshape(-1)

    def at_centre(self) -> Array:
        return np.flatnonzero(np.tile(self.radii == 0, len(self.angles)))


def draw_lines(size: int, acceleration: float, centre_share: float, rng: np.random.Generator) -> Array:
    """Frequencies of the lines that are measured, int64, ascending.

    There are M = round(size / acceleration) of them, one at least: round(M centre_share), one at least, around 0, and
    others without replacement, those at v with a probability proportional to (1 - |v| / (size / 2 + 1))^2.
    """
    frequencies = np.arange(size) - size // 2
    count = max(1, round(size / acceleration))
    centre = max(1, round(count * centre_share))
    first = size // 2 - centre // 2
    rest = np.delete(frequencies, np.s_[first : first + centre])
    density = (1.0 - np.abs(rest) / (size / 2 + 1)) ** DENSITY_POWER
    drawn = rng.choice(rest, count - centre, replace=False, p=density / density.sum()) if count > centre else rest[:0]
    return np.sort(np.concatenate([frequencies[first : first + centre], drawn]))


def spoke_angles(trajectory: Literal["radial", "golden_angle"], spokes: int) -> Array:
    """Angles of spokes, rad, float64, (spokes,): evenly over pi, or each the golden angle from the one before.

    The golden angle, 111.246 degrees, is that of Winkelmann et al. 2007, IEEE Trans. Med. Imaging 26:68.
    """
    return np.arange(spokes) * (math.pi / spokes if trajectory == "radial" else GOLDEN_ANGLE)


def _turns(size: int, frequencies: Array) -> Array:
    """exp(-2 pi i v (c - N // 2) / N) for frequencies v, (M,), and places c: complex128, (M, N)."""
    return np.exp(-2j * np.pi * np.outer(frequencies, np.arange(size) - size // 2) / size)


def _tensor(values: Array, device: torch.device | None, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(device, dtype)
