"""The principal components of a data set's colours, for AlexNet's noise of colours.

The file that they go to is a text of lighting_param's own fields, which pca_file names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.atomic import write_atomically
from netspec.diagnostics import NetspecError
from netspec.files.overwrite import COMPONENTS_START
from netspec.graph import shape_text

_CHANNELS = 3
_WHITE = 255


class ColorComponents:
    """Gathers the covariance of the colours over all pixels of all images.

    The sums are of whole numbers, exact in double precision up to 2**53.
    """

    def __init__(self) -> None:
        self.images = self.pixels = 0
        self._sum = np.zeros(_CHANNELS)
        self._products = np.zeros((_CHANNELS, _CHANNELS))

    def add(self, image: NDArray[Any], where: str) -> None:
        """Counts an image's pixels. Shapes: (3, H, W). Raises: NetspecError for any other."""
        if len(image) != _CHANNELS or image.dtype != np.uint8:
            got = "holds float_data" if image.dtype != np.uint8 else f"is {shape_text(image.shape)}"
            raise NetspecError(
                f"{where} {got}: principal components of colours need 3 channels of 8-bit values"
            )
        values = image.reshape(_CHANNELS, -1).astype(np.float64)
        self._sum += values.sum(axis=1)
        self._products += values @ values.T
        self.images += 1
        self.pixels += values.shape[1]

    def components(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Eigenvalues, the largest first, and eigenvectors of colours that go from 0 to 1.

        The largest part of each vector is positive.
        Shapes: (3), (3, 3): a row a vector, in BGR order.
        """
        mean = self._sum / self.pixels
        covariance = (self._products / self.pixels - np.outer(mean, mean)) / _WHITE**2
        values, columns = np.linalg.eigh(covariance)
        vectors = columns.T[::-1]
        largest = np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1)
        return values[::-1].clip(0), vectors * np.sign(largest)


def components_text(found: ColorComponents, source: str) -> str:
    """The file's text."""
    values, vectors = found.components()
    lines = [
        f"{COMPONENTS_START} of the colours of {source!r}, from 0 to 1: "
        f"{found.images:,} images, {found.pixels:,} pixels",
        '# transform_param { lighting_param { pca_file: "…" } } names this file',
        *(f"eigenvalue: {value:.8g}" for value in values),
        *(
            f"eigenvector {{ blue: {blue:.8g} green: {green:.8g} red: {red:.8g} }}"
            for blue, green, red in vectors
        ),
    ]
    return "\n".join(lines) + "\n"


def write_components(path: str | Path, found: ColorComponents, source: str) -> None:
    """Writes the file. Raises: NetspecError where the system refuses."""
    write_atomically(path, components_text(found, source).encode(errors="replace"))
