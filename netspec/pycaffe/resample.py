"""Images of another size, by linear or nearest interpolation.

Source: skimage.transform.resize with mode 'constant' and scipy.ndimage.zoom, as Caffe's
resize_image used them: neither smooths before it makes an image smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def resample(image: Array, sizes: Sequence[int], order: int = 1, ends_meet: bool = False) -> Array:
    """An image at another height and width.

    Args:
        order: 0 takes the nearest pixel, 1 interpolates linearly.
        ends_meet: the centres of the outermost pixels meet, as in zoom; otherwise their borders do,
            and what lies beyond the image is 0.

    Raises: ValueError for another order.
    Shapes: image (H, W, K), the result (sizes, K).
    """
    if order not in (0, 1):
        raise ValueError(f"the order of interpolation is 0 or 1, got {order}")
    result = np.asarray(image, np.float64)
    for axis, size in enumerate(sizes):
        matrix = _weights(result.shape[axis], int(size), order, ends_meet)
        result = np.moveaxis(np.tensordot(matrix, result, (1, axis)), 0, axis)
    return result


def _weights(before: int, after: int, order: int, ends_meet: bool) -> Array:
    """What each pixel counts in each of the result's, along one axis."""
    if ends_meet:
        places = np.linspace(0, before - 1, after)
    else:
        places = (np.arange(after) + 0.5) * before / after - 0.5
    if order == 0:
        places = np.floor(places + 0.5)
    left = np.floor(places).astype(int)
    share = places - left
    matrix = np.zeros((after, before))
    for neighbour, weight in ((left, 1 - share), (left + 1, share)):
        rows = np.flatnonzero((neighbour >= 0) & (neighbour < before))
        matrix[rows, neighbour[rows]] += weight[rows]
    return matrix
