"""From annotated records to the images and boxes that a net reads.

Source: weiliu89/caffe, branch ssd, DataTransformer and AnnotatedDataLayer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from netspec.diagnostics import NetspecError
from netspec.files.paths import net_path
from netspec.graph import Layer, shape_text
from netspec.layers.resize_policy import crop_size, resize_param
from netspec.readers.augment import annotated_augmenter
from netspec.readers.batch_sampler import sampled_patch
from netspec.readers.boxes import UNIT, Boxes, Floats, emitted, mirrored, project
from netspec.readers.distort import apply_distort, needs_colour
from netspec.readers.images import Pixels
from netspec.readers.mean import read_mean_values
from netspec.readers.noise import apply_noise
from netspec.readers.resize_policy import apply_resize, interpolations, resize_boxes, stretch_boxes
from netspec.schema.forks import stated


class Annotated(NamedTuple):
    """An image and its objects. Shapes: pixels (C, H, W)."""

    pixels: Pixels
    boxes: Boxes

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[1], self.pixels.shape[2]


class AnnotatedTransformer:
    """Does what transform_param and the batch samplers say, to a record at a time.

    The order is: distort, expand, sample a patch, resize, noise, crop, mirror, mean and scale.

    Two things differ from the fork on purpose. It stores the image as a JPEG after each of the
    first three steps; here the pixels go on as they are. It leaves distort, resize and noise out
    for records that are not compressed; here every record goes through all steps.
    """

    def __init__(self, layer: Layer, samplers: list[Any]) -> None:
        """Reads the mean file. Raises: NetspecError for a mean that can't be used."""
        self._layer, self._samplers = layer, samplers
        self._param = transform = layer.message.transform_param
        self._resize = resize_param(transform)
        self._distort, self._expand = (
            stated(transform, name) for name in ("distort_param", "expand_param")
        )
        self._noise = stated(transform, "noise_param")
        self._emit = stated(transform, "emit_constraint")
        self._crop = crop_size(transform)
        self._values: Floats = np.array(transform.mean_value, np.float32)
        span = layer.spans.at("transform_param", "mean_file")
        self._mean = read_mean_values(transform, net_path(layer), span)
        self.keeps_levels = False  # leave mean and scale out, for eyes
        self._augmenter = annotated_augmenter(
            transform, layer.phase, net_path(layer), layer.spans, layer.label
        )

    @property
    def color(self) -> bool | None:
        """How to decode a compressed record, as in Transformer."""
        return True if self._param.force_color else False if self._param.force_gray else None

    def apply(self, record: Annotated, rng: np.random.Generator, name: str) -> tuple[Floats, Boxes]:
        """The image as the net reads it, and its boxes there.

        Args: rng: where all randomness comes from. name: what a message calls the record.
        Shapes: (C, H, W) to (C, h, w).
        Raises: NetspecError where the record does not fit the settings.
        """
        self._check_channels(record.pixels, name)
        if self._distort is not None:
            record = record._replace(pixels=apply_distort(record.pixels, self._distort, rng))
        if self._augmenter is not None:
            record = record._replace(pixels=self._augmenter.pixels(record.pixels, rng, name))
        if self._expand is not None:
            record = self._expanded(record, rng)
        if self._samplers:
            patch = sampled_patch(record.boxes, self._samplers, rng)
            record = record if patch is None else self._cut(record, patch)
        is_flipped = bool(self._param.mirror) and bool(rng.integers(0, 2))
        pixels = record.pixels
        if self._resize is not None:
            modes = interpolations(self._resize)
            pixels = apply_resize(pixels, self._resize, modes[rng.integers(0, len(modes))])
        if self._noise is not None:
            pixels = apply_noise(pixels, self._noise, rng)
        pixels, crop = self._cropped(pixels, rng, name)
        boxes = self._moved(record, crop, is_flipped)
        return self._normalised(pixels[:, :, ::-1] if is_flipped else pixels, rng, name), boxes

    def _expanded(self, record: Annotated, rng: np.random.Generator) -> Annotated:
        """The image at a random place of a larger one, which has the mean's colour elsewhere."""
        happens = rng.random() <= self._expand.prob
        ratio = rng.uniform(1, self._expand.max_expand_ratio)
        share = rng.random(2)
        if not happens or abs(self._expand.max_expand_ratio - 1) < 1e-2:
            return record
        old = np.array(record.size)
        new = (old * ratio).astype(np.int64)
        top, left = np.floor(share * (new - old)).astype(np.int64)
        pixels = np.empty((len(record.pixels), *new), np.uint8)
        colour = self._values if len(self._values) else np.zeros(1, np.float32)
        pixels[...] = np.rint(colour).clip(0, 255).astype(np.uint8)[:, None, None]
        pixels[:, top : top + old[0], left : left + old[1]] = record.pixels
        place = np.array([-left, -top, new[1] - left, new[0] - top], np.float32)
        place /= np.tile(old[::-1], 2).astype(np.float32)
        return Annotated(pixels, self._projected(record.boxes, record.boxes.corners, place))

    def _cut(self, record: Annotated, patch: Floats) -> Annotated:
        """A patch of the image and the boxes that reach into it."""
        height, width = record.size
        patch = np.clip(patch, np.float32(0), np.float32(1))
        edges = patch * np.array([width, height] * 2, np.float32)
        left, top = edges[:2].astype(np.int64)
        # a patch of less than a pixel has one here; the fork aborts
        across, down = np.maximum((edges[2:] - edges[:2]).astype(np.int64), 1)
        left, top = min(left, width - across), min(top, height - down)
        pixels = record.pixels[:, top : top + down, left : left + across]
        return Annotated(pixels, self._projected(record.boxes, record.boxes.corners, patch))

    def _projected(self, boxes: Boxes, corners: Floats, place: Floats) -> Boxes:
        projected, there = project(place, corners)
        if self._emit is not None:
            there &= emitted(place, corners, self._emit)
        return boxes.kept(there, projected)

    def _cropped(
        self, pixels: Pixels, rng: np.random.Generator, name: str
    ) -> tuple[Pixels, Floats]:
        """The crop, at random in TRAIN and in the middle in TEST, and its place in the image."""
        if self._crop is None:
            return pixels, UNIT
        height, width = self._crop
        spare = pixels.shape[1] - height, pixels.shape[2] - width
        if min(spare) < 0:
            raise NetspecError(
                f"{self._layer.label}: {name} is {shape_text(pixels.shape)} before the crop, "
                f"smaller than {height}×{width}",
                self._layer.spans.at("transform_param"),
            )
        if self._layer.phase == "TRAIN":
            top, left = rng.integers(0, spare[0] + 1), rng.integers(0, spare[1] + 1)
        else:
            top, left = spare[0] // 2, spare[1] // 2
        place = np.array([left, top, left + width, top + height], np.float32)
        place /= np.array([pixels.shape[2], pixels.shape[1]] * 2, np.float32)
        return pixels[:, top : top + height, left : left + width], place

    def _moved(self, record: Annotated, crop: Floats, is_flipped: bool) -> Boxes:
        """The boxes after resize, crop and flip."""
        corners = record.boxes.corners
        if self._resize is not None:
            corners = resize_boxes(corners, self._resize, *record.size)
        boxes = self._projected(record.boxes, corners, crop)
        if is_flipped:
            boxes = boxes._replace(corners=mirrored(boxes.corners))
        if self._resize is not None:
            stretched = stretch_boxes(boxes.corners, self._resize, *record.size, crop)
            boxes = boxes._replace(corners=stretched)
        return boxes

    def _normalised(self, pixels: Pixels, rng: np.random.Generator, name: str) -> Floats:
        """(value - mean) × scale, with netspec's own colours, noise and erasing.

        Quirk: the mean file has the size of the crop, and is not flipped with the image.
        """
        image = pixels.astype(np.float32)
        mean = self._values[:, None, None] if len(self._values) else None
        if self._augmenter is not None:
            self._augmenter.levels(image, rng)
        if self._mean is not None:
            if self._mean.shape != image.shape:
                raise NetspecError(
                    f"{self._layer.label}: {name} is {shape_text(image.shape)} in the batch, but "
                    f"the mean '{self._param.mean_file}' is {shape_text(self._mean.shape)}",
                    self._layer.spans.at("transform_param", "mean_file"),
                    "the mean must have the size of the resized and cropped images",
                )
            mean = self._mean
        if mean is not None:
            image -= mean
        if self._augmenter is not None:
            self._augmenter.erase(image, mean, rng)
        if self.keeps_levels:
            image += 0 if mean is None else mean
        elif self._param.scale != 1:
            image *= np.float32(self._param.scale)
        return image

    def _check_channels(self, pixels: Pixels, name: str) -> None:
        channels = len(pixels)
        if pixels.dtype != np.uint8:
            raise NetspecError(
                f"{self._layer.label}: {name} holds float_data, expected 8-bit values",
                self._layer.spans.at("data_param", "source"),
            )
        if len(self._values) not in (0, 1, channels):
            raise NetspecError(
                f"{self._layer.label}: {name} has {channels} channels, but there are "
                f"{len(self._values)} mean_values",
                self._layer.spans.at("transform_param", "mean_value"),
                "give one for all channels or one a channel",
            )
        if channels == 3:
            return
        for name_of, needs in self._coloured():
            if needs:
                raise NetspecError(
                    f"{self._layer.label}: {name} has {channels} channels, but '{name_of}' "
                    "changes colours, which needs 3",
                    self._layer.spans.at("transform_param", name_of),
                    "force_color: true makes three of a grey image",
                )

    def _coloured(self) -> list[tuple[str, bool]]:
        return [
            ("distort_param", self._distort is not None and needs_colour(self._distort)),
            ("noise_param", self._noise is not None and self._noise.decolorize),
        ]
