"""From a picture to what a deploy net reads: resized, cropped, mean and scale.

Source: caffe/python/caffe/{classifier,io}.py, examples/cpp_classification, the DataTransformer.
Pixels are resized by OpenCV's bilinear rule; the mean is taken where the crop lies, as in training.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from netspec.diagnostics import NetspecError, counted
from netspec.graph import shape_text, sizes_text
from netspec.layers.resize_policy import inner_size, resized_size
from netspec.readers.images import Pixels, resize
from netspec.readers.preprocess import RGB, Floats, Preprocess
from netspec.readers.resize_policy import apply_resize, interpolations

CROPS = 10  # of an oversampled picture: four corners and the centre, each mirrored as well
_OVERSAMPLED = 256  # classify.py's own --images_dim
Size = tuple[int, int]


@dataclass(frozen=True)
class PicturePlan:
    """How pictures become a net's input, with nothing left open.

    `assumed` says in words what neither the user nor the net's file said.
    """

    channels: int
    crop: Size
    size: Size | None  # that pictures are resized to; None where `resize` says it
    resize: Any
    mean: Floats | None
    scale: float
    raw_scale: float
    is_rgb: bool
    oversample: bool
    assumed: tuple[str, ...]

    @property
    def windows_each(self) -> int:
        """How many items of a batch a picture is."""
        return CROPS if self.oversample else 1

    def resized(self, pixels: Pixels, name: str = "the picture") -> Pixels:
        """Pixels in the size that is cropped.

        Shapes: (C, H, W) to (C, H', W'). Raises: NetspecError.
        """
        try:
            if self.size:
                pixels = resize(pixels, *self.size)
            elif self.resize is not None:
                pixels = apply_resize(pixels, self.resize, interpolations(self.resize)[0])
        except MemoryError:
            raise NetspecError(f"the memory does not suffice to resize {name}") from None
        if pixels.shape[1] < self.crop[0] or pixels.shape[2] < self.crop[1]:
            message = (
                f"{name} is {sizes_text(pixels.shape[1:])} after it is resized, "
                f"smaller than the crop of {sizes_text(self.crop)}"
            )
            raise NetspecError(message)
        return pixels

    def windows(self, pixels: Pixels) -> Floats:
        """The items of a picture in its new size: the centre crop, or the ten.

        Shapes: (C, H, W) to (1 or 10, C, h, w).
        Raises: NetspecError where a mean image has another size.
        """
        if self.is_rgb:
            pixels = pixels[::-1]
        places = _places(pixels.shape[1:], self.crop, self.oversample)
        made = np.empty((len(places), self.channels, *self.crop), np.float32)
        for window, (top, left) in zip(made, places, strict=True):
            place = np.s_[:, top : top + self.crop[0], left : left + self.crop[1]]
            window[...] = pixels[place]
            if self.raw_scale != 255:
                window *= np.float32(self.raw_scale / 255)
            if self.mean is not None:
                window -= self._mean_at(place, pixels.shape[1:])
            if self.scale != 1:
                window *= np.float32(self.scale)
        return np.concatenate([made, made[:, :, :, ::-1]]) if self.oversample else made

    def to_picture(self, boxes: Floats, size: Size) -> Floats:
        """Boxes of a net's input, whose edges are 0 and 1, in pixels of the picture, cut to it.

        Args: size: height and width of the picture.
        Shapes: (M, 4) of xmin, ymin, xmax, ymax.
        Source: OutputBBox of SSD's bbox_util.cpp; here a crop counts, too.
        """
        resized = inner = self.size or resized_size(self.resize, *size)
        if self.resize is not None and not self.size:
            inner = inner_size(self.resize, *size)
        # along each axis: where the crop begins behind the padding, and a pixel of the picture
        first = [
            (r - c) // 2 - (r - i) // 2 for r, i, c in zip(resized, inner, self.crop, strict=True)
        ]
        scale = [old / i for old, i in zip(size, inner, strict=True)]
        x_and_y = [1, 0, 1, 0]
        moved = (boxes * np.take(self.crop, x_and_y) + np.take(first, x_and_y)) * np.take(
            scale, x_and_y
        )
        return np.asarray(moved.clip(0, np.take(size, x_and_y)), np.float32)

    def _mean_at(self, place: Any, size: tuple[int, ...]) -> Floats:
        assert self.mean is not None
        if self.mean.shape[1:] in ((1, 1), self.crop):
            return self.mean
        if self.mean.shape[1:] == size:
            return self.mean[place]
        message = (
            f"the mean image is {sizes_text(self.mean.shape[1:])}, but the picture is "
            f"{sizes_text(size)} when it is cropped to {sizes_text(self.crop)}"
        )
        raise NetspecError(message, None, "the mean must have the size of either of them")


def _places(size: tuple[int, ...], crop: Size, oversample: bool) -> list[tuple[int, int]]:
    """The top rows and left columns of the crops, in pycaffe's order."""
    rows, columns = size[0] - crop[0], size[1] - crop[1]
    corners = [(top, left) for top in (0, rows) for left in (0, columns)] if oversample else []
    return [*corners, (rows // 2, columns // 2)]


def plan_pictures(
    said: Preprocess,
    shape: tuple[int, ...] | None,
    input_name: str,
    oversample: bool = False,
    channel_mean: bool = False,
) -> PicturePlan:
    """What is done to pictures for an input of a net.

    Args:
        said: what is known of it, from the user and the net's file.
        shape: the input's.
        oversample: ten crops of each picture.
        channel_mean: a mean image counts as its mean in each channel, as in cpp_classification.

    Shapes: (N, C, H, W).
    Raises: NetspecError where it contradicts itself or the input.
    """
    if shape is None or len(shape) != 4 or shape[1] not in (1, 3):
        message = (
            f"input '{input_name}' is {shape_text(shape)}, expected N×C×H×W with "
            "1 or 3 channels, as pictures have"
        )
        raise NetspecError(message)
    channels, crop = shape[1], (shape[2], shape[3])
    if said.crop and said.crop != crop:
        message = f"the crop is {sizes_text(said.crop)}, but '{input_name}' is {shape_text(shape)}"
        raise NetspecError(message, said.at("crop_size"))
    if said.color is not None and said.color != (channels == 3):
        name = "force_color" if said.color else "force_gray"
        message = f"'{name}' is set, but '{input_name}' has {counted(channels, 'channel')}"
        raise NetspecError(message, said.at(name))
    mean = _mean_of(said, channels, channel_mean)
    size, assumed = _size_of(said, crop, mean, oversample)
    if mean is None:
        assumed = [*assumed, "no mean is subtracted"]
    _check_mean_size(said, mean, size, crop)
    return PicturePlan(
        *(channels, crop, size, said.resize, mean, said.scale, said.raw_scale),
        *(said.channel_order == RGB and channels == 3, oversample, tuple(assumed)),
    )


def _mean_of(said: Preprocess, channels: int, channel_mean: bool) -> Floats | None:
    """The mean, for the input's channels. Raises: NetspecError."""
    mean = said.mean_array()
    if mean is None:
        return None
    place = said.at("mean_file") if said.mean_file else said.at("mean_value")
    if (
        mean.ndim != 3
        or len(mean) not in (1, channels)
        or (len(mean) == 1 != channels and mean.size > 1)
    ):
        own = counted(channels, "channel")
        raise NetspecError(f"the mean is {shape_text(mean.shape)}, but the input has {own}", place)
    if not np.isfinite(mean).all():
        raise NetspecError("the mean holds values that are not finite", place)
    return mean.mean(axis=(1, 2), keepdims=True, dtype=np.float32) if channel_mean else mean


def _size_of(
    said: Preprocess, crop: Size, mean: Floats | None, oversample: bool
) -> tuple[Size | None, list[str]]:
    """What pictures are resized to, and what of it is an assumption. Raises: NetspecError."""
    if said.resize is not None:
        modes = interpolations(said.resize)
        assumed = [f"of the interpolations {', '.join(modes)} the first"] if len(modes) > 1 else []
        return None, assumed
    if said.new_size:
        return said.new_size, []
    if mean is not None and mean.shape[1:] not in ((1, 1), crop):
        size = (mean.shape[1], mean.shape[2])
        return size, [f"pictures are resized to {sizes_text(size)}, the size of the mean"]
    if oversample:
        if max(crop) > _OVERSAMPLED:
            raise NetspecError(
                f"ten crops of {sizes_text(crop)} need a larger picture to lie in",
                None,
                "say the size that pictures are resized to",
            )
        size = (_OVERSAMPLED, _OVERSAMPLED)
        return size, [f"pictures are resized to {sizes_text(size)}, as by classify.py"]
    return crop, [f"pictures are resized to {sizes_text(crop)}, the net's input"]


def _check_mean_size(said: Preprocess, mean: Floats | None, size: Size | None, crop: Size) -> None:
    """Raises NetspecError where a mean image fits neither the resized picture nor the crop."""
    if mean is None or size is None or mean.shape[1:] in ((1, 1), size, crop):
        return
    message = (
        f"the mean is {sizes_text(mean.shape[1:])}, but pictures are resized to "
        f"{sizes_text(size)} and cropped to {sizes_text(crop)}"
    )
    raise NetspecError(message, said.at("mean_file"), "it must have one of these sizes")


def with_given(said: Preprocess | None, **given: Any) -> Preprocess:
    """What a file's record says, with what the user gives in its place; None is not given.

    A mean that is given takes the place of any of the record's, a new size that of resize_param.
    """
    base = said or Preprocess()
    given = {name: value for name, value in given.items() if value is not None}
    if {"mean", "mean_file", "mean_value"} & given.keys():
        base = replace(base, mean=None, mean_file="", mean_value=())
    if "new_size" in given:
        base = replace(base, resize=None)
    left = {name: span for name, span in base.spans.items() if name not in given}
    return replace(base, **given, spans=left if given else base.spans)
