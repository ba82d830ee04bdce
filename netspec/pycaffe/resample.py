"""Images of another size, by nearest, linear or, with scipy, spline interpolation.

Source: skimage.transform.resize with mode 'constant' and scipy.ndimage.zoom, as Caffe's
resize_image used them: neither smooths before it makes an image smaller.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.extras import missing_package

Array = NDArray[Any]


def resample(image: Array, sizes: Sequence[int], order: int = 1, ends_meet: bool = False) -> Array:
    """An image at another height and width.

    Args:
        order: 0 takes the nearest pixel, 1 interpolates linearly, 2 to 5 by splines of that order.
        ends_meet: the centres of the outermost pixels meet, as in zoom; otherwise their borders do,
            and what lies beyond the image is 0.

    Raises: ValueError for another order, NetspecError where scipy is needed and not installed.
    Shapes: image (H, W, K), the result (sizes, K).
    """
    if order not in range(6):
        raise ValueError(f"the order of interpolation is from 0 to 5, got {order}")
    if order > 1:
        return _by_splines(np.asarray(image, np.float64), sizes, order, ends_meet)
    result = np.asarray(image, np.float64)
    for axis, size in enumerate(sizes):
        matrix = _weights(result.shape[axis], int(size), order, ends_meet)
        result = np.moveaxis(np.tensordot(matrix, result, (1, axis)), 0, axis)
    return result


def _by_splines(image: Array, sizes: Sequence[int], order: int, ends_meet: bool) -> Array:
    try:
        ndimage: Any = import_module("scipy.ndimage")
    except ModuleNotFoundError:
        raise missing_package("scipy", f"an interpolation of order {order}") from None

    factors = [int(after) / before for before, after in zip(image.shape, sizes, strict=False)]
    mode = "constant" if ends_meet else "grid-constant"
    planes = [
        ndimage.zoom(plane, factors, order=order, mode=mode, grid_mode=not ends_meet)
        for plane in np.moveaxis(image, -1, 0)
    ]
    result = np.stack(planes, -1)
    # splines overshoot, which skimage cuts off, and zoom leaves
    return result if ends_meet else result.clip(image.min(), image.max())


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
