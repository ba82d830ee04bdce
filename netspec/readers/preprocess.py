"""What is done to images before a net reads them, as a deploy net's file says in a comment.

    # netspec: preprocess { crop_size: 227 mean_file: "data/ilsvrc12/imagenet_mean.binaryproto" }

The fields are those of a transform_param, with ImageData's new_height and new_width, and two of
pycaffe's Transformer: raw_scale and channel_order.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import (
    ERROR,
    Diagnostic,
    NetspecError,
    Report,
    Source,
    Span,
    note,
    os_reason,
)
from netspec.files.paths import resolve_path
from netspec.graph import Layer, Net, shape_text, sizes_text
from netspec.layers.resize_policy import crop_size, resize_param
from netspec.passes.deploy import SIZE_FIELDS, TRANSFORM_FIELDS
from netspec.read_file import GIB, read_file
from netspec.readers.mean import mean_image
from netspec.schema.caffe_pb2 import ImageDataParameter, TransformationParameter
from netspec.syntax import prototxt
from netspec.syntax.bind import bind
from netspec.syntax.scalar_value import typed_value
from netspec.syntax.tree import Block, Scalar

Floats = NDArray[np.float32]
BGR, RGB = "BGR", "RGB"
_RECORD = re.compile(r"^[ \t]*#[ \t]*netspec:[ \t]*(preprocess\b[^\r\n]*)", re.MULTILINE)
# pycaffe's two have no field of their own: those of the same kind take them
_STAND_INS = {"raw_scale": "scale", "channel_order": "mean_file"}
_FIELDS = (*TRANSFORM_FIELDS, *SIZE_FIELDS, *_STAND_INS)
_MOST_PIXELS = 1 << 28  # of a picture that is resized or cropped


@dataclass(frozen=True)
class Preprocess:
    """What becomes of a picture: resized, cropped, (value × raw_scale / 255 - mean) × scale.

    Args:
        crop: height and width of the centre crop; None takes the net's.
        new_size: height and width that a picture is resized to, before the crop.
        resize: SSD's ResizeParameter, in place of `new_size`.
        mean_file: a .binaryproto, or pycaffe's .npy; looked up as a net's paths are.
        mean_value: the mean as numbers, one for all channels or one a channel.
        mean: the mean itself, in place of the two; the mean's channels are in the net's order.
        scale: pycaffe's input_scale: the factor after the mean.
        raw_scale: what white is before the mean: 255, or 1 for nets that read 0 to 1.
        channel_order: BGR, as Caffe reads pictures, or RGB.
        color: True for three channels (force_color), False for one (force_gray), None for as many
            as the net's input has.
        spans: where its fields stand, for messages.

    Shapes: mean (C, H, W) or (C, 1, 1).
    """

    crop: tuple[int, int] | None = None
    new_size: tuple[int, int] | None = None
    resize: Any = None
    mean_file: str = ""
    mean_value: tuple[float, ...] = ()
    mean: Floats | None = field(default=None, compare=False)
    scale: float = 1.0
    raw_scale: float = 255.0
    channel_order: str = BGR
    color: bool | None = None
    path: str = field(default="", compare=False)  # of the net whose file says so
    spans: Mapping[str, Span] = field(default_factory=dict, compare=False, repr=False)

    def at(self, name: str) -> Span | None:
        """Where the record says it, None where there is no record."""
        return self.spans.get(name, self.spans.get(""))

    def mean_array(self) -> Floats | None:
        """The mean to subtract, from its file where one is named; None where there is none.

        Shapes: (C, H, W), or (C, 1, 1) for values; C is 1 where a value is for all channels.
        Raises: NetspecError where the file can't be used.
        """
        if self.mean is not None:
            return self.mean
        if self.mean_value:
            return np.array(self.mean_value, np.float32)[:, None, None]
        if not self.mean_file:
            return None
        return read_mean(resolve_path(self.mean_file, self.path), self.at("mean_file"))


def read_mean(path: str, span: Span | None = None) -> Floats:
    """The mean of a .binaryproto, or of pycaffe's .npy (of one axis: a value a channel).

    Shapes: (C, H, W) or (C, 1, 1).
    Raises: NetspecError.
    """
    return _read_npy(path, span) if path.endswith(".npy") else mean_image(path, span)


def _read_npy(path: str, span: Span | None) -> Floats:
    try:
        raw = read_file(path, GIB, "a mean file")
        values = np.lib.format.read_array(io.BytesIO(raw), allow_pickle=False)
        if values.dtype.kind not in "fiu":
            raise ValueError(f"it holds values of type {values.dtype}, not numbers")
        values = np.array(values, np.float32)
    except FileNotFoundError:
        raise NetspecError(f"the mean file '{path}' does not exist", span) from None
    except (OSError, ValueError, EOFError, MemoryError) as error:
        message = f"the mean file '{path}' can't be read: {os_reason(error)}"
        raise NetspecError(message, span) from None
    if values.ndim == 1 and values.size:
        return values[:, None, None]
    if values.ndim == 4 and len(values) == 1:
        values = values[0]
    if values.ndim != 3 or not values.size:
        message = (
            f"the mean file '{path}' holds an array of size {shape_text(values.shape)}, "
            "expected one image C×H×W, or a value a channel"
        )
        raise NetspecError(message, span)
    return values


def preprocess_of(net: Net, input_name: str | None = None) -> Preprocess | None:
    """What the net's file says of the images of an input, or None where it says nothing.

    A record is of the first Input layer behind it, or of the only input there is.

    Args: input_name: None for the net's first input.
    Raises: NetspecError with every fault of the record, at its line.
    """
    inputs = [layer for layer in net.layers if layer.type == "Input" and layer.span]
    name = input_name or next(iter(net.inputs), "")
    own = [
        place
        for place in _records(net.layers)
        if len(net.inputs) == 1 or name in _tops_behind(place[1], inputs)
    ]
    if len(own) > 1:
        first, second = (Span(*place) for place in own[:2])
        message = f"a second preprocess record of '{name}'"
        notes = [note("the first one is here", first)]
        raise NetspecError(Diagnostic(ERROR, message, second, notes=notes))
    return read_preprocess(*own[0]) if own else None


def _records(layers: list[Layer]) -> Iterator[tuple[Source, int, int]]:
    source = next((layer.span.source for layer in layers if layer.span), None)
    if source is None or "netspec:" not in source.text:
        return
    for match in _RECORD.finditer(source.text):
        yield source, match.start(1), match.end(1)


def _tops_behind(start: int, inputs: list[Layer]) -> list[str]:
    """The tops of the first Input layer behind a place."""
    behind = (layer.tops for layer in inputs if layer.span and layer.span.start > start)
    return next(behind, [])


def read_preprocess(source: Source, start: int, end: int) -> Preprocess:
    """The record in a stretch of a file, `preprocess { … }`.

    Raises: NetspecError with all of its faults.
    """
    # blanks before it keep the offsets, and so the places of messages
    padded = Source(source.path, " " * start + source.text[start:end])
    report = Report()
    try:
        outer = prototxt.parse(padded)
        made = _bound(outer, source, report)
        report.raise_errors()
    except NetspecError as error:
        raise NetspecError([_moved(each, source) for each in error.diagnostics]) from None
    return made


def _moved(diagnostic: Diagnostic, source: Source) -> Diagnostic:
    """A fault of the padded text at its place in the file."""
    if diagnostic.span is not None:
        diagnostic.span = Span(source, diagnostic.span.start, diagnostic.span.end)
    for each in diagnostic.notes:
        _moved(each, source)
    return diagnostic


def _bound(outer: Block, source: Source, report: Report) -> Preprocess:
    """The record of its tree. Faults go to the report."""
    first, *others = outer.fields
    block = first.values[0]
    if first.is_list or not isinstance(block, Block):
        report.error("'preprocess' takes a block of fields", first.name_span)
        return Preprocess()
    for field_behind in others:
        report.error(
            f"'{field_behind.name}' stands behind the record's '}}'", field_behind.name_span
        )
    places = {"": first.name_span}
    for each in block.fields:
        if each.name not in _FIELDS:
            hint = report.near(each.name, _FIELDS)
            report.error(f"a preprocess record has no field '{each.name}'", each.name_span, hint)
        places.setdefault(each.name, each.name_span)
    transform, image = TransformationParameter(), ImageDataParameter()
    bind(_part(block, TRANSFORM_FIELDS), transform, report)
    bind(_part(block, SIZE_FIELDS), image, report)
    own = {name: _own_value(_part(block, (name,)), name, report) for name in _STAND_INS}
    spans = {name: Span(source, span.start, span.end) for name, span in places.items() if span}
    made = Preprocess(
        crop=crop_size(transform),
        new_size=(image.new_height, image.new_width) if image.new_height else None,
        resize=resize_param(transform),
        mean_file=transform.mean_file,
        mean_value=tuple(transform.mean_value),
        scale=transform.scale,
        raw_scale=255.0 if own["raw_scale"] is None else own["raw_scale"],
        channel_order=own["channel_order"] or BGR,
        color=True if transform.force_color else False if transform.force_gray else None,
        path=source.path,
        spans=spans,
    )
    if not report.failed:
        _check(made, set(places), report, transform.force_color and transform.force_gray)
    return made


def _part(block: Block, names: tuple[str, ...]) -> Block:
    return Block([each for each in block.fields if each.name in names], block.span)


def _own_value(block: Block, name: str, report: Report) -> Any:
    """The value of a field that no message has, None where it is not stated."""
    value = None
    taker: Any = TransformationParameter.DESCRIPTOR.fields_by_name[_STAND_INS[name]]
    for i, each in enumerate(block.fields):
        scalar = each.values[0] if each.values else None
        if i:
            report.error(f"'{name}' may stand only once here", each.name_span)
        elif each.is_list or not isinstance(scalar, Scalar):
            report.error(f"'{name}' takes one value", each.name_span)
        else:
            value = typed_value(scalar, taker, report, name)
    return value


def _check(made: Preprocess, stated: set[str], report: Report, both_colors: bool) -> None:
    """Reports what excludes itself or is out of range."""
    at = made.at

    def excluded(first: str, second: str) -> None:
        report.error(f"a preprocess record sets both {first} and {second}", at(second))

    if both_colors:
        excluded("force_color", "force_gray")
    if made.mean_file and made.mean_value:
        excluded("mean_file", "mean_value")
    if made.resize is not None and made.new_size:
        excluded("new_height", "resize_param")
    for pair in (SIZE_FIELDS, ("crop_h", "crop_w")):
        for name, other in (pair, pair[::-1]):
            if name in stated and other not in stated:
                report.error(f"'{name}' needs '{other}' beside it", at(name))
    for name in ("scale", "raw_scale"):
        value = getattr(made, name)
        if not isfinite(value) or not value:
            report.error(f"'{name}' must be a finite number other than 0, got {value:g}", at(name))
    if made.channel_order not in (BGR, RGB):
        message = f'\'channel_order\' is "{BGR}" or "{RGB}", got "{made.channel_order}"'
        report.error(message, at("channel_order"))
    resized = made.resize and (made.resize.height, made.resize.width)
    if resized and not all(resized):
        report.error("resize_param needs 'height' and 'width'", at("resize_param"))
    for size, name in (
        (made.crop, "crop_size" if "crop_size" in stated else "crop_h"),
        (made.new_size, "new_height"),
        (resized, "resize_param"),
    ):
        if size and prod(size) > _MOST_PIXELS:
            message = (
                f"'{name}': {sizes_text(size)} is out of range, at most {_MOST_PIXELS:,} pixels"
            )
            report.error(message, at(name))
