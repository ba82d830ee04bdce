"""The blobs of a layer type that forks store in another order, shape or unit than the layer's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Arrays = Sequence["np.ndarray | None"]


def maps_of_rows(arrays: Arrays, own: int) -> Arrays:
    """yjxiong's files have a row of C values where PSPNet's have 1×C×1×1."""
    return [
        a.reshape(1, -1, 1, 1) if a is not None and a.ndim == 2 and a.shape[0] == 1 else a
        for a in arrays
    ]


def nvidia_statistics(arrays: Arrays, own: int) -> Arrays:
    """The blobs of Caffe's three, or of DIGITS' five, in the order and units of NVIDIA's.

    Caffe's sums are divided by their factor. Where the file has other numbers of blobs than the
    layer, those that both have are taken.

    Args: own: how many params the layer has.
    """
    known = [array for array in arrays if array is not None]
    # DIGITS: scale, bias, mean, variance, correction; with one channel they look alike
    if len(known) == 5 and known[4].size == 1 < known[0].size:
        known = [known[i] for i in (2, 3, 4, 0, 1)]
    elif len(known) == 3 and known[2].size == 1:
        factor = float(known[2].reshape(-1)[0])
        part = np.float32(1 / factor if factor else 0)
        known = [known[0] * part, known[1] * part, np.ones_like(known[2])]
    found: list[np.ndarray | None] = [*known[:own]]
    return found + [None] * (own - len(found) if len(found) >= 3 else 0)


# by the name of the layer's rule
FROM_FILE: dict[str, Callable[..., Arrays]] = {
    "BN (pspnet)": maps_of_rows,
    "BatchNorm (nvidia)": nvidia_statistics,
}
