"""From records to the batch that a net reads: mean, scale, crop and mirror."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError, Span
from netspec.graph import shape_text
from netspec.layers.resize_policy import resize_param
from netspec.readers.array_pool import ArrayPool
from netspec.readers.augment import augmenter
from netspec.readers.byte_images import ByteImages, NotBytesError
from netspec.readers.crew import ALONE, Crew
from netspec.readers.crop_places import CropPlaces, Place
from netspec.readers.mean import Floats, read_mean_values
from netspec.readers.reader import WHOLE, Shard
from netspec.readers.resize_policy import apply_resize, interpolations
from netspec.readers.ten_places import CROPS
from netspec.schema.caffe_pb2 import TransformationParameter
from netspec.syntax.bind import Spans

Fetched = Callable[[], NDArray[Any]]  # a record that was read and is not decoded yet
_WORTH_A_THREAD = 1 << 14  # bytes of a record


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
        self.gives_bytes = False  # leave mean, scale and mirror to others, where those can do it
        self._augmenter = augmenter(param, phase, net_path, spans, layer_label)
        self._pool = ArrayPool()

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
    ) -> Floats | ByteImages:
        """`batch` of records that are there already, on the caller's thread alone."""
        fetched = (partial(np.asarray, record) for record in records)
        return self.batch(fetched, len(records), rng, name, shard, own_rng)

    def batch(
        self,
        records: Iterator[Fetched],
        count: int,
        rng: np.random.Generator,
        name: Callable[[int], str],
        shard: Shard = WHOLE,
        own_rng: Callable[[int], np.random.Generator] | None = None,
        crew: Crew = ALONE,
    ) -> Floats | ByteImages:
        """The batch of some records.

        The crop's place is random in the TRAIN phase and the centre, rounded down, in TEST. The
        flip is random in both: Caffe does not ask for the phase there.

        Args:
            records: each gives its pixels when it is called, in whatever thread.
            rng: where all randomness of Caffe's comes from; the same state gives the same batch.
            name: what a message calls the record at a place of the batch.
            shard: which records of all processes' batch these are; each is cropped and flipped as
                it would be there.
            own_rng: for a place of the batch, where the randomness of that record's augmentation
                comes from; without it `rng`, for which the crew must be one thread.
            crew: who decodes and transforms.
        Shapes: (C, H, W) each, to (N, C, h, w); h = w = crop_size, or H and W where there is none.
            (10 N, C, h, w), crop after crop, with `oversamples`.
        Raises: NetspecError where a record does not fit the crop, the mean or the others of its
            batch; NotBytesError, with `gives_bytes`, where one that is not the first holds floats.
        """
        prepared = self._preparation(count, rng, name, shard, own_rng)
        places = CropPlaces(
            count * shard.processes, self._at_random, self._param.mirror, rng, shard
        )
        # the first record alone, for it says what shape the batch has
        first, own = prepared(0, next(records))
        self._check(first.shape, first.shape, 0, name)
        size = self._crop or first.shape[1], self._crop or first.shape[2]
        crops = count * (CROPS if self.oversamples else 1)
        as_bytes = self.gives_bytes and self._augmenter is None and first.dtype == np.uint8
        batch: NDArray[Any] = self._pool.empty(
            (crops, len(first), *size), np.uint8 if as_bytes else np.float32
        )
        taken = np.empty((3, crops), np.int64)

        def put(i: int, record: NDArray[Any], own: np.random.Generator) -> None:
            if as_bytes and record.dtype != np.uint8:
                raise NotBytesError
            spare = record.shape[1] - size[0], record.shape[2] - size[1]
            own_places = places.ten(spare) if self.oversamples else [places.of(spare, i)]
            for at, place in zip(range(i, crops, count), own_places, strict=True):
                taken[:, at] = place
                if as_bytes:
                    batch[at] = record[_window(place, size)]
                else:
                    self._fill(batch[at], record, place, own)

        def work(item: tuple[int, Fetched]) -> None:
            i, fetched = item
            record, own = prepared(i, fetched)
            if record.shape != first.shape:
                self._check(record.shape, first.shape, i, name)
            put(i, record, own)

        # infinity and NaN as in Caffe, and without numpy's word on them
        with np.errstate(over="ignore", invalid="ignore"):
            put(0, first, own)
            # threads pay only where a record is more work than handing it over
            (crew if first.nbytes >= _WORTH_A_THREAD else ALONE).each(work, enumerate(records, 1))
        if as_bytes:
            mean = self._mean_values if self._mean is None else self._mean
            return ByteImages(batch, taken, mean, self._scale)
        return batch

    def _preparation(
        self,
        count: int,
        rng: np.random.Generator,
        name: Callable[[int], str],
        shard: Shard,
        own_rng: Callable[[int], np.random.Generator] | None,
    ) -> Callable[[int, Fetched], tuple[NDArray[Any], np.random.Generator]]:
        """What gives a record as it is before crop and mirror, and its own randomness.

        That is after SSD's resize_param and the augmentation of pixels, where there are any.
        """
        modes: list[str] = []
        if self._resize is not None:
            names = interpolations(self._resize)
            drawn = rng.integers(0, len(names), count * shard.processes)[shard.own]
            modes = [names[choice] for choice in drawn]

        def prepared(i: int, fetched: Fetched) -> tuple[NDArray[Any], np.random.Generator]:
            record, own = fetched(), rng
            if self._resize is not None:
                self._check_levels(record, name(i))
                record = apply_resize(record, self._resize, modes[i])
            if self._augmenter is not None:
                own = own_rng(i) if own_rng is not None else rng
                record = self._augmenter.pixels(record, own, name(i))
            return record, own

        return prepared

    def _fill(
        self,
        image: Floats,
        record: NDArray[Any],
        place: Place,
        own: np.random.Generator,
    ) -> None:
        """Puts the crop that lies at a place of a record into its image of the batch.

        Nothing is computed beside it, so that what one record needs stays in the processor's cache.

        Shapes: record (C, H, W) to image (C, h, w).
        """
        if place[2]:
            image = image[:, :, ::-1]
        window = _window(place, image.shape[1:])
        mean = self._mean_values if self._mean is None else self._mean[window]
        image[...] = record[window]  # only the crop becomes float
        if self._augmenter is not None:
            self._augmenter.levels(image, own)
        if mean is not None:
            image -= mean
        if self._augmenter is not None:
            self._augmenter.erase(image, mean, own)
        if self.keeps_levels:
            image += 0 if mean is None else mean  # what is erased has the mean's colour
        elif self._scale != 1:
            image *= self._scale

    def _check_levels(self, record: NDArray[Any], name: str) -> None:
        if record.dtype != np.uint8:
            raise NetspecError(
                f"{self._label}: {name} holds float_data, which 'resize_param' can't resize",
                self._span("resize_param"),
            )

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


def _window(place: Place, size: tuple[int, ...]) -> tuple[slice, slice, slice]:
    """Where in a record a crop of some rows and columns lies."""
    top, left, _ = place
    return np.s_[:, top : top + size[0], left : left + size[1]]
