"""`netspec.export` and its command: the format by the suffix, checked before it is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import netspec
from netspec.cli import main
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from tests.nets import net_text

TEXT = net_text(
    'type: "InnerProduct" top: "y" inner_product_param { num_output: 3'
    ' weight_filler { type: "gaussian" std: 1 } }',
    x=(2, 4),
)


def test_torch_export_with_any_batch(load_text: Callable[..., Net], tmp_path: Path) -> None:
    module = netspec.compile(load_text(TEXT), seed=1)
    exported = netspec.export(module, tmp_path / "net.pt2")
    assert exported.differences == {"y": 0.0}
    program = torch.export.load(tmp_path / "net.pt2").module()
    x = torch.rand(5, 4)
    torch.testing.assert_close(program(x)["y"], module(x=x)["y"])


def test_a_state_dict(load_text: Callable[..., Net], tmp_path: Path) -> None:
    module = netspec.compile(load_text(TEXT), seed=1)
    netspec.export(module, tmp_path / "net.pt")
    other = netspec.compile(load_text(TEXT), seed=2)
    other.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))
    torch.testing.assert_close(other.params["l"][0], module.params["l"][0])


def test_the_weights_alone(load_text: Callable[..., Net], tmp_path: Path) -> None:
    module = netspec.compile(load_text(TEXT), seed=1)
    netspec.export(module, tmp_path / "net.caffemodel")
    other = netspec.compile(load_text(TEXT), weights=tmp_path / "net.caffemodel")
    torch.testing.assert_close(other.params["l"][0], module.params["l"][0])


def test_a_format_that_does_not_exist(load_text: Callable[..., Net], tmp_path: Path) -> None:
    with pytest.raises(NetspecError, match="there is no format") as caught:
        netspec.export(load_text(TEXT), tmp_path / "net.onx")
    assert str(caught.value.diagnostics[0].hint) == "did you mean '.onnx'?"


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(TEXT)
    module = netspec.compile("net.prototxt", seed=1)
    netspec.save_weights(module, "net.caffemodel")
    command = ["export", "net.prototxt", "net.onnx", "--weights", "net.caffemodel"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert out.startswith("wrote net.onnx\nlargest difference to the module on random input: ")
    assert main(command) == 1
    assert "'net.onnx' already exists" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0


def test_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(TEXT)
    assert main(["export", "net.prototxt", "out/net.onnx"]) == 1
    assert "does not exist" in capsys.readouterr().err
