"""Advice on blobs and layers that lead nowhere."""

from __future__ import annotations

from netspec.advice.rule import CheckedNet, Found, Rule, advice
from netspec.graph import Layer
from netspec.layers import find_spec
from netspec.passes.build_graph import AUTOMATIC_TOP


def _reports(layer: Layer) -> bool:
    """Whether unread tops of a layer are what it is for, or reported elsewhere."""
    spec = find_spec(layer.spec_name)
    return (
        spec is None
        or spec.is_source
        or spec.is_metric
        or spec.is_loss  # also one of weight 0, which is then a figure to log
        or spec.lists_detections
        or spec.has_side_effects
        or bool(layer.not_computed)
        or any(layer.loss_weights)
    )


def _dead_end(checked: CheckedNet) -> Found:
    for layer in checked.net.layers if checked.trains else ():
        tops = [blob for blob in layer.top_blobs if blob.name != AUTOMATIC_TOP]
        if not tops or _reports(layer) or any(blob.consumers for blob in tops):
            continue
        names = " or ".join(f"'{blob.name}'" for blob in tops)
        yield advice(
            f"{layer.label} leads nowhere in the TRAIN phase: no layer reads {names}",
            tops[0].span,
            "read it, give it include { phase: TEST }, or a layer of type Silence",
        )


_DATA = """\
layer {
  name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: [8, 16] } shape { dim: 8 } }
}
layer {
  name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
"""

DEAD_END = Rule(
    name="dead-end",
    summary="a layer of a net that trains leads neither to a loss nor to a metric",
    why="""\
A blob that no layer reads is an output of the net. In a net that trains these are its losses and
its figures of merit; any other costs time in each iteration, fills the log, and is most often a
layer that the next one forgot to read: a ReLU that was not put in place, a branch whose Concat
lacks a bottom.

Losses, metrics, layers with a `loss_weight` and layers that do something beside their tops are
not looked at, nor is the TEST phase, where outputs may be wanted for themselves.""",
    bad={
        "net.prototxt": _DATA
        + """\
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
    },
    good={
        "net.prototxt": _DATA
        + """\
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
    },
    net=_dead_end,
)


def _unread_top(checked: CheckedNet) -> Found:
    for layer in checked.net.layers if checked.net.loss_weights else ():
        if _reports(layer) or not any(blob.consumers for blob in layer.top_blobs):
            continue
        for blob in layer.top_blobs:
            if not blob.consumers:
                yield advice(
                    f"no layer reads '{blob.name}', one of the {len(layer.top_blobs)} tops of "
                    f"{layer.label}",
                    blob.span,
                    f"a layer of type Silence with bottom '{blob.name}' says that this is meant",
                )


_SLICE = """\
layer {
  name: "slice" type: "Slice" bottom: "data" top: "left" top: "right"
  slice_param { axis: 1 slice_point: 8 }
}
"""
_REST = """\
layer {
  name: "fc" type: "InnerProduct" bottom: "left" top: "fc"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
_FEED = _DATA.partition('layer {\n  name: "fc"')[0]

UNREAD_TOP = Rule(
    name="unread-top",
    summary="some tops of a layer are read, one is not",
    why="""\
A layer makes several tops and the net reads only some of them. The rest become outputs of the
net, whose values a run logs in each iteration. It may be a bottom that was mistyped or
forgotten; where it is meant, a `Silence` layer reads the top and says so.

Nets without a loss are not looked at: their outputs are what they are for. Tops of data layers
that nobody reads are warnings without this rule.""",
    bad={"net.prototxt": _FEED + _SLICE + _REST},
    good={
        "net.prototxt": _FEED
        + _SLICE
        + 'layer { name: "silence" type: "Silence" bottom: "right" }\n'
        + _REST
    },
    net=_unread_top,
)

RULES = (DEAD_END, UNREAD_TOP)
