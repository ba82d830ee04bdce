"""The public Python names, as README and the design promise them, and their messages."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import netspec
from netspec.cli import main
from netspec.graph import Net
from tests.conftest import ROOT

DEPLOY = ROOT / "models/mnist_alexnet/deploy.prototxt"
NET = """
name: "Small"
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 2 dim: 3 } shape { dim: 2 } data_filler { type: "gaussian" } \
data_filler { type: "constant" } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" \
inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" \
include { phase: TRAIN } }
layer { name: "deployed" type: "Softmax" bottom: "ip" top: "prob" \
include { phase: TEST stage: "deploy" } }
"""
YAML = """
name: Small
layer:
  - {name: data, type: Input, top: data, input_param: {shape: {dim: [2, 3]}}}
  - {name: relu, type: ReLU, bottom: data, top: relu}
"""


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(netspec.NetspecError) as caught:
        call()
    return str(caught.value).removeprefix("error: ")


def test_every_public_name_is_there() -> None:
    assert set(netspec.__all__) == {
        "Listener",
        "NetspecError",
        "Overrides",
        "RunOptions",
        "Solver",
        "WeightChoice",
        "batches",
        "classify",
        "compile",
        "detect",
        "export",
        "load",
        "load_weights",
        "loads",
        "save_weights",
        "train",
        "verify",
    }
    assert all(callable(getattr(netspec, name)) for name in netspec.__all__)


def test_what_a_net_shows() -> None:
    net = netspec.loads(NET, phase="TRAIN")
    assert (net.name, net.phase, net.inputs, net.outputs, net.loss_weights) == (
        "Small",
        "TRAIN",
        [],
        ["loss"],
        {"loss": 1},
    )
    assert net.blobs["ip"].shape == (2, 4)
    layer = net.layers[1]
    assert (layer.name, layer.type, layer.bottoms, layer.tops) == (
        "ip",
        "InnerProduct",
        ["data"],
        ["ip"],
    )
    assert str(layer.span) == "<text>:5:1"
    assert [
        (param.shape, param.name, param.lr_mult, param.decay_mult) for param in layer.params
    ] == [((4, 3), "", 1, 1), ((4,), "", 1, 1)]


def test_what_a_module_shows(tmp_path: Path) -> None:
    module = netspec.compile(netspec.loads(NET, phase="TRAIN"), seed=1)
    assert (module.input_names, module.output_names) == (["data", "label"], ["loss"])
    outputs = module(data=torch.rand(2, 3), label=torch.zeros(2))
    assert torch.equal(module.loss(outputs), outputs["loss"])
    assert [tuple(blob.shape) for blob in module.params["ip"]] == [(4, 3), (4,)]
    netspec.save_weights(module, tmp_path / "w.caffemodel")
    assert netspec.load_weights(module, tmp_path / "w.caffemodel").loaded == ["ip"]
    with pytest.raises(netspec.NetspecError) as caught:
        netspec.load("none.prototxt")
    assert caught.value.diagnostics[0].message == "file 'none.prototxt' does not exist"


def test_what_a_solver_shows(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.5 lr_policy: "fixed" max_iter: '
        f'3 snapshot_prefix: "{tmp_path}/s"'
    )
    solver = netspec.Solver(tmp_path / "solver.prototxt")
    assert list(solver.step(2)) == ["loss"]
    assert (solver.iter, solver.lr, solver.module.output_names, solver.test_modules) == (
        2,
        0.5,
        ["loss"],
        [],
    )
    solver.snapshot()
    solver.restore(tmp_path / "s_iter_2.solverstate")
    solver.solve()
    assert solver.iter == 3


def test_a_phase_in_any_case_and_one_output_as_a_text() -> None:
    assert netspec.load(DEPLOY, phase="test").phase == "TEST"
    module = netspec.compile(netspec.loads(NET, phase="Train"), phase="train", outputs="ip")
    assert module.output_names == ["ip"]
    assert "deployed" in [layer.name for layer in netspec.loads(NET, stages="deploy").layers]


def test_a_cut_net_asks_only_for_what_it_reads() -> None:
    net = netspec.loads(NET, phase="TRAIN")
    module = netspec.compile(net, outputs=["ip"], seed=1)
    assert module.input_names == ["data"]
    assert module(torch.rand(2, 3))["ip"].shape == (2, 4)
    assert netspec.compile(net).input_names == ["data", "label"]
    assert netspec.compile(net, outputs=["ip", "label"]).input_names == ["data", "label"]


def test_batches_as_tensors() -> None:
    net = netspec.loads(NET, phase="TRAIN")
    module = netspec.compile(net, seed=1)
    with (
        netspec.batches(net, seed=1) as arrays,
        netspec.batches(net, seed=1, tensors=True) as tensors,
    ):
        for _ in range(2):
            expected, batch = next(arrays), next(tensors)
            assert {name: array.tolist() for name, array in expected.items()} == {
                name: tensor.tolist() for name, tensor in batch.items()
            }
            assert isinstance(expected["data"], np.ndarray)
            assert torch.isfinite(module(**batch)["loss"])
    with pytest.raises(StopIteration):
        next(tensors)


def test_batches_of_arrays_need_no_torch(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    code = (
        "import sys, netspec; "
        f"next(netspec.batches(netspec.load({str(tmp_path / 'net.prototxt')!r}))); "
        "print('torch' in sys.modules)"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        == "False\n"
    )


def test_a_net_is_a_line_and_its_text_the_table(capsys: pytest.CaptureFixture) -> None:
    net = netspec.load(DEPLOY)
    assert repr(net) == "<Net 'MnistAlexNet', phase TEST: 24 layers, 5,624,842 parameters>"
    assert repr(net.layer("conv1")) == "<Layer 'conv1' Convolution: data → conv1>"
    assert repr(net.blobs["conv1"]) == "<Blob 'conv1' 10×64×28×28>"
    assert main(["shapes", str(DEPLOY)]) == 0
    assert capsys.readouterr().out == f"{net}\n"


def test_a_net_from_its_text() -> None:
    net = netspec.loads(YAML, format="yaml", inputs={"data": [5, 3]})
    assert net.blobs["relu"].shape == (5, 3)
    assert refused(lambda: netspec.loads("layer { nam: 1 }")).startswith(
        "<text>:1:9: error: 'layer' has no field 'nam'"
    )
    assert refused(lambda: netspec.loads("layer: [{nam: 1}]", format="yaml")).startswith(
        "<text>.yaml:1:10: error"
    )
    assert (
        refused(lambda: netspec.loads(NET, format="json"))
        == "'format' is prototxt or yaml, got 'json'"
    )


SHAPE = "the shape given for 'data' takes integers, such as (10, 3, 227, 227), got"
WRONG_CALLS = {
    "a text for a path": (
        lambda: netspec.load(NET),
        (
            "expected the path of a net, got a text\n"
            "  hint: netspec.loads(text) takes the text of a net"
        ),
    ),
    "a text on one line": (
        lambda: netspec.compile("layer { }"),
        "expected the path of a net, got a text",
    ),
    "no path": (lambda: netspec.load(None), "expected the path of a net, got NoneType"),
    "no such file": (
        lambda: netspec.compile("none.prototxt"),
        "none.prototxt: error: file 'none.prototxt' does not exist",
    ),
    "a path for a text": (
        lambda: netspec.loads(DEPLOY),
        "expected the text of a net, got PosixPath",
    ),
    "phase": (
        lambda: netspec.load(DEPLOY, phase="deploy"),
        "a net's phase is TRAIN or TEST, got 'deploy'",
    ),
    "None for a shape": (lambda: netspec.load(DEPLOY, inputs={"data": None}), f"{SHAPE} None"),
    "None in a shape": (lambda: netspec.load(DEPLOY, inputs={"data": (None, 1, 28, 28)}), SHAPE),
    "half a pixel": (lambda: netspec.load(DEPLOY, inputs={"data": (1, 1, 28.5, 28)}), SHAPE),
    "below 0": (
        lambda: netspec.load(DEPLOY, inputs={"data": (1, 1, -28, 28)}),
        f"{DEPLOY}: error: the shape given for 'data' has a negative",
    ),
    "a tensor": (lambda: netspec.load(DEPLOY, inputs={"data": torch.rand(1, 1, 28, 28)}), SHAPE),
    "no names": (
        lambda: netspec.load(DEPLOY, inputs=[(1, 1, 28, 28)]),
        "'inputs' takes shapes by blob, got list",
    ),
    "no output": (
        lambda: netspec.compile(DEPLOY, outputs=[]),
        "'outputs' takes names of blobs, got none",
    ),
    "a number": (
        lambda: netspec.compile(DEPLOY, outputs=[7]),
        "'outputs' takes names of blobs, got 7",
    ),
    "a number alone": (
        lambda: netspec.compile(DEPLOY, outputs=7),
        "'outputs' takes names of blobs, got 7",
    ),
    "None among the outputs": (
        lambda: netspec.compile(DEPLOY, outputs=["fc6", None]),
        "'outputs' takes names of blobs, got None",
    ),
    "another phase": (
        lambda: netspec.compile(netspec.load(DEPLOY), phase="TRAIN"),
        "the net 'MnistAlexNet' is loaded for phase TEST, got",
    ),
    "another shape": (
        lambda: netspec.compile(netspec.load(DEPLOY), inputs={"data": (1, 1, 28, 28)}),
        "the net 'MnistAlexNet' is loaded already",
    ),
    "batches of a path": (lambda: netspec.batches(DEPLOY), "expected a loaded net, got PosixPath"),
    "batches of nothing": (
        lambda: netspec.batches(netspec.load(DEPLOY)),
        "the net 'MnistAlexNet' has no data layers in phase TEST",
    ),
}


@pytest.mark.parametrize(("call", "words"), WRONG_CALLS.values(), ids=WRONG_CALLS)
def test_wrong_use(call: Callable[[], object], words: str) -> None:
    assert refused(call).startswith(words)


DATA, LABEL = torch.rand(2, 3), torch.zeros(2)
WRONG_ARGUMENTS = {
    "unknown": (
        (DATA, LABEL),
        {"dat": DATA},
        "the module has no input 'dat'\n  hint: did you mean 'data'?",
    ),
    "nothing near": (
        (),
        {"x": DATA},
        "the module has no input 'x'\n  hint: its inputs are 'data' (2×3), 'label' (2)",
    ),
    "missing": (
        (DATA,),
        {},
        "the input 'label' is missing\n  hint: the module takes 'data' (2×3), 'label' (2)",
    ),
    "one too many": (
        (DATA, LABEL, LABEL),
        {},
        "the module takes 2 inputs, got 3\n  hint: its inputs are 'data' (2×3), 'label' (2)",
    ),
    "twice": (
        (DATA,),
        {"data": DATA, "label": LABEL},
        "the input 'data' is given by its position and by its name",
    ),
    "an array": (
        (DATA.numpy(), LABEL),
        {},
        (
            "the input 'data' (2×3) takes a tensor, got ndarray\n"
            "  hint: torch.from_numpy(array) makes one"
        ),
    ),
    "None": ((DATA, None), {}, "the input 'label' (2) takes a tensor, got NoneType"),
}


@pytest.mark.parametrize(("args", "kwargs", "words"), WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS)
def test_arguments_that_are_none(args: tuple, kwargs: dict, words: str) -> None:
    module = netspec.compile(netspec.loads(NET, phase="TRAIN"))
    assert refused(lambda: module(*args, **kwargs)).startswith(words)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            torch.ones(2, 3, dtype=torch.int64),
            "the input 'data' is of type torch.int64, the module's params are torch.float32",
        ),
        (
            DATA.double(),
            "the input 'data' is of type torch.float64, the module's params are torch.float32",
        ),
        (torch.rand(2, 5), "the input 'data' is 2×5, the net declares 2×3 (N×C)"),
        (
            torch.empty(2, 3, device="meta"),
            "the input 'data' is on meta, the module's params on cpu",
        ),
    ],
)
def test_a_tensor_that_fails_is_held_against_the_net(data: torch.Tensor, words: str) -> None:
    module = netspec.compile(netspec.loads(NET, phase="TRAIN"))
    with pytest.raises((RuntimeError, NotImplementedError)) as caught:
        module(data, LABEL)
    assert words in caught.value.__notes__


def through_pickle(module: torch.nn.Module) -> torch.nn.Module:
    return pickle.loads(pickle.dumps(module))


def through_torch_save(module: torch.nn.Module) -> torch.nn.Module:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, through_pickle, through_torch_save])
@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_a_copy_is_the_same_module(copied: Callable, phase: str) -> None:
    module = netspec.compile(netspec.loads(NET, phase=phase), seed=1)
    other = copied(module)
    assert (other.code, other.input_names, list(other.params), other.training) == (
        module.code,
        module.input_names,
        ["ip"],
        phase == "TRAIN",
    )
    expected, outputs = module(DATA, LABEL), other(data=DATA, label=LABEL)
    assert {name: value.tolist() for name, value in outputs.items()} == {
        name: value.tolist() for name, value in expected.items()
    }
    assert torch.equal(other.loss(outputs), module.loss(expected))


SHARED = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 6 } } }
layer { name: "down" type: "InnerProduct" bottom: "data" top: "down" param { name: "w" }
  inner_product_param { num_output: 4 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "up" type: "InnerProduct" bottom: "down" top: "up" \
param { name: "w" share_mode: PERMISSIVE }
  inner_product_param { num_output: 6 bias_term: false } }
"""


@pytest.mark.parametrize("copied", [copy.deepcopy, through_pickle, through_torch_save])
def test_a_copy_shares_its_own_params(copied: Callable) -> None:
    module = netspec.compile(netspec.loads(SHARED), seed=1)
    assert list(module.state_dict()) == ["down.weight"]
    other = copied(module)
    data = torch.rand(2, 6)
    assert torch.equal(other(data)["up"], module(data)["up"])
    with torch.no_grad():
        other.params["down"][0].zero_()
    assert other.params["up"][0].shape == (6, 4)
    assert (other.params["up"][0].any(), module.params["up"][0].any()) == (False, True)


def test_another_type_and_an_export() -> None:
    net: Net = netspec.load(DEPLOY, inputs={"data": (1, 1, 28, 28)})
    module = netspec.compile(net, seed=1)
    data = torch.rand(1, 1, 28, 28)
    (name,) = module.output_names
    expected = module(data)[name]
    assert torch.allclose(
        copy.deepcopy(module).to(torch.bfloat16)(data.bfloat16())[name].float(), expected, atol=1e-2
    )
    assert torch.allclose(torch.export.export(module, (data,)).module()(data)[name], expected)


def test_dir_lists_the_public_names_once() -> None:
    assert callable(netspec.load)
    assert [name for name in dir(netspec) if not name.startswith("__")] == netspec.__all__
