"""Joins the layers by their blobs.

Every write makes a version, every read takes the last one above it.

Source: Caffe's Net::Init, AppendTop and AppendBottom.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from netspec.diagnostics import ERROR, Diagnostic, Report, counted, note
from netspec.graph import Blob, Layer, Net
from netspec.hint import Hint, as_hint, did_you_mean
from netspec.layers import (
    AS_PLUGIN,
    arity_fault,
    choose_rules,
    find_spec,
    several_rules,
    unknown_type,
)
from netspec.layers.unknown_type import UnknownSource, UnknownType
from netspec.options import NetOptions
from netspec.passes.filter_state import Placed
from netspec.schema import caffe_pb2

AUTOMATIC_TOP = "(automatic)"  # Caffe's name for the top of a loss layer that names none
WORD = re.compile(r"[^\s\"':,;{}<>\[\]]+")
_PHASES = {caffe_pb2.TRAIN: "TRAIN", caffe_pb2.TEST: "TEST"}


def build_graph(
    name: str,
    phase: str,
    layers: Placed,
    report: Report,
    left_out: Placed = (),
    options: NetOptions | None = None,
    known: Sequence[Layer] = (),
) -> Net:
    """The graph of the kept layers, shapes still unknown.

    `left_out` are the others of the file, for notes.

    A layer type with several rules follows those that the layer itself shows, then the dialect's.
    Where Python layers are allowed, a rule may give way to the user's own code. Layers of a graph
    that is changed follow the rules that they have: those of `known`, one for each.

    What follows from a layer that holds a fault already (`Spans.is_faulty`) is not reported too.
    """
    net = Net(name, phase)
    # the words of layers with a fault: a blob of such a name may have been meant there
    lost: set[str] = set()
    for i, (message, place) in enumerate(layers):
        layer = Layer(message.name, message.type, message, place, place.whole(), phase)
        if message.HasField("phase"):
            layer.phase = _PHASES[message.phase]
        net.layers.append(layer)
        if place.unknown is not None and report.allow_unknown:
            what = f"{_label(layer)}: {place.unknown.message}"
            layer.not_computed.append(Diagnostic(ERROR, what, place.unknown.span))
        if known:
            layer.spec_name, layer.other_rules = known[i].spec_name, known[i].other_rules
        else:
            _find_rule(layer, options or NetOptions(), report)
        _read_bottoms(layer, net, lost, report, left_out)
        if place.is_faulty and layer.span is not None:
            lost.update(WORD.findall(layer.span.text))
        _write_tops(layer, net, report)
        _set_loss_weights(layer, report)
        if not place.is_faulty:
            _check_counts(layer, report)
    _check_names(net, report)
    unread = [b.name for b in net.blobs.values() if not b.consumers and b.name != AUTOMATIC_TOP]
    net.split_outputs = _split_outputs(net)
    net.outputs = sorted([*unread, *net.split_outputs])
    return net


def _label(layer: Layer) -> str:
    """The layer's label where its type is shown, too."""
    return layer.label if layer.name else "this layer"


def _find_rule(layer: Layer, options: NetOptions, report: Report) -> None:
    """Finds the spec of the layer's type; of a type with several rules, the one that is meant."""
    if not layer.type:
        if not layer.spans.is_faulty:
            report.error(
                f"{_label(layer)} has no 'type'", layer.spans.at(), 'such as type: "Convolution"'
            )
        return
    blobs = len(layer.message.blobs) or options.blob_counts.get(layer.name)
    rules = choose_rules(layer.message, options.dialect, blobs)
    if options.allow_python_layers and rules and rules[0].gives_way(layer):
        return  # the type's own rule, by which user's code runs
    if not rules:
        _set_unknown(layer, report)
        return
    layer.spec_name = rules[0].name
    layer.other_rules = [rule.name for rule in rules[1:]]
    if len(rules) > 1:
        _not_computed(layer, *several_rules(rules), report)
    elif rules[0].not_computed:
        message = f"layer type '{layer.type}' is checked, not computed: {rules[0].not_computed}"
        _not_computed(layer, message, None, report)


def _set_unknown(layer: Layer, report: Report) -> None:
    """Reports a type that netspec does not know.

    Where that is allowed, a stand-in takes its place.
    """
    message, hint = unknown_type(layer.type)
    hint = hint or Hint(AS_PLUGIN)
    place = layer.spans.at("type")
    fault = Diagnostic(ERROR, f"{_label(layer)}: {message}", place, hint)
    if report.allow_unknown:
        layer.spec_name = (UnknownType if layer.message.bottom else UnknownSource).type
        layer.not_computed.append(fault)
    # reported before what is wrong with the layer's fields, which may follow from it
    shown = message if report.allow_unknown else fault.message  # one warning for all of the type
    report.unknown(shown, place, hint, before=layer.span)


def _not_computed(layer: Layer, message: str, hint: str | None, report: Report) -> None:
    """Warns that a layer's values can't be computed; what computes raises it."""
    span = layer.spans.at("type")
    text = f"{_label(layer)}: {message}"
    layer.not_computed.append(Diagnostic(ERROR, text, span, as_hint(hint)))
    report.warning(text, span, hint, kind=message)


def _read_bottoms(layer: Layer, net: Net, lost: set[str], report: Report, left_out: Placed) -> None:
    for i, name in enumerate(layer.message.bottom):
        blob = net.blobs.get(name)
        if blob is None:
            if name not in lost:
                hint, notes = _near_blob(name, net, left_out, report)
                message = f"{layer.label} reads blob '{name}', which no earlier layer makes"
                report.error(message, layer.spans.at("bottom", i), hint, notes)
            # stands in for what is missing; shape unknown
            blob = Blob(name, -1, layer, -1, layer.spans.at("bottom", i))
        blob.consumers.append((layer, i))
        layer.bottom_blobs.append(blob)
        layer.bottom_writes.append(len(blob.memory.writes))


def _near_blob(
    name: str, net: Net, left_out: Placed, report: Report
) -> tuple[Hint | None, list[Diagnostic]]:
    """The hint and the notes for a blob that is read and not made.

    A left-out layer may make it, or its name may be near another's.
    """
    if report.is_crowded:
        return None, []
    for message, place in left_out:
        if name in message.top:
            rules = [*message.include, *message.exclude]
            whose = (
                f"phase {net.phase}"
                if all(_is_of_phase(rule) for rule in rules)
                else f"its rule in phase {net.phase}"
            )
            elsewhere = f"'{name}' is made by layer '{message.name}' here, which {whose} leaves out"
            return None, [note(elsewhere, place.at("top", list(message.top).index(name)))]
    near = did_you_mean(name, net.blobs)
    meant = near.names if near else ()
    return near, [note(f"'{each}' is made here", net.blobs[each].span) for each in meant]


def _is_of_phase(rule: caffe_pb2.NetStateRule) -> bool:
    return {field.name for field, _ in rule.ListFields()} <= {"phase"}


def _write_tops(layer: Layer, net: Net, report: Report) -> None:
    names = list(layer.message.top)
    spec = find_spec(layer.spec_name)
    if not names and spec is not None and spec.automatic_top:
        names = [AUTOMATIC_TOP]
    for i, name in enumerate(names):
        before = net.blobs.get(name)
        if before is not None and name != AUTOMATIC_TOP:
            in_place = i < len(layer.message.bottom) and layer.message.bottom[i] == name
            if before.producer.spans.is_faulty or layer.spans.is_faulty:
                pass  # a fault in its 'include' keeps a layer that was not meant to be here
            elif not in_place:
                first = note(f"'{name}' is made here", before.span)
                hint = (
                    "a layer may write over a blob only in place: "
                    "as the bottom and the top of the same position"
                )
                report.error(
                    f"{layer.label} makes blob '{name}' a second time",
                    layer.spans.at("top", i),
                    hint,
                    [first],
                )
            elif spec is not None and not spec.in_place:
                hint = f"give its top a name of its own; {layer.type} needs its input unchanged"
                report.error(
                    f"{layer.label} can't write over its bottom '{name}'",
                    layer.spans.at("top", i),
                    hint,
                )
            elif spec is not None:
                _check_other_readers(layer, i, before, report)
        blob = Blob(name, before.version + 1 if before else 0, layer, i, layer.spans.at("top", i))
        if before is not None and name != AUTOMATIC_TOP:
            before.memory.writes.append(blob)
            blob.memory, blob.writes_before = before.memory, len(before.memory.writes)
        elif spec is not None and layer.bottom_blobs and spec.shares_memory(layer):
            blob.memory, blob.writes_before = layer.bottom_blobs[0].memory, layer.bottom_writes[0]
        net.blobs[name] = blob
        layer.top_blobs.append(blob)
        if spec is not None and spec.is_source:
            (net.inputs if spec.is_input else net.sources).append(name)


def _check_other_readers(layer: Layer, top: int, blob: Blob, report: Report) -> None:
    """Warns of an in-place write to a blob that layers above read.

    They have the values before it.
    """
    other = next((reader for reader, _ in blob.consumers if reader is not layer), None)
    if other is None:
        return
    message = (
        f"{layer.label} writes over blob '{blob.name}' in place, which {other.label} reads as well"
    )
    hint = "Caffe refuses this net; give the top a name of its own"
    notes = [note(f"{other.label} reads it before it is changed", other.span)]
    report.warning(message, layer.spans.at("top", top), hint, notes)


def _set_loss_weights(layer: Layer, report: Report) -> None:
    given = list(layer.message.loss_weight)
    tops = len(layer.top_blobs)
    if given and len(given) != tops:
        if not layer.spans.is_faulty:
            message = f"{layer.label} has {counted(tops, 'top')}, but {len(given)} 'loss_weight'"
            report.error(message, layer.spans.at("loss_weight", -1), "give one for each top")
        given = []
    spec = find_spec(layer.spec_name)
    default = [1.0] + [0.0] * tops if spec is not None and spec.is_loss else [0.0] * tops
    layer.loss_weights = given or default[:tops]


def _split_outputs(net: Net) -> dict[str, Blob]:
    """The blobs that count in the objective by a weight of their own and are read as well.

    Caffe's Split layer gives such a blob one top more, which nobody reads. Source: InsertSplits.
    """
    found = {}
    for layer in net.layers:
        for blob, weight in zip(layer.top_blobs, layer.loss_weights, strict=True):
            if (
                layer.message.loss_weight
                and weight
                and blob.consumers
                and net.blobs[blob.name] is blob
            ):
                found[blob.split_name] = blob
    return found


def _check_counts(layer: Layer, report: Report) -> None:
    spec = find_spec(layer.spec_name)
    if spec is None:
        return
    fault = arity_fault(spec, len(layer.message.bottom), len(layer.top_blobs))
    if fault:
        field, message = fault
        report.error(
            f"{_label(layer)} {message}",
            layer.spans.at(field, -1) if getattr(layer.message, field) else layer.spans.at("type"),
        )
    flags, bottoms = layer.message.propagate_down, len(layer.message.bottom)
    if flags and len(flags) != bottoms:
        message = (
            f"{layer.label} has {counted(bottoms, 'bottom')}, but {len(flags)} 'propagate_down'"
        )
        report.error(message, layer.spans.at("propagate_down", -1), "give one for each bottom")


def _check_names(net: Net, report: Report) -> None:
    """Weights are matched by layer name, so that a name that stands twice loses one layer's."""
    seen: dict[str, Layer] = {}
    for layer in net.layers:
        other = seen.setdefault(layer.name, layer)
        if (
            other is not layer
            and layer.name
            and not (layer.spans.is_faulty or other.spans.is_faulty)
        ):
            first = note("the first one is here", other.spans.at("name"))
            message = f"two layers are named '{layer.name}'; weights are saved and loaded by name"
            report.warning(
                message, layer.spans.at("name"), "give each layer a name of its own", [first]
            )
