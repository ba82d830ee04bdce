"""Ten crops of each test record: the four corners, the centre, and all five mirrored.

Source: the paper of AlexNet, 4.1; pycaffe's oversample, in whose order they come.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CROPS = 10


def ten_places(spare: list[tuple[int, int]]) -> list[NDArray[np.int64]]:
    """Of each of the ten crops the top row and left column in every record, and whether it flips.

    Args: spare: the rows and columns of each record that its crop leaves out.
    Shapes: ten of (3, N).
    """
    rows, columns = np.array(spare, np.int64).T
    none = np.zeros_like(rows)
    corners = [(top, left) for top in (none, rows) for left in (none, columns)]
    places = [*corners, (rows // 2, columns // 2)]
    return [np.stack([top, left, none + flip]) for flip in (0, 1) for top, left in places]
