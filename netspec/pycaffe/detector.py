"""caffe.Detector: a net that scores windows of images. Source: python/caffe/detector.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.layers.python_object import TEST
from netspec.pycaffe import io
from netspec.pycaffe.classifier import image_transformer, run_images
from netspec.pycaffe.net import Net

Array = NDArray[Any]


class Detector(Net):
    """A net for testing that scores windows of images, as R-CNN does.

    Args:
        mean, input_scale, raw_scale, channel_swap: see `caffe.io.Transformer`.
        context_pad: how many pixels of the input around a window show what is beside it.
    """

    def __init__(
        self,
        model_file: str | Path,
        pretrained_file: str | Path,
        mean: Array | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        self.transformer = image_transformer(self, mean, input_scale, raw_scale, channel_swap)
        self.configure_crop(context_pad)

    def detect_windows(
        self, images_windows: Iterable[tuple[str, Iterable[Sequence[int]]]]
    ) -> list[dict[str, Any]]:
        """Scores windows of image files.

        Args: images_windows: pairs of a file and its windows (ymin, xmin, ymax, xmax).
        Returns: for each window its `window`, `prediction` and `filename`.
        """
        found: list[dict[str, Any]] = []
        crops = []
        for filename, windows in images_windows:
            image = io.load_image(filename)
            for window in windows:
                crops.append(self.crop(image, np.asarray(window)))
                found.append({"window": window, "prediction": None, "filename": filename})
        if not found:
            return []
        predictions = run_images(self, self.transformer, crops)
        for detection, prediction in zip(found, predictions, strict=True):
            detection["prediction"] = prediction
        return found

    def detect_selective_search(self, image_fnames: Sequence[str]) -> list[dict[str, Any]]:
        """Scores the windows that selective search proposes, a MATLAB program of its own.

        Raises: ModuleNotFoundError where its package is not installed.
        """
        from importlib import import_module

        search: Any = import_module("selective_search_ijcv_with_python")
        files = [str(Path(name).resolve()) for name in image_fnames]
        windows = search.get_windows(files, cmd="selective_search_rcnn")
        return self.detect_windows(zip(image_fnames, windows, strict=True))

    def configure_crop(self, context_pad: int | None) -> None:
        """Sets how much around a window is shown, and what fills in beyond the image: the mean."""
        name = self.inputs[0]
        back = np.argsort(self.transformer.transpose[name])
        self.crop_dims = np.array(self.blobs[name].data.shape[1:])[back]
        self.context_pad = context_pad
        self.crop_mean: Array = np.zeros(tuple(self.crop_dims), np.float32)
        mean = self.transformer.mean.get(name)
        if not context_pad or mean is None:
            return
        mean = np.broadcast_to(mean, tuple(self.transformer.inputs[name][1:]))
        if name in self.transformer.channel_swap:
            mean = mean[np.argsort(self.transformer.channel_swap[name])]
        mean = mean.transpose(back)
        raw_scale = self.transformer.raw_scale.get(name)
        self.crop_mean = mean / raw_scale if raw_scale is not None else mean

    def crop(self, im: Array, window: Array) -> Array:
        """A window of an image, with what is around it where `context_pad` asks for that.

        Shapes: im (H, W, K).
        """
        if not self.context_pad:
            return im[window[0] : window[2], window[1] : window[3]]
        size = self.crop_dims[0]  # the input is a square
        wide, scale = self._widened(window)
        inside = np.clip(wide, 0, [im.shape[0], im.shape[1]] * 2)
        start = np.round(np.maximum(0, -wide[:2]) * scale).astype(int)
        extent = np.round((inside[2:] - inside[:2] + 1) * scale).astype(int)
        height, width = np.minimum(extent, size - start)
        top, left, bottom, right = inside.astype(int)
        crop: Array = np.array(self.crop_mean, np.float32)
        part = io.resize_image(im[top:bottom, left:right], (height, width))
        crop[start[0] : start[0] + height, start[1] : start[1] + width] = part
        return crop

    def _widened(self, window: Array) -> tuple[Array, Array]:
        """A window with its surroundings, and the input's pixels to one of the image's."""
        size = self.crop_dims[0]
        assert self.context_pad is not None
        growth = size / (size - 2.0 * self.context_pad)
        half = (window[2:] - window[:2] + 1) / 2.0
        centre = window[:2] + half
        wide = np.round(np.concatenate([centre - growth * half, centre + growth * half]))
        return wide, size / (wide[2:] - wide[:2] + 1)
