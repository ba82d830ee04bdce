"""Older formats to today's.

V0 and V1 layers, the nets' input fields, BatchNorm's params, the solver's type.

Source: Caffe's upgrade rules (util/upgrade_proto.cpp); ../tests/reference/upgrade holds its
    results.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from netspec.diagnostics import ERROR, Report, counted, did_you_mean, note
from netspec.schema import caffe_pb2
from netspec.schema.extensions import clear_value, extension, find_field, set_value, value_of
from netspec.schema.forks import stated_word
from netspec.schema.history import (
    V0_FIELDS,
    V0_TRANSFORM_FIELDS,
    V0_TYPES,
    V1_DATA_MESSAGES,
    V1_FORK_TYPES,
    V1_TRANSFORM_FIELDS,
    V1_TYPES,
)
from netspec.schema.solver_types import OLD_SOLVER_TYPES
from netspec.syntax.bind import Spans

_V1_TYPE_ENUM = caffe_pb2.V1LayerParameter.LayerType


def upgrade(net: caffe_pb2.NetParameter, spans: Spans, report: Report) -> None:
    """Brings a net to today's format in place; each moved field takes its span along."""
    if net.layers and net.layer:
        first = note("the older 'layers' are used here", spans.at("layers", 0))
        report.error(
            "a net holds either 'layer' or the older 'layers', not both",
            spans.at("layer", 0),
            notes=[first],
        )
        for name in ("layer", "layers"):  # half a net would only look full of faults
            net.ClearField(name)
            spans.fields.pop(name, None)
        return
    if any(layer.HasField("layer") for layer in net.layers):
        _upgrade_v0(net, spans, report)
    if net.layers:
        _upgrade_v1(net, spans, report)
    _upgrade_inputs(net, spans, report)
    _fix_batch_norm(net, spans)


def upgrade_solver(solver: caffe_pb2.SolverParameter, spans: Spans, report: Report) -> None:
    """The old enum `solver_type` becomes today's `type`, in place.

    So do the nets that stand inside the solver file.
    """
    for name in ("net_param", "train_net_param", "test_net_param"):
        nets = (
            solver.test_net_param
            if name == "test_net_param"
            else [getattr(solver, name)] * solver.HasField(name)
        )
        for i, net in enumerate(nets):
            upgrade(net, spans.find(name, i), report)
    if not solver.HasField("solver_type"):
        return
    if solver.HasField("type"):
        first = note("'type' is given here", spans.at("type"))
        report.error(
            "'solver_type' is the older form of 'type'; give one of them",
            spans.at("solver_type"),
            notes=[first],
        )
        return
    solver.type = OLD_SOLVER_TYPES[caffe_pb2.SolverParameter.SolverType.Name(solver.solver_type)]
    solver.ClearField("solver_type")
    spans.fields["type"] = spans.fields.pop("solver_type", [])


def _move(
    source: Message,
    source_spans: Spans,
    name: str,
    target: Message,
    target_spans: Spans,
    new_name: str,
) -> None:
    """Moves a field that is set from one message to another, with its spans."""
    old, new = find_field(source.DESCRIPTOR, name), find_field(target.DESCRIPTOR, new_name)
    value = value_of(source, old)
    if new.is_repeated:
        value_of(target, new).extend(value if old.is_repeated else [value])
    elif new.message_type is not None:
        value_of(target, new).CopyFrom(value)
    else:
        set_value(target, new, value)
    clear_value(source, old)
    if name in source_spans.fields:
        target_spans.fields.setdefault(new_name, []).extend(source_spans.fields.pop(name))


def _copy(message: Any) -> Any:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy


def _child(spans: Spans, name: str) -> Spans:
    """The spans of a message field, made at its owner's place where the file does not write it."""
    return spans.fields.setdefault(name, [Spans(spans.name, spans.value)])[0]


def _upgrade_v0(net: caffe_pb2.NetParameter, spans: Spans, report: Report) -> None:
    """V0 → V1: one flat message a layer, padding as a layer of its own."""
    places = spans.fields.get("layers", [])
    _fold_padding(net, places, report)
    kept = [i for i, layer in enumerate(net.layers) if layer.layer.type != "padding"]
    layers = [net.layers[i] for i in kept]
    for layer, place in zip(layers, (places[i] for i in kept), strict=True):
        _upgrade_v0_layer(layer, place, report)
    copies = [_copy(layer) for layer in layers]
    del net.layers[:]
    net.layers.extend(copies)
    spans.fields["layers"] = [places[i] for i in kept]
    # the original loses these on the way; V0 had none of them
    for name in ("state", "input_shape", "debug_info"):
        net.ClearField(name)


def _fold_padding(net: caffe_pb2.NetParameter, places: list[Spans], report: Report) -> None:
    makers: dict[str, int] = {}
    for i, layer in enumerate(net.layers):
        for j, name in enumerate(layer.bottom):
            maker = makers.get(name)
            if maker is None or net.layers[maker].layer.type != "padding":
                continue
            is_foldable = layer.layer.type in ("conv", "pool")
            if not is_foldable:
                report.error(
                    f"a padding layer feeds layer '{layer.layer.name}', "
                    "which is neither conv nor pool",
                    places[i].at("bottom", j),
                )
            padding = net.layers[maker]
            if len(padding.bottom) != 1 or len(padding.top) != 1:
                report.error(
                    "a padding layer has one bottom and one top", places[maker].at("layer")
                )
                places[i].is_faulty = True  # what it reads is not known
                continue
            layer.bottom[j] = padding.bottom[0]
            if is_foldable:
                layer.layer.pad = padding.layer.pad
                _child(places[i], "layer").fields["pad"] = [places[maker].find("layer", "pad")]
        for name in layer.top:
            makers[name] = i


def _upgrade_v0_layer(layer: caffe_pb2.V1LayerParameter, place: Spans, report: Report) -> None:
    if not layer.HasField("layer"):
        report.error(
            "this is a V1 layer among V0 layers, which hold a 'layer' of their own",
            place.at(),
            "write the net in one format",
        )
        place.is_faulty = True
        return
    old, old_spans, before = layer.layer, _child(place, "layer"), len(report.diagnostics)
    _move_v0_fields(layer, place, old, old_spans, report)
    layer.ClearField("layer")
    place.is_faulty |= any(told.severity == ERROR for told in report.diagnostics[before:])


def _move_v0_fields(
    layer: caffe_pb2.V1LayerParameter,
    place: Spans,
    old: caffe_pb2.V0LayerParameter,
    old_spans: Spans,
    report: Report,
) -> None:
    kind = old.type
    for name in ("name", "blobs", "blobs_lr", "weight_decay", "hdf5_output_param"):
        if name in {field.name for field, _ in old.ListFields()}:
            _move(old, old_spans, name, layer, place, name)
    if kind not in V0_TYPES:
        if old.HasField("type"):
            report.error(
                f"'{kind}' is not a V0 layer type",
                old_spans.at("type"),
                did_you_mean(kind, V0_TYPES),
                before=place.whole(),
            )
        elif not old_spans.is_faulty:
            report.error("this V0 layer has no 'type'", old_spans.name)
        return
    layer.MergeFrom(caffe_pb2.V1LayerParameter(type=V0_TYPES[kind]))
    place.fields["type"] = old_spans.fields.pop("type", [])
    for descriptor, _ in old.ListFields():
        name = descriptor.name
        if name in V0_TRANSFORM_FIELDS:
            _move(
                old,
                old_spans,
                name,
                layer.transform_param,
                _child(place, "transform_param"),
                V0_TRANSFORM_FIELDS[name],
            )
        elif name in V0_FIELDS:
            new_name, owners = V0_FIELDS[name]
            owner = dict(owners).get(kind)
            if owner is None:
                # the original says so and goes on without the field
                report.warning(
                    f"a V0 layer of type '{kind}' has no field '{name}', which has no effect",
                    old_spans.at(name),
                )
            else:
                _move(old, old_spans, name, getattr(layer, owner), _child(place, owner), new_name)
        elif name != "type":
            report.warning(f"the V0 field '{name}' has no effect any more", old_spans.at(name))


def _upgrade_v1(net: caffe_pb2.NetParameter, spans: Spans, report: Report) -> None:
    """V1 → V2.

    Enum types to texts, blobs_lr and weight_decay into param, data settings into transform_param.
    """
    places = spans.fields.pop("layers", [])
    for old, place in zip(net.layers, places, strict=True):
        _move_transform_fields(old, place)
        new = net.layer.add()
        for descriptor, _ in old.ListFields():
            name = descriptor.name
            if name in ("blobs_lr", "weight_decay", "param", "blob_share_mode", "type"):
                continue
            if not _has_field(new, name):
                message = f"the V1 field '{name}' has no effect any more"
                report.warning(message, place.at(name))
                continue
            # the span keeps its name and place
            _move(old, Spans(None, None), name, new, place, name)
        _set_type(old, place, new)
        _collect_param_specs(old, place, new)
    del net.layers[:]
    spans.fields["layer"] = places


def _set_type(old: caffe_pb2.V1LayerParameter, place: Spans, new: caffe_pb2.LayerParameter) -> None:
    """Today's name of a V1 layer's type; a word that nobody knows stays the type's name."""
    written = place.find("type").value if place.fields.get("type") else None
    if old.HasField("type") and old.type:
        new.type = V1_TYPES[_V1_TYPE_ENUM.Name(old.type)]
    elif word := stated_word(old, "type"):
        new.type = V1_FORK_TYPES[word]
    elif not old.HasField("type") and written is not None:
        new.type = written.text


def _has_field(message: Message, name: str) -> bool:
    return name in message.DESCRIPTOR.fields_by_name or bool(extension(message.DESCRIPTOR, name))


def _move_transform_fields(layer: caffe_pb2.V1LayerParameter, place: Spans) -> None:
    owner = V1_DATA_MESSAGES.get(_V1_TYPE_ENUM.Name(layer.type))
    if owner is None or not layer.HasField(owner):
        return
    message, message_spans = getattr(layer, owner), _child(place, owner)
    for name in V1_TRANSFORM_FIELDS:
        if message.HasField(name):
            _move(
                message,
                message_spans,
                name,
                layer.transform_param,
                _child(place, "transform_param"),
                name,
            )


def _collect_param_specs(
    old: caffe_pb2.V1LayerParameter, place: Spans, new: caffe_pb2.LayerParameter
) -> None:
    sources = (
        ("param", "name"),
        ("blob_share_mode", "share_mode"),
        ("blobs_lr", "lr_mult"),
        ("weight_decay", "decay_mult"),
    )
    specs: list[Spans] = []
    for old_name, new_name in sources:
        found = place.fields.pop(old_name, [])
        for i, value in enumerate(getattr(old, old_name)):
            while len(new.param) <= i:
                new.param.add()
                specs.append(
                    Spans(found[i].name, found[i].value)
                    if i < len(found)
                    else Spans(place.name, place.value)
                )
            setattr(new.param[i], new_name, value)
            specs[i].fields[new_name] = found[i : i + 1]
    if specs:
        place.fields["param"] = specs


def _upgrade_inputs(net: caffe_pb2.NetParameter, spans: Spans, report: Report) -> None:
    """`input`, `input_shape` and `input_dim` → an Input layer, the first of the net."""
    if _strip_inputs(net, spans, report):
        return
    shapes = [list(shape.dim) for shape in net.input_shape]
    places = spans.fields.pop("input_shape", [])
    dims = [] if shapes else list(net.input_dim)  # where both are given, input_shape wins
    for i in range(0, len(dims), 4):
        shapes.append(dims[i : i + 4])
        found = spans.fields["input_dim"][i : i + 4]
        places.append(Spans(found[0].name, found[0].value))
        places[-1].fields["dim"] = found
    first = spans.find("input")
    place = Spans(first.name, first.value)
    each, got, what = (4, len(dims), "input_dim") if dims else (1, len(shapes), "input_shape")
    wanted = each * len(net.input)
    verb = "takes" if len(net.input) == 1 else "take"
    message = f"{counted(len(net.input), 'input')} {verb} {wanted} '{what}', got {got}"
    if got > wanted:
        report.warning(f"{message}; the rest has no effect", places[len(net.input)].value)
        del shapes[len(net.input) :], places[len(net.input) :]
    elif got < wanted:
        report.error(
            message,
            first.value,
            "give each its shape, such as input_shape { dim: 1 dim: 3 dim: 224 dim: 224 }",
        )
        place.is_faulty = True
    layer = caffe_pb2.LayerParameter(name="input", type="Input", top=net.input)
    for shape in shapes:
        layer.input_param.shape.add().dim.extend(shape)
    place.fields["top"] = spans.fields.pop("input", [])
    place.fields["input_param"] = [Spans(first.name, first.value)]
    place.fields["input_param"][0].fields["shape"] = places
    layers = [layer, *(_copy(old) for old in net.layer)]
    del net.layer[:]
    net.layer.extend(layers)
    spans.fields["layer"] = [place, *spans.fields.get("layer", [])]
    for name in ("input", "input_shape", "input_dim"):
        net.ClearField(name)
        spans.fields.pop(name, None)


def _strip_inputs(net: caffe_pb2.NetParameter, spans: Spans, report: Report) -> bool:
    """Whether the input fields make no layer.

    Shapes without an `input`, or inputs without a shape that layers make themselves.

    As in the original; a caffemodel of old may hold such an `input`, a net that was brought up by
    hand any of them.
    """
    if net.input and (net.input_shape or net.input_dim):
        return False
    made, read = (
        {name for layer in net.layer for name in getattr(layer, field)}
        for field in ("top", "bottom")
    )
    if any(name in read and name not in made for name in net.input):
        return False
    for name in ("input", "input_shape", "input_dim"):
        if getattr(net, name):
            lacking = "a shape: 'input_shape' or 'input_dim'" if name == "input" else "an 'input'"
            report.warning(f"'{name}' has no effect without {lacking}", spans.at(name))
            net.ClearField(name)
            spans.fields.pop(name, None)
    return True


def _fix_batch_norm(net: caffe_pb2.NetParameter, spans: Spans) -> None:
    """Old files write three params with lr_mult 0 for BatchNorm's statistics.

    Weight decay must leave them alone too.
    """
    for layer in net.layer:
        if layer.type == "BatchNorm" and len(layer.param) == 3:
            for param in layer.param:
                param.lr_mult = param.decay_mult = 0
