"""A layer while its shapes are inferred: what its spec asks, where it reports faults."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from math import prod
from typing import Any, Protocol

from netspec.diagnostics import ERROR, Diagnostic, Report, Span, note
from netspec.graph import Layer, Param, Shape, shape_text, shape_with_axes
from netspec.hint import Hint
from netspec.layers.filler_fault import filler_fault
from netspec.layers.spec import Spec
from netspec.options import NetOptions
from netspec.schema.caffe_pb2 import FillerParameter
from netspec.schema.extensions import find_field, states, value_of
from netspec.schema.forks import stated

MAX_AXES = 32
MISSING_DATA = "missing data"  # the kind of the warnings of data that are not there
MAX_COUNT = 2**31 - 1  # Caffe counts a blob's elements with an int


def input_options(tops: list[str], data: Shape) -> str:
    """How to give the shapes of a data layer's tops on the command line.

    The data's shape comes first, then the number of items of the other tops.
    """
    shapes = [data, *[data[:1]] * (len(tops) - 1)]
    return " ".join(
        f"--input {top}={','.join(map(str, shape))}"
        for top, shape in zip(tops, shapes, strict=True)
    )


class Probe(Protocol):
    """Looks into the data that a data layer names.

    Raises: NetspecError where they are there but can't be read.
    """

    def record_shape(self, layer: Layer) -> Shape | None:
        """(C, H, W) of a record before it is cropped; None where nothing says it."""
        ...

    def hdf5_row_shapes(self, layer: Layer) -> list[Shape] | None:
        """For each top the shape of a row of its dataset; None where the file is not there."""
        ...


class Stop(Exception):
    """A fault was reported that leaves the layer's shapes unknown."""


class LayerContext:
    """A layer while its shapes are inferred: its message, its bottoms' shapes, where faults go."""

    def __init__(
        self,
        layer: Layer,
        spec: Spec,
        report: Report,
        given: dict[str, Shape],
        probe: Probe | None = None,
        options: NetOptions | None = None,
    ) -> None:
        self.layer = layer
        self.message = layer.message
        self.param: Any = layer.field(spec.param) if spec.param else None
        self.spec = spec
        self.report = report
        self.given = given  # shapes that the user gives for the tops of sources
        self.probe = probe  # without one, all data count as missing
        self.options = options or NetOptions()
        self.params: list[Param] = []

    def under(self, spec: Spec) -> LayerContext:
        """The same layer by another rule of its type; faults go to a report of their own."""
        return LayerContext(self.layer, spec, Report(), self.given, self.probe, self.options)

    @cached_property
    def bottoms(self) -> list[Shape]:
        return [blob.shape or () for blob in self.layer.bottom_blobs]

    def has(self, field: str) -> bool:
        """Whether the layer's own parameter message states the field, also one that a fork adds."""
        return states(self.param, find_field(self.param.DESCRIPTOR, field))

    def record_shape(self) -> Shape | None:
        """The (C, H, W) of a record before it is cropped; None where nothing says it.

        Raises: NetspecError.
        """
        return self.probe.record_shape(self.layer) if self.probe else None

    def hdf5_row_shapes(self) -> list[Shape] | None:
        """For each top the shape of a row of its dataset; None where the file is not there.

        Raises: NetspecError.
        """
        return self.probe.hdf5_row_shapes(self.layer) if self.probe else None

    def error(
        self,
        message: str,
        *path: str | int,
        hint: Hint | str | None = None,
        notes: Iterable[Diagnostic] = (),
    ) -> None:
        """Reports a fault at a field of the layer's own parameters, or else of the layer."""
        self.report.error(f"{self.layer.label}: {message}", self._span(path), hint, notes)

    def warn(self, message: str, *path: str | int, hint: Hint | str | None = None) -> None:
        """Warns of something at a field of the layer's own parameters, or else of the layer."""
        self.report.warning(f"{self.layer.label}: {message}", self._span(path), hint)

    def not_computed(self, message: str, *path: str | int) -> None:
        """Warns that the layer's values can't be computed; what computes raises it."""
        text, span = f"{self.layer.label}: {message}", self._span(path)
        self.layer.not_computed.append(Diagnostic(ERROR, text, span))
        self.report.warning(text, span, kind=message)

    def _span(self, path: tuple[str | int, ...]) -> Span | None:
        is_own = bool(path) and self.param is not None and self._is_field(path[0])
        full = (self.spec.param, *path) if is_own else path
        return self.layer.spans.at(*(full or ("type",)))

    def _is_field(self, name: str | int) -> bool:
        """Whether the layer's own parameter message has a field of that name."""
        return (
            name in self.param.DESCRIPTOR.fields_by_name
            or stated(self.param, str(name)) is not None
        )

    def stop(
        self,
        message: str,
        *path: str | int,
        hint: Hint | str | None = None,
        notes: Iterable[Diagnostic] = (),
    ) -> Stop:
        """Reports a fault and returns the exception to raise, where no shape can follow."""
        self.error(message, *path, hint=hint, notes=notes)
        return Stop()

    def unknown_size(self, reason: str, advice: str) -> Stop:
        """A source's size can't be known: an error, or a warning where shapes are not required."""
        message = f"the size of its data is unknown: {reason}"
        if self.options.require_shapes:
            return self.stop(message, "source", hint=advice)
        self.report.warning(
            f"{self.layer.label}: {message}",
            self.layer.spans.at(self.spec.param, "source"),
            advice,
            kind=MISSING_DATA,
        )
        return Stop()

    def check_ranges(self) -> None:
        """Reports unsigned numbers above the largest int.

        Caffe keeps every one of them in an int.
        """
        self._check_ranges(self.message, ())

    def _check_ranges(self, message: Any, path: tuple[str | int, ...]) -> None:
        for field, value in message.ListFields():
            is_repeated = field.is_repeated
            if field.message_type is not None:
                if field.name == "blobs":  # large, and without a number of this kind
                    continue
                for i, each in enumerate(value) if is_repeated else [(0, value)]:
                    self._check_ranges(
                        each, (*path, field.name, i) if is_repeated else (*path, field.name)
                    )
            elif field.type == field.TYPE_UINT32:
                for i, number in enumerate(value) if is_repeated else [(0, value)]:
                    if number > MAX_COUNT:
                        full = (*path, field.name, i) if is_repeated else (*path, field.name)
                        text = (
                            f"{self.layer.label}: '{field.name}' is out of range: "
                            f"expected at most {MAX_COUNT}, got {number}"
                        )
                        self.report.error(text, self.layer.spans.at(*full))

    def made_here(self, index: int) -> Diagnostic:
        """A note that shows a bottom's shape at the place where the blob is made."""
        blob = self.layer.bottom_blobs[index]
        return note(f"'{blob.name}' is {shape_with_axes(blob.shape)} and made here", blob.span)

    def axis(self, index: int, axes: int, *path: str | int) -> int:
        """An axis counted from the front, from one that may count from the end."""
        if not -axes <= index < axes:
            raise self.stop(
                f"axis {index} is out of range for a blob of {axes} axes",
                *path,
                notes=[self.made_here(0)],
            )
        return index % axes

    def same_shapes(self, first: int, second: int, but: int | None = None) -> None:
        """Requires two bottoms to agree in every axis, or in every one but `but`."""
        a, b = self.bottoms[first], self.bottoms[second]
        if len(a) == len(b) and all(
            x == y or i == but for i, (x, y) in enumerate(zip(a, b, strict=True))
        ):
            return
        axes = "every axis" if but is None else f"every axis but {but}"
        names = [self.layer.bottom_blobs[i].name for i in (first, second)]
        message = (
            f"'{names[0]}' ({shape_text(a)}) and '{names[1]}' ({shape_text(b)}) "
            f"must agree in {axes}"
        )
        raise self.stop(
            message, "bottom", second, notes=[self.made_here(first), self.made_here(second)]
        )

    def same_first(self) -> None:
        """Requires the first two bottoms to hold the same number of items."""
        a, b = self.bottoms[0][:1], self.bottoms[1][:1]
        if a != b:
            message = (
                f"the two bottoms hold {shape_text(a)} and {shape_text(b)} items, "
                "which must be the same number"
            )
            raise self.stop(message, "bottom", 1, notes=[self.made_here(0), self.made_here(1)])

    def add_param(
        self,
        shape: Shape,
        filler_field: str | None = None,
        default: float = 0.0,
        learned: bool = True,
    ) -> None:
        """Adds a param with its ParamSpec from the layer's `param` list.

        `filler_field` names the field of its filler; where the file states none, it is filled with
        `default`.
        """
        index = len(self.params)
        param = Param(
            tuple(shape), filler=FillerParameter(type="constant", value=default), learned=learned
        )
        if filler_field is not None and self.has(filler_field):
            param.filler = value_of(self.param, find_field(self.param.DESCRIPTOR, filler_field))
            self.check_filler(param.filler, param.shape, filler_field)
        if index < len(self.message.param):
            spec = self.message.param[index]
            param.name, param.lr_mult, param.decay_mult = spec.name, spec.lr_mult, spec.decay_mult
        if not learned:
            param.lr_mult = param.decay_mult = 0.0
        if prod(param.shape) > MAX_COUNT:
            raise self.stop(
                f"param {index} would hold {shape_text(param.shape)} values, more than {MAX_COUNT}",
                "type",
            )
        if not prod(param.shape):
            notes = [self.made_here(0)] if self.layer.bottom_blobs else []
            raise self.stop(
                f"param {index} would hold no values: its shape would be {shape_text(param.shape)}",
                "type",
                notes=notes,
            )
        self.params.append(param)

    def check_filler(self, filler: FillerParameter, shape: Shape, *path: str | int) -> None:
        """Reports a filler that Caffe lacks, is out of range, or can't fill the shape."""
        fault = filler_fault(filler, shape)
        if fault:
            self.error(fault.message, *path, fault.field, hint=fault.hint)
        elif filler.type == "positive_unitball" and len(shape) > 4:
            self.warn(
                "the filler 'positive_unitball' takes at most 4 axes in Caffe, "
                f"got {shape_text(shape)}",
                *path,
                "type",
            )
