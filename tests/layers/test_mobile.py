"""The types of mobile nets against rules in numpy, their faults and quirks, and nets that train."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import netspec
from netspec.graph import Net
from tests import nets

Load = Callable[..., Net]
EDGES = np.array([-9, -3.5, -3, -2.5, -2, -1.5, -0.5, 0, 0.5, 2, 2.5, 3, 3.5, 6, 7, 30.0])
FILLERS = 'weight_filler { type: "gaussian" std: 0.3 } bias_filler { type: "constant" value: 0.2 }'


def relu6(x: np.ndarray, slope: float = 0) -> tuple[np.ndarray, np.ndarray]:
    top = np.minimum(np.maximum(x, 0) + slope * np.minimum(x, 0), 6)
    return top, np.where(x > 0, 1, slope) * (x < 6)


def hard_swish(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    slope = np.where(x < -3, 0, np.where(x > 3, 1, (2 * x + 3) / 6))
    return x * np.clip(x + 3, 0, 6) / 6, slope


def hard_sigmoid(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.clip(0.2 * x + 0.5, 0, 1), np.full_like(x, 0.2)


def mish(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    tanh = np.tanh(np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0))
    return x * tanh, tanh + x * (1 - tanh**2) / (1 + np.exp(-x))


ACTIVATIONS: dict[str, Any] = {
    'type: "ReLU6"': relu6,
    'type: "ReLU6" relu6_param { negative_slope: 0.125 }': lambda x: relu6(x, 0.125),
    'type: "ReLU6" relu6_param { negative_slope: -3 }': lambda x: relu6(x, -3),
    'type: "HardSwish"': hard_swish,
    'type: "HardSigmoid"': hard_sigmoid,
    'type: "Mish"': mish,
}


@pytest.mark.parametrize("top", ["x", "y"])
@pytest.mark.parametrize("layer", ACTIVATIONS)
def test_activations(load_warned: Load, layer: str, top: str) -> None:
    text = nets.net_text(f'top: "{top}" {layer}', force_backward=True, x=(2, 8))
    module = netspec.compile(load_warned(text)).double()
    x = torch.tensor(EDGES.reshape(2, 8), requires_grad=True)
    out = module(x=x)[top]
    out.sum().backward()
    wanted, slope = ACTIVATIONS[layer](EDGES.reshape(2, 8))
    if top == "x" and "-3" in layer:  # in place the gradient looks at the top
        slope = relu6(wanted, -3)[1]
    np.testing.assert_allclose(out.detach(), wanted, rtol=1e-12, atol=1e-12)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad, slope, rtol=1e-12, atol=1e-12)


def test_relu6_reads_what_a_later_layer_writes_over_it(load_warned: Load) -> None:
    text = nets.net_text('top: "x" type: "ReLU6"', force_backward=True, x=(1, 4)) + (
        'layer { type: "Scale" name: "s" bottom: "x" top: "x" '
        "scale_param { filler { value: 4 } } }\n"
    )
    x = torch.tensor([[-1.0, 1.0, 2.0, 7.0]], requires_grad=True)
    netspec.compile(load_warned(text))(x=x)["x"].sum().backward()
    # 4 and 8 stand there after Scale: 8 is not below 6
    assert x.grad is not None
    assert x.grad.tolist() == [[0, 4, 0, 0]]


def depthwise(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, step: tuple, pad: tuple) -> Any:
    """Each channel by itself, a window after the other."""
    padded = np.pad(x, ((0, 0), (0, 0), (pad[0],) * 2, (pad[1],) * 2))
    kernel = weight.shape[2:]
    sizes = [(padded.shape[2 + i] - kernel[i]) // step[i] + 1 for i in range(2)]
    top = np.zeros((*x.shape[:2], *sizes))
    for i in range(sizes[0]):
        for j in range(sizes[1]):
            rows, columns = i * step[0], j * step[1]
            window = padded[:, :, rows : rows + kernel[0], columns : columns + kernel[1]]
            top[:, :, i, j] = (window * weight[:, 0]).sum((2, 3)) + bias
    return top


@pytest.mark.parametrize(
    ("fields", "step", "pad"),
    [
        ("kernel_size: 3 stride: 1 pad: 1", (1, 1), (1, 1)),
        ("kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 pad_h: 0 pad_w: 1", (2, 1), (0, 1)),
        ("kernel_size: 2 kernel_size: 3 stride: 2 stride: 1 pad: 1 pad: 0", (2, 1), (1, 0)),
    ],
)
@pytest.mark.parametrize("kind", ["ConvolutionDepthwise", "DepthwiseConvolution"])
def test_depthwise_convolutions(
    load_warned: Load, kind: str, fields: str, step: Any, pad: Any
) -> None:
    group = "num_output: 4 group: 4" if kind == "DepthwiseConvolution" else "num_output: 4"
    text = nets.net_text(
        f'top: "y" type: "{kind}" convolution_param {{ {group} {fields} {FILLERS} }}',
        x=(2, 4, 6, 7),
    )
    module = netspec.compile(load_warned(text), seed=1).double()
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 7))
    weight, bias = (blob.detach().numpy() for blob in module.params["l"])
    assert weight.shape[:2] == (4, 1)
    with torch.no_grad():
        out = module(x=torch.tensor(x))["y"]
        larger = module(x=torch.zeros(1, 4, 9, 8).double())["y"]
    np.testing.assert_allclose(out, depthwise(x, weight, bias, step, pad), rtol=1e-10)
    assert larger.shape[2:] == depthwise(np.zeros((1, 4, 9, 8)), weight, bias, step, pad).shape[2:]


def test_convolution_depthwise_goes_by_the_channels_alone(load_warned: Load) -> None:
    text = nets.net_text(
        'top: "y" type: "ConvolutionDepthwise" '
        "convolution_param { num_output: 9 group: 2 kernel_size: 3 stride: 1 pad: 1 }",
        x=(1, 4, 5, 5),
    )
    net = load_warned(text, "'num_output' 9 is not looked at")
    assert net.blobs["y"].shape == (1, 4, 5, 5)
    assert [param.shape for param in net.layers[-1].params] == [(4, 1, 3, 3), (4,)]


def test_a_depthwise_convolution_with_other_groups_is_a_grouped_one(load_warned: Load) -> None:
    text = nets.net_text(
        'top: "y" type: "DepthwiseConvolution" '
        f"convolution_param {{ num_output: 6 group: 2 kernel_size: 1 {FILLERS} }}",
        x=(1, 4, 3, 3),
    )
    net = load_warned(text, "'group' is 2 for 4 channels")
    module = netspec.compile(net, seed=0)
    x = torch.rand(1, 4, 3, 3)
    weight, bias = module.params["l"]
    wanted = torch.nn.functional.conv2d(x, weight, bias, groups=2)
    assert torch.equal(module(x=x)["y"], wanted)


def test_shuffle_channel_interleaves(load_warned: Load) -> None:
    text = nets.net_text(
        'top: "y" type: "ShuffleChannel" shuffle_channel_param { group: 2 }', x=(3, 6)
    )
    net = load_warned(text)
    assert net.blobs["y"].shape == (3, 6, 1, 1)
    x = torch.arange(6.0).expand(3, 6)
    top = netspec.compile(net)(x=x)["y"]
    assert top.shape == (3, 6, 1, 1)
    assert top[0].flatten().tolist() == [0, 3, 1, 4, 2, 5]


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1, 1)])
def test_axpy(load_warned: Load, shape: Any) -> None:
    text = nets.net_text(
        'top: "out" type: "Axpy"', force_backward=True, a=shape, x=(2, 3, 4), y=(2, 3, 4)
    )
    if len(shape) == 4:
        text = text.replace("dim: 3 dim: 4", "dim: 3 dim: 4 dim: 5")
    rng = np.random.default_rng(0)
    module = netspec.compile(load_warned(text)).double()
    sizes = (2, 3, 4) if len(shape) == 2 else (2, 3, 4, 5)
    a, x, y, grad = rng.normal(size=shape), *(rng.normal(size=sizes) for _ in range(3))
    feed = {k: torch.tensor(v, requires_grad=True) for k, v in (("a", a), ("x", x), ("y", y))}
    out = module(**feed)["out"]
    out.backward(torch.tensor(grad))
    spread = a.reshape(2, 3, *[1] * (len(sizes) - 2))
    np.testing.assert_allclose(out.detach(), spread * x + y)
    wanted = {
        "a": (grad * x).sum(tuple(range(2, len(sizes)))).reshape(shape),
        "x": grad * spread,
        "y": grad,
    }
    for name, value in wanted.items():
        assert feed[name].grad is not None
        np.testing.assert_allclose(feed[name].grad, value, err_msg=name)


CONVOLUTION = 'type: "ConvolutionDepthwise" convolution_param'


@pytest.mark.parametrize(
    ("layer", "shapes", "message", "line"),
    [
        (f"{CONVOLUTION} {{ stride: 1 pad: 0 }}", {}, "'kernel_size' must be given", 2),
        (f"{CONVOLUTION} {{ kernel_size: 3 stride: 0 pad: 0 }}", {}, "must be at least 1", 2),
        (f"{CONVOLUTION} {{ kernel_size: 9 stride: 1 pad: 0 }}", {}, "does not fit into", 2),
        (
            f"{CONVOLUTION} {{ kernel_size: 1 stride: 1 pad: 0 }}",
            {"x": (1, 4)},
            "takes a blob of 4 axes (N×C×H×W), got 2",
            2,
        ),
        (
            'type: "ShuffleChannel" shuffle_channel_param { group: 3 }',
            {},
            "'group' 3 does not divide the 4 channels of 'x'",
            2,
        ),
        (
            'type: "ShuffleChannel" shuffle_channel_param { group: 0 }',
            {},
            "'group' must be at least 1, got 0",
            2,
        ),
        (
            'type: "ShuffleChannel"',
            {"x": (1, 4, 2, 2, 2)},
            "takes a blob of 1 to 4 axes, got 5",
            2,
        ),
        (
            'type: "Axpy"',
            {"a": (1, 3), "x": (1, 4, 2, 2), "y": (1, 4, 2, 2)},
            "'a' (1×3) must hold one factor for each item and channel of 'x'",
            4,
        ),
        (
            'type: "Axpy"',
            {"a": (1, 4), "x": (1, 4, 2, 2), "y": (1, 4, 2, 3)},
            "'x' (1×4×2×2) and 'y' (1×4×2×3) must agree in every axis",
            4,
        ),
        (
            'type: "DepthwiseConvolution" convolution_param { num_output: 4 group: 3 }',
            {},
            "'group' 3 does not divide 'num_output' 4",
            2,
        ),
    ],
)
def test_faults(load_warned: Load, layer: str, shapes: Any, message: str, line: int) -> None:
    text = nets.net_text(f'top: "top" {layer}', **(shapes or {"x": (1, 4, 5, 5)}))
    with pytest.raises(netspec.NetspecError) as error:
        load_warned(text)
    fault = next(d for d in error.value.diagnostics if message in d.message)
    assert fault.span is not None
    assert fault.span.line == line


@pytest.mark.parametrize("missing", ["stride", "pad"])
def test_convolution_depthwise_warns_of_what_the_fork_does_not_default(
    load_warned: Load, missing: str
) -> None:
    fields = {"stride": "pad: 0", "pad": "stride: 1"}[missing]
    net = load_warned(
        nets.net_text(f'top: "y" {CONVOLUTION} {{ kernel_size: 3 {fields} }}', x=(1, 4, 5, 5)),
        f"without '{missing}' is undefined",
    )
    assert net.blobs["y"].shape == (1, 4, 3, 3)


def layer(name: str, kind: str, bottoms: str, top: str, fields: str = "") -> str:
    inputs = " ".join(f'bottom: "{bottom}"' for bottom in bottoms.split())
    return f'layer {{ name: "{name}" type: "{kind}" {inputs} top: "{top}" {fields} }}\n'


def filters(count: int, fields: str) -> str:
    return (
        f"convolution_param {{ num_output: {count} {fields} bias_term: false "
        'weight_filler { type: "msra" } }'
    )


DATA = (
    'layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param { '
    "shape { dim: 4 dim: 3 dim: 12 dim: 12 } shape { dim: 4 } "
    'data_filler { type: "gaussian" } data_filler { type: "constant" value: 1 } } }\n'
)
HEAD = layer(
    "fc",
    "InnerProduct",
    "pool",
    "fc",
    'inner_product_param { num_output: 5 weight_filler { type: "xavier" } }',
) + layer("loss", "SoftmaxWithLoss", "fc label", "loss")
POOL = "pooling_param { pool: AVE global_pooling: true }"
MOBILE_NET = (
    DATA
    + layer("stem", "Convolution", "data", "stem", filters(8, "kernel_size: 3 stride: 2 pad: 1"))
    + layer("bn", "BatchNorm", "stem", "stem")
    + layer("scale", "Scale", "stem", "stem", "scale_param { bias_term: true }")
    + layer("relu6", "ReLU6", "stem", "stem")
    + layer(
        "dw", "DepthwiseConvolution", "stem", "dw", filters(8, "group: 8 kernel_size: 3 pad: 1")
    )
    + layer("swish", "HardSwish", "dw", "dw")
    + layer("pw", "Convolution", "dw", "pw", filters(16, "kernel_size: 1"))
    + layer("mish", "Mish", "pw", "pw")
    + layer("pool", "Pooling", "pw", "pool", POOL)
    + HEAD
)
SHUFFLE_NET = (
    DATA
    + layer("stem", "Convolution", "data", "stem", filters(8, "kernel_size: 3 stride: 2 pad: 1"))
    + layer("g1", "Convolution", "stem", "g1", filters(8, "group: 2 kernel_size: 1"))
    + layer("shuffle", "ShuffleChannel", "g1", "sh", "shuffle_channel_param { group: 2 }")
    + layer("dw", "ConvolutionDepthwise", "sh", "dw", filters(8, "kernel_size: 3 stride: 1 pad: 1"))
    + layer("squeeze", "Pooling", "dw", "squeeze", POOL)
    + layer("excite", "Convolution", "squeeze", "excite", filters(8, "kernel_size: 1"))
    + layer("gate", "HardSigmoid", "excite", "excite")
    + layer("axpy", "Axpy", "excite dw stem", "sum")
    + layer("pool", "Pooling", "sum", "pool", POOL)
    + HEAD
)


@pytest.mark.parametrize("text", [MOBILE_NET, SHUFFLE_NET], ids=["mobile", "shuffle"])
def test_small_nets_train(tmp_path: Path, text: str) -> None:
    (tmp_path / "net.prototxt").write_text(text)
    solver_file = tmp_path / "solver.prototxt"
    solver_file.write_text(
        f'net: "{tmp_path / "net.prototxt"}" base_lr: 0.05 lr_policy: "fixed" max_iter: 3 '
        f'momentum: 0.9 random_seed: 1 snapshot_prefix: "{tmp_path / "s"}"'
    )
    solver = netspec.Solver(solver_file)
    before = [blob.detach().clone() for blobs in solver.module.params.values() for blob in blobs]
    first = solver.step(1)["loss"]
    second = solver.step(1)["loss"]
    assert second < first
    after = [blob for blobs in solver.module.params.values() for blob in blobs]
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("kind", ["ReLU6", "HardSwish", "HardSigmoid", "Mish"])
def test_activations_compile(load_warned: Load, kind: str) -> None:
    module = netspec.compile(load_warned(nets.net_text(f'top: "y" type: "{kind}"', x=(2, 8))))
    x = torch.tensor(EDGES, dtype=torch.float32).reshape(2, 8)
    compiled = torch.compile(module, backend="aot_eager")
    assert torch.equal(compiled(x=x)["y"], module(x=x)["y"])
