"""Older formats to today's.

V0 and V1 layers, the nets' input fields, BatchNorm's params, the solver's type.

Source: Caffe's upgrade rules (util/upgrade_proto.cpp); ../tests/reference/upgrade holds its
    results.
"""

from __future__ import annotations

from netspec.diagnostics import Report, counted, note
from netspec.passes.move_field import copied
from netspec.passes.upgrade_v0 import upgrade_v0
from netspec.passes.upgrade_v1 import upgrade_v1
from netspec.schema import caffe_pb2
from netspec.schema.solver_types import OLD_SOLVER_TYPES
from netspec.syntax.bind import Spans


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
        upgrade_v0(net, spans, report)
    if net.layers:
        upgrade_v1(net, spans, report)
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
    layers = [layer, *(copied(old) for old in net.layer)]
    del net.layer[:]
    net.layer.extend(layers)
    spans.fields["layer"] = [place, *spans.fields.get("layer", [])]
    for name in ("input", "input_shape", "input_dim"):
        net.ClearField(name)
        spans.fields.pop(name, None)


def _strip_inputs(net: caffe_pb2.NetParameter, spans: Spans, report: Report) -> bool:
    """Whether the input fields make no layer.

    They make none where a shape has no `input`, or where layers make the input themselves. The
    original does so, too: an old caffemodel may hold such an `input`, a net that was upgraded by
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
