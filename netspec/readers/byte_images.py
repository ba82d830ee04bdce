"""A batch of images that is finished where the net computes: a quarter of the bytes goes there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netspec.readers.mean import Floats


class NotBytesError(Exception):
    """A record holds float_data, unlike the first of its batch."""


@dataclass(frozen=True, slots=True)
class ByteImages:
    """Crops as the records hold them, and what makes of them what a net reads.

    Each becomes (pixels - mean) × scale, flipped from left to right where it is said.

    Args:
        pixels: (N, C, h, w), uint8.
        places: (3, N): of each crop the top row and left column in its record, and whether it
            flips.
        mean: of the whole record, (C, H, W), or of channels, (C, 1, 1).
    """

    pixels: NDArray[np.uint8]
    places: NDArray[np.int64]
    mean: Floats | None
    scale: np.float32
