"""The values that a net's text gives to a layer's params: `blobs { … }`.

Source: Caffe's Layer constructor, Blob::FromProto.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from netspec.diagnostics import Report, counted
from netspec.files.blob_shape import blob_shape
from netspec.graph import Layer, Param, Shape, shape_text

if TYPE_CHECKING:
    from netspec.schema.caffe_pb2 import BlobProto


def check_blobs(layer: Layer, report: Report) -> None:
    """Reports `blobs` that do not fit the layer's params, which are inferred by now."""
    given = layer.message.blobs
    if given and len(given) != len(layer.params):
        place = layer.spans.at("blobs", min(len(layer.params), len(given) - 1))
        report.error(
            f"{layer.label} has {counted(len(layer.params), 'param')}, but {len(given)} 'blobs'",
            place,
            "give one for each param, or none",
        )
        return
    for i, (blob, param) in enumerate(zip(given, layer.params, strict=False)):
        fault = _blob_fault(blob, i, param)
        if fault:
            report.error(f"{layer.label}: {fault}", layer.spans.at("blobs", i))


def _blob_fault(blob: BlobProto, index: int, param: Param) -> str | None:
    shape, held = blob_shape(blob), len(blob.double_data) or len(blob.data)
    if min(shape, default=0) < 0 or prod(shape) != held:
        return (
            f"'blobs' {index} has the shape {shape_text(shape)}, but holds {counted(held, 'value')}"
        )
    if not same_shape(param.shape, shape):
        return (
            f"param {index} is {shape_text(param.shape)}, but 'blobs' {index} "
            f"is {shape_text(shape)}"
        )
    return None


def same_shape(net: Shape, file: Shape) -> bool:
    """Whether shapes agree; old files write four axes with leading 1s.

    Source: Caffe's Blob::ShapeEquals.
    """
    return net == file or (
        len(file) == 4 and len(net) < 4 and (1,) * (4 - len(net)) + tuple(net) == file
    )
