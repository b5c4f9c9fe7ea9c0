"""What must not be rounded in `precision: bf16`, which trains under `torch.autocast`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def without_autocast(device_type: str) -> AbstractContextManager[None]:
    """Within it, `torch.autocast` casts nothing: matrix products are computed in the type of their inputs.

    A field needs it where it multiplies coordinates: rounded to bfloat16, of 8 significant bits, points of a signal of
    more than 256 samples fall together.

    Args:
        device_type: "cpu", "cuda", "meta".
    """
    # The meta device has no autocast.
    enabled = torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type)
    return torch.autocast(device_type, enabled=False) if enabled else nullcontext()
