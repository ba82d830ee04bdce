"""The HDF5Data layer: rows of HDF5 files."""

from __future__ import annotations

import os
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError, Span, os_reason
from netspec.files.hdf5_file import Hdf5File
from netspec.files.paths import net_path, resolve_path
from netspec.graph import Layer, shape_text
from netspec.read_file import GIB, read_file
from netspec.readers.crew import ALONE, Crew
from netspec.readers.randomness import ORDER, ROWS, generator
from netspec.readers.reader import Batch, Shard, record_text


class Hdf5Reader:
    """Feeds, for each top, the rows of the dataset of its name, file after file.

    `shuffle` mixes the files, and the rows within each, never across files.

    Shapes: (N, ...) with the axes of the dataset after its first.
    Source: the HDF5Data layer.
    """

    crew: Crew = ALONE  # rows are but copied

    def __init__(self, layer: Layer, seed: int, shard: Shard) -> None:
        param = layer.message.hdf5_data_param
        self._layer, self._seed, self._shard = layer, seed, shard
        self._batch_size = param.batch_size
        self._span = layer.spans.at("hdf5_data_param", "source")
        path = resolve_path(param.source, net_path(layer))
        self._files = [
            resolve_path(file, path, net_path(layer)) for file in read_file_list(path, self._span)
        ]
        shapes = [dataset_shapes(file, layer.tops, self._span) for file in self._files]
        for file, shape in zip(self._files, shapes, strict=True):
            self._check_rows(file, shape, shapes[0])
        self._rows = [shape[0][0] for shape in shapes]
        self.size = sum(self._rows)
        self._loaded: tuple[str, list[NDArray[Any]]] = ("", [])  # one file at a time, as Caffe does
        # number, files in order, where each one ends
        self._epoch: tuple[int, list[int], list[int]] = (-1, [], [])
        self._row_order: tuple[tuple[int, int], NDArray[np.int64]] = (
            (-1, -1),
            np.empty(0, np.int64),
        )

    def read(self, batch_index: int) -> Batch:
        rows: list[list[NDArray[Any]]] = [[] for _ in self._layer.tops]
        wanted = self._shard.numbers(batch_index, self._batch_size)
        while wanted:
            arrays, places = self._run(wanted)
            for top, array in enumerate(arrays):
                rows[top].append(array[places])
            wanted = wanted[len(places) :]
        return {top: np.concatenate(rows[i]) for i, top in enumerate(self._layer.tops)}

    def record(self, batch_index: int, item: int) -> str:
        file, rows = self._rows_from(self._shard.numbers(batch_index, self._batch_size)[item:])
        return record_text(
            sum(self._rows[:file]) + int(rows[0]),
            self.size,
            f"row {rows[0]} of '{self._files[file]}'",
        )

    def close(self) -> None:
        self._loaded = ("", [])

    def _run(self, wanted: range) -> tuple[list[NDArray[Any]], NDArray[np.int64]]:
        """The arrays of the file that has the first of some rows of the endless stream.

        With them come the places of all of these rows that are in the file.
        """
        file, places = self._rows_from(wanted)
        return self._load(file), places

    def _rows_from(self, wanted: range) -> tuple[int, NDArray[np.int64]]:
        """The file that has the first of some rows of the endless stream.

        With it come the places of all of these rows that are in the file.
        """
        epoch, place = divmod(wanted.start, self.size)
        if self._epoch[0] != epoch:
            order = list(range(len(self._files)))
            if self._layer.message.hdf5_data_param.shuffle:
                order = (
                    generator(self._seed, self._layer, ORDER, epoch)
                    .permutation(len(order))
                    .tolist()
                )
            self._epoch = epoch, order, list(accumulate(self._rows[file] for file in order))
        _, order, ends = self._epoch
        slot = next(i for i, end in enumerate(ends) if place < end)
        file = order[slot]
        first = place - (ends[slot] - self._rows[file])
        return file, self._places(epoch, file)[first :: wanted.step][: len(wanted)]

    def _places(self, epoch: int, file: int) -> NDArray[np.int64]:
        if self._row_order[0] != (epoch, file):
            rows = np.arange(self._rows[file])
            if self._layer.message.hdf5_data_param.shuffle:
                rows = generator(self._seed, self._layer, ROWS + file, epoch).permutation(
                    self._rows[file]
                )
            self._row_order = (epoch, file), rows
        return self._row_order[1]

    def _load(self, file: int) -> list[NDArray[Any]]:
        path = self._files[file]
        if self._loaded[0] != path:
            try:
                with Hdf5File(path, self._span) as content:
                    self._loaded = (
                        path,
                        [
                            np.asarray(content.read(content.find(top)), dtype=np.float32)
                            for top in self._layer.tops
                        ],
                    )
            except NetspecError:
                raise
            except Exception as error:  # as in dataset_shapes
                raise NetspecError(
                    f"the HDF5 file '{path}' can't be read: {error}", self._span
                ) from None
        return self._loaded[1]

    def _check_rows(
        self, file: str, shapes: list[tuple[int, ...]], first: list[tuple[int, ...]]
    ) -> None:
        for top, shape, expected in zip(self._layer.tops, shapes, first, strict=True):
            if shape[0] != shapes[0][0]:
                message = (
                    f"in '{file}' the dataset '{top}' has {shape[0]} rows, '{self._layer.tops[0]}' "
                    f"has {shapes[0][0]}"
                )
                raise NetspecError(f"{self._layer.label}: {message}", self._span)
            if shape[1:] != expected[1:]:
                rows = [shape_text(each[1:]) for each in (shape, expected)]
                message = (
                    f"the rows of '{top}' in '{file}' are {rows[0]}, "
                    f"those in '{self._files[0]}' {rows[1]}"
                )
                raise NetspecError(f"{self._layer.label}: {message}", self._span)
        if shapes[0][0] == 0:
            raise NetspecError(f"{self._layer.label}: '{file}' has no rows", self._span)


def read_file_list(path: str, span: Span | None = None) -> list[str]:
    """The paths in a list of HDF5 files, parted by any white space, as Caffe reads it.

    Raises: NetspecError.
    """
    try:
        files = read_file(path, GIB, "a list").decode(errors="surrogateescape").split()
    except (OSError, ValueError) as error:
        raise NetspecError(f"the list '{path}' can't be read: {os_reason(error)}", span) from None
    if not files:
        raise NetspecError(f"the list '{path}' names no HDF5 file", span)
    return files


def dataset_shapes(path: str, tops: list[str], span: Span | None = None) -> list[tuple[int, ...]]:
    """The shapes of the datasets that the tops are named after.

    Raises: NetspecError for a missing or unfit one, ModuleNotFoundError without h5py.
    """
    if not os.path.exists(path):
        raise NetspecError(f"the HDF5 file '{path}' does not exist", span)
    try:
        with Hdf5File(path, span) as content:
            return [_dataset_shape(content, top, span) for top in tops]
    except (NetspecError, ModuleNotFoundError):
        raise
    except Exception as error:
        # on damaged files h5py raises OSError, KeyError, RuntimeError, TypeError, ...
        raise NetspecError(f"the HDF5 file '{path}' can't be read: {error}", span) from None


def _dataset_shape(content: Hdf5File, top: str, span: Span | None) -> tuple[int, ...]:
    from h5py import Dataset

    dataset = content.find(top)
    if not isinstance(dataset, Dataset):  # none of that name, or a group
        names = ", ".join(f"'{name}'" for name in content.names) or "none"
        raise NetspecError(
            f"'{content.path}' has no dataset '{top}'",
            span,
            f"a top is filled from the dataset of its name; the file has {names}",
        )
    if dataset.dtype.kind not in "fiub" or not dataset.shape:
        raise NetspecError(
            f"the dataset '{top}' of '{content.path}' is not an array of numbers", span
        )
    return content.shape(dataset)
