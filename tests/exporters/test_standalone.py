"""The Python file of a net gives its module's outputs, gradients and state."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import netspec
from netspec.cli import main
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.pytorch.fused_convolution import Fused
from netspec.pytorch.module import NetModule
from netspec.pytorch.standalone.write_module import module_text
from tests.conftest import REFERENCE
from tests.layers.test_conformance import entries, set_params

FOLDERS = (REFERENCE / "layers", REFERENCE / "forks" / "layers")
CASES = {
    folder / name: about
    for folder in FOLDERS
    for name, about in json.loads((folder / "index.json").read_text()).items()
}


def run_text(text: str) -> ModuleType:
    made = ModuleType("net")
    made.__file__ = "net.py"
    sys.modules["net"] = made  # dataclasses look their module up
    exec(compile(text, "net.py", "exec"), vars(made))
    return made


def net_class(made: ModuleType) -> type[nn.Module]:
    """The last class of the file is the net's."""
    classes = [c for c in vars(made).values() if isinstance(c, type) and c.__module__ == "net"]
    return classes[-1]


def values(outputs: Tensor | dict[str, Tensor], names: list[str]) -> dict[str, Tensor]:
    return outputs if isinstance(outputs, dict) else dict(zip(names, [outputs], strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_every_layer_type_as_a_file(case: Path) -> None:
    about, record = CASES[case], dict(np.load(case.with_suffix(".npz")))
    path, dialect = case.with_suffix(".prototxt"), about.get("dialect")
    module = netspec.compile(path, phase=about["phase"], dialect=dialect)
    set_params(module, record)
    text = module_text(module)
    assert "netspec." not in text.replace("written by netspec", "")
    other = net_class(run_text(text))()
    other.load_state_dict(copy.deepcopy(module.state_dict()))
    other.train(module.training)
    feeds: list[dict[str, Tensor]] = []
    for net in (module, other):
        feed = {k: torch.from_numpy(v.copy()) for k, v in entries(record, "in/").items()}
        if about["gradient"]:
            for key in entries(record, "indiff/"):
                feed[key].requires_grad_(True)
        ordered = [feed[name] for name in module.input_names]
        for _ in range(about["forwards"]):
            torch.manual_seed(1)
            outputs = values(net(*ordered), module.output_names)
        if net is module:
            wanted = outputs
        objective = objective_of(net, outputs, record, about)
        if isinstance(objective, Tensor) and objective.requires_grad:
            objective.backward()
        feeds.append(feed)
    for key, value in wanted.items():
        torch.testing.assert_close(outputs[key], value, rtol=1e-5, atol=1e-6, equal_nan=True)
    for key in feeds[0]:
        assert_same_gradient(feeds[1][key].grad, feeds[0][key].grad, key)
    for (key, mine), theirs in zip(
        other.state_dict(keep_vars=True).items(),
        module.state_dict(keep_vars=True).values(),
        strict=True,
    ):
        torch.testing.assert_close(mine.detach(), theirs.detach(), rtol=1e-5, atol=1e-6)
        assert_same_gradient(mine.grad, theirs.grad, key)


def assert_same_gradient(got: Tensor | None, wanted: Tensor | None, name: str) -> None:
    if wanted is None:
        return
    got = torch.zeros_like(wanted) if got is None else got
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-6, equal_nan=True, msg=name)


def objective_of(
    net: nn.Module, outputs: dict[str, Tensor], record: dict[str, np.ndarray], about: dict
) -> Tensor | float:
    if not about["gradient"]:
        return 0.0
    if about["loss"]:
        if isinstance(net, NetModule):
            return net.loss(outputs)
        if hasattr(net, "objective"):
            return net.objective(outputs)
        (loss,) = outputs.values()
        return loss.sum()
    diffs = entries(record, "topdiff/")
    return sum((outputs[key] * torch.from_numpy(diff)).sum() for key, diff in diffs.items())


TEXT = """
name: "it's a \\"\\"\\"net\\"\\"\\" \\\\"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 5 dim: 5 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "lambda"
  param { lr_mult: 0 } param { lr_mult: 1 }
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "lambda" top: "lambda" }
layer { name: "p\\"];import os;\\"" type: "Scale" bottom: "lambda" top: "lambda"
  scale_param { bias_term: true filler { type: "gaussian" std: 1 } } }
layer { name: "fc" type: "InnerProduct" bottom: "lambda" top: "self" param { name: "w" }
  inner_product_param { num_output: 36 weight_filler { type: "xavier" } } }
layer { name: "again" type: "InnerProduct" bottom: "self" top: "torch" param { name: "w" }
  inner_product_param { num_output: 36 weight_filler { type: "xavier" } } }
layer { name: "F" type: "SoftmaxWithLoss" bottom: "torch" bottom: "label" top: "loss"
  loss_weight: 0.3 }
layer { name: "acc" type: "Accuracy" bottom: "torch" bottom: "label" top: "a\\"\\nb" }
"""


@pytest.fixture
def trained(load_text: Callable[..., Net]) -> NetModule:
    return netspec.compile(load_text(TEXT, phase="TRAIN"), seed=1)


def test_names_that_are_no_python_and_text_that_would_be_code(trained: NetModule) -> None:
    text = module_text(trained)
    assert "class ItSANet(nn.Module):" in text
    assert "import os" not in text
    net = net_class(run_text(text))()
    net.load_state_dict(trained.state_dict())
    data, label = torch.rand(2, 3, 5, 5), torch.tensor([3.0, 7.0])
    outputs, wanted = net(data, label), trained(data, label)
    assert sorted(outputs) == sorted(wanted) == ['a"\nb', "loss"]
    torch.testing.assert_close(outputs["loss"], wanted["loss"])


def test_training_shares_and_freezes_as_the_net_says(trained: NetModule) -> None:
    net = net_class(run_text(module_text(trained)))()
    assert net.again.weight is net.fc.weight
    assert not net.conv.weight.requires_grad
    assert net.conv.bias.requires_grad
    net.load_state_dict(trained.state_dict())
    data, label = torch.rand(2, 3, 5, 5), torch.tensor([3.0, 7.0])
    objective = net.objective(net(data, label))
    torch.testing.assert_close(objective, trained.loss(trained(data, label)))
    objective.backward()
    trained.loss(trained(data, label)).backward()
    # the ReLU's gradient reads what the Scale wrote over its top, as in Caffe
    torch.testing.assert_close(net.conv.bias.grad, trained.params["conv"][1].grad)
    torch.testing.assert_close(net.fc.weight.grad, trained.params["fc"][0].grad)


def test_the_command_writes_a_file_that_runs_without_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(TEXT)
    assert main(["export", "net.prototxt", "net.py", "--outputs", "self"]) == 0
    assert capsys.readouterr().out.startswith(
        "wrote net.py, net.safetensors\nlargest difference to the module on random input: "
    )
    program = (
        "import sys, net, torch\n"
        "out = net.load()(torch.ones(7, 3, 5, 5))\n"
        "print(tuple(out.shape), 'netspec' in sys.modules)\n"
    )
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "(7, 36) False\n"
    assert main(["export", "net.prototxt", "net.py"]) == 1
    assert "'net.py' already exists" in capsys.readouterr().err
    (tmp_path / "net.py").unlink()
    assert main(["export", "net.prototxt", "net.py"]) == 1
    assert "'net.safetensors' already exists" in capsys.readouterr().err


def test_a_layer_that_a_file_cannot_hold(
    load_text: Callable[..., Net], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    written = tmp_path_factory.mktemp("written") / "out.h5"
    text = TEXT + (
        'layer { name: "out" type: "HDF5Output" bottom: "self" bottom: "label"'
        f' hdf5_output_param {{ file_name: "{written}" }} }}'
    )
    with pytest.raises(NetspecError, match="can't be exported") as caught:
        netspec.export(load_text(text, phase="TEST"), tmp_path / "net.py")
    assert caught.value.diagnostics[0].span is not None
    assert [each.name for each in tmp_path.iterdir()] == ["net.prototxt"]
    assert not written.exists()  # no layer has run


def test_params_in_another_shape_are_refused(load_text: Callable[..., Net], tmp_path: Path) -> None:
    text = """
    layer { name: "data" type: "Input" top: "data"
      input_param { shape { dim: 1 dim: 4 dim: 6 dim: 6 } } }
    layer { name: "one" type: "Convolution" bottom: "data" top: "one" param { name: "w" }
      convolution_param { num_output: 4 kernel_size: 3 bias_term: false } }
    layer { name: "two" type: "Convolution" bottom: "one" top: "two"
      param { name: "w" share_mode: PERMISSIVE }
      convolution_param { num_output: 9 kernel_size: 2 bias_term: false } }
    """
    with pytest.raises(NetspecError, match=r"layer 'two' .*another layer's in another shape"):
        netspec.export(load_text(text, phase="TEST"), tmp_path / "two.py")


FUSED = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 10 dim: 10 } } }
layer { name: "one" type: "Convolution" bottom: "data" top: "one"
  convolution_param { num_output: 4 kernel_size: 3 stride: 2 FILL } }
layer { name: "relu1" type: "ReLU" bottom: "one" top: "one" relu_param { negative_slope: 0.1 } }
layer { name: "two" type: "Convolution" bottom: "one" top: "two"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 FILL } }
layer { name: "sum" type: "Eltwise" bottom: "one" bottom: "two" top: "sum" }
layer { name: "relu2" type: "ReLU" bottom: "sum" top: "sum" }
layer { name: "three" type: "Convolution" bottom: "sum" top: "three"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 FILL } }
layer { name: "plus" type: "Eltwise" bottom: "three" bottom: "sum" top: "plus" }
layer { name: "size" type: "Sigmoid" bottom: "plus" top: "plus" }
layer { name: "four" type: "Convolution" bottom: "plus" top: "four"
  convolution_param { num_output: 2 kernel_size: 2 stride: 3 FILL } }
layer { name: "relu3" type: "ReLU6" bottom: "four" top: "four" }
"""


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("suffix", [".py", ".onnx", ".pt2"])
def test_a_net_whose_layers_are_computed_together(
    load_text: Callable[..., Net], suffix: str, exact: bool, tmp_path: Path
) -> None:
    """Export compares the file's outputs with the module's."""
    fill = 'weight_filler { type: "gaussian" std: 1 } bias_filler { type: "gaussian" std: 1 }'
    net = load_text(FUSED.replace("FILL", fill), phase="TEST")
    module = netspec.compile(net, seed=1, exact=exact)
    assert any(isinstance(each, Fused) for each in module.modules()) != exact
    file = tmp_path / f"net{suffix}"
    netspec.export(module, file)
    assert file.is_file()


def test_the_file_is_laid_out_as_ruff_does(trained: NetModule, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(module_text(trained))
    ruff = [sys.executable, "-m", "ruff"]
    options = ["--isolated", "--line-length", "100", "net.py"]
    for command in (["format", "--check"], ["check", "--select", "E,F,I,UP"]):
        done = subprocess.run([*ruff, *command, *options], cwd=tmp_path, capture_output=True)
        assert done.returncode == 0, done.stdout


def test_verify_runs_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(TEXT)
    module = netspec.compile("net.prototxt", seed=1)
    netspec.save_weights(module, "net.caffemodel")
    net = ["net.prototxt", "--weights", "net.caffemodel"]
    assert main(["export", net[0], "net.py", *net[1:]]) == 0
    assert main(["verify", *net, "--against", "net.py"]) == 0
    text = (tmp_path / "net.py").read_text()
    (tmp_path / "net.py").write_text(text.replace("lambda_ = ", "lambda_ = 1.01 * "))
    assert main(["verify", *net, "--against", "net.py"]) == 1
    (tmp_path / "net.py").write_text("raise ValueError('no')\n")
    capsys.readouterr()
    assert main(["verify", *net, "--against", "net.py"]) == 1
    assert "'net.py' can't be run: no" in capsys.readouterr().err
