"""Advice on batch normalisation: its statistics, and the factor and offset after it."""

from __future__ import annotations

from netspec.advice.rule import CheckedNet, Found, Rule, advice
from netspec.graph import Layer


def _readers(layer: Layer) -> list[Layer]:
    return [reader for blob in layer.top_blobs for reader, _ in blob.consumers]


def _no_scale(checked: CheckedNet) -> Found:
    for layer in checked.net.layers:
        # a fork's rule may have the factor and the offset itself
        if layer.spec_name == "BatchNorm" and all(r.type != "Scale" for r in _readers(layer)):
            yield advice(
                f"{layer.label}: no Scale layer follows, so that mean 0 and variance 1 stay",
                layer.spans.at("type"),
                "its learned factor and offset are a Scale layer's: "
                "scale_param { bias_term: true }",
            )


NO_SCALE = Rule(
    name="batch-norm-without-scale",
    summary="a BatchNorm layer without a Scale layer after it",
    why="""\
In Caffe batch normalisation is two layers. `BatchNorm` takes off the mean and divides by the
deviation; the learned factor and offset of the paper (gamma and beta) are those of a `Scale`
layer with `bias_term: true` after it. Without one the layers above get values of mean 0 and
variance 1, whatever they need: a ReLU then drops about half of them.

Where the next layer learns a factor and an offset of its own anyhow, or the normalised values
are the net's input, silence the rule.""",
    bad={
        "net.prototxt": """\
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 8, 8] } } }
layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" }
layer { name: "relu" type: "ReLU" bottom: "bn" top: "relu" }
"""
    },
    good={
        "net.prototxt": """\
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 8, 8] } } }
layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" }
layer { name: "scale" type: "Scale" bottom: "bn" top: "bn" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "bn" top: "relu" }
"""
    },
    net=_no_scale,
)


def _global_stats(checked: CheckedNet) -> Found:
    for layer in checked.net.layers:
        param = layer.message.batch_norm_param
        if layer.type != "BatchNorm" or not param.HasField("use_global_stats"):
            continue
        place = layer.spans.at("batch_norm_param", "use_global_stats")
        if layer.phase == "TEST" and not param.use_global_stats:
            yield advice(
                f"{layer.label} takes the statistics of each batch in the TEST phase: "
                "what is computed of an item depends on the others",
                place,
                "leave 'use_global_stats' out: it is false in TRAIN and true in TEST",
            )
        elif checked.trains and param.use_global_stats and not _is_frozen(layer):
            yield advice(
                f"{layer.label} takes stored statistics in the TRAIN phase and updates none",
                place,
                "leave 'use_global_stats' out: it is false in TRAIN and true in TEST",
            )


def _is_frozen(layer: Layer) -> bool:
    """Whether the Scale layer after a BatchNorm learns nothing either, which is then meant."""
    return any(
        reader.type == "Scale"
        and len(reader.message.param) > 0
        and all(param.lr_mult == 0 for param in reader.message.param)
        for reader in _readers(layer)
    )


_STATS = """\
layer {{
  name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param {{ shape {{ dim: [8, 3, 8, 8] }} shape {{ dim: 8 }} }}
}}
layer {{
  name: "bn" type: "BatchNorm" bottom: "data" top: "bn"
  {}
}}
layer {{ name: "scale" type: "Scale" bottom: "bn" top: "bn" scale_param {{ bias_term: true }} }}
layer {{
  name: "fc" type: "InnerProduct" bottom: "bn" top: "fc"
  inner_product_param {{ num_output: 10 weight_filler {{ type: "xavier" }} }}
}}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }}
"""

GLOBAL_STATS = Rule(
    name="global-stats",
    summary="use_global_stats says the opposite of what the phase asks for",
    why="""\
A BatchNorm layer that does not state `use_global_stats` takes the batch's statistics in the
TRAIN phase and the stored ones in TEST. A file for both phases that states it gets one of them
wrong: with `false` a test's results depend on which items share a batch, with `true` training
never updates the statistics, so that they stay at 0 unless weights are loaded.

`true` in TRAIN is meant where a net is fine-tuned with frozen statistics. The rule takes it so
where all params of the Scale layer after it have `lr_mult: 0`.""",
    bad={
        "net.prototxt": _STATS.format("batch_norm_param { use_global_stats: false }"),
    },
    good={"net.prototxt": _STATS.format("batch_norm_param { eps: 0.001 }")},
    net=_global_stats,
)

RULES = (NO_SCALE, GLOBAL_STATS)
