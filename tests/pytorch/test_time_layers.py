"""Layers run one at a time.

Every type, every net in models/, and that they compute what the whole net computes.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import netspec
from netspec.graph import Net
from netspec.layers import SPECS
from netspec.pytorch.layer_nodes import nodes_of_layers
from netspec.pytorch.lower import lower
from netspec.pytorch.time_layers import TimedNet, Times, stand_ins, time_layers
from tests.conftest import ROOT

# Types that compute nothing of their own, and those that send no gradient to their bottoms.
IDLE = {
    "AnnotatedData",
    "Input",
    "MemoryData",
    "DummyData",
    "Data",
    "ImageData",
    "WindowData",
    "HDF5Data",
    "Split",
    "Silence",
}
NO_GRADIENT = {*IDLE, "HDF5Output", "Threshold", "ArgMax", "Accuracy"}
MODELS = sorted(
    path for name in ("train_val", "deploy") for path in (ROOT / "models").glob(f"*/{name}.*")
)
# In-place chains whose gradients read overwritten values, a Split, shared params, a label that is
# cut, a branch without a loss.
TANGLED = """
layer { name: "data" type: "Input" top: "data" top: "labels" \
input_param { shape { dim: 4 dim: 2 dim: 6 dim: 6 } shape { dim: 4 dim: 2 } } }
layer { name: "slice" type: "Slice" bottom: "labels" top: "label" top: "other" }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" \
scale_param { filler { value: -1 } } }
layer { name: "split" type: "Split" bottom: "conv" top: "left" top: "right" }
layer { name: "stop" type: "Sigmoid" bottom: "left" top: "stop" propagate_down: false }
layer { name: "ip" type: "InnerProduct" bottom: "right" top: "ip" param { name: "w" }
  inner_product_param { num_output: 3 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "twin" type: "InnerProduct" bottom: "stop" top: "twin" param { name: "w" }
  inner_product_param { num_output: 3 bias_term: false } }
layer { name: "sum" type: "Eltwise" bottom: "ip" bottom: "twin" top: "sum" }
layer { name: "reshape" type: "Reshape" bottom: "label" top: "flat" \
reshape_param { shape { dim: -1 } } }
layer { name: "first" type: "Slice" bottom: "flat" top: "a" top: "b" slice_param { axis: 0 } }
layer { name: "both" type: "Concat" bottom: "a" bottom: "b" top: "classes" \
concat_param { axis: 0 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "sum" bottom: "classes" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "sum" bottom: "classes" top: "accuracy" }
layer { name: "side" type: "InnerProduct" bottom: "stop" top: "side" \
inner_product_param { num_output: 2 } }
layer { name: "quiet" type: "Silence" bottom: "side" bottom: "other" }
"""


def timed(net: Net) -> Times:
    return time_layers(net, "cpu", 1, lambda index, seconds: None)


def example_net(name: str, phase: str, folder: Path) -> Net:
    example = SPECS[name].example
    (folder / "my_layers.py").write_text(SPECS["Python"].example.code)
    text = example.text(name).replace("num_output: 1000", "num_output: 10")
    (folder / "net.prototxt").write_text(f"force_backward: true\n{text}")
    return netspec.load(
        folder / "net.prototxt", phase, inputs=example.inputs, allow_python_layers=True
    )


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_every_layer_type_is_timed(
    name: str, phase: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    layer = timed(example_net(name, phase, tmp_path)).layers[-1]
    is_idle = name in IDLE or (name, phase) == ("Dropout", "TEST")
    assert (layer.layer.type, layer.forward > 0) == (name, not is_idle)
    if name != "Parameter":  # nothing reads it
        assert (layer.backward > 0) == (name not in NO_GRADIENT and not is_idle)
    assert not (tmp_path / "out.h5").exists(), "the user's results are not written over"


@pytest.mark.parametrize("path", MODELS, ids=lambda path: f"{path.parent.name}/{path.stem}")
@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_nodes_of_every_model_belong_to_one_layer(path: Path, phase: str) -> None:
    channels, size = (
        (1, 28) if "mnist" in str(path) else (3, 224 if "flowers" in str(path) else 227)
    )
    net = netspec.load(path, phase, inputs={"data": (1, channels, size, size)})
    module = lower(net)
    found = nodes_of_layers(module)
    computing = [node for node in module.graph.nodes if node.op not in ("placeholder", "output")]
    assert [node for nodes, _ in found for node in nodes] == computing
    for layer, (nodes, tops) in zip(net.layers, found, strict=True):
        assert len(tops) == (
            0 if layer.type in IDLE or (layer.type == "Dropout" and phase == "TEST") else 1
        )
        assert {str(node.target) for node in nodes if node.op == "call_module"} <= {
            module.about.targets.get(layer.name)
        }


@pytest.fixture
def tangled(load_text) -> Net:
    return load_text(TANGLED, phase="TRAIN")


def forward_alone(net: Net) -> TimedNet:
    run = TimedNet(net, torch.device("cpu"), "")
    run.blobs = dict(zip(run.placeholders, run.inputs, strict=True))
    for piece in run.pieces:
        piece.forward()
    return run


def test_layers_alone_compute_what_the_whole_net_computes(tangled: Net) -> None:
    run = forward_alone(tangled)
    whole = run.module(*run.inputs)
    alone = {node.name: value for node, value in run.blobs.items()}
    for layer, tops in zip(tangled.layers, run.module.about.tops, strict=True):
        if layer.name in ("loss", "accuracy"):
            assert torch.equal(alone[tops[0]], whole[layer.name])


def test_gradients_go_where_a_training_step_sends_them(tangled: Net) -> None:
    times = {layer.layer.name: layer for layer in timed(tangled).layers}
    without = {name for name, layer in times.items() if layer.backward == 0}
    assert without == {
        "data",
        "slice",
        "split",
        "reshape",
        "first",
        "both",
        "stop",
        "accuracy",
        "side",
        "quiet",
    }
    idle = {name for name, layer in times.items() if layer.forward == 0}
    assert idle == {"data", "split", "quiet"}


def test_a_layers_gradient_is_that_of_its_piece_alone(tangled: Net) -> None:
    """From tops' gradients of 1 the loss gives its bottom what it gives it in the whole net."""
    run = forward_alone(tangled)
    names = [layer.name for layer in tangled.layers]
    loss = run.pieces[names.index("loss")]
    scores, classes = loss.leaves
    torch.autograd.backward(loss.computed, [torch.ones_like(top) for top in loss.computed])
    wanted = torch.softmax(scores.detach(), 1)
    wanted[torch.arange(4), classes.detach().long().flatten()] -= 1
    torch.testing.assert_close(scores.grad, wanted / 4)
    assert run.module.params["ip"][0].grad is None, "it ends at the piece's own bottoms"


def test_nothing_is_kept_of_a_pass(tangled: Net) -> None:
    run = TimedNet(tangled, torch.device("cpu"), "")
    run.layers_pass()
    run.whole_pass()
    assert run.blobs == {}
    assert all(param.grad is None for param in run.module.parameters())
    assert not any(piece.leaves or piece.computed for piece in run.pieces)


def test_each_iteration_is_reported_and_the_first_passes_do_not_count(tangled: Net) -> None:
    heard: list[tuple[int, float]] = []
    times = time_layers(tangled, "cpu", 3, lambda index, seconds: heard.append((index, seconds)))
    assert heard == list(enumerate(times.iterations))
    assert sum(times.iterations) == pytest.approx(times.forward + times.backward)
    assert times.whole_forward > 0
    assert times.whole_backward > 0


def test_params_without_a_learning_rate_have_no_gradient(load_text) -> None:
    text = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 4 dim: 10 } } }
layer { name: "fixed" type: "InnerProduct" bottom: "data" top: "fixed" param { lr_mult: 0 } \
param { lr_mult: 0 }
  inner_product_param { num_output: 5 } }
layer { name: "relu" type: "ReLU" bottom: "fixed" top: "fixed" }
layer { name: "learnt" type: "InnerProduct" bottom: "fixed" top: "learnt"
  inner_product_param { num_output: 5 } }
"""
    times = timed(load_text(text))
    assert [layer.backward > 0 for layer in times.layers] == [False, False, False, True]


def test_stand_ins_are_valid_labels_and_go_on_with_sequences(load_text) -> None:
    text = """
layer { name: "data" type: "Input" top: "data" top: "cont" \
input_param { shape { dim: 3 dim: 2 dim: 5 } shape { dim: 3 dim: 2 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 3 dim: 2 } } }
layer { name: "lstm" type: "LSTM" bottom: "data" bottom: "cont" top: "lstm" \
recurrent_param { num_output: 4 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "lstm" bottom: "label" top: "loss" \
softmax_param { axis: 2 } }
"""
    net = load_text(text, phase="TRAIN")
    data, cont, label = stand_ins(net)
    assert (tuple(data.shape), tuple(label.shape)) == ((3, 2, 5), (3, 2))
    assert 0 <= data.min() < data.max() < 1
    assert label.long().eq(0).all()
    assert cont.eq(1).all()
    assert timed(net).whole_backward > 0
