"""The AnnotatedData layer: images with boxes, from an LMDB or LevelDB of AnnotatedDatums."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError
from netspec.files.paths import net_path, resolve_path
from netspec.graph import Layer, shape_text
from netspec.readers.annotated_transform import Annotated, AnnotatedTransformer
from netspec.readers.boxes import Boxes, Floats, boxes_of
from netspec.readers.crew import ALONE, Crew
from netspec.readers.images import datum_pixels
from netspec.readers.randomness import ITEM, generator
from netspec.readers.reader import Batch, Shard, record_text
from netspec.schema.forks import stated
from netspec.stores.damage import key_text
from netspec.stores.records import open_records

_NONE = np.empty(0, np.float32)  # what is not there yet
ROW = 8  # image, label, instance, xmin, ymin, xmax, ymax, difficult


class AnnotatedReader:
    """Feeds the records in key order, over the end and on from the first even inside a batch.

    What is drawn for a record depends on the seed and its number in the stream alone, so that
    several processes together read what one with their whole batch does. Each numbers the images of
    its own batch from 0.

    Shapes: first top (N, C, h, w); second top (1, 1, G, 8), a row a box of all images and one row
        of -1 where there is none. Records without a type have labels (N), as in a Data layer.
    Source: the AnnotatedData layer. It does not shuffle, and ignores rand_skip.
    """

    crew: Crew = ALONE

    def __init__(self, layer: Layer, seed: int, shard: Shard) -> None:
        data, annotated = layer.message.data_param, stated(layer.message, "annotated_data_param")
        self._layer, self._seed, self._shard = layer, seed, shard
        self._batch_size = data.batch_size
        path = resolve_path(data.source, net_path(layer))
        self._span = layer.spans.at("data_param", "source")
        samplers = list(annotated.batch_sampler) if annotated is not None else []
        self.transformer = AnnotatedTransformer(layer, samplers)
        self._records = open_records(path, data.backend, self._span)
        self._says_type = annotated is not None and annotated.HasField("anno_type")
        self._has_boxes = self._says_type or self._records.read_annotated(0)[1].HasField("type")

    @property
    def size(self) -> int | None:
        return self._records.count

    def read(self, batch_index: int) -> Batch:
        numbers = self._shard.numbers(batch_index, self._batch_size)
        images: list[Floats] = [_NONE] * len(numbers)
        rows = list(images)
        labels = np.empty(len(numbers), np.float32)

        def work(item: tuple[int, bytes, Any]) -> None:
            place, key, record = item
            name = self._records.describe(numbers[place], key)
            labels[place] = record.datum.label
            images[place], boxes = self._transformed(record, numbers[place], name)
            rows[place] = label_rows(place, boxes)

        records = (
            (place, *self._records.read_annotated(number)) for place, number in enumerate(numbers)
        )
        self.crew.each(work, records)
        self._check_sizes(images, numbers)
        annotations = np.concatenate(rows) if self._has_boxes else labels
        if self._has_boxes:
            if not len(annotations):
                annotations = np.full((1, ROW), -1, np.float32)
            annotations = annotations.reshape(1, 1, -1, ROW)
        tops = (np.stack(images), annotations)
        return dict(zip(self._layer.tops, tops))  # noqa: B905 - one top feeds no labels

    def _check_sizes(self, images: list[Floats], numbers: range) -> None:
        for image, number in zip(images, numbers, strict=True):
            if image.shape != images[0].shape:
                name = self._records.describe(number, self._records.read_annotated(number)[0])
                raise NetspecError(
                    f"{self._layer.label}: {name} is {shape_text(image.shape)}, but the first of "
                    f"its batch is {shape_text(images[0].shape)} (C×H×W)",
                    self._layer.spans.at("transform_param"),
                    "resize_param { height: 300 width: 300 } makes them alike",
                )

    def originals(self, batch_index: int) -> list[NDArray[Any]]:
        """The images of a batch before they are transformed."""
        found = []
        for number in self._shard.numbers(batch_index, self._batch_size):
            key, record = self._records.read_annotated(number)
            name = self._records.describe(number, key)
            found.append(datum_pixels(record.datum, self.transformer.color, name, self._span))
        return found

    def _transformed(self, record: Any, number: int, name: str) -> tuple[Floats, Boxes]:
        self._check_type(record, name)
        pixels = datum_pixels(record.datum, self.transformer.color, name, self._span)
        rng = generator(self._seed, self._layer, ITEM, number)
        return self.transformer.apply(Annotated(pixels, boxes_of(record)), rng, name)

    def _check_type(self, record: Any, name: str) -> None:
        """Boxes are read where the layer or the record says that there are boxes."""
        if not self._has_boxes or self._says_type:
            return
        if not record.HasField("type"):
            raise NetspecError(
                f"{self._layer.label}: {name} has no annotation type, but the first record has one",
                self._span,
                "annotated_data_param { anno_type: BBOX } says it for all of them",
            )
        if record.type != record.BBOX:
            raise NetspecError(
                f"{self._layer.label}: {name} has annotations of type "
                f"{record.AnnotationType.Name(record.type)}, expected BBOX",
                self._span,
            )

    def record(self, batch_index: int, item: int) -> str:
        number = self._shard.numbers(batch_index, self._batch_size)[item]
        key, _ = self._records.read_annotated(number)
        return record_text(
            number % self.size if self.size else number, self.size, f"'{key_text(key)}'"
        )

    def close(self) -> None:
        self._records.close()


def label_rows(image: int, boxes: Boxes) -> Floats:
    """The rows of one image's boxes. Shapes: (G, 8)."""
    rows = np.empty((len(boxes.labels), ROW), np.float32)
    rows[:, 0], rows[:, 1], rows[:, 2] = image, boxes.labels, boxes.instances
    rows[:, 3:7], rows[:, 7] = boxes.corners, boxes.difficult
    return rows
