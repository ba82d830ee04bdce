"""The settings that a box shows, as one table: a layer's text and its words."""

from __future__ import annotations

import pytest
from google.protobuf import text_format

from netspec.draw import style
from netspec.draw.themes import THEMES
from netspec.graph import Blob, Layer
from netspec.layers import SPECS
from netspec.schema.caffe_pb2 import LayerParameter
from netspec.syntax.bind import Spans

CASES = [
    (
        "Convolution",
        "convolution_param { num_output: 96 kernel_size: 11 stride: 4 }",
        "96 filters 11×11 · stride 4",
    ),
    (
        "Convolution",
        "convolution_param { num_output: 1 kernel_h: 3 kernel_w: 1 pad_h: 1 }",
        "1 filter 3×1 · pad 1×0",
    ),
    (
        "Convolution",
        "convolution_param { num_output: 4 kernel_size: 3 kernel_size: 5 stride: 2 stride: 1 }",
        "4 filters 3×5 · stride 2×1",
    ),
    (
        "Convolution",
        "convolution_param { num_output: 4 kernel_size: 3 dilation: 2 group: 2 bias_term: false }",
        "4 filters 3×3 · dilation 2 · group 2 · no bias",
    ),
    (
        "Deconvolution",
        "convolution_param { num_output: 4 kernel_size: 4 stride: 2 pad: 1 }",
        "4 filters 4×4 · stride 2 · pad 1",
    ),
    (
        "Pooling",
        "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 round_mode: FLOOR }",
        "AVE 3×3 · stride 2 · pad 1 · rounds down",
    ),
    (
        "Pooling",
        "pooling_param { kernel_h: 2 kernel_w: 3 stride_h: 1 stride_w: 3 }",
        "MAX 2×3 · stride 1×3",
    ),
    ("Pooling", "pooling_param { pool: AVE global_pooling: true }", "AVE over everything"),
    (
        "LRN",
        "lrn_param { local_size: 3 alpha: 5e-05 k: 2 norm_region: WITHIN_CHANNEL }",
        "within 3×3 · α 5e-05 · β 0.75 · k 2",
    ),
    ("Dropout", "", "ratio 0.5"),
    ("ReLU", "relu_param { negative_slope: 0.1 }", "slope 0.1"),
    (
        "InnerProduct",
        "inner_product_param { num_output: 1 transpose: true bias_term: false }",
        "1 output · transposed · no bias",
    ),
    ("Eltwise", "eltwise_param { operation: SUM coeff: 1 coeff: -1 }", "SUM · coeff 1, -1"),
    ("Concat", "", ""),
    ("Concat", "concat_param { axis: 2 }", "axis 2"),
    ("Slice", "slice_param { slice_point: 1 slice_point: 3 }", "at 1, 3"),
    ("Reshape", "reshape_param { shape { dim: 0 dim: -1 } }", "to 0×-1"),
    ("Accuracy", "accuracy_param { top_k: 5 ignore_label: 0 }", "top 5 · ignores label 0"),
    (
        "SoftmaxWithLoss",
        "loss_weight: 0.3 loss_param { ignore_label: 255 normalization: BATCH_SIZE }",
        "ignores label 255 · normalised by BATCH_SIZE · loss weight 0.3",
    ),
    (
        "BatchNorm",
        "batch_norm_param { use_global_stats: true eps: 0.001 }",
        "global statistics · eps 0.001",
    ),
    (
        "Data",
        (
            'data_param { source: "a/b_lmdb/" batch_size: 7 } '
            'transform_param { scale: 0.5 mean_file: "m" }'
        ),
        "b_lmdb · batch 7 · minus mean · scale 0.5",
    ),
    (
        "ImageData",
        (
            'image_data_param { source: "l.txt" batch_size: 2 '
            "new_height: 8 new_width: 9 shuffle: true }"
        ),
        "l.txt · batch 2 · resized to 8×9 · shuffled",
    ),
    ("Python", 'python_param { module: "m" layer: "L" }', "m · L"),
    ("NoSuchType", "", ""),
]


@pytest.mark.parametrize(("type_", "text", "words"), CASES)
def test_settings(type_, text, words):
    message = text_format.Parse(text, LayerParameter(name="x", type=type_))
    layer = Layer(
        "x",
        type_,
        message,
        Spans(None, None),
        None,
        "TRAIN",
        loss_weights=list(message.loss_weight),
    )
    layer.top_blobs = [Blob("x", 0, layer, 0, None)]
    assert " · ".join(style.settings(layer)) == words


def test_every_listed_setting_is_a_field():
    for spec in SPECS.values():
        if spec.shown:
            fields = LayerParameter.DESCRIPTOR.fields_by_name[
                spec.shown_param or spec.param
            ].message_type.fields_by_name
            assert [row.field for row in spec.shown if row.field not in fields] == [], spec.type


def test_every_family_has_colours():
    assert {spec.family for spec in SPECS.values()} == set(style.PALETTE)


def test_a_kernel_has_the_axes_of_its_bottom():
    message = text_format.Parse(
        "convolution_param { num_output: 4 kernel_size: 3 }", LayerParameter(type="Convolution")
    )
    layer = Layer("x", "Convolution", message, Spans(None, None), None, "TRAIN")
    layer.bottom_blobs = [Blob("b", 0, layer, 0, None, (1, 2, 8, 8, 8))]
    assert style.settings(layer) == ["4 filters 3×3×3"]


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_text_reads_well_on_every_fill(theme):
    """WCAG's contrast of at least 4.5 : 1."""

    def luminance(colour):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    fills = [theme.paper, theme.plug.fill, theme.frame.fill, theme.block.fill]
    fills += [colours.fill for colours in (*theme.palette.values(), *theme.types.values())]
    fills += [theme.in_place.fill] if theme.in_place else []
    pairs = [(ink, fill) for ink in (theme.ink, theme.muted) for fill in fills]
    for ink, fill in pairs + [(theme.tag_ink, tag) for tag in theme.tags.values()]:
        low, high = sorted((luminance(ink), luminance(fill)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, fill)
