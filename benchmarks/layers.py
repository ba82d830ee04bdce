"""Every layer type's forward and backward against the plain torch counterpart, in one run.

The slowest ratios come first.

Both sides get the same inputs, weights and gradient, and must give the same values and gradients
before they are timed. Data layers are no part of a module; Split, Silence and Parameter compute
nothing; HDF5Output's time is the disk's, Python's the user's.

`python -m benchmarks.layers Clip LRN` times these types alone. Where others use the cores,
OMP_NUM_THREADS=1 gives the steadier ratios: two threads that wait for each other show the
scheduler's slices.
"""

from __future__ import annotations

import gc
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import log
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import netspec
from benchmarks.side_by_side import interleaved
from netspec.graph import Shape
from netspec.layers import SPECS
from netspec.layers.example import Example

SECONDS_A_CASE = 1.8
BOUND = 1.05
INDICES = ("label", "words", "order")
MAPS: dict[str, Shape] = {"data": (16, 64, 56, 56)}
TWO: dict[str, Shape] = {"a": (16, 64, 56, 56), "b": (16, 64, 56, 56)}
ROWS: dict[str, Shape] = {"data": (8192, 1000)}
SCORES: dict[str, Shape] = {"scores": (4096, 1000), "label": (4096,)}
SEGMENTS: dict[str, Shape] = {"scores": (8, 21, 128, 128), "label": (8, 1, 128, 128)}
VALUES: dict[str, Shape] = {"scores": (4096, 1000), "targets": (4096, 1000)}
SEQUENCE: dict[str, Shape] = {"data": (32, 32, 256), "cont": (32, 32)}

Plain = Callable[..., Any]


@dataclass
class Case:
    """A layer, its settings, and what one would write without netspec.

    A module, or a function of the same bottoms.
    """

    type: str
    bottoms: dict[str, Shape]
    settings: str = ""
    plain: Callable[[], Plain] | None = None
    note: str = ""
    tops: tuple[str, ...] = ("out",)
    then: str = ""  # a second layer's text, from `out` to `last`
    # the layer's blobs as the counterpart's
    weights: Callable[..., list[Tensor]] = field(default=lambda *blobs: list(blobs))
    is_random: bool = False

    @property
    def name(self) -> str:
        return f"{self.type} {self.note}".rstrip()

    def text(self) -> str:
        return (
            "force_backward: true\n"
            f"{Example(self.bottoms, self.settings, self.tops).text(self.type)}\n{self.then}"
        )


def written_out(function: Plain) -> Callable[[], Plain]:
    return lambda: function


class WithWeights(nn.Module):
    """A formula over weights of the layer's shapes."""

    def __init__(self, function: Plain, *shapes: Shape) -> None:
        super().__init__()
        self.function = function
        self.weights = nn.ParameterList(torch.empty(shape) for shape in shapes)

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs, *self.weights)


class PlainRecurrent(nn.Module):
    """Torch's own sequence layer, whose states begin at 0.

    For an RNN also the layer behind it that Caffe's has.
    """

    def __init__(self, kind: type[nn.LSTM | nn.RNN], inputs: int, hidden: int) -> None:
        super().__init__()
        self.sequence = kind(inputs, hidden)
        self.output = nn.Linear(hidden, hidden) if kind is nn.RNN else None

    def forward(self, x: Tensor, cont: Tensor) -> Tensor:
        hidden = self.sequence(x)[0]
        return hidden if self.output is None else self.output(hidden).tanh()


def lstm_weights(x: Tensor, bias: Tensor, h: Tensor) -> list[Tensor]:
    def turned(weight: Tensor) -> Tensor:
        i, f, o, g = weight.chunk(4)
        return torch.cat((i, f, g, o))

    return [turned(x), turned(h), turned(bias), torch.zeros_like(bias)]


def rnn_weights(x: Tensor, bias: Tensor, h: Tensor, o: Tensor, bias_o: Tensor) -> list[Tensor]:
    return [x, h, bias, torch.zeros_like(bias), o, bias_o]


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
    Case("LSTM", {"data": (32, 32, 256), "selector": (32, 32)}, RECURRENT, note="restarting often"),
    Case(
        "LSTMUnit",
        {"c_before": (1, 1024, 512), "gates": (1, 1024, 2048), "cont": (1, 1024)},
        tops=("c", "h"),
    ),
]


class Timing(NamedTuple):
    """The seconds that each side took for a layer, round by round."""

    name: str
    seconds: dict[str, list[float]]

    def ratio(self, statistic: Callable[[list[float]], float]) -> float:
        return statistic(self.seconds["netspec"]) / statistic(self.seconds["torch"])


def main(chosen: Sequence[str] = ()) -> None:
    torch.manual_seed(1)
    against: list[Timing] = []
    alone: list[Timing] = []
    for case in CASES:
        if not chosen or case.type in chosen:
            timing = time_case(case)
            (against if case.plain else alone).append(timing)
    against.sort(key=lambda timing: -timing.ratio(median))
    alone.sort(key=lambda timing: -median(timing.seconds["netspec"]))
    print(
        f"forward and backward of each layer, fp32, threads: {torch.get_num_threads()} "
        f"(a ratio of at most {BOUND:g} is asked for)"
    )
    print(
        f"  {'layer':<34}{'netspec ms':>11}{'torch ms':>10}"
        f"{'ratio':>8}{'of minima':>11}{'rounds':>8}"
    )
    for timing in against:
        ours, plain = (median(timing.seconds[side]) * 1e3 for side in ("netspec", "torch"))
        ratios = f"{timing.ratio(median):8.3f}{timing.ratio(min):11.3f}"
        print(
            f"  {timing.name:<34}{ours:11.2f}{plain:10.2f}{ratios}{len(timing.seconds['torch']):8}"
        )
    print("  without a counterpart in torch")
    for timing in alone:
        print(f"  {timing.name:<34}{median(timing.seconds['netspec']) * 1e3:11.2f}")
    if not chosen:
        print(f"  not timed: {', '.join(sorted(SPECS.keys() - {case.type for case in CASES}))}")
    print()


def time_case(case: Case) -> Timing:
    inputs = [values(name, shape, case) for name, shape in case.bottoms.items()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.prototxt"
        path.write_text(case.text())
        module = netspec.compile(netspec.load(path, "TRAIN"), seed=1)
    grads = [
        torch.randn_like(top) if top.dim() else torch.ones(()) for top in module(*inputs).values()
    ]
    sides = {
        "netspec": step(
            lambda *bottoms: tuple(module(*bottoms).values()),
            inputs,
            list(module.parameters()),
            grads,
        )
    }
    if case.plain is not None:
        plain, whole = (
            case.plain(),
            [
                x.long() if name in INDICES else x
                for name, x in zip(case.bottoms, inputs, strict=True)
            ],
        )
        params = list(plain.parameters()) if isinstance(plain, nn.Module) else []
        for param, blob in zip(params, case.weights(*module.parameters()), strict=True):
            param.data.copy_(blob.detach())
        sides["torch"] = step(plain, whole, params, grads)
        if not case.is_random:
            _check(case, sides, inputs)
    spent = sum(median(seconds) for seconds in interleaved(sides, rounds=3).values())
    gc.collect()
    gc.disable()
    seconds = interleaved(sides, rounds=min(200, max(8, round(SECONDS_A_CASE / spent))))
    gc.enable()
    return Timing(case.name, seconds)


def values(name: str, shape: Shape, case: Case) -> Tensor:
    """What a bottom of that name holds; float labels, as data layers give them."""
    if name == "cont":  # all streams begin at the first step
        return torch.cat((torch.zeros(1, *shape[1:]), torch.ones(shape[0] - 1, *shape[1:])))
    if name in ("selector", "similar"):
        return torch.randint(0, 2, shape).float()
    if name in INDICES:
        first = next(iter(case.bottoms.values()))
        return torch.randint(
            0,
            {"label": first[1] if len(first) > 1 else 1, "words": 8000, "order": first[0]}[name],
            shape,
        ).float()
    if name in ("targets", "positive"):
        return (torch.rand(shape) * 0.9 + 0.1).requires_grad_(
            name == "positive" or case.type == "EuclideanLoss"
        )
    return torch.randn(shape, requires_grad=name not in ("H", "like"))


def step(
    function: Plain, inputs: Sequence[Tensor], params: Sequence[Tensor], grads: list[Tensor]
) -> Callable[[], list[Tensor]]:
    """One forward and backward pass; it gives the tops."""
    leaves = [x for x in [*inputs, *params] if x.requires_grad]

    def run() -> list[Tensor]:
        for leaf in leaves:
            leaf.grad = None
        result = function(*inputs)
        tops = list(result) if isinstance(result, tuple) else [result]
        if tops[0].requires_grad:
            torch.autograd.backward(tops, grads)
        return tops

    return run


def _check(case: Case, sides: dict[str, Callable[[], list[Tensor]]], inputs: list[Tensor]) -> None:
    found = []
    for side in sides.values():
        tops = side()
        found.append(
            [*(top.detach() for top in tops), *(x.grad for x in inputs if x.grad is not None)]
        )
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(
            ours,
            plain,
            rtol=1e-3,
            atol=1e-4,
            msg=lambda text: f"{case.name} computes something else than torch: {text}",
        )


if __name__ == "__main__":
    main(sys.argv[1:])
