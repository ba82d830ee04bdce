"""Weights that fit, and weights that do not.

What netspec.compile and netspec.load_weights make of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import netspec
from netspec.graph import Net
from netspec.pytorch.module import NetModule
from tests.nets import input_text

INPUT = input_text("data", (2, 6))
LAYERS = """
layer {{ name: "{0}" type: "InnerProduct" bottom: "data" top: "x" \
inner_product_param {{ num_output: 4 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "two" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param {{ num_output: {1} bias_term: {2} weight_filler {{ type: "xavier" }} }} }}
"""


def net(one: str = "one", outputs: int = 3, bias: str = "true") -> Net:
    return netspec.loads(INPUT + LAYERS.format(one, outputs, bias))


def saved(path: Path, **options: object) -> tuple[NetModule, Path]:
    module = netspec.compile(net(**options), seed=1)
    netspec.save_weights(module, path)
    return module, path


def test_a_report_of_what_was_loaded(tmp_path: Path) -> None:
    trained, path = saved(tmp_path / "w.caffemodel")
    module = netspec.compile(net(), weights=path)
    assert module.load_report.loaded == ["one", "two"]
    assert torch.equal(module.params["two"][0], trained.params["two"][0])
    assert netspec.compile(net()).load_report is None


MISFITS = {
    "shape": (
        {"outputs": 5},
        (
            "'.*w.caffemodel' does not fit the net: layer 'two': "
            "param 0 is 5×4 in the net, 3×4 in the file"
        ),
    ),
    "count": ({"bias": "false"}, "layer 'two': the net has 1 param, the file 2"),
}


@pytest.mark.parametrize(("options", "words"), MISFITS.values(), ids=MISFITS)
def test_weights_that_do_not_fit_raise(tmp_path: Path, options: dict, words: str) -> None:
    _, path = saved(tmp_path / "w.caffemodel")
    with pytest.raises(netspec.NetspecError, match=words):
        netspec.compile(net(**options), weights=path)
    module = netspec.compile(net(**options), weights=path, strict=False)
    assert (module.load_report.loaded, list(module.load_report.mismatched)) == (["one"], ["two"])


def test_weights_of_another_net_raise(tmp_path: Path) -> None:
    _, path = saved(tmp_path / "w.caffemodel")
    other = INPUT + LAYERS.replace('"two"', '"other"').format("another", 3, "true")
    with pytest.raises(
        netspec.NetspecError,
        match="has weights for no layer of the net: it has one, two, the net another, other",
    ):
        netspec.compile(netspec.loads(other), weights=path)
    report = netspec.compile(netspec.loads(other), weights=path, strict=False).load_report
    assert (report.loaded, report.missing, report.unused) == (
        [],
        ["another", "other"],
        ["one", "two"],
    )


def test_several_files_have_one_report(tmp_path: Path) -> None:
    _, a = saved(tmp_path / "a.caffemodel", one="elsewhere", outputs=5)
    trained, b = saved(tmp_path / "b.caffemodel", one="elsewhere")
    report = netspec.compile(net(), weights=[a, b], strict=False).load_report
    assert report.path == f"{a}, {b}"
    assert (report.loaded, report.missing, report.unused) == (["two"], ["one"], ["elsewhere"])
    assert report.mismatched == {"two": f"'{a}': param 0 is 3×4 in the net, 5×4 in the file"}
    with pytest.raises(netspec.NetspecError, match=r"'.*a.caffemodel' does not fit the net"):
        netspec.compile(net(), weights=[b, a])
    module = netspec.compile(net(), weights=[b, str(saved(tmp_path / "c.h5")[1])])
    assert module.load_report.loaded == ["two", "one"]
    assert torch.equal(module.params["two"][0], trained.params["two"][0])


def test_strict_load_weights_copies_nothing_that_is_half_right(tmp_path: Path) -> None:
    _, path = saved(tmp_path / "w.caffemodel")
    module = netspec.compile(net(outputs=5), seed=2)
    before = module.params["one"][0].clone()
    with pytest.raises(netspec.NetspecError, match="does not fit the net"):
        netspec.load_weights(module, path, strict=True)
    assert torch.equal(module.params["one"][0], before)


@pytest.mark.parametrize("function", [netspec.load_weights, netspec.save_weights])
def test_what_is_no_module(tmp_path: Path, function: object) -> None:
    with pytest.raises(netspec.NetspecError, match="expected a compiled module, got Net"):
        function(net(), tmp_path / "w.caffemodel")
