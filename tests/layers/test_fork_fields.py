"""Fields that forks add to Caffe's own layers: what is carried out, and what ends unharmed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError, Report
from netspec.graph import Net
from tests.nets import Shape, net_text

Load = Callable[..., Net]
X: Shape = (2, 4, 9, 10)


def layer(text: str, shape: Shape = X) -> str:
    return net_text(f'top: "y" {text}', True, x=shape)


def pooling(fields: str) -> str:
    return layer(f'type: "Pooling" pooling_param {{ kernel_size: 2 stride: 2 {fields} }}')


@pytest.mark.parametrize(
    ("fields", "rows"),
    [
        ("ceil_mode: true", 5),
        ("ceil_mode: false", 4),
        ("ceil_mode: false round_mode: FLOOR", 4),
        ("ceil_mode: true round_mode: CEIL", 5),
    ],
)
@pytest.mark.parametrize("method", ["MAX", "AVE"])
def test_ceil_mode_is_round_mode(method: str, fields: str, rows: int, load_text: Load) -> None:
    report = Report()
    net = load_text(pooling(f"pool: {method} {fields}"), report=report)
    assert net.blobs["y"].shape == (2, 4, rows, 5)
    assert not report.diagnostics
    x = torch.rand(X)
    mode = "CEIL" if rows == 5 else "FLOOR"
    twin = netspec.compile(load_text(pooling(f"pool: {method} round_mode: {mode}")))
    assert torch.equal(netspec.compile(net)(x)["y"], twin(x)["y"])


@pytest.mark.parametrize(("ceil", "mode"), [("true", "FLOOR"), ("false", "CEIL")])
def test_two_words_that_contradict_each_other(ceil: str, mode: str, load_text: Load) -> None:
    message = f"'ceil_mode' and 'round_mode' {mode} contradict each other"
    with pytest.raises(NetspecError, match=message):
        load_text(pooling(f"ceil_mode: {ceil} round_mode: {mode}"))


def convolution(fields: str, shape: Shape = X) -> str:
    settings = f"num_output: 3 {fields} weight_filler {{ type: 'xavier' }}".replace("'", '"')
    return layer(f'type: "Convolution" convolution_param {{ {settings} }}', shape)


@pytest.mark.parametrize(
    ("fields", "same"),
    [
        ("kernel_size: 3 hole: 2", "kernel_size: 3 dilation: 2"),
        ("kernel_size: 3 hole_h: 2 hole_w: 3", "kernel_size: 3 dilation: 2 dilation: 3"),
        ("kernel_size: 3 dilation_h: 1 dilation_w: 4", "kernel_size: 3 dilation: 1 dilation: 4"),
    ],
)
def test_holes_are_a_dilation(fields: str, same: str, load_text: Load) -> None:
    x = torch.rand(X)
    ours, theirs = (
        netspec.compile(load_text(convolution(text)), seed=1)(x)["y"] for text in (fields, same)
    )
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("fields", "shape", "message"),
    [
        ("hole_h: 2", X, "'hole_h' stands here without 'hole_w'"),
        ("hole: 0", X, "'hole' must be at least 1, got 0"),
        ("hole: 2 dilation: 2", X, "the dilation stands here in two ways"),
        ("hole: 2 dilation_h: 2 dilation_w: 2", X, "the dilation stands here in two ways"),
        ("hole_h: 2 hole_w: 2", (2, 4, 9), "are for two spatial axes, the bottom has 1"),
    ],
)
def test_faults_of_holes(fields: str, shape: Shape, message: str, load_text: Load) -> None:
    with pytest.raises(NetspecError, match=message):
        load_text(convolution(f"kernel_size: 2 {fields}", shape))


def dropout(fields: str, more: str = "") -> str:
    return layer(f'type: "Dropout" {more} dropout_param {{ dropout_ratio: 0.25 {fields} }}')


@pytest.mark.parametrize(
    ("fields", "more", "phase", "found"),
    [
        ("scale_train: false", "", "TRAIN", {0.0, 1.0}),
        ("scale_train: false", "", "TEST", {0.75}),
        ("scale_train: true", "", "TRAIN", {0.0, 1 / 0.75}),
        ("scale_train: false", "phase: TRAIN", "TEST", {0.0, 1.0}),
        ("scale_train: false", "phase: TEST", "TRAIN", {0.75}),
        ("sample_weights_test: true", "", "TEST", {0.0, 1 / 0.75}),
        ("sample_weights_test: true scale_train: false", "", "TEST", {0.0, 1.0}),
        ("sample_weights_test: false", "", "TEST", {1.0}),
    ],
)
def test_the_forks_dropouts(
    fields: str, more: str, phase: str, found: set[float], load_text: Load
) -> None:
    torch.manual_seed(0)
    module = netspec.compile(load_text(dropout(fields, more), phase=phase))
    x = torch.ones(40, 40, requires_grad=True)
    y = module(x)["y"]
    assert sorted(set(y.unique().tolist())) == pytest.approx(sorted(found))
    assert (y == 0).float().mean().item() == pytest.approx(0.25 * (0.0 in found), abs=0.05)
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (pooling("pool: DEF"), "pool"),
        (pooling("pool: LOWRES"), "pool"),
        (pooling("pad_type: 1"), "pad_type"),
        (pooling("pool: AVE avg_include_pad: false"), "avg_include_pad"),
        (convolution("kernel_size: 3 relu: true"), "relu"),
        (layer('type: "ReLU" relu_param { fuse: true }'), "fuse"),
        (layer('type: "Dropout" dropout_param { sqrt_scale: true }'), "sqrt_scale"),
        (layer('type: "Reduction" reduction_param { operation: TOPK k: 3 }'), "operation"),
        (
            net_text(
                'type: "Eltwise" top: "y" eltwise_param { operation: STOCHASTIC_SUM }', x=X, z=X
            ),
            "operation",
        ),
        (
            net_text('type: "Eltwise" top: "y" eltwise_param { operation: SORT }', x=X, z=X),
            "operation",
        ),
        (
            net_text(
                'type: "SoftmaxWithLoss" top: "y" loss_param { label_smoothing: 0.1 }',
                x=(2, 3),
                label=(2,),
            ),
            "label_smoothing",
        ),
        (
            layer(
                'type: "Deconvolution" convolution_param { num_output: 2 kernel_size: 3 hole: 2 }'
            ),
            "hole",
        ),
    ],
)
def test_what_is_not_carried_out_has_shapes_and_is_not_computed(
    text: str, field: str, load_text: Load
) -> None:
    report = Report()
    net = load_text(text, report=report)
    assert net.blobs["y"].shape is not None
    message = f"layer 'l': '{field}' is a fork's field that netspec does not carry out"
    assert message in [diagnostic.message for diagnostic in report.diagnostics]
    with pytest.raises(NetspecError, match=f"'{field}' is a fork's field"):
        netspec.compile(net)
