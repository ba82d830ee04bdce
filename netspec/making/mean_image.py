"""The mean image of a database, in the file that transform_param.mean_file names.

Source: Caffe's compute_image_mean.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from netspec.atomic import write_atomically
from netspec.diagnostics import NetspecError
from netspec.graph import shape_text
from netspec.making.stored_images import stored_images
from netspec.schema.caffe_pb2 import BlobProto


class MeanImage:
    """Sums images and divides.

    The sums are whole numbers in double precision, exact up to 2**53. Caffe adds in single
    precision, which is exact, and the same, up to 65,793 images, and rounds beyond that.
    """

    def __init__(self) -> None:
        self.count = 0
        self._sum = np.zeros(0)

    def add(self, image: np.ndarray, where: str) -> None:
        """Adds an image.

        Shapes: (C, H, W), all alike.
        Raises: NetspecError that says `where` one has another shape.
        """
        if not self.count:
            self._sum = np.zeros(image.shape)
        if image.shape != self._sum.shape:
            first, this = (shape_text(shape) for shape in (self._sum.shape, image.shape))
            hint = (
                "`netspec dataset build` with --resize_width and --resize_height makes them alike"
            )
            raise NetspecError(
                f"{where} is {this}, but the first is {first}: a mean image needs equal sizes",
                hint=hint,
            )
        self._sum += image
        self.count += 1

    def mean(self) -> np.ndarray:
        """Shapes: (C, H, W), float32."""
        return (self._sum / self.count).astype(np.float32)


def mean_of_database(
    path: str | Path, progress: Callable[[int, int], object] | None = None
) -> np.ndarray:
    """The mean of each value over all records, compressed ones decoded. Shapes: (C, H, W), float32.

    Raises: NetspecError where the database is missing, damaged or empty, or a record is no image or
        of another size.
    """
    mean = MeanImage()
    for image, where in stored_images(path, progress=progress):
        mean.add(image, where)
    return mean.mean()


def write_mean(path: str | Path, mean: np.ndarray) -> None:
    """Writes a mean image as Caffe does: a BlobProto with the old num, channels, height and width.

    Shapes: (C, H, W).
    """
    channels, height, width = mean.shape
    blob = BlobProto(
        num=1, channels=channels, height=height, width=width, data=mean.ravel().tolist()
    )
    write_atomically(path, blob.SerializeToString())
