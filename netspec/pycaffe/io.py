"""caffe.io: images, and arrays as the messages of Caffe's files. Source: python/caffe/io.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.extras import missing_package
from netspec.pycaffe.proto import caffe_pb2
from netspec.pycaffe.resample import resample

Array = NDArray[Any]
GREY = (0.2125, 0.7154, 0.0721)  # of red, green and blue: skimage's luminance


def blobproto_to_array(blob: caffe_pb2.BlobProto, return_diff: bool = False) -> Array:
    """The values of a BlobProto, or its diff, in its shape.

    Raises: ValueError where they do not fit the shape.
    """
    values = np.array(blob.diff if return_diff else blob.data)
    old = ("num", "channels", "height", "width")
    if any(blob.HasField(name) for name in old):
        return values.reshape([getattr(blob, name) for name in old])
    return values.reshape(list(blob.shape.dim))


def array_to_blobproto(arr: Array, diff: Array | None = None) -> caffe_pb2.BlobProto:
    """An array, and its diff where one is given, as a BlobProto."""
    blob = caffe_pb2.BlobProto(data=arr.astype(float).flat)
    blob.shape.dim.extend(arr.shape)
    if diff is not None:
        blob.diff.extend(diff.astype(float).flat)
    return blob


def arraylist_to_blobprotovector_str(arraylist: Iterable[Array]) -> bytes:
    """Arrays as a serialized BlobProtoVector."""
    blobs = [array_to_blobproto(arr) for arr in arraylist]
    return caffe_pb2.BlobProtoVector(blobs=blobs).SerializeToString()


def blobprotovector_str_to_arraylist(text: bytes) -> list[Array]:
    """The arrays of a serialized BlobProtoVector."""
    vector = caffe_pb2.BlobProtoVector.FromString(text)
    return [blobproto_to_array(blob) for blob in vector.blobs]


def array_to_datum(arr: Array, label: int | None = None) -> caffe_pb2.Datum:
    """An image as a Datum: bytes where it holds bytes, floats otherwise.

    Shapes: arr (C, H, W).
    Raises: ValueError where it has another number of axes.
    """
    if arr.ndim != 3:
        raise ValueError(f"a datum has the 3 axes C, H, W, got {arr.ndim}")
    datum = caffe_pb2.Datum()
    datum.channels, datum.height, datum.width = arr.shape
    if arr.dtype == np.uint8:
        datum.data = arr.tobytes()
    else:
        datum.float_data.extend(arr.astype(float).flat)
    if label is not None:
        datum.label = label
    return datum


def datum_to_array(datum: caffe_pb2.Datum) -> Array:
    """The image of a Datum. Its label is `datum.label`.

    Shapes: (C, H, W).
    """
    shape = (datum.channels, datum.height, datum.width)
    if len(datum.data):
        return np.frombuffer(datum.data, np.uint8).reshape(shape).copy()
    return np.array(datum.float_data, float).reshape(shape)


class Transformer:
    """Brings images into the form that a net's inputs have, and back.

    `preprocess` converts to single precision, resizes, transposes, swaps channels, multiplies by
    the raw scale, subtracts the mean and multiplies by the input scale, each where it is set.

    Args: inputs: shapes by the input's name.
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = inputs
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, Array] = {}
        self.input_scale: dict[str, float] = {}

    def _require_input(self, in_: str) -> None:
        if in_ not in self.inputs:
            raise ValueError(f"'{in_}' is not one of the net's inputs: {list(self.inputs)}")

    def preprocess(self, in_: str, data: Array) -> Array:
        """An image as the input takes it.

        Shapes: data (H, W, K), the result (K, H, W) where the transpose is (2, 0, 1).
        """
        self._require_input(in_)
        made: Array = np.array(data, np.float32)
        sizes = tuple(self.inputs[in_][2:])
        if made.shape[:2] != sizes:
            made = resize_image(made, sizes)
        if in_ in self.transpose:
            made = made.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            made = made[list(self.channel_swap[in_]), :, :]
        if in_ in self.raw_scale:
            made *= self.raw_scale[in_]
        if in_ in self.mean:
            made -= self.mean[in_]
        if in_ in self.input_scale:
            made *= self.input_scale[in_]
        return made

    def deprocess(self, in_: str, data: Array) -> Array:
        """The image of an input: the inverse of `preprocess`, without the resizing."""
        self._require_input(in_)
        made: Array = np.array(data, np.float32)
        if in_ in self.transpose or in_ in self.channel_swap:
            made = made.reshape(made.shape[-3:])  # one channel is an axis, too
        else:
            made = made.squeeze()
        if in_ in self.input_scale:
            made /= self.input_scale[in_]
        if in_ in self.mean:
            made += self.mean[in_]
        if in_ in self.raw_scale:
            made /= self.raw_scale[in_]
        if in_ in self.channel_swap:
            made = made[np.argsort(self.channel_swap[in_]), :, :]
        if in_ in self.transpose:
            made = made.transpose(np.argsort(self.transpose[in_]))
        return made

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """Sets the order of the axes: (2, 0, 1) makes H×W×K to K×H×W."""
        self._require_input(in_)
        if len(order) != len(self.inputs[in_]) - 1:
            raise ValueError(
                f"the transpose of '{in_}' needs {len(self.inputs[in_]) - 1} axes, got {len(order)}"
            )
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Sets the order of the channels: (2, 1, 0) makes RGB to BGR."""
        self._require_input(in_)
        if len(order) != self.inputs[in_][1]:
            raise ValueError(
                f"the channel swap of '{in_}' needs {self.inputs[in_][1]} channels, "
                f"got {len(order)}"
            )
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """Sets what the image is multiplied by before the mean is subtracted, such as 255."""
        self._require_input(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: Array) -> None:
        """Sets the mean to subtract: one value a channel, or an image, which is resized to fit.

        Shapes: mean (K) or (K, H, W).
        Raises: ValueError where it has other axes or channels.
        """
        self._require_input(in_)
        mean, sizes = np.asarray(mean), tuple(self.inputs[in_][1:])
        if mean.ndim == 1:
            if mean.shape[0] != sizes[0]:
                raise ValueError(
                    f"the mean of '{in_}' needs {sizes[0]} channels, got {mean.shape[0]}"
                )
            self.mean[in_] = mean[:, None, None]
            return
        if mean.ndim == 2:
            mean = mean[None]
        if mean.ndim != 3:
            raise ValueError(f"the mean of '{in_}' has 1, 2 or 3 axes, got {mean.ndim}")
        if mean.shape != sizes:
            if mean.shape[0] != sizes[0]:
                raise ValueError(
                    f"the mean of '{in_}' needs {sizes[0]} channels, got {mean.shape[0]}"
                )
            mean = resize_image(mean.transpose(1, 2, 0), sizes[1:]).transpose(2, 0, 1)
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """Sets what the result is multiplied by at the end."""
        self._require_input(in_)
        self.input_scale[in_] = scale


def load_image(filename: str, color: bool = True) -> Array:
    """The image of a file, its values from 0 to 1.

    Args: color: three channels in the order red, green, blue; False gives one, the luminance.
    Shapes: (H, W, 3) or (H, W, 1).
    """
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise missing_package("PIL", "caffe.io.load_image") from None

    with Image.open(filename) as file:
        if file.mode.startswith("I;16"):
            values = np.asarray(file, np.float32) / 65535
        elif file.mode in ("L", "LA"):
            values = np.asarray(file.convert("L"), np.float32) / 255
        else:
            values = np.asarray(file.convert("RGB"), np.float32) / 255
    if values.ndim == 2:
        values = values[:, :, None]
        return np.tile(values, (1, 1, 3)) if color else values
    return values if color else (values @ np.array(GREY, np.float32))[:, :, None]


def resize_image(im: Array, new_dims: Sequence[int], interp_order: int = 1) -> Array:
    """An image at another height and width.

    Args: interp_order: 0 takes the nearest pixel, 1 interpolates linearly, 2 to 5 by splines.
    Shapes: im (H, W, K), the result (new_dims, K).
    """
    if im.shape[-1] not in (1, 3):
        return resample(im, new_dims, interp_order, ends_meet=True).astype(np.float32)
    least, greatest = im.min(), im.max()
    if greatest <= least:
        return np.full((*(int(size) for size in new_dims), im.shape[-1]), least, np.float32)
    # in the range from 0 to 1, so that what lies beyond the image counts as the least value
    resized = resample((im - least) / (greatest - least), new_dims, interp_order)
    return (resized * (greatest - least) + least).astype(np.float32)


def oversample(images: Sequence[Array], crop_dims: Sequence[int]) -> Array:
    """The four corners and the centre of each image, then these mirrored: ten crops of each.

    Shapes: images (H, W, K), the result (10 · number of images, crop_dims, K).
    """
    height, width = (int(size) for size in crop_dims)
    whole = np.array(images[0].shape[:2])
    low = [(y, x) for y in (0, whole[0] - height) for x in (0, whole[1] - width)]
    low.append((int(whole[0] / 2.0 - height / 2.0), int(whole[1] / 2.0 - width / 2.0)))
    crops = []
    for image in images:
        own = [image[y : y + height, x : x + width] for y, x in low]
        crops += [*own, *(crop[:, ::-1] for crop in own)]
    return np.array(crops, np.float32)
