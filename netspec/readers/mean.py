"""The mean image that a transform_param names."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import Span
from netspec.files.mean_file import read_mean_blob
from netspec.files.paths import resolve_path
from netspec.schema.caffe_pb2 import TransformationParameter

Floats = NDArray[np.float32]


def read_mean_values(
    param: TransformationParameter, net_path: str, span: Span | None
) -> Floats | None:
    """The mean image that a transform_param names, or None. Raises: NetspecError."""
    if not param.HasField("mean_file"):
        return None
    return mean_image(resolve_path(param.mean_file, net_path), span)


def mean_image(path: str, span: Span | None) -> Floats:
    """The image of a .binaryproto. Shapes: (C, H, W). Raises: NetspecError."""
    blob, shape = read_mean_blob(path, span)
    values = np.array(blob.double_data or blob.data, np.float32)
    return values[: shape[0] * shape[1] * shape[2]].reshape(shape)
