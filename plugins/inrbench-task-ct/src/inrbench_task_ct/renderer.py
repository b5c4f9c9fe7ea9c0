"""Pictures of fields trained on a scan, from the frame alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from inrbench_task_image.renderer import PictureRenderer
from torch import Tensor, nn

from inrbench_task_ct.beam import inside_disc

Array = np.ndarray[Any, Any]


class CtRenderer(PictureRenderer):
    """As for any picture, with air outside the disc that every view sees."""

    def predicted(self, model: nn.Module, rows: Tensor, columns: Tensor) -> Array:
        seen = inside_disc(self.height, rows, columns).cpu().numpy()
        return super().predicted(model, rows, columns) * seen[..., None]
