"""caffe.Classifier: a net that classifies images. Source: python/caffe/classifier.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.layers.python_object import TEST
from netspec.pycaffe import io
from netspec.pycaffe.net import Net

Array = NDArray[Any]


def image_transformer(
    net: Net,
    mean: Array | None = None,
    input_scale: float | None = None,
    raw_scale: float | None = None,
    channel_swap: Sequence[int] | None = None,
) -> io.Transformer:
    """What brings H×W×K images to a net's first input."""
    name = net.inputs[0]
    transformer = io.Transformer({name: net.blobs[name].data.shape})
    transformer.set_transpose(name, (2, 0, 1))
    if mean is not None:
        transformer.set_mean(name, mean)
    if input_scale is not None:
        transformer.set_input_scale(name, input_scale)
    if raw_scale is not None:
        transformer.set_raw_scale(name, raw_scale)
    if channel_swap is not None:
        transformer.set_channel_swap(name, channel_swap)
    return transformer


def run_images(net: Net, transformer: io.Transformer, images: Iterable[Array]) -> Array:
    """The net's first output for any number of images."""
    name = net.inputs[0]
    rows: Any = np.array([transformer.preprocess(name, image) for image in images], np.float32)
    return net.forward_all(**{name: rows})[net.outputs[0]]


class Classifier(Net):
    """A net for testing that classifies images.

    Args:
        image_dims: the height and width to which images are resized before they are cropped; the
            input's own where it is not given.
        mean, input_scale, raw_scale, channel_swap: see `caffe.io.Transformer`.
    """

    def __init__(
        self,
        model_file: str | Path,
        pretrained_file: str | Path,
        image_dims: Sequence[int] | None = None,
        mean: Array | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = image_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.crop_dims = np.array(self.blobs[self.inputs[0]].shape[2:])
        self.image_dims = self.crop_dims if image_dims is None else image_dims

    def predict(self, inputs: Sequence[Array], oversample: bool = True) -> Array:
        """The output for each image.

        Args: oversample: the mean over the corners, the centre and their mirrored images; False
            takes the centre alone.
        Shapes: inputs (H, W, K) each, the result (number of images, number of classes).
        """
        images = [io.resize_image(image, list(self.image_dims)) for image in inputs]
        if oversample:
            predictions = run_images(
                self, self.transformer, io.oversample(images, list(self.crop_dims))
            )
            return predictions.reshape(len(images), 10, -1).mean(1)
        height, width = self.crop_dims
        top, left = (
            int((whole - crop) / 2.0)
            for whole, crop in zip(self.image_dims, self.crop_dims, strict=True)
        )
        crops = [image[top : top + height, left : left + width] for image in images]
        return run_images(self, self.transformer, crops)
