"""The layers of a caffemodel of any age and fork, as the file has them; arrays are read on demand.

A layer's settings stay what they are, bytes: the forks' numbers of them clash.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from netspec.files.blob_shape import blob_shape
from netspec.graph import Shape
from netspec.schema.caffe_pb2 import (
    BlobProto,
    LayerParameter,
    NetParameter,
    V0LayerParameter,
    V1LayerParameter,
)
from netspec.schema.history import V0_TYPES, V1_TYPES
from netspec.weights.blob_proto import damaged_blob, require_fit
from netspec.weights.wire_file import EIGHT, FOUR, SIZED, VARINT, WireError, WireField, WireFile

_SHAPE = {
    BlobProto.NUM_FIELD_NUMBER,
    BlobProto.CHANNELS_FIELD_NUMBER,
    BlobProto.HEIGHT_FIELD_NUMBER,
    BlobProto.WIDTH_FIELD_NUMBER,
    BlobProto.SHAPE_FIELD_NUMBER,
}
_VALUES = {BlobProto.DATA_FIELD_NUMBER: "<f4", BlobProto.DOUBLE_DATA_FIELD_NUMBER: "<f8"}
# NVIDIA's fork: the values as bytes, and of what type they are, by its enum Type
_RAW_TYPE, _RAW_DATA = 10, 12
_RAW_DTYPES = ("<f8", "<f4", "<f2", "<i4", "<u4")
# what a layer is known by, in each form
_KNOWN = {
    LayerParameter: {
        LayerParameter.NAME_FIELD_NUMBER,
        LayerParameter.TYPE_FIELD_NUMBER,
        LayerParameter.BOTTOM_FIELD_NUMBER,
        LayerParameter.TOP_FIELD_NUMBER,
    },
    V1LayerParameter: {
        V1LayerParameter.NAME_FIELD_NUMBER,
        V1LayerParameter.TYPE_FIELD_NUMBER,
        V1LayerParameter.BOTTOM_FIELD_NUMBER,
        V1LayerParameter.TOP_FIELD_NUMBER,
    },
    V0LayerParameter: {V0LayerParameter.NAME_FIELD_NUMBER, V0LayerParameter.TYPE_FIELD_NUMBER},
}
_FORMS = {
    NetParameter.LAYER_FIELD_NUMBER: LayerParameter,
    NetParameter.LAYERS_FIELD_NUMBER: V1LayerParameter,
}
_BLOBS = {
    LayerParameter: LayerParameter.BLOBS_FIELD_NUMBER,
    V1LayerParameter: V1LayerParameter.BLOBS_FIELD_NUMBER,
    V0LayerParameter: V0LayerParameter.BLOBS_FIELD_NUMBER,
}


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob in an open file.

    Args:
        where: whose blob it is, for errors.
        spans: where its values stand in the file, one after the other.
        dtype: NumPy's word for what they are.
        whole: the span of a blob whose values stand one by one, which protobuf itself reads.
    """

    wire: WireFile
    where: str
    shape: Shape
    spans: tuple[tuple[int, int], ...]
    dtype: str
    whole: tuple[int, int] | None = None

    def array(self) -> np.ndarray:
        """The values in single precision, in the blob's shape.

        Raises: NetspecError where their number does not fit the shape.
        """
        if self.whole is not None:
            blob = BlobProto.FromString(self.wire.read(*self.whole))
            values = np.array(blob.double_data or blob.data, self.dtype)
        else:
            values = self._read()
        require_fit(self.shape, values.size, self.where)
        # a double beyond the range of a float becomes inf, as in Caffe
        with np.errstate(over="ignore"):
            return values.astype(np.float32, copy=False).reshape(self.shape)

    def _read(self) -> np.ndarray:
        size, item = sum(end - start for start, end in self.spans), np.dtype(self.dtype).itemsize
        if size % item:
            raise damaged_blob(f"{self.where} ends within a value")
        require_fit(self.shape, size // item, self.where)  # before that much memory is asked for
        values, at = np.empty(size // item, self.dtype), 0
        for start, end in self.spans:
            part = values.view(np.uint8)[at : at + end - start]
            self.wire.read_into(part, start)
            at += end - start
        return values


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """A layer in an open file: what it is called, of today's type, with its blobs.

    `fields` are all others of its message, `inner` those of a V0 layer's own.
    """

    form: type[LayerParameter] | type[V1LayerParameter]
    name: str
    type: str
    bottoms: list[str]
    tops: list[str]
    blobs: list[StoredBlob]
    fields: list[WireField]
    inner: list[WireField] | None = None


def stored_layers(wire: WireFile, path: str) -> Iterator[StoredLayer]:
    """The layers of an open caffemodel, in file order.

    Raises: WireError where the bytes are none, or end too early; NetspecError.
    """
    for field in wire.fields(0, wire.size):
        form = _FORMS.get(field.number)
        if form is not None and field.kind == SIZED:
            yield _layer(wire, field, form, path)


def _layer(
    wire: WireFile,
    field: WireField,
    form: type[LayerParameter] | type[V1LayerParameter],
    path: str,
) -> StoredLayer:
    blobs, fields = _blobs_apart(wire, field, form)
    message = _known(wire, fields, form)
    name, kind, inner = _text(message.name), "", None
    if isinstance(message, LayerParameter):
        kind = _text(message.type)
    elif message.type:
        kind = V1_TYPES[V1LayerParameter.LayerType.Name(message.type)]
    own = next((field for field in fields if is_oldest(form, field)), None)
    if own is not None:  # V0 keeps name, type and blobs one level further in
        inner_blobs, inner = _blobs_apart(wire, own, V0LayerParameter)
        oldest = _known(wire, inner, V0LayerParameter)
        name, blobs = name or _text(oldest.name), blobs or inner_blobs
        kind = kind or V1_TYPES.get(V0_TYPES.get(oldest.type, ""), _text(oldest.type))
    return StoredLayer(
        form,
        name,
        kind,
        [_text(bottom) for bottom in message.bottom],
        [_text(top) for top in message.top],
        [
            _blob(wire, blob, f"'{path}': blob {i} of layer '{name}'")
            for i, blob in enumerate(blobs)
        ],
        fields,
        inner,
    )


def is_oldest(form: Any, field: WireField) -> bool:
    """Whether a field of a layer is the V0 layer in it."""
    number = V1LayerParameter.LAYER_FIELD_NUMBER
    return form is V1LayerParameter and field.number == number and field.kind == SIZED


def is_known(form: Any, field: WireField) -> bool:
    """Whether a field of a layer means the same in every fork: its name, type, bottoms, tops."""
    return field.number in _KNOWN[form] or is_oldest(form, field)


def is_transposed(wire: WireFile, layer: StoredLayer) -> bool:
    """Whether the matrix of a layer, if it is an InnerProduct, is inputs × outputs."""
    if layer.type != "InnerProduct" or layer.form is not LayerParameter:
        return False
    number = LayerParameter.INNER_PRODUCT_PARAM_FIELD_NUMBER
    settings = [field for field in layer.fields if field.number == number]
    try:
        return LayerParameter.FromString(wire.bytes_of(settings)).inner_product_param.transpose
    except DecodeError:
        raise WireError(settings[0].start) from None


def _blobs_apart(
    wire: WireFile, field: WireField, form: Any
) -> tuple[list[WireField], list[WireField]]:
    """The blobs of a layer's message, and its other fields."""
    blobs: list[WireField] = []
    others: list[WireField] = []
    for inner in wire.fields(field.content, field.end):
        is_blob = inner.number == _BLOBS[form] and inner.kind == SIZED
        (blobs if is_blob else others).append(inner)
    return blobs, others


def _known(wire: WireFile, fields: list[WireField], form: Any) -> Any:
    known = [field for field in fields if field.number in _KNOWN[form]]  # not the one within
    try:
        return form.FromString(wire.bytes_of(known))
    except DecodeError:
        raise WireError(fields[0].start) from None


def _text(name: str | bytes) -> str:
    # protobuf hands out bytes where a name is no UTF-8
    return name if isinstance(name, str) else name.decode(errors="backslashreplace")


def _blob(wire: WireFile, field: WireField, where: str) -> StoredBlob:
    """The blob of a field.

    Source: Blob::FromProto; of NVIDIA's fork, that reads the raw values first.
    """
    shape_fields, raw_type = [], None
    spans: dict[int, list[tuple[int, int]]] = {number: [] for number in (*_VALUES, _RAW_DATA)}
    for inner in wire.fields(field.content, field.end):
        if inner.number in _SHAPE:
            shape_fields.append(inner)
        elif inner.number in spans and inner.kind == SIZED:
            spans[inner.number].append((inner.content, inner.end))
        elif inner.number in _VALUES and inner.kind in (FOUR, EIGHT):
            return _loose_blob(wire, field, where)
        elif inner.number == _RAW_TYPE and inner.kind == VARINT:
            raw_type = wire.number(inner)
    try:
        shape = blob_shape(BlobProto.FromString(wire.bytes_of(shape_fields)))
    except DecodeError:
        raise WireError(field.start) from None
    if spans[_RAW_DATA]:
        if raw_type is None or raw_type >= len(_RAW_DTYPES):
            what = "does not say of what type" if raw_type is None else f"says of type {raw_type}"
            raise damaged_blob(f"{where} {what} its raw values are")
        # of a field of bytes the last one counts
        return StoredBlob(wire, where, shape, (spans[_RAW_DATA][-1],), _RAW_DTYPES[raw_type])
    number = BlobProto.DATA_FIELD_NUMBER
    if any(end > start for start, end in spans[BlobProto.DOUBLE_DATA_FIELD_NUMBER]):
        number = BlobProto.DOUBLE_DATA_FIELD_NUMBER
    return StoredBlob(wire, where, shape, tuple(spans[number]), _VALUES[number])


def _loose_blob(wire: WireFile, field: WireField, where: str) -> StoredBlob:
    """A blob whose values are fields of their own: protobuf reads those as it does packed ones."""
    try:
        blob = BlobProto.FromString(wire.read(field.content, field.end))
    except DecodeError:
        raise WireError(field.start) from None
    dtype = "<f8" if len(blob.double_data) else "<f4"
    return StoredBlob(wire, where, blob_shape(blob), (), dtype, (field.content, field.end))
