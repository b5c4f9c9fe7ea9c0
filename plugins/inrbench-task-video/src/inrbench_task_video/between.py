"""Frames between two others, (H, W, C), in [0, 1]. Imports no torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import map_coordinates

Array = np.ndarray[Any, Any]

# Luma of Rec. ITU-R BT.601.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Shorter sides are repeated up to this one, since an image pyramid needs some pixels.
_LEAST_SIDE = 16


class Fade:
    """Two frames that fade into each other; arguments as of `Motion`."""

    def __init__(self, before: Array, after: Array) -> None:
        self._before, self._after = before, after

    def at(self, share: float) -> Array:
        """The frame at a share of the time from the first to the second, (H, W, C), float32."""
        return np.asarray((1.0 - share) * self._before + share * self._after, np.float32)


class Motion:
    """Two frames and their optical flow.

    The flow of both directions is estimated from luma by TV-L1 (Zach, Pock and Bischof 2007, "A duality based approach
    for realtime TV-L1 optical flow"), with the settings of scikit-image. From it follow the flows at a moment between
    them as in Super SloMo (Jiang et al. 2018, arXiv 1712.00080, eq. 4), without its networks; both frames are warped
    there by cubic splines and blended by their distance in time.

    Args:
        before: shape (H, W, C), in [0, 1], C 1 or 3.
        after: of the same shape.
    """

    def __init__(self, before: Array, after: Array) -> None:
        self._before, self._after = before, after
        self._forward, self._backward = _flow(before, after), _flow(after, before)

    def at(self, share: float) -> Array:
        """The frame at a share of the time from the first to the second, (H, W, C), float32, cut to [0, 1]."""
        to_before = share * share * self._backward - share * (1.0 - share) * self._forward
        to_after = (1.0 - share) ** 2 * self._forward - share * (1.0 - share) * self._backward
        frame = (1.0 - share) * _warped(self._before, to_before) + share * _warped(self._after, to_after)
        return np.asarray(frame.clip(0.0, 1.0), np.float32)


def _flow(one: Array, other: Array) -> Array:
    """Rows and columns (2, H, W) to add to a place in `one` to find it in `other`."""
    # Not at the top: it takes a while to import.
    from skimage.registration import optical_flow_tvl1

    height, width = one.shape[:2]
    margin = [(0, max(0, _LEAST_SIDE - height)), (0, max(0, _LEAST_SIDE - width))]
    luma, other_luma = (np.pad(_luma(frame), margin, mode="edge") for frame in (one, other))
    return np.asarray(optical_flow_tvl1(luma, other_luma))[:, :height, :width]


def _luma(frame: Array) -> Array:
    return np.asarray(frame @ _LUMA if frame.shape[2] == 3 else frame[..., 0], np.float32)


def _warped(frame: Array, flow: Array) -> Array:
    """The frame (H, W, C) looked up at each pixel's place plus the flow (2, H, W); beyond its edge the edge stands."""
    place = np.indices(frame.shape[:2]) + flow
    channels = [map_coordinates(channel, place, order=3, mode="nearest") for channel in np.moveaxis(frame, 2, 0)]
    return np.stack(channels, axis=2)
