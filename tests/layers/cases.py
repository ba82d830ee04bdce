"""The table of layer cases: what a layer makes of its bottoms.

test_case_shapes.py reads it without torch, test_case_modules.py with it; tests of values take their
settings from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests import nets
from tests.nets import Shape


@dataclass(frozen=True)
class Case:
    """A layer over bottoms x0, x1, … and what is known of it.

    Args:
        layer: its type, tops and fields.
        bottoms: their shapes.
        tops: their shapes.
        macs: its multiply-adds; None where the case does not say.
        params: their shapes; None where the case does not say.
    """

    layer: str
    bottoms: tuple[Shape, ...]
    tops: tuple[Shape, ...]
    macs: int | None = None
    params: tuple[Shape, ...] | None = None

    @property
    def text(self) -> str:
        shapes = {f"x{i}": shape for i, shape in enumerate(self.bottoms)}
        return nets.net_text(self.layer, force_backward=True, **shapes)

    def __str__(self) -> str:
        """What pytest shows: the type and the fields."""
        return re.sub(r'type: "(\w+)"|top: "\w+" ?', r"\1", self.layer).strip()


def one(
    kind: str,
    fields: str,
    bottoms: tuple[Shape, ...],
    top: Shape,
    macs: int | None = None,
    params: tuple[Shape, ...] | None = None,
) -> Case:
    """A layer with one top, y."""
    return Case(f'type: "{kind}" top: "y" {fields}', bottoms, (top,), macs, params)


FOUR = (2, 6, 3, 4)
AB, ABC = 'top: "a" top: "b"', 'top: "a" top: "b" top: "c"'


def _reshape(fields: str, bottom: Shape, top: Shape) -> Case:
    return one("Reshape", f"reshape_param {{ {fields} }}", (bottom,), top, 0)


SHAPE = (
    Case(f'type: "Slice" {ABC}', (FOUR,), ((2, 2, 3, 4),) * 3),
    Case(f'type: "Slice" {AB} slice_param {{ slice_dim: 3 }}', (FOUR,), ((2, 6, 3, 2),) * 2),
    Case(
        f'type: "Slice" {ABC} slice_param {{ axis: -3 slice_point: 1 slice_point: 3 }}',
        (FOUR,),
        ((2, 1, 3, 4), (2, 2, 3, 4), (2, 3, 3, 4)),
    ),
    Case(f'type: "Slice" {AB} slice_param {{ slice_point: 6 }}', (FOUR,), (FOUR, (2, 0, 3, 4))),
    one("Slice", "", (FOUR,), FOUR),
    _reshape("shape { dim: 0 dim: -1 }", FOUR, (2, 72)),
    _reshape("shape { dim: 4 dim: 0 dim: -1 }", FOUR, (4, 6, 6)),
    _reshape("shape { dim: 2 dim: -1 } axis: 1 num_axes: 1", FOUR, (2, 2, 3, 3, 4)),
    _reshape("shape { dim: -1 } axis: 1 num_axes: 2", FOUR, (2, 18, 4)),
    _reshape("shape { dim: 1 dim: 1 } axis: -1", FOUR, (2, 6, 3, 4, 1, 1)),
    _reshape("shape { dim: 2 dim: -1 } axis: -2", FOUR, (2, 6, 3, 2, 2)),
    _reshape("shape { dim: 1 } num_axes: 0", FOUR, (1, *FOUR)),
    _reshape("shape { dim: -1 dim: 0 } axis: 0 num_axes: 2", (4, 3, 5), (4, 3, 5)),
    _reshape("shape { }", (1, 1), ()),
    _reshape("shape { dim: 0 dim: -1 dim: 2 }", (0, 6, 4), (0, 12, 2)),
    one("Flatten", "flatten_param { axis: 2 end_axis: 1 }", (FOUR,), (2, 6, 1, 3, 4)),
    one("Flatten", "flatten_param { axis: -1 end_axis: -2 }", (FOUR,), (2, 6, 3, 1, 4)),
    one("Tile", "tile_param { tiles: 3 }", (FOUR,), (2, 18, 3, 4)),
    one("Tile", "tile_param { axis: -4 tiles: 2 }", (FOUR,), (4, 6, 3, 4)),
    one("Crop", "", (FOUR, (5, 9, 2, 3)), (2, 6, 2, 3)),
    one("Crop", "crop_param { axis: -3 offset: 1 }", (FOUR, (5, 2, 2, 3, 7)), (2, 2, 2, 3)),
    one(
        "Crop",
        "crop_param { axis: 1 offset: 3 offset: 0 offset: 1 }",
        (FOUR, (2, 3, 3, 3)),
        (2, 3, 3, 3),
    ),
    one("ArgMax", "", (FOUR,), (2, 1, 1, 1)),
    one(
        "ArgMax", "argmax_param { out_max_val: true top_k: 5 }", ((2, 3, 4, 5, 6),), (2, 2, 5, 1, 1)
    ),
    one("ArgMax", "argmax_param { top_k: 2 }", ((3, 8),), (3, 1, 2)),
    one("ArgMax", "", ((3,),), (3, 1, 1)),
    one("ArgMax", "argmax_param { axis: -3 top_k: 2 out_max_val: true }", (FOUR,), (2, 2, 3, 4)),
    one("BatchReindex", "", (FOUR, (5,)), (5, 6, 3, 4)),
    Case(f'type: "Filter" {AB}', (FOUR, (2,), (2, 1, 1)), (FOUR, (2,))),
    one(
        "Embed",
        "embed_param { num_output: 4 input_dim: 7 }",
        ((3, 5),),
        (3, 5, 4),
        params=((7, 4), (4,)),
    ),
    one(
        "Embed",
        "embed_param { num_output: 4 input_dim: 7 bias_term: false }",
        ((3, 5),),
        (3, 5, 4),
        params=((7, 4),),
    ),
    one("Parameter", "parameter_param { shape { dim: 2 dim: 3 } }", (), (2, 3), 0, ((2, 3),)),
    one("Parameter", "", (), (), 0, ((),)),
    Case('type: "Silence"', (FOUR,), (), 0),
)

_THREE = (2, 3, 4)
_MAP = (2, 4, 5, 6)
ELEMENTWISE = (
    one("AbsVal", "", (_THREE,), _THREE, 0),
    one("PReLU", "", (_THREE,), _THREE, 24),
    one("ReLU", "", (_MAP,), _MAP, 0),
    one("Power", "", (_THREE,), _THREE, 0),
    one("Power", "power_param { scale: 2 }", (_THREE,), _THREE, 24),
    one("Exp", "exp_param { scale: 2 }", (_THREE,), _THREE, 24),
    one("Log", "log_param { scale: 2 }", (_THREE,), _THREE, 24),
    one("Swish", "", (_THREE,), _THREE, 24),
    one("MVN", "", ((2, 3, 4, 5),), (2, 3, 4, 5), 240),
    one("MVN", "mvn_param { normalize_variance: false }", ((2, 3, 4, 5),), (2, 3, 4, 5), 0),
    one("Bias", "", (_THREE,), _THREE, 0),
    one("Scale", "", (_THREE,), _THREE, 24),
    one("Eltwise", "", (_THREE,) * 3, _THREE, 0),
    one("Eltwise", "eltwise_param { coeff: 1 coeff: 2 coeff: 3 }", (_THREE,) * 3, _THREE, 72),
    one("Eltwise", "eltwise_param { operation: PROD }", (_THREE,) * 3, _THREE, 48),
    one("Eltwise", "eltwise_param { operation: MAX }", (_THREE,) * 3, _THREE, 0),
)
REDUCTION = (
    one("Reduction", "", (_THREE,), (), 0),
    one("Reduction", "reduction_param { operation: SUMSQ axis: 1 }", (_THREE,), (2,), 24),
)

LOSS = tuple(
    one(kind, fields, bottoms, (), params=())
    for kind, fields, bottoms in (
        ("SoftmaxWithLoss", "softmax_param { axis: -1 }", ((2, 3, 4), (2, 3))),
        ("InfogainLoss", "", ((2, 3, 4), (2, 4), (1, 1, 3, 3))),
        ("MultinomialLogisticLoss", "", ((2, 3, 4), (2, 1, 1))),
        ("HingeLoss", "", ((2, 3), (2, 1))),
        ("SigmoidCrossEntropyLoss", "", ((2, 3, 4), (2, 12))),
        ("EuclideanLoss", "", ((2, 3, 4), (2, 12))),
        ("ContrastiveLoss", "", ((2, 3), (2, 3, 1, 1), (2, 1))),
    )
)

FILLED = 'weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }'


def _deconvolution(
    bottom: Shape, fields: str, weight: Shape, bias: int, top: Shape, macs: int
) -> Case:
    block = f"convolution_param {{ {fields} {FILLED} }}"
    return one("Deconvolution", block, (bottom,), top, macs, (weight, (bias,)))


DECONVOLUTION = tuple(_deconvolution(*row) for row in (
    ((2, 4, 5, 4), "num_output: 6 kernel_size: 3", (4, 6, 3, 3), 6, (2, 6, 7, 6), 2 * 4 * 20 * 54),
    ((2, 4, 5, 4), "num_output: 6 group: 2 kernel_size: 3 stride: 2 pad: 1 dilation: 2",
     (4, 3, 3, 3), 6, (2, 6, 11, 9), 160 * 27),
    ((2, 4, 3, 4), "num_output: 2 kernel_h: 2 kernel_w: 3 stride_h: 3 stride_w: 1 pad_w: 2",
     (4, 2, 2, 3), 2, (2, 2, 8, 2), 96 * 12),
    ((1, 2, 5, 4), "num_output: 2 kernel_size: 1 pad: 1", (2, 2, 1, 1), 2, (1, 2, 3, 2), 80),
    ((2, 4, 5), "num_output: 6 group: 2 kernel_size: 4 stride: 3", (4, 3, 4), 6, (2, 6, 16), 480),
    ((1, 2, 3, 2, 2), "num_output: 2 kernel_size: 2 stride: 1 stride: 2 stride: 3",
     (2, 2, 2, 2, 2), 2, (1, 2, 4, 4, 5), 24 * 16),
    ((2, 2, 3, 2, 2, 2), "num_output: 4 group: 2 kernel_size: 2 stride: 2 pad: 1 dilation: 2",
     (2, 2, 2, 2, 2, 2), 4, (2, 4, 5, 3, 3, 3), 96 * 32),
    ((1, 2, 2, 2, 2, 3), "num_output: 1 kernel_size: 1 stride: 3 pad: 0 pad: 0 pad: 0 pad: 1",
     (2, 1, 1, 1, 1, 1), 1, (1, 1, 4, 4, 4, 5), 48),
    ((2, 3, 4, 3, 3), "axis: -3 num_output: 2 kernel_size: 2 group: 2",
     (4, 1, 2, 2), 2, (2, 3, 2, 4, 4), 216 * 4),
    ((4, 3, 3), "axis: 0 num_output: 2 kernel_size: 3 stride: 2",
     (4, 2, 3, 3), 2, (2, 7, 7), 36 * 18),
    ((2, 3, 4), "axis: 2 num_output: 6 group: 2", (4, 3), 6, (2, 3, 6), 24 * 3),
    ((1, 2, 3, 2), "num_output: 2 kernel_size: 2 stride: 2 dilation: 0 dilation: 1",
     (2, 2, 2, 2), 2, (1, 2, 5, 4), 12 * 8),
))  # fmt: skip


def _im2col(bottom: Shape, fields: str, top: Shape) -> Case:
    return one("Im2col", f"convolution_param {{ {fields} }}", (bottom,), top, params=())


IM2COL = (
    _im2col((2, 3, 7, 8), "kernel_size: 3 stride: 2 pad: 1", (2, 27, 4, 4)),
    _im2col(
        (2, 3, 7, 8),
        "kernel_h: 3 kernel_w: 2 dilation: 2 dilation: 3 stride_h: 1 stride_w: 2 pad_h: 2",
        (2, 18, 7, 3),
    ),
    _im2col((2, 2, 5), "kernel_size: 2 dilation: 2", (2, 4, 3)),
    _im2col(
        (1, 2, 4, 3, 5),
        "kernel_size: 2 kernel_size: 1 kernel_size: 3 stride: 2",
        (1, 12, 2, 2, 2),
    ),
    _im2col((2, 3, 4, 5), "axis: -2 kernel_size: 2 stride: 3 pad: 1", (2, 3, 8, 2)),
    _im2col((2, 4, 5), "axis: 0 kernel_size: 2", (8, 3, 4)),
    # wider than the input by less than a stride: zeros behind
    _im2col((1, 2, 2, 6), "kernel_size: 4 stride: 3", (1, 32, 1, 1)),
    _im2col((2, 2, 3), "kernel_size: 6 stride: 2 pad: 1", (2, 12, 1)),
    # 0: each value three times
    _im2col((2, 2, 4, 5), "kernel_h: 3 kernel_w: 2 dilation: 0 dilation: 2", (2, 12, 4, 3)),
)


def _spp(bottom: Shape, height: int, top: Shape) -> tuple[Case, ...]:
    fields = "spp_param {{ pyramid_height: {} pool: {} }}"
    return tuple(
        one("SPP", fields.format(height, pool), (bottom,), top, 0) for pool in ("MAX", "AVE")
    )


SPP = (
    *_spp((2, 3, 9, 8), 3, (2, 63)),
    *_spp((2, 3, 9, 7), 1, (2, 3, 1, 1)),
    *_spp((1, 2, 7, 13), 3, (1, 42)),
    *_spp((1, 1, 4, 4), 3, (1, 21)),
    *_spp((1, 1, 23, 15), 4, (1, 85)),
    *_spp((2, 3, 1, 1), 1, (2, 3, 1, 1)),
)

# out channels × (in channels / group) × kernel × out plane; a dense layer's weights
WEIGHTED = tuple(
    one(kind, fields, (_MAP,), top, macs)
    for kind, fields, top, macs in (
        (
            "Convolution",
            "convolution_param { num_output: 6 kernel_size: 3 group: 2 }",
            (2, 6, 3, 4),
            2 * 6 * 3 * 4 * 2 * 9,
        ),
        (
            "Convolution",
            "convolution_param { num_output: 6 kernel_size: [3, 1] stride: 2 }",
            (2, 6, 2, 3),
            2 * 6 * 2 * 3 * 4 * 3,
        ),
        ("InnerProduct", "inner_product_param { num_output: 7 }", (2, 7), 2 * 7 * 120),
        (
            "InnerProduct",
            "inner_product_param { num_output: 7 axis: -1 transpose: true }",
            (2, 4, 5, 7),
            2 * 4 * 5 * 7 * 6,
        ),
    )
)

# 6 steps of 3 streams with 4 values, 2 static ones, 5 hidden
RECURRENT = tuple(
    one(
        kind,
        "recurrent_param { num_output: 5 }",
        ((6, 3, 2, 2), (6, 3), (3, 2)),
        (6, 3, 5),
        3 * (6 * rows * (4 + hidden) + rows * 2),
    )
    for kind, rows, hidden in (("LSTM", 20, 5), ("RNN", 5, 10))
)

UPSAMPLE = tuple(
    one("Upsample", f"upsample_param {{ {fields} }}", ((1, 2, 3, 4),) * 2, (1, 2, *sizes))
    for fields, sizes in (
        ("", (6, 8)),
        ("scale: 3", (9, 12)),
        ("scale_h: 2 scale_w: 4", (6, 16)),
        ("pad_out_h: true", (5, 8)),
        ("pad_out_w: true", (6, 7)),
        ("upsample_h: 5 upsample_w: 9", (5, 9)),
        ("upsample_h: 5 upsample_w: 9 scale: 4 pad_out_h: true", (5, 9)),
    )
)

COMPUTED = (
    *SHAPE, *ELEMENTWISE, *REDUCTION, *LOSS, *DECONVOLUTION, *IM2COL, *SPP, *WEIGHTED, *RECURRENT,
    *UPSAMPLE,
)  # fmt: skip
# forks' types that are checked and drawn only
_PAIR = ((2, 8, 10, 12),) * 2
_IMAGE = (2, 3, 4, 5)
NOT_COMPUTED = tuple(one(*row) for row in (
    # FlowNet-C: 21² displacements, the size kept by a pad of the largest one
    ("Correlation",
     "correlation_param { pad: 4 kernel_size: 1 max_displacement: 4 stride_2: 2 }",
     _PAIR, (2, 25, 10, 12)),
    # border 2 + 1; (10 + 2 - 6) / 2 and (12 + 2 - 6) / 2
    ("Correlation",
     "correlation_param { pad: 1 kernel_size: 3 max_displacement: 2 stride_1: 2 }",
     _PAIR, (2, 25, 3, 4)),
    ("Resample", "resample_param { width: 9 height: 7 }", (_IMAGE,), (2, 3, 7, 9)),
    ("Resample", "", (_IMAGE, (1, 1, 6, 8)), (2, 3, 6, 8)),
    ("Downsample", "downsample_param { top_width: 2 top_height: 3 }", ((2, 3, 8, 8),),
     (2, 3, 3, 2)),
    ("FlowWarp", "", (_IMAGE, (2, 2, 4, 5)), _IMAGE),
    ("SpatialDropout", "", (_IMAGE,), _IMAGE),
    ("DenseCRF", "dense_crf_param { max_iter: 5 }", ((1, 4, 8, 8), (1, 2, 1, 1)), (1, 4, 8, 8)),
    ("DomainTransform", "", ((1, 4, 8, 8), (1, 1, 8, 8), (1, 2, 1, 1)), (1, 4, 8, 8)),
    # without levels the axis goes; 5 = 1² + 2²
    ("BatchReduction", "batch_reduction_param { reduction_param { axis: 1 } }", ((2, 7, 3),),
     (2, 3)),
    ("BatchReduction", "batch_reduction_param { level: 1 level: 2 reduction_param { axis: 1 } }",
     ((2, 5, 3),), (2, 2, 3)),
    ("BatchReduction", "batch_reduction_param { level: 2 pos: true reduction_param { axis: 0 } }",
     ((4, 4, 3),), (1, 3)),
    # 27 values a place of the kernel and channel, each of 20 places with weights of its own
    ("Local", "local_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 }", ((2, 3, 7, 9),),
     (2, 4, 4, 5), 2 * 4 * 27 * 20, ((4, 1, 27, 20), (1, 1, 4, 20))),
    ("MultiStageMeanfield", "multi_stage_meanfield_param { num_iterations: 5 }",
     ((1, 6, 4, 4), (1, 6, 4, 4), (1, 3, 4, 4)), (1, 6, 4, 4), None, ((1, 1, 6, 6),) * 3),
    ("YoloSeg", "", ((2, 1, 8, 8), (2, 1, 8, 8)), ()),
    ("EvalDetection", "", ((2, 1470), (2, 343)), (2, 20 + 7 * 7 * 2 * 4)),
))  # fmt: skip
CASES = (*COMPUTED, *NOT_COMPUTED)
