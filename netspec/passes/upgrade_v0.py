"""V0 layers to V1: one flat message a layer becomes a message a type."""

from __future__ import annotations

from netspec.diagnostics import ERROR, Report
from netspec.hint import did_you_mean
from netspec.passes.move_field import child_spans, copied, move_field
from netspec.schema import caffe_pb2
from netspec.schema.history import V0_FIELDS, V0_TRANSFORM_FIELDS, V0_TYPES
from netspec.syntax.bind import Spans


def upgrade_v0(net: caffe_pb2.NetParameter, spans: Spans, report: Report) -> None:
    """Brings V0 layers to V1, in place: each layer's flat message is split, padding layers fold."""
    places = spans.fields.get("layers", [])
    _fold_padding(net, places, report)
    kept = [i for i, layer in enumerate(net.layers) if layer.layer.type != "padding"]
    layers = [net.layers[i] for i in kept]
    for layer, place in zip(layers, (places[i] for i in kept), strict=True):
        _upgrade_v0_layer(layer, place, report)
    copies = [copied(layer) for layer in layers]
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
                child_spans(places[i], "layer").fields["pad"] = [places[maker].find("layer", "pad")]
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
    old, old_spans, before = layer.layer, child_spans(place, "layer"), len(report.diagnostics)
    _move_v0_fields(layer, place, old, old_spans, report)
    layer.ClearField("layer")
    place.is_faulty |= any(fault.severity == ERROR for fault in report.diagnostics[before:])


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
            move_field(old, old_spans, name, layer, place, name)
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
            move_field(
                old,
                old_spans,
                name,
                layer.transform_param,
                child_spans(place, "transform_param"),
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
                move_field(
                    old, old_spans, name, getattr(layer, owner), child_spans(place, owner), new_name
                )
        elif name != "type":
            report.warning(f"the V0 field '{name}' has no effect any more", old_spans.at(name))
