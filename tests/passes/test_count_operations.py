"""Comparisons, additions, exponentials and divisions of a forward pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import netspec
from netspec.graph import Net
from netspec.layers import all_specs
from netspec.layers.operations import Operations
from netspec.layers.spec import Spec
from netspec.passes.count_operations import count_operations
from tests.passes.test_build_graph import layer

IMAGE = (
    'layer { name: "data" type: "Input" top: "data" '
    "input_param { shape { dim: 2 dim: 4 dim: 6 dim: 6 } } }\n"
)
VALUES = 2 * 4 * 6 * 6
# They only move, copy or pick values, or write them down.
ARRANGING = {
    *("Im2col", "Concat", "Slice", "Flatten", "Reshape", "Split", "Silence", "Tile", "Crop"),
    *("Parameter", "BatchReindex", "Permute", "ShuffleChannel", "Flip", "Reorg", "Reverse"),
    *("Transpose", "Upsample", "Unpooling", "HDF5Output", "MatWrite", "ContinuationIndicator"),
    *("PriorBox", "PriorBoxClustered"),
}
# What they compute depends on the data: which boxes match, how large regions are.
BY_THE_DATA = {
    *("DetectionOutput", "DetectionEvaluate", "ROIPooling", "PSROIPooling", "Proposal", "Python"),
    *("YoloDetectionOutput", "Yolov3DetectionOutput", "EvalDetection", "SegmentationEvaluate"),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (layer("x", "ReLU", "data", "x"), Operations(comparisons=VALUES)),
        (
            layer("x", "Pooling", "data", "x", "pooling_param { kernel_size: 2 stride: 2 }"),
            Operations(comparisons=VALUES),
        ),
        (
            layer("x", "Pooling", "data", "x", "pooling_param { pool: AVE global_pooling: true }"),
            Operations(additions=VALUES, divisions=2 * 4),
        ),
        (
            layer("x", "Softmax", "data", "x"),
            Operations(VALUES, 2 * VALUES, VALUES, VALUES),
        ),
        (layer("x", "LRN", "data", "x"), Operations(exponentials=VALUES)),
        (
            'layer { name: "x" type: "Eltwise" bottom: "data" bottom: "data" bottom: "data" '
            'top: "x" }',
            Operations(additions=2 * VALUES),
        ),
        (
            'layer { name: "x" type: "Eltwise" bottom: "data" bottom: "data" top: "x" '
            "eltwise_param { operation: MAX } }",
            Operations(comparisons=VALUES),
        ),
        (
            layer("x", "BatchNorm", "data", "x"),
            Operations(exponentials=4, divisions=4),
        ),
        (
            layer("x", "BatchNorm", "data", "x", "batch_norm_param { use_global_stats: false }"),
            Operations(additions=2 * VALUES, exponentials=4, divisions=4),
        ),
        (
            layer("x", "InnerProduct", "data", "x", "inner_product_param { num_output: 7 }"),
            Operations(),
        ),
        (layer("x", "Power", "data", "x", "power_param { scale: 2 }"), Operations()),
        (
            layer("x", "Power", "data", "x", "power_param { power: 0.5 }"),
            Operations(exponentials=VALUES),
        ),
    ],
)
def test_layers(load_text: Callable[..., Net], text: str, expected: Operations) -> None:
    net = load_text(IMAGE + text, phase="TEST")
    assert count_operations(net)[net.layer("x")] == expected


def test_a_loss_is_its_softmax_and_a_logarithm_a_label(load_text: Callable[..., Net]) -> None:
    net = load_text(
        'layer { name: "s" type: "Input" top: "s" input_param { shape { dim: 8 dim: 10 } } }\n'
        'layer { name: "l" type: "Input" top: "l" input_param { shape { dim: 8 } } }\n'
        'layer { name: "x" type: "SoftmaxWithLoss" bottom: "s" bottom: "l" top: "x" }'
    )
    assert count_operations(net)[net.layer("x")] == Operations(80, 160 + 8, 80 + 8, 80)


@pytest.mark.parametrize(
    "spec",
    [
        spec
        for spec in all_specs().values()
        if not spec.is_source and not spec.not_computed and spec.type not in ARRANGING | BY_THE_DATA
    ],
    ids=lambda spec: spec.name,
)
def test_every_type_that_computes_says_what(spec: Spec) -> None:
    dialect = spec.dialects[0] if spec.dialects else None
    net = netspec.loads(
        spec.example.text(spec.type), phase="TRAIN", dialect=dialect, allow_unknown=True
    )
    last = net.layers[-1]
    assert last.macs or any(count_operations(net)[last])
