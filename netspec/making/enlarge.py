"""Small grey images made larger."""

from __future__ import annotations

import numpy as np


def enlarge(image: np.ndarray, side: int) -> np.ndarray:
    """A smooth enlargement (bicubic). Shapes: (h, w) to (side, side), uint8."""
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC))
