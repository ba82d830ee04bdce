"""Advice on pooling whose size other programs take for another."""

from __future__ import annotations

from netspec.advice.rule import CheckedNet, Found, Rule, advice
from netspec.graph import sizes_text
from netspec.layers.pooling import rounds_up
from netspec.layers.window import pooled_size, window_of
from netspec.schema.forks import stated


def _rounds_up(checked: CheckedNet) -> Found:
    for layer in checked.net.layers:
        param = layer.message.pooling_param
        shape = layer.bottom_blobs[0].shape if layer.bottom_blobs else None
        if (
            layer.spec_name != "Pooling"
            or param.global_pooling
            or param.HasField("round_mode")
            or stated(param, "ceil_mode") is not None
            or shape is None
        ):
            continue
        window, sizes = window_of(param, 2), shape[2:]
        here, there = (
            tuple(pooled_size(size, window, i, up) for i, size in enumerate(sizes))
            for up in (rounds_up(param), False)
        )
        if here != there:
            yield advice(
                f"{layer.label}: its top is {sizes_text(here)}, for its size rounds up; "
                f"by the default of PyTorch and ONNX it would be {sizes_text(there)}",
                layer.spans.at("pooling_param"),
                "'round_mode: CEIL' says that it is meant, 'round_mode: FLOOR' rounds down",
            )


_POOL = """\
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: [1, 3, 12, 12] }} }} }}
layer {{
  name: "pool" type: "Pooling" bottom: "data" top: "pool"
  pooling_param {{ pool: MAX kernel_size: 3 stride: 2{} }}
}}
"""

ROUNDS_UP = Rule(
    name="pooling-rounds-up",
    summary="pooling rounds its size up where PyTorch and ONNX round down",
    why="""\
Caffe rounds the size of a pooling layer's top up, so that a last window may hang over the edge;
PyTorch's and ONNX's pooling round down unless `ceil_mode` is set. Where the two differ, weights
of the same net from another program do not fit the layers above, or give other values; here
12×12 becomes 6×6, there 5×5.

netspec computes and exports what Caffe computes. `round_mode: CEIL` states it, which the rule
takes as meant and which changes nothing; Caffe 1.0 and most forks do not know the field: silence
the rule for them.""",
    bad={"net.prototxt": _POOL.format("")},
    good={"net.prototxt": _POOL.format(" round_mode: CEIL")},
    net=_rounds_up,
)

RULES = (ROUNDS_UP,)
