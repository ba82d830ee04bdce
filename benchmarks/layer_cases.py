"""The cases of the layers' benchmark: each layer type with its plain torch counterpart."""

from __future__ import annotations

from math import log

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.layer_case import (
    Case,
    PlainRecurrent,
    PlainSteps,
    WithWeights,
    lstm_weights,
    rnn_weights,
    written_out,
)
from netspec.graph import Shape

MAPS: dict[str, Shape] = {"data": (16, 64, 56, 56)}
TWO: dict[str, Shape] = {"a": (16, 64, 56, 56), "b": (16, 64, 56, 56)}
ROWS: dict[str, Shape] = {"data": (8192, 1000)}
SCORES: dict[str, Shape] = {"scores": (4096, 1000), "label": (4096,)}
FEW: dict[str, Shape] = {"scores": (64, 10), "label": (64,)}
SOME: dict[str, Shape] = {"scores": (256, 1000), "label": (256,)}
SEGMENTS: dict[str, Shape] = {"scores": (8, 21, 128, 128), "label": (8, 1, 128, 128)}
VALUES: dict[str, Shape] = {"scores": (4096, 1000), "targets": (4096, 1000)}
SEQUENCE: dict[str, Shape] = {"data": (32, 32, 256), "cont": (32, 32)}

XAVIER = 'weight_filler { type: "xavier" }'
RECURRENT = f"recurrent_param {{ num_output: 256 {XAVIER} }}"
SCALE = (
    'layer { name: "scale" type: "Scale" bottom: "out" top: "last" '
    "scale_param { filler { value: 0.5 } bias_term: true } }"
)
CHANNEL = (64, 1, 1)

CASES = [
    Case(
        "Convolution",
        {"data": (16, 64, 56, 56)},
        f"convolution_param {{ num_output: 64 kernel_size: 3 pad: 1 {XAVIER} }}",
        lambda: nn.Conv2d(64, 64, 3, padding=1),
        "3×3",
    ),
    Case(
        "Convolution",
        {"data": (16, 96, 27, 27)},
        f"convolution_param {{ num_output: 256 kernel_size: 5 pad: 2 group: 2 {XAVIER} }}",
        lambda: nn.Conv2d(96, 256, 5, padding=2, groups=2),
        "5×5, 2 groups",
    ),
    Case(
        "Convolution",
        {"data": (16, 64, 28, 28)},
        f"convolution_param {{ num_output: 64 kernel_size: 3 pad: 2 dilation: 2 {XAVIER} }}",
        lambda: nn.Conv2d(64, 64, 3, padding=2, dilation=2),
        "3×3, dilated",
    ),
    Case(
        "Deconvolution",
        {"data": (16, 32, 28, 28)},
        f"convolution_param {{ num_output: 32 kernel_size: 4 stride: 2 pad: 1 {XAVIER} }}",
        lambda: nn.ConvTranspose2d(32, 32, 4, 2, 1),
    ),
    Case(
        "Im2col",
        {"data": (16, 32, 28, 28)},
        "convolution_param { kernel_size: 3 pad: 1 }",
        lambda: lambda x: F.unfold(x, 3, padding=1).view(16, 288, 28, 28),
    ),
    Case(
        "Pooling",
        MAPS,
        "pooling_param { pool: MAX kernel_size: 3 stride: 2 }",
        lambda: nn.MaxPool2d(3, 2, ceil_mode=True),
        "MAX",
    ),
    Case(
        "Pooling",
        MAPS,
        "pooling_param { pool: AVE kernel_size: 3 stride: 2 }",
        lambda: nn.AvgPool2d(3, 2, ceil_mode=True),
        "AVE",
    ),
    Case(
        "Pooling",
        MAPS,
        "pooling_param { pool: MAX kernel_size: 2 stride: 2 pad: 1 }",
        lambda: nn.MaxPool2d(2, 2, padding=1),
        "MAX, padded",
    ),
    Case(
        "Pooling",
        MAPS,
        "pooling_param { pool: STOCHASTIC kernel_size: 3 stride: 2 }",
        note="STOCHASTIC",
    ),
    Case(
        "SPP",
        {"data": (16, 64, 32, 32)},
        "spp_param { pyramid_height: 3 }",
        lambda: (
            lambda x: torch.cat(
                [F.adaptive_max_pool2d(x, 2**level).flatten(1) for level in range(3)], 1
            )
        ),
    ),
    Case(
        "InnerProduct",
        {"data": (64, 256, 6, 6)},
        f"inner_product_param {{ num_output: 1024 {XAVIER} }}",
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(9216, 1024)),
    ),
    Case(
        "InnerProduct",
        {"data": (64, 4096)},
        f"inner_product_param {{ num_output: 1000 transpose: true {XAVIER} }}",
        lambda: WithWeights(lambda x, w, b: torch.addmm(b, x, w), (4096, 1000), (1000,)),
        "transposed",
    ),
    Case(
        "Embed",
        {"words": (128, 64)},
        f"embed_param {{ input_dim: 8000 num_output: 300 {XAVIER} }}",
        lambda: WithWeights(lambda x, w, b: F.embedding(x, w) + b, (8000, 300), (300,)),
    ),
    Case(
        "LRN",
        MAPS,
        "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }",
        lambda: nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0),
    ),
    Case(
        "LRN",
        MAPS,
        "lrn_param { local_size: 3 alpha: 0.001 beta: 0.75 norm_region: WITHIN_CHANNEL }",
        written_out(lambda x: x * (1 + 1e-3 * F.avg_pool2d(x * x, 3, 1, 1)).pow(-0.75)),
        "within channel",
    ),
    Case("BatchNorm", MAPS, "", lambda: nn.BatchNorm2d(64, affine=False)),
    Case(
        "BatchNorm",
        MAPS,
        "",
        lambda: nn.BatchNorm2d(64),
        "+ Scale",
        then=SCALE,
        weights=lambda weight, bias: [weight, bias],
    ),
    Case("MVN", MAPS, "", lambda: nn.InstanceNorm2d(64, eps=1e-12)),
    Case("AbsVal", MAPS, "", written_out(torch.abs)),
    Case("BNLL", MAPS, "", lambda: nn.Softplus()),
    Case("Clip", MAPS, "clip_param { min: -1 max: 1 }", lambda: nn.Hardtanh()),
    Case("ELU", MAPS, "", lambda: nn.ELU()),
    Case("Exp", MAPS, "", written_out(torch.exp)),
    Case(
        "Exp",
        MAPS,
        "exp_param { base: 2 scale: 0.5 }",
        written_out(lambda x: (x * (0.5 * log(2))).exp()),
        "base 2",
    ),
    Case(
        "Log",
        {"positive": (16, 64, 56, 56)},
        "log_param { shift: 1 }",
        written_out(lambda x: (x + 1).log()),
    ),
    Case(
        "Power",
        {"positive": (16, 64, 56, 56)},
        "power_param { power: 0.5 scale: 2 shift: 1 }",
        written_out(lambda x: (x * 2 + 1).pow(0.5)),
        "0.5",
    ),
    Case(
        "Power",
        MAPS,
        "power_param { power: 2 scale: 0.5 shift: 1 }",
        written_out(lambda x: (x * 0.5 + 1).square()),
        "2",
    ),
    Case("PReLU", MAPS, "", lambda: nn.PReLU(64)),
    Case("ReLU", MAPS, "", lambda: nn.ReLU()),
    Case("ReLU", MAPS, "relu_param { negative_slope: 0.1 }", lambda: nn.LeakyReLU(0.1), "leaky"),
    Case("Sigmoid", MAPS, "", lambda: nn.Sigmoid()),
    Case("Swish", MAPS, "", lambda: nn.SiLU()),
    Case(
        "Swish",
        MAPS,
        "swish_param { beta: 1.5 }",
        written_out(lambda x: x * torch.sigmoid(1.5 * x)),
        "beta 1.5",
    ),
    Case("TanH", MAPS, "", lambda: nn.Tanh()),
    Case(
        "Threshold",
        MAPS,
        "threshold_param { threshold: 0.5 }",
        written_out(lambda x: (x > 0.5).float()),
    ),
    Case("Dropout", MAPS, "", lambda: nn.Dropout(), is_random=True),
    Case("Concat", TWO, "", written_out(lambda a, b: torch.cat((a, b), 1))),
    Case(
        "Slice",
        MAPS,
        "slice_param { slice_point: 16 }",
        written_out(lambda x: torch.split(x, [16, 48], 1)),
        tops=("p", "q"),
    ),
    Case("Flatten", MAPS, "", lambda: nn.Flatten()),
    Case(
        "Reshape",
        MAPS,
        "reshape_param { shape { dim: 0 dim: 8 dim: -1 dim: 56 } }",
        written_out(lambda x: x.reshape(16, 8, -1, 56)),
    ),
    Case(
        "Tile", MAPS, "tile_param { axis: 1 tiles: 3 }", written_out(lambda x: x.repeat(1, 3, 1, 1))
    ),
    Case(
        "Crop",
        {"data": (16, 64, 64, 64), "like": (16, 1, 50, 50)},
        "crop_param { axis: 2 offset: 7 }",
        written_out(lambda x, like: x[:, :, 7:57, 7:57]),
    ),
    Case(
        "ArgMax",
        ROWS,
        "argmax_param { axis: 1 }",
        written_out(lambda x: x.argmax(1, keepdim=True).float()),
    ),
    Case(
        "ArgMax",
        ROWS,
        "argmax_param { top_k: 5 axis: 1 }",
        written_out(lambda x: x.topk(5, 1).indices.float()),
        "top 5",
    ),
    Case(
        "BatchReindex",
        {"data": (512, 4096), "order": (512,)},
        "",
        written_out(lambda x, order: x.index_select(0, order)),
    ),
    Case(
        "Filter",
        {"data": (512, 4096), "selector": (512,)},
        "",
        written_out(lambda x, selector: x[selector != 0]),
    ),
    Case("Eltwise", TWO, "", written_out(torch.add), "SUM"),
    Case(
        "Eltwise",
        TWO,
        "eltwise_param { coeff: 1 coeff: -1 }",
        written_out(torch.sub),
        "SUM, coefficients",
    ),
    Case("Eltwise", TWO, "eltwise_param { operation: PROD }", written_out(torch.mul), "PROD"),
    Case("Eltwise", TWO, "eltwise_param { operation: MAX }", written_out(torch.maximum), "MAX"),
    Case(
        "Scale",
        MAPS,
        "scale_param { filler { value: 0.5 } }",
        lambda: WithWeights(lambda x, w: x * w.view(CHANNEL), (64,)),
    ),
    Case(
        "Scale",
        MAPS,
        "scale_param { filler { value: 0.5 } bias_term: true }",
        lambda: WithWeights(lambda x, w, b: x * w.view(CHANNEL) + b.view(CHANNEL), (64,), (64,)),
        "with bias",
    ),
    Case("Bias", MAPS, "", lambda: WithWeights(lambda x, b: x + b.view(CHANNEL), (64,))),
    Case(
        "Reduction",
        MAPS,
        "reduction_param { axis: 1 }",
        written_out(lambda x: x.sum((1, 2, 3))),
        "SUM",
    ),
    Case(
        "Reduction",
        MAPS,
        "reduction_param { operation: ASUM axis: 1 }",
        written_out(lambda x: x.abs().sum((1, 2, 3))),
        "ASUM",
    ),
    Case("Softmax", ROWS, "", lambda: nn.Softmax(1)),
    Case("Softmax", {"data": (8, 21, 128, 128)}, "", lambda: nn.Softmax(1), "of planes"),
    Case("SoftmaxWithLoss", SCORES, "", lambda: nn.CrossEntropyLoss()),
    Case("SoftmaxWithLoss", FEW, "", lambda: nn.CrossEntropyLoss(), "64×10"),
    Case("SoftmaxWithLoss", SOME, "", lambda: nn.CrossEntropyLoss(), "256×1000"),
    Case(
        "SoftmaxWithLoss",
        SEGMENTS,
        "loss_param { ignore_label: 3 }",
        written_out(lambda x, label: F.cross_entropy(x, label.squeeze(1), ignore_index=3)),
        "of planes, ignoring",
    ),
    Case("InfogainLoss", {"scores": (8192, 100), "label": (8192,), "H": (1, 1, 100, 100)}),
    Case(
        "MultinomialLogisticLoss",
        {"positive": (4096, 1000), "label": (4096,)},
        "",
        written_out(lambda p, label: F.nll_loss(p.log(), label)),
    ),
    Case("HingeLoss", SCORES),
    Case(
        "Accuracy",
        SCORES,
        "accuracy_param { top_k: 5 }",
        written_out(lambda x, label: (x.topk(5, 1).indices == label.unsqueeze(1)).sum() / 4096),
        "top 5",
    ),
    Case(
        "Accuracy",
        SOME,
        "",
        written_out(lambda x, label: (x.argmax(1) == label).float().mean()),
        "256×1000",
    ),
    Case(
        "SigmoidCrossEntropyLoss",
        VALUES,
        "loss_param { normalization: FULL }",
        lambda: nn.BCEWithLogitsLoss(),
    ),
    Case(
        "EuclideanLoss",
        {"out": (4096, 1000), "targets": (4096, 1000)},
        "",
        written_out(lambda a, b: F.mse_loss(a, b, reduction="sum") / 8192),
        tops=("loss",),
    ),
    Case("ContrastiveLoss", {"a": (4096, 1000), "b": (4096, 1000), "similar": (4096,)}),
    Case(
        "LSTM", SEQUENCE, RECURRENT, lambda: PlainRecurrent(nn.LSTM, 256, 256), weights=lstm_weights
    ),
    Case("RNN", SEQUENCE, RECURRENT, lambda: PlainRecurrent(nn.RNN, 256, 256), weights=rnn_weights),
    Case(
        "LSTM",
        {"data": (32, 32, 256), "restarts": (32, 32)},
        RECURRENT,
        lambda: PlainSteps(256, 256),
        "restarting often",
        weights=lstm_weights,
    ),
    Case(
        "LSTMUnit",
        {"c_before": (1, 1024, 512), "gates": (1, 1024, 2048), "cont": (1, 1024)},
        tops=("c", "h"),
    ),
]
