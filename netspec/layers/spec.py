"""What a layer type is: its arity, its checks, its shape rule, its params and cost.

No torch, no numpy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from math import prod
from typing import Any, ClassVar, Protocol

from netspec.diagnostics import ERROR, Diagnostic, Report, Span, note
from netspec.graph import Layer, Param, Shape, shape_text, shape_with_axes
from netspec.layers.example import Example
from netspec.layers.filler_fault import filler_fault
from netspec.layers.kept import BOTTOM_KEPT, Kept
from netspec.layers.operations import Operations
from netspec.layers.reach import Reach, same_places
from netspec.layers.setting import Setting, shown_settings
from netspec.options import NetOptions
from netspec.schema.caffe_pb2 import FillerParameter
from netspec.schema.extensions import Field, find_field, states, value_of
from netspec.schema.forks import stated

MAX_AXES = 32
MISSING_DATA = "missing data"  # the kind of the warnings of data that are not there
MAX_COUNT = 2**31 - 1  # Caffe counts a blob's elements with an int


def input_options(tops: list[str], data: Shape) -> str:
    """How to give the shapes of a data layer's tops on the command line.

    First the data's, then the number of items of the others.
    """
    shapes = [data, *[data[:1]] * (len(tops) - 1)]
    return " ".join(
        f"--input {top}={','.join(map(str, shape))}"
        for top, shape in zip(tops, shapes, strict=True)
    )


BOTTOM, TOP = frozenset(("bottom",)), frozenset(("top",))


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


class Spec:
    """A layer type. A subclass states its class variables and overrides what differs."""

    type: ClassVar[str] = ""
    # Where forks mean different things by one type: the name of this rule, the dialects that mean
    # it, and in a few words what is its own, for those who have to choose.
    rule: ClassVar[str] = ""
    dialects: ClassVar[tuple[str, ...]] = ()
    differs: ClassVar[str] = ""
    blob_count: ClassVar[int | None] = None  # how many its weights have, where that tells it apart
    takes: ClassVar[frozenset[str]] = (
        frozenset()
    )  # forks' fields in Caffe's messages that it carries out
    not_computed: ClassVar[str] = ""  # why netspec knows the type's shapes alone
    param: ClassVar[str] = ""  # the field of LayerParameter with the layer's own parameters
    # what that field holds, where caffe.proto does not say it
    fields: ClassVar[tuple[Field, ...]] = ()
    example: ClassVar[Example] = Example({})
    shown: ClassVar[tuple[Setting, ...]] = ()  # what a picture shows of its parameters
    shown_param: ClassVar[str] = ""  # the field that holds these, where it is not `param`
    bottoms: ClassVar[tuple[int, int | None]] = (1, 1)  # least and most; None is any number
    tops: ClassVar[tuple[int, int | None]] = (1, 1)
    in_place: ClassVar[bool] = False  # may its top be its bottom?
    is_source: ClassVar[bool] = False  # are its tops inputs of the module?
    # of a source: are they inputs of the net, too, and it no data layer?
    is_input: ClassVar[bool] = False
    reader: ClassVar[str] = ""  # of a data layer: the module and class that reads its data
    # of a data layer without one: why netspec does not read its data
    no_reader: ClassVar[str] = "its data come from the caller, not from files"
    continuation: ClassVar[int | None] = None  # the bottom that tells where sequences go on
    is_metric: ClassVar[bool] = False  # is its top a figure of merit, of which more is better?
    # does its top list detections, whose average precision a test computes in place of a mean?
    lists_detections: ClassVar[bool] = False
    is_loss: ClassVar[bool] = False  # is its first top's loss_weight 1 where none is given?
    # does it do something beside its tops, and so run without one?
    has_side_effects: ClassVar[bool] = False
    reads: ClassVar[frozenset[str]] = frozenset()  # what its gradient reads: "bottom", "top"
    gradient_reads_signs: ClassVar[bool] = False  # does its gradient ask for signs alone?
    # bottoms that force_backward gives no gradient: labels, cont
    unforced: ClassVar[tuple[int, ...]] = ()
    # what it computes for each value of its first bottom, beside multiply-adds
    each: ClassVar[Operations] = Operations()
    keeps: ClassVar[Kept] = BOTTOM_KEPT  # for its gradient in PyTorch
    # does a place read the same place of its bottoms, where the sizes of their planes agree?
    keeps_places: ClassVar[bool] = True
    sizes_only: ClassVar[tuple[int, ...]] = ()  # bottoms whose shape it reads, not their values
    automatic_top: ClassVar[bool] = False  # does it make a top of its own where none is named?

    @property
    def name(self) -> str:
        """What tells it from every other spec.

        Its type, and its rule where the type has several.
        """
        return f"{self.type} ({self.rule})" if self.rule else self.type

    def evidence(self, message: Any) -> bool | None:
        """Whether a layer's message shows that this rule is meant (True), or another (False)."""
        return None

    def gives_way(self, layer: Layer) -> bool:
        """Whether code of the user's takes its place where Python layers are allowed to run."""
        return False

    def shares_memory(self, layer: Layer) -> bool:
        """Whether its tops share its first bottom's memory: in-place writes show in both."""
        return False

    @property
    def family(self) -> str:
        """The family of the layer type, which is the file that it stands in."""
        return type(self).__module__.rpartition(".")[2]

    def settings(self, layer: Layer) -> list[str]:
        """What a picture shows of the layer's settings, each a few words."""
        param = self.shown_param or self.param
        return shown_settings(layer.field(param), self.shown) if param and self.shown else []

    def gradient_reads(self, layer: Layer) -> frozenset[str]:
        """Which of "bottom" and "top" Caffe's gradient of the layer reads where they stand.

        It may read the other from a copy.
        """
        return self.reads

    def misreads_in_place(self, layer: Layer) -> bool:
        """Whether its gradient is another one in place, where it finds the top for the bottom."""
        return "bottom" in self.gradient_reads(layer)

    def keeps_signs(self, layer: Layer) -> bool:
        """Whether in place it leaves what is above 0, and sends no gradient to what it does not."""
        return False

    def shares_gradient(self, layer: Layer) -> bool:
        """Whether its top's gradient lies, from set-up on, with its bottom's or its inside's."""
        return False

    def check(self, context: LayerContext) -> None:
        """Reports what is wrong in the layer's own fields, whatever its bottoms are."""

    def infer(self, context: LayerContext) -> Sequence[Shape | None]:
        """The tops' shapes, None for one that can't be known; adds the params to the context."""
        return [context.bottoms[0]]

    def macs(self, layer: Layer) -> int:
        """Multiply-adds of one forward pass over the batch."""
        return 0

    def operations(self, layer: Layer) -> Operations:
        """What one forward pass over the batch computes beside multiply-adds."""
        return self.each.times(layer.bottom_blobs[0].count if layer.bottom_blobs else 0)

    def kept(self, layer: Layer) -> Kept:
        """What PyTorch keeps of the layer for its gradient."""
        return self.keeps

    def is_absent(self, layer: Layer) -> bool:
        """Whether the compiled net has its bottom in the place of its top."""
        return False

    def reach(self, layer: Layer, bottom: int) -> Reach | None:
        """Which places of a bottom a place of the tops reads; None where it may be any."""
        return same_places(layer, bottom) if self.keeps_places else None


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
        hint: str | None = None,
        notes: Iterable[Diagnostic] = (),
    ) -> None:
        """Reports a fault at a field of the layer's own parameters, or else of the layer."""
        self.report.error(f"{self.layer.label}: {message}", self._span(path), hint, notes)

    def warn(self, message: str, *path: str | int, hint: str | None = None) -> None:
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
        hint: str | None = None,
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
