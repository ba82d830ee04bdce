"""What a data layer's records look like, found without reading data where possible.

`netspec shapes` runs this, so numpy, Pillow and h5py are imported only where a compressed record or
an HDF5 file has to be asked for its size.
"""

from __future__ import annotations

import os
from math import prod
from typing import NamedTuple

from netspec.diagnostics import NetspecError, os_reason
from netspec.files.mean_file import read_mean_blob
from netspec.files.paths import net_path, resolve_path
from netspec.files.whole_number import whole_number
from netspec.graph import Layer, shape_text
from netspec.read_file import open_regular
from netspec.schema.caffe_pb2 import TransformationParameter

RecordShape = tuple[int, int, int]


def record_shape(layer: Layer) -> RecordShape | None:
    """(C, H, W) of a record of a data layer of images, before it is resized and cropped.

    It is looked for in this order: the mean file, which must have that size; the first record; the
    settings alone, where crop_size and something that fixes the channels are given (the shape is
    then that of the crop).

    Returns:
        None where neither mean nor data is there and the settings do not say it.
    Raises: NetspecError where what is there can't be read.
    """
    if layer.type == "WindowData":
        return _window_shape(layer)
    if layer.type == "AnnotatedData":  # whose mean file has the size of the crop
        return _database_shape(layer, annotated=True)
    param = layer.message.transform_param
    if param.HasField("mean_file"):
        path = resolve_path(param.mean_file, net_path(layer))
        if os.path.exists(path):
            return read_mean_blob(path, layer.spans.at("transform_param", "mean_file"))[1]
    found = _image_list_shape(layer) if layer.type == "ImageData" else _database_shape(layer)
    if found is not None:
        return found
    channels = _implied_channels(layer, param)
    return (channels, param.crop_size, param.crop_size) if channels and param.crop_size else None


def hdf5_row_shapes(layer: Layer) -> list[tuple[int, ...]] | None:
    """For each top of an HDF5Data layer, the shape of a row of its dataset in the first file.

    Returns None where the file is not there.

    Raises: NetspecError where the file is there but can't be read or lacks a dataset.
    """
    list_path = resolve_path(layer.message.hdf5_data_param.source, net_path(layer))
    if not os.path.isfile(list_path):
        return None
    from netspec.readers.hdf5 import dataset_shapes, read_file_list

    span = layer.spans.at("hdf5_data_param", "source")
    file = resolve_path(read_file_list(list_path, span)[0], list_path, net_path(layer))
    if not os.path.exists(file):
        return None
    try:
        return [shape[1:] for shape in dataset_shapes(file, layer.tops, span)]
    except ModuleNotFoundError:  # h5py is an extra; the reader will say so
        return None


def _database_shape(layer: Layer, annotated: bool = False) -> RecordShape | None:
    from netspec.stores.records import database_kind, open_records

    param = layer.message.data_param
    path = resolve_path(param.source, net_path(layer))
    if database_kind(path, param.backend) is None:
        return None
    span = layer.spans.at("data_param", "source")
    records = open_records(path, param.backend, span)
    try:
        if annotated:
            key, record = records.read_annotated(0)
            datum = record.datum
        else:
            key, datum = records.read(0)
    finally:
        records.close()
    if datum.encoded:
        from netspec.readers.images import image_shape

        transform = layer.message.transform_param
        color = True if transform.force_color else False if transform.force_gray else None
        return image_shape(datum.data, color, records.describe(0, key), span)
    shape = datum.channels, datum.height, datum.width
    if min(shape) <= 0:
        raise NetspecError(f"{records.describe(0, key)} has no size", span)
    values = len(datum.data) or len(datum.float_data)
    if values != prod(shape):
        raise NetspecError(
            f"{records.describe(0, key)} holds {values} values, but says that it is "
            f"{shape_text(shape)} (C×H×W)",
            span,
        )
    return shape


def _image_list_shape(layer: Layer) -> RecordShape | None:
    param = layer.message.image_data_param
    if param.new_height and param.new_width:
        return 3 if param.is_color else 1, param.new_height, param.new_width
    found = _image_list(layer)
    if found is None:
        return None
    list_path, lines = found
    from netspec.readers.image_list import split_line
    from netspec.readers.images import image_shape, read_image_file

    span = layer.spans.at("image_data_param", "source")
    image = param.root_folder + split_line(lines[0], 0, list_path, span)[0]
    path = resolve_path(image, list_path, net_path(layer))
    return (
        image_shape(read_image_file(path, span), param.is_color, f"the image '{path}'", span)
        if os.path.exists(path)
        else None
    )


def _window_shape(layer: Layer) -> RecordShape | None:
    """Windows are cut to crop_size.

    The channels stand in the third line of the list, below number and path.
    """
    path = resolve_path(layer.message.window_data_param.source, net_path(layer))
    size = layer.message.transform_param.crop_size
    if not size or not os.path.isfile(path):
        return None
    span = layer.spans.at("window_data_param", "source")
    try:
        with open_regular(path) as file:
            words = file.read(65536).decode(errors="replace").split()
    except (OSError, ValueError) as error:
        raise NetspecError(f"the list '{path}' can't be read: {os_reason(error)}", span) from None
    is_list = len(words) > 3 and words[0] == "#" and words[3].isascii() and words[3].isdecimal()
    channels = whole_number(words[3]) if is_list else None
    if not channels:
        raise NetspecError(
            f"'{path}' is not a list of windows: expected '# 0', a path and the number of channels",
            span,
        )
    return channels, size, size


def _implied_channels(layer: Layer, param: TransformationParameter) -> int:
    """The number of channels by the settings alone, 0 where they do not say."""
    if layer.type == "ImageData":
        return 3 if layer.message.image_data_param.is_color else 1
    if len(param.mean_value) > 1:  # one a channel
        return len(param.mean_value)
    return 3 if param.force_color else 1 if param.force_gray else 0


def record_count(layer: Layer) -> int | None:
    """The number of records of a data layer, where they are there and counting takes no time.

    A LevelDB would have to be read through.

    Raises: NetspecError where what is there can't be read.
    """
    if layer.type == "ImageData":
        lines = _image_list(layer)
        return None if lines is None else len(lines[1])
    if not layer.message.HasField("data_param"):
        return None
    from netspec.stores.records import database_kind, open_records

    param = layer.message.data_param
    path = resolve_path(param.source, net_path(layer))
    if database_kind(path, param.backend) != param.LMDB:
        return None
    records = open_records(path, param.backend, layer.spans.at("data_param", "source"))
    try:
        return records.count
    finally:
        records.close()


class Labels(NamedTuple):
    """Labels of a data layer's records, each with the place that has it; all of them or some."""

    places: dict[int, str]
    are_all: bool


def labels_of(layer: Layer, most: int) -> Labels | None:
    """The different labels of a layer's records; of a database, of `most` of them.

    Returns: None where the layer reads no labels of classes, or its data are not there.
    Raises: NetspecError where what is there can't be read.
    """
    if layer.type == "ImageData":
        return _labels_of_list(layer)
    count = record_count(layer) if layer.type == "Data" else None
    if count is None:
        return None
    from netspec.stores.records import open_records

    param = layer.message.data_param
    path = resolve_path(param.source, net_path(layer))
    records = open_records(path, param.backend, layer.spans.at("data_param", "source"))
    places: dict[int, str] = {}
    try:
        for i in range(min(count, most)):
            index = i * count // min(count, most)
            key, datum = records.read(index)
            places.setdefault(datum.label, records.describe(index, key))
    finally:
        records.close()
    return Labels(places, count <= most)


def _labels_of_list(layer: Layer) -> Labels | None:
    from netspec.readers.image_list import split_line

    found = _image_list(layer)
    if found is None:
        return None
    path, lines = found
    span = layer.spans.at("image_data_param", "source")
    places: dict[int, str] = {}
    for i, line in enumerate(lines):
        places.setdefault(split_line(line, i, path, span)[1], f"line {i + 1} of '{path}'")
    return Labels(places, True)


def _image_list(layer: Layer) -> tuple[str, list[str]] | None:
    """The path and the lines of a layer's list; None where it is not there."""
    from netspec.readers.image_list import read_list

    path = resolve_path(layer.message.image_data_param.source, net_path(layer))
    if not os.path.isfile(path):
        return None
    return path, read_list(path, layer.spans.at("image_data_param", "source"))
