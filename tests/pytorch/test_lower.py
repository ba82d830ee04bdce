"""What the compiled module is like to use."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import netspec
from netspec.graph import Net

NET = """
name: "Small"
layer { name: "data" type: "Input" top: "data" \
input_param { shape { dim: 2 dim: 3 dim: 9 dim: 9 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
layer { name: "conv/1" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "c" top: "c" }
layer { name: "ip" type: "InnerProduct" bottom: "c" top: "scores" \
inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss" \
include { phase: TRAIN } }
layer { name: "prob" type: "Softmax" bottom: "scores" top: "prob" include { phase: TEST } }
"""

Loader = Callable[..., Net]


def test_code_reads_like_hand_written_pytorch(load_text: Loader) -> None:
    module = netspec.compile(load_text(NET, phase="TRAIN"))
    assert module.code == (
        "def forward(self, data, label):\n"
        "    conv_1 = self.conv_1(data)\n"
        "    relu = self.relu(conv_1)\n"
        "    flatten = torch.flatten(relu, 1)\n"
        "    ip = self.ip(flatten)\n"
        "    loss_ = self.loss_(ip, label)\n"
        "    return {'loss': loss_}\n"
    )
    assert isinstance(module.conv_1, nn.Conv2d)
    assert isinstance(module.ip, nn.Linear)


def test_inputs_by_name_or_in_order(load_text: Loader) -> None:
    module = netspec.compile(load_text(NET, phase="TRAIN"), seed=3)
    data, label = torch.rand(2, 3, 9, 9), torch.tensor([1.0, 4.0])
    assert module.input_names == ["data", "label"]
    by_name, in_order = module(label=label, data=data), module(data, label)
    assert torch.equal(by_name["loss"], in_order["loss"])
    assert torch.equal(module.loss(by_name), by_name["loss"])


def test_blobs_whose_names_are_no_python_names(load_text: Loader) -> None:
    text = NET.replace('"data"', '"class/0"')
    module = netspec.compile(load_text(text, phase="TEST"), seed=3)
    assert module.input_names[0] == "class/0"
    outputs = module(**{"class/0": torch.rand(2, 3, 9, 9), "label": torch.zeros(2)})
    assert outputs["prob"].shape == (2, 5)


def test_cut_at_outputs(load_text: Loader) -> None:
    module = netspec.compile(load_text(NET, phase="TRAIN"), outputs=["c"])
    assert module.input_names == ["data"]
    assert list(module.params) == ["conv/1"]
    outputs = module(data=torch.randn(2, 3, 9, 9))
    assert outputs["c"].shape == (2, 4, 7, 7)
    assert (outputs["c"] >= 0).all(), "the blob's last version, behind the in-place ReLU"


def test_an_unknown_output_is_reported_with_the_nearest(load_text: Loader) -> None:
    with pytest.raises(
        netspec.NetspecError, match=r"no blob 'score' to cut it at\n  hint: did you mean 'scores'"
    ):
        netspec.compile(load_text(NET), outputs=["score"])


def test_seed_makes_fillers_repeatable(load_text: Loader) -> None:
    one, two, other = (
        netspec.compile(load_text(NET), seed=seed).params["ip"][0] for seed in (7, 7, 8)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_compile_and_export(load_text: Loader) -> None:
    module = netspec.compile(load_text(NET, phase="TEST"), seed=1).eval()
    data, label = torch.rand(2, 3, 9, 9), torch.zeros(2)
    wanted = module(data, label)["prob"]
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(data, label)["prob"], wanted)
    exported = torch.export.export(module, (data, label))
    assert torch.allclose(exported.module()(data, label)["prob"], wanted)


def test_training_step_compiles_whole(load_text: Loader) -> None:
    module = netspec.compile(load_text(NET, phase="TRAIN"), seed=1)
    data, label = torch.rand(2, 3, 9, 9), torch.tensor([1.0, 4.0])
    module.loss(module(data, label)).backward()
    wanted = module.params["ip"][0].grad.clone()
    module.zero_grad()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    module.loss(compiled(data, label)).backward()
    assert torch.allclose(module.params["ip"][0].grad, wanted, atol=1e-6)


def test_copies_keep_what_the_module_knows(load_text: Loader) -> None:
    module = copy.deepcopy(netspec.compile(load_text(NET), seed=1))
    assert module.input_names == ["data", "label"]
    assert list(module.params) == ["conv/1", "ip"]


def test_a_fault_while_running_names_layer_and_line(load_text: Loader) -> None:
    module = netspec.compile(load_text(NET, phase="TEST"))
    with pytest.raises(RuntimeError) as caught:
        module(torch.rand(2, 7, 9, 9), torch.zeros(2))
    place, shape = caught.value.__notes__
    assert place.startswith("in layer 'conv/1' (")
    assert place.endswith("net.prototxt:5:1)")
    assert shape == "the input 'data' is 2×7×9×9, the net declares 2×3×9×9 (N×C×H×W)"


def test_a_label_that_is_no_class(load_text: Loader) -> None:
    module = netspec.compile(load_text(NET, phase="TRAIN"))
    with pytest.raises(
        netspec.NetspecError,
        match=r"layer 'loss': item 1 of the batch has label 5, but there are 5 classes \(0 to 4\)",
    ):
        module(torch.rand(2, 3, 9, 9), torch.tensor([0.0, 5.0]))


def test_shared_params_are_one(load_text: Loader) -> None:
    text = """
    layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 2 dim: 6 } } }
    layer { name: "one" type: "InnerProduct" bottom: "a" top: "x" param { name: "w" }
      inner_product_param { num_output: 6 bias_term: false } }
    layer { name: "two" type: "InnerProduct" bottom: "x" top: "y" param { name: "w" }
      inner_product_param { num_output: 6 bias_term: false } }
    """
    module = netspec.compile(load_text(text), seed=1)
    assert module.params["one"][0] is module.params["two"][0]
    assert len(list(module.parameters())) == 1


def test_permissive_sharing_views_the_owner(load_text: Loader) -> None:
    text = """
    force_backward: true
    layer { name: "a" type: "Input" top: "a" top: "b"
      input_param { shape { dim: 2 dim: 6 } shape { dim: 2 dim: 4 } } }
    layer { name: "one" type: "InnerProduct" bottom: "a" top: "x" param { name: "w" }
      inner_product_param { num_output: 4 bias_term: false weight_filler { type: "xavier" } } }
    layer { name: "two" type: "InnerProduct" bottom: "b" top: "y"
      param { name: "w" share_mode: PERMISSIVE }
      inner_product_param { num_output: 6 bias_term: false } }
    """
    module = netspec.compile(load_text(text), seed=1)
    assert torch.equal(module.params["two"][0], module.params["one"][0].view(6, 4))
    outputs = module(torch.rand(2, 6), torch.rand(2, 4))
    (outputs["x"].sum() + outputs["y"].sum()).backward()
    assert module.params["one"][0].grad.abs().sum() > 0
    assert len(list(module.parameters())) == 1


def test_frozen_params_and_propagate_down(load_text: Loader) -> None:
    text = """
    layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 2 dim: 6 } } }
    layer { name: "one" type: "InnerProduct" bottom: "a" top: "x" param { lr_mult: 0 }
      param { lr_mult: 1 } inner_product_param { num_output: 4 } }
    layer { name: "two" type: "InnerProduct" bottom: "x" top: "y" propagate_down: false
      inner_product_param { num_output: 3 } loss_weight: 1 }
    """
    module = netspec.compile(load_text(text, phase="TRAIN"), seed=1)
    assert [blob.requires_grad for blob in module.params["one"]] == [False, False], (
        "Caffe's backward pass does not reach it"
    )
    assert [blob.requires_grad for blob in module.params["two"]] == [True, True]
    module.loss(module(torch.rand(2, 6))).backward()
    assert module.params["two"][0].grad is not None
    forced = netspec.compile(load_text("force_backward: true" + text, phase="TRAIN"), seed=1)
    forced.loss(forced(torch.rand(2, 6))).backward()
    assert all(blob.grad is not None for blobs in forced.params.values() for blob in blobs), (
        "force_backward overrides both"
    )


def test_a_weighted_blob_that_is_read_is_an_output_of_caffes_split(load_text: Loader) -> None:
    text = """
    layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 2 dim: 6 } } }
    layer { name: "one" type: "InnerProduct" bottom: "a" top: "x" loss_weight: 0.5
      inner_product_param { num_output: 4 bias_filler { value: 2 } } }
    layer { name: "two" type: "Softmax" bottom: "x" top: "y" }
    """
    module = netspec.compile(load_text(text, phase="TRAIN"))
    outputs = module(torch.zeros(2, 6))
    assert list(outputs) == ["x_one_0_split_0", "y"]
    assert module.loss(outputs).item() == pytest.approx(0.5 * 2 * 8)
    cut = netspec.compile(load_text(text, phase="TRAIN"), outputs=["x_one_0_split_0"])
    assert cut.loss(cut(torch.zeros(2, 6))).item() == pytest.approx(0.5 * 2 * 8)


def test_weights_round_trip(load_text: Loader, tmp_path: Path) -> None:
    module, other = (netspec.compile(load_text(NET), seed=seed) for seed in (1, 2))
    netspec.save_weights(module, tmp_path / "w.caffemodel")
    report = netspec.load_weights(other, tmp_path / "w.caffemodel")
    assert report.loaded == ["conv/1", "ip"]
    assert (report.missing, report.mismatched, report.unused) == ([], {}, [])
    for name, blobs in module.params.items():
        assert all(torch.equal(a, b) for a, b in zip(blobs, other.params[name], strict=True))


def test_weights_of_another_net_are_reported(load_text: Loader, tmp_path: Path) -> None:
    netspec.save_weights(netspec.compile(load_text(NET), seed=1), tmp_path / "w.caffemodel")
    text = NET.replace("num_output: 5", "num_output: 6").replace(
        'name: "conv/1"', 'name: "conv_new"'
    )
    module = netspec.compile(load_text(text), seed=2)
    report = netspec.load_weights(module, tmp_path / "w.caffemodel")
    assert report.mismatched == {"ip": "param 0 is 6×196 in the net, 5×196 in the file"}
    assert (report.missing, report.unused, report.loaded) == (["conv_new"], ["conv/1"], [])
    with pytest.raises(netspec.NetspecError, match="layer 'ip': param 0 is 6×196"):
        report.raise_mismatches()


def test_gradients_are_where_caffe_has_them(load_text: Loader) -> None:
    text = """
    layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 2 dim: 6 } } }
    layer { name: "one" type: "InnerProduct" bottom: "a" top: "x"
      inner_product_param { num_output: 4 } loss_weight: 1 }
    layer { name: "two" type: "InnerProduct" bottom: "a" top: "y"
      inner_product_param { num_output: 4 } }
    """
    module = netspec.compile(load_text(text))
    assert module.params["one"][0].requires_grad
    assert not module.params["two"][0].requires_grad, (
        "nothing below a loss: Caffe has no backward pass for it"
    )
    forced = netspec.compile(
        load_text(
            "force_backward: true" + text.replace('"y" inner', '"y" param { lr_mult: 0 } inner')
        )
    )
    assert forced.params["two"][0].requires_grad, (
        "force_backward gives even a frozen param its gradient"
    )


def test_many_nets_compile_in_one_process(load_text: Loader) -> None:
    # more than torch.compile's bound on recompilations of one piece of code
    for size in range(5, 15):
        module = netspec.compile(
            load_text(NET.replace("num_output: 5", f"num_output: {size}"), phase="TEST")
        )
        compiled = torch.compile(module, fullgraph=True, backend="eager")
        assert compiled(torch.rand(2, 3, 9, 9), torch.zeros(2))["prob"].shape == (2, size)


def test_weights_do_not_load_where_names_do_not_distinguish_layers(
    load_text: Loader, tmp_path: Path
) -> None:
    module = netspec.compile(
        load_text(NET.replace('name: "conv/1" ', "").replace('name: "ip" ', "")), seed=1
    )
    netspec.save_weights(module, tmp_path / "w.caffemodel")
    with pytest.raises(netspec.NetspecError, match="two layers with params have no name"):
        netspec.load_weights(module, tmp_path / "w.caffemodel")
