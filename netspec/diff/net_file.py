"""A net's file as it is compared: its layers in today's format, and the nets of its phases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from google.protobuf.descriptor import FieldDescriptor

from netspec.diagnostics import Report, Source
from netspec.diff.compare_fields import block_text
from netspec.graph import Layer, Net
from netspec.options import NetOptions
from netspec.passes.filter_state import filter_state
from netspec.passes.meant_phases import meant_phases
from netspec.pipeline import assemble, read_net
from netspec.schema import caffe_pb2
from netspec.schema.extensions import find_field
from netspec.schema.forks import fork_word
from netspec.syntax.bind import Spans
from netspec.syntax.prototxt import scalar_text
from netspec.syntax.scalar_value import enum_value
from netspec.syntax.tree import STRING, Block, Scalar

PHASES: tuple[str, ...] = ("TRAIN", "TEST")
LAYER_FIELDS = ("layer", "layers")


class Unknown(NamedTuple):
    """What the schema does not know, as it is written, and so no message holds."""

    text: str
    line: int | None


@dataclass(slots=True, eq=False)
class LayerOfFile:
    """A layer of a file, and what became of it in the net of each phase that has it."""

    message: caffe_pb2.LayerParameter
    place: Spans
    unknown: dict[str, Unknown] = field(default_factory=dict)
    layers: dict[str, Layer] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.message.name

    @property
    def type(self) -> str:
        return self.message.type

    @property
    def rules(self) -> tuple[bytes, ...]:
        """Its include and exclude rules."""
        message = self.message
        return tuple(
            name.encode() + rule.SerializeToString(deterministic=True)
            for name, rules in (("include", message.include), ("exclude", message.exclude))
            for rule in rules
        )

    @property
    def line(self) -> int | None:
        span = self.place.name or self.place.value
        return span.line if span is not None else None


@dataclass(slots=True, eq=False)
class NetFile:
    """A net's file, read for comparing."""

    path: str
    message: caffe_pb2.NetParameter
    spans: Spans
    layers: list[LayerOfFile]
    unknown: dict[str, Unknown]  # of the net itself
    phases: list[str]  # for which the file is meant
    nets: dict[str, Net] = field(default_factory=dict)


def read_net_file(source: Source, block: Block, options: NetOptions) -> NetFile:
    """Reads a net for comparing.

    What is wrong with its graph or shapes does not matter.

    Raises: NetspecError where its fields are not those of a net.
    """
    report = Report(allow_unknown=not options.strict)
    message, spans = read_net(source, report, block)
    report.raise_errors()
    unknown = _unknown_of_layers(block, message.DESCRIPTOR)
    layers = [
        LayerOfFile(layer, place, unknown.get(place.value.start if place.value else -1, {}))
        for layer, place in zip(message.layer, spans.fields.get("layer", []), strict=True)
    ]
    own = Block([item for item in block.fields if item.name not in LAYER_FIELDS], None)
    states = {phase: _state(message, replace(options, phase=phase)) for phase in PHASES}
    kept = {phase: filter_state(message, spans, state, Report()) for phase, state in states.items()}
    phases, _ = meant_phases(message, spans, kept)
    return NetFile(
        source.path, message, spans, layers, dict(_unknown(own, message.DESCRIPTOR)), phases
    )


def build_nets(file: NetFile, phases: list[str], options: NetOptions) -> None:
    """Gives a file its nets of some phases, whatever is wrong in them; some shapes may be None."""
    by_place = {id(layer.place): layer for layer in file.layers}
    for phase in phases:
        copy = caffe_pb2.NetParameter()
        copy.CopyFrom(file.message)  # a fork's settings are passed down to its layers
        own = replace(options, phase=phase, require_shapes=False)
        state = _state(file.message, own)
        net = assemble(copy, file.spans, state, Report(allow_unknown=True), own)
        file.nets[phase] = net
        for layer in net.layers:
            by_place[id(layer.spans)].layers[phase] = layer


def _state(message: caffe_pb2.NetParameter, options: NetOptions) -> caffe_pb2.NetState:
    state = caffe_pb2.NetState()
    state.CopyFrom(message.state)
    state.MergeFrom(options.state)
    return state


def _unknown_of_layers(block: Block, kind: Any) -> dict[int, dict[str, Unknown]]:
    """What is not known of each layer, by the offset at which it begins."""
    return {
        value.span.start: dict(_unknown(value, kind.fields_by_name[item.name].message_type))
        for item in block.fields
        if item.name in LAYER_FIELDS
        for value in item.values
        if isinstance(value, Block) and value.span is not None
    }


def _unknown(block: Block, kind: Any, prefix: str = "") -> Iterator[tuple[str, Unknown]]:
    """The fields and words of a bound tree that the schema does not know, by their paths."""
    counts: dict[str, int] = {}
    for item in block.fields:
        try:
            known: FieldDescriptor | None = find_field(kind, item.name)
        except KeyError:
            known = None
        line = item.name_span.line if item.name_span else None
        for value in item.values:
            number = counts[item.name] = counts.get(item.name, -1) + 1
            is_one = known is not None and not known.is_repeated
            path = f"{prefix}{item.name}" + ("" if is_one or not number else f"[{number}]")
            if known is None or _is_unknown_word(value, known):
                text = block_text(value) if isinstance(value, Block) else scalar_text(value)
                yield path, Unknown(text, line)
            elif isinstance(value, Block) and known.message_type is not None:
                yield from _unknown(value, known.message_type, f"{path}.")


def _is_unknown_word(value: Scalar | Block, known: FieldDescriptor) -> bool:
    """Whether an enum's word is not known; a type's is the layer's type all the same."""
    return (
        known.enum_type is not None
        and known.name != "type"
        and isinstance(value, Scalar)
        and value.kind != STRING
        and enum_value(value.text, known.enum_type) is None
        and fork_word(known, value.text) is None
    )
