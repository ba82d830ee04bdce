"""Advice on what the values of params start from."""

from __future__ import annotations

from netspec.advice.rule import CheckedNet, Found, Rule, advice, own_settings
from netspec.layers import find_spec
from netspec.schema.extensions import find_field, states

_FILLER = "weight_filler"


def _no_weight_filler(checked: CheckedNet) -> Found:
    shared: set[str] = set()
    for layer in checked.net.layers if checked.trains else ():
        spec = find_spec(layer.spec_name)
        if spec is None or not spec.param:
            continue
        param = layer.field(spec.param)
        try:
            filler = find_field(param.DESCRIPTOR, _FILLER)
        except KeyError:
            continue
        first = layer.message.param[0] if layer.message.param else None
        is_shared = first is not None and bool(first.name) and first.name in shared
        shared.update([first.name] if first is not None else [])
        is_frozen = first is not None and first.lr_mult == 0
        if states(param, filler) or is_shared or is_frozen or layer.message.blobs:
            continue
        yield advice(
            f"{layer.label} has no '{_FILLER}': its weights start at 0",
            layer.spans.at(*own_settings(layer, spec.param)),
            f'such as {_FILLER} {{ type: "xavier" }} or {{ type: "msra" }}',
        )


NO_WEIGHT_FILLER = Rule(
    name="no-weight-filler",
    summary="a layer that is trained has weights that start at 0",
    why="""\
A filler that is not given is `constant` with the value 0. All outputs of such a layer are 0 at
first, and no gradient flows through it to the layers below: with two of them in a row a net
learns nothing but its last bias. Caffe says nothing of it.

Layers whose first param has `lr_mult: 0`, and users of a shared param, are not looked at; nor
are nets without a loss, which are fed with weights that were learned. A net that is only ever
trained from weights in a file may silence the rule.""",
    bad={
        "net.prototxt": """\
layer {
  name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: [8, 16] } shape { dim: 8 } }
}
layer {
  name: "fc1" type: "InnerProduct" bottom: "data" top: "fc1"
  inner_product_param { num_output: 10 }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc1" bottom: "label" top: "loss" }
"""
    },
    good={
        "net.prototxt": """\
layer {
  name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: [8, 16] } shape { dim: 8 } }
}
layer {
  name: "fc1" type: "InnerProduct" bottom: "data" top: "fc1"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc1" bottom: "label" top: "loss" }
"""
    },
    net=_no_weight_filler,
)

RULES = (NO_WEIGHT_FILLER,)
