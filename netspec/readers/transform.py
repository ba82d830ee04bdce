"""From records to the batch that a net reads: mean, scale, crop and mirror."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError, Span
from netspec.files.mean_file import read_mean_blob
from netspec.files.paths import resolve_path
from netspec.graph import shape_text
from netspec.layers.resize_policy import resize_param
from netspec.readers.augment import augmenter
from netspec.readers.reader import WHOLE, Shard
from netspec.readers.resize_policy import apply_resize, interpolations
from netspec.readers.ten_places import ten_places
from netspec.schema.caffe_pb2 import TransformationParameter
from netspec.syntax.bind import Spans

Floats = NDArray[np.float32]


class Transformer:
    """Does what a layer's transform_param says, to a batch at a time.

    Each pixel becomes (value - mean) × scale, with the mean taken where the pixel lay before the
    crop and the flip. Caffe multiplies after it subtracts, so a mean is in the units of the
    records.

    Source: the DataTransformer.
    """

    def __init__(
        self,
        param: TransformationParameter,
        phase: str,
        net_path: str,
        spans: Spans,
        layer_label: str,
    ) -> None:
        """Reads the mean file. Raises: NetspecError for a mean that can't be used."""
        self._param = param
        self._spans = spans
        self._label = layer_label
        self._crop = int(param.crop_size)
        self._at_random = phase == "TRAIN"
        self._scale = np.float32(param.scale)
        self._resize = resize_param(param)
        self._mean: Floats | None = read_mean_values(param, net_path, self._span("mean_file"))
        self._mean_values: Floats | None = None
        if param.mean_value:
            self._mean_values = np.array(param.mean_value, np.float32)[:, None, None]
        self.keeps_levels = False  # leave mean and scale out, for eyes
        self.oversamples = False  # ten crops of each record: oversample.py
        self._augmenter = augmenter(param, phase, net_path, spans, layer_label)

    @property
    def color(self) -> bool | None:
        """How to decode a compressed record: True for colour, False for grey, None as it is."""
        return True if self._param.force_color else False if self._param.force_gray else None

    def apply(
        self,
        records: Sequence[NDArray[Any]],
        rng: np.random.Generator,
        name: Callable[[int], str] = "record {}".format,
        shard: Shard = WHOLE,
        own_rng: Callable[[int], np.random.Generator] | None = None,
    ) -> Floats:
        """The batch of some records.

        The crop's place is random in the TRAIN phase and the centre, rounded down, in TEST. The
        flip is random in both: Caffe does not ask for the phase there.

        Args:
            rng: where all randomness of Caffe's comes from; the same state gives the same batch.
            name: what a message calls the record at a place of the batch.
            shard: which records of all processes' batch these are; each is cropped and flipped as
                it would be there.
            own_rng: for a place of the batch, where the randomness of that record's augmentation
                comes from; without it `rng`.
        Shapes: (C, H, W) each, to (N, C, h, w); h = w = crop_size, or H and W where there is none.
            (10 N, C, h, w), crop after crop, with `oversamples`.
        Raises: NetspecError where a record does not fit the crop, the mean or the others of its
            batch.
        """
        records = self._resized(records, rng, name, shard)
        own = (
            [own_rng(i) if own_rng else rng for i in range(len(records))] if self._augmenter else []
        )
        if self._augmenter is not None:
            records = [self._augmenter.pixels(r, own[i], name(i)) for i, r in enumerate(records)]
        channels, height, width = self._batch_shape(records, name)
        spare = [(record.shape[1] - height, record.shape[2] - width) for record in records]
        shape = (channels, height, width)
        if not self.oversamples:
            return self._filled(records, shape, self._places(spare, rng, shard), own)
        crops = [self._filled(records, shape, places, own) for places in ten_places(spare)]
        return np.concatenate(crops)

    def _filled(
        self,
        records: Sequence[NDArray[Any]],
        shape: tuple[int, int, int],
        places: NDArray[np.int64],
        own: Sequence[np.random.Generator],
    ) -> Floats:
        """The batch whose crops lie at some places. Shapes: (3, N) to (N, C, h, w)."""
        tops, lefts, flips = places
        _, height, width = shape
        batch = np.empty((len(records), *shape), np.float32)
        straight = np.empty(shape, np.float32) if flips.any() else batch[0]
        # image by image: what one needs stays in the processor's cache
        for i, record in enumerate(records):
            window = np.s_[:, tops[i] : tops[i] + height, lefts[i] : lefts[i] + width]
            image = straight if flips[i] else batch[i]
            mean = self._mean_values if self._mean is None else self._mean[window]
            image[...] = record[window]  # only the crop becomes float
            # infinity and NaN as in Caffe, and without numpy's word on them
            with np.errstate(over="ignore", invalid="ignore"):
                if self._augmenter is not None:
                    self._augmenter.levels(image, own[i])
                if mean is not None:
                    image -= mean
                if self._augmenter is not None:
                    self._augmenter.erase(image, mean, own[i])
                if self.keeps_levels:
                    image += 0 if mean is None else mean  # what is erased has the mean's colour
                elif self._scale != 1:
                    image *= self._scale
            if flips[i]:
                batch[i] = image[:, :, ::-1]
        return batch

    def _resized(
        self,
        records: Sequence[NDArray[Any]],
        rng: np.random.Generator,
        name: Callable[[int], str],
        shard: Shard,
    ) -> Sequence[NDArray[Any]]:
        """The records after SSD's resize_param, where there is one."""
        if self._resize is None:
            return records
        for i, record in enumerate(records):
            if record.dtype != np.uint8:
                raise NetspecError(
                    f"{self._label}: {name(i)} holds float_data, which 'resize_param' can't resize",
                    self._span("resize_param"),
                )
        modes = interpolations(self._resize)
        drawn = rng.integers(0, len(modes), len(records) * shard.processes)[shard.own]
        return [
            apply_resize(record, self._resize, modes[choice])
            for record, choice in zip(records, drawn, strict=True)
        ]

    def _places(
        self, spare: list[tuple[int, int]], rng: np.random.Generator, shard: Shard
    ) -> NDArray[np.int64]:
        """The top row and left column of each record's crop, and whether it is flipped.

        A record gets what it would get if every record of all processes' batch had its size: a
        process does not know the sizes of what the others read.

        Args:
            spare: the rows and columns of each record that its crop leaves out.
        Shapes: (3, N).
        """
        start = rng.bit_generator.state
        drawn: dict[tuple[int, int], NDArray[np.int64]] = {}
        for size in dict.fromkeys(spare):  # mostly there is but one
            rng.bit_generator.state = start
            drawn[size] = self._draw(*size, len(spare) * shard.processes, rng)[:, shard.own]
        return np.stack([drawn[size][:, place] for place, size in enumerate(spare)], axis=1)

    def _draw(
        self, spare_rows: int, spare_columns: int, count: int, rng: np.random.Generator
    ) -> NDArray[np.int64]:
        """Places for a number of records of one size. Shapes: (3, count)."""
        if self._at_random:
            tops, lefts = (
                rng.integers(0, spare_rows + 1, count),
                rng.integers(0, spare_columns + 1, count),
            )
        else:
            tops, lefts = np.full(count, spare_rows // 2), np.full(count, spare_columns // 2)
        flips = rng.integers(0, 2, count) if self._param.mirror else np.zeros(count, np.int64)
        return np.stack([tops, lefts, flips])

    def _batch_shape(
        self, records: Sequence[NDArray[Any]], name: Callable[[int], str]
    ) -> tuple[int, int, int]:
        """(C, h, w) of the result, after every record was checked."""
        first = records[0].shape
        for i, record in enumerate(records):
            if record.shape != first or i == 0:
                self._check(record.shape, first, i, name)
        return first[0], self._crop or first[1], self._crop or first[2]

    def _check(
        self, shape: tuple[int, ...], first: tuple[int, ...], place: int, name: Callable[[int], str]
    ) -> None:
        size = shape_text(shape)
        if self._crop > min(shape[1:]):
            raise NetspecError(
                f"{self._label}: {name(place)} is {size}, smaller than crop_size {self._crop}",
                self._span("crop_size"),
            )
        if self._mean is not None and shape != self._mean.shape:
            message = (
                f"{self._label}: {name(place)} is {size}, but the mean '{self._param.mean_file}' "
                f"is {shape_text(self._mean.shape)}"
            )
            raise NetspecError(
                message,
                self._span("mean_file"),
                "the mean must have the size of the uncropped images",
            )
        values = len(self._param.mean_value)
        if values > 1 and values != shape[0]:
            message = (
                f"{self._label}: {name(place)} has {shape[0]} channels, "
                f"but there are {values} mean_values"
            )
            raise NetspecError(
                message, self._span("mean_value"), "give one for all channels or one a channel"
            )
        if shape[0] != first[0] or (shape != first and not self._crop):
            hint = (
                "resize them to one size or set crop_size"
                if shape[0] == first[0]
                else "force_color or force_gray makes them alike"
            )
            message = (
                f"{self._label}: {name(place)} is {size}, but the first of its batch is "
                f"{shape_text(first)} (C×H×W)"
            )
            raise NetspecError(message, self._span(), hint)

    def _span(self, field: str | None = None) -> Span | None:
        return self._spans.at("transform_param", field) if field else self._spans.at("name")


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
