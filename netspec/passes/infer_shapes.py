"""Every blob's and param's shape, from the sources down; every layer's own checks on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from netspec.diagnostics import NetspecError, Report, counted, note, whole_file
from netspec.graph import Layer, Net, Param, Shape, shape_text
from netspec.hint import did_you_mean
from netspec.layers import arity_fault, find_spec
from netspec.layers.blobs import check_blobs
from netspec.layers.layer_context import MAX_AXES, MAX_COUNT, LayerContext, Probe, Stop
from netspec.layers.unknown_type import UnknownType
from netspec.options import NetOptions
from netspec.passes.build_graph import WORD
from netspec.schema.caffe_pb2 import ParamSpec

MULTIPLIERS = ("lr_mult", "decay_mult")
# Who made a shared param: its layer, the param and its index, and the multipliers that any of its
# users has given.
Owner = tuple[Layer, Param, int, dict[str, float]]


def infer_shapes(net: Net, options: NetOptions, report: Report, probe: Probe | None = None) -> None:
    """Fills in the shapes of blobs and params, in file order.

    Args:
        options: the shapes that are given, and what is allowed.
        probe: looks into the data that data layers name; without it these count as missing.
    """
    given = _checked_inputs(net, options.inputs, report)
    owners: dict[str, Owner] = {}
    for layer in net.layers:
        spec = find_spec(layer.spec_name)
        if spec is None or layer.spans.is_faulty:
            continue
        if arity_fault(spec, len(layer.bottom_blobs), len(layer.top_blobs)):
            continue
        context = LayerContext(layer, spec, report, given, probe, options)
        before = len(report.diagnostics)
        try:
            context.check_ranges()
            spec.check(context)
            is_unknown = any(b.shape is None for b in layer.bottom_blobs)
            if any(d.severity == "error" for d in report.diagnostics[before:]) or (
                is_unknown and not isinstance(spec, UnknownType)
            ):
                continue
            shapes = spec.infer(context)
            _compare_rules(context, shapes)
        except Stop:
            continue
        except NetspecError as error:  # a database or mean file that is there but can't be read
            report.diagnostics += error.diagnostics
            continue
        layer.params = context.params
        for blob, shape in zip(layer.top_blobs, shapes, strict=True):
            if shape is not None and _fits(layer, blob.name, tuple(shape), report):
                blob.shape = tuple(shape)
        if isinstance(spec, UnknownType):
            continue  # how many params it has is not known
        _check_param_specs(layer, report)
        check_blobs(layer, report)
        _share_params(layer, owners, report)
    _warn_unread(net, report)


def _compare_rules(context: LayerContext, shapes: Sequence[Shape | None]) -> None:
    """Reports a layer whose type has several rules that give it other shapes."""
    layer = context.layer
    for name in layer.other_rules:
        other = find_spec(name)
        if other is None or arity_fault(other, len(layer.bottoms), len(layer.tops)):
            continue
        again = context.under(other)
        try:
            same = [tuple(s or ()) for s in other.infer(again)] == [tuple(s or ()) for s in shapes]
        except Stop:
            same = False
        if not same:
            raise context.stop(
                f"its shapes differ between the rules {layer.spec_name} and {name}",
                "type",
                hint=f"--dialect {' or '.join((*context.spec.dialects[:1], *other.dialects[:1]))}",
            )


def _checked_inputs(net: Net, inputs: Mapping[str, Shape], report: Report) -> dict[str, Shape]:
    known = [*net.inputs, *net.sources, *_python_sources(net)]
    file = next((whole_file(layer.span.source.path) for layer in net.layers if layer.span), None)
    for name, shape in inputs.items():
        if name not in known:
            report.error(
                f"the net '{net.name}' has no input '{name}'; it has {', '.join(known) or 'none'}",
                file,
                did_you_mean(name, known),
            )
        elif any(dim < 0 for dim in shape):
            report.error(
                f"the shape given for '{name}' has a negative dimension: "
                f"{shape_text(tuple(shape))}",
                file,
            )
    return {name: tuple(shape) for name, shape in inputs.items()}


def _python_sources(net: Net) -> list[str]:
    """The tops of data layers written in Python, which the module itself runs.

    Their shapes may be given, too.
    """
    return [
        top
        for layer in net.layers
        if layer.spec_name == "Python" and not layer.bottoms
        for top in layer.tops
    ]


def _fits(layer: Layer, name: str, shape: Shape, report: Report) -> bool:
    if len(shape) <= MAX_AXES and prod(shape) <= MAX_COUNT:
        return True
    what = (
        f"{len(shape)} axes, more than {MAX_AXES}"
        if len(shape) > MAX_AXES
        else f"{prod(shape)} values, more than {MAX_COUNT}"
    )
    shown = shape_text(shape[:8]) + ("×…" if len(shape) > 8 else "")
    report.error(
        f"{layer.label}: blob '{name}' ({shown}) would have {what}",
        layer.spans.at("top", layer.tops.index(name)),
    )
    return False


def _check_param_specs(layer: Layer, report: Report) -> None:
    given, params = len(layer.message.param), len(layer.params)
    if given > params:
        message = f"{layer.label} has {counted(params, 'param')}, but {given} 'param' entries"
        report.error(
            message,
            layer.spans.at("param", params),
            "each entry sets lr_mult, decay_mult and name of one param, in order",
        )


def _share_params(layer: Layer, owners: dict[str, Owner], report: Report) -> None:
    """Params of one name are one array; the first is the owner.

    Source: Caffe's Net::AppendParam.
    """
    for i, param in enumerate(layer.params):
        if not param.name:
            continue
        if param.name not in owners:
            spec = layer.message.param[i]
            owners[param.name] = (
                layer,
                param,
                i,
                {name: getattr(spec, name) for name in MULTIPLIERS if spec.HasField(name)},
            )
            continue
        owner_layer, owner, index, multipliers = owners[param.name]
        param.owner = (owner_layer.name, index)
        place = layer.spans.at("param", i)
        notes = [
            note(
                f"it is {shape_text(owner.shape)} in {owner_layer.label}, which owns it",
                owner_layer.spans.at("param", index),
            )
        ]
        permissive = layer.message.param[i].share_mode == ParamSpec.PERMISSIVE
        if permissive and param.count != owner.count:
            message = (
                f"{layer.label} shares param '{param.name}' as {shape_text(param.shape)}: "
                f"{param.count} values, not {owner.count}"
            )
            report.error(message, place, None, notes)
        elif not permissive and param.shape != owner.shape:
            hint = (
                "with 'share_mode: PERMISSIVE' only the number of values must agree"
                if param.count == owner.count
                else None
            )
            report.error(
                f"{layer.label} shares param '{param.name}' with another shape, "
                f"{shape_text(param.shape)}",
                place,
                hint,
                notes,
            )
        _merge_multipliers(layer, i, param, owner, multipliers, report)


def _merge_multipliers(
    layer: Layer, i: int, param: Param, owner: Param, given: dict[str, float], report: Report
) -> None:
    """The users of a param may each give its multipliers or not, but not different ones."""
    spec = layer.message.param[i]
    for name in MULTIPLIERS:
        if not spec.HasField(name):
            setattr(param, name, getattr(owner, name))
        elif name not in given:
            given[name] = getattr(spec, name)
            setattr(owner, name, given[name])
        elif getattr(spec, name) != given[name]:
            message = (
                f"'{name}' of the shared param '{param.name}' is {getattr(spec, name):g} here, "
                f"but {given[name]:g} above"
            )
            report.error(f"{layer.label}: {message}", layer.spans.at("param", i, name))


def _warn_unread(net: Net, report: Report) -> None:
    faulty = {
        word
        for layer in net.layers
        if layer.spans.is_faulty and layer.span
        for word in WORD.findall(layer.span.text)
    }
    for name in net.sources:
        blob = net.blobs[name]
        if name in faulty:
            continue  # that layer may have meant to read it
        if not blob.consumers and len(blob.producer.top_blobs) > 1:
            message = f"no layer reads blob '{name}', which {blob.producer.label} makes"
            report.warning(
                message,
                blob.span,
                f"a layer of type Silence with bottom '{name}' says that this is meant",
            )
