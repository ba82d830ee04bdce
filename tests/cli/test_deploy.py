"""`netspec deploy`: data become Input, losses what they are in inference, labels go."""

from __future__ import annotations

from pathlib import Path

import pytest

import netspec
from netspec.cli import main
from tests.conftest import ROOT

TRAIN = """\
# a small net
name: "Small"
layer {
  name: "data" type: "ImageData" top: "data" top: "label"
  include { phase: TRAIN }
  image_data_param { source: "train.txt" batch_size: 8 new_height: 8 new_width: 8 }
}
layer {
  name: "data" type: "ImageData" top: "data" top: "label"
  include { phase: TEST }
  transform_param { crop_size: 6 mean_value: 117.5 mirror: false }
  image_data_param { source: "test.txt" batch_size: 4 new_height: 8 new_width: 8 }
}
# the only features
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  param { lr_mult: 1 } inner_product_param { num_output: 3 } }
layer { name: "relabel" type: "Power" bottom: "label" top: "relabel" }
layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" }
layer { name: "rest" type: "Silence" bottom: "relabel" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
DEPLOYED = """\
# a small net
name: "Small"
# netspec: preprocess { new_height: 8 new_width: 8 crop_size: 6 mean_value: 117.5 }
layer {
  name: "data"
  type: "Input"
  top: "data"
  input_param {
    shape {
      dim: 4
      dim: 3
      dim: 6
      dim: 6
    }
  }
}
# the only features
layer {
  name: "fc"
  type: "InnerProduct"
  bottom: "data"
  top: "fc"
  param {
    lr_mult: 1
  }
  inner_product_param {
    num_output: 3
  }
}
layer {
  name: "prob"
  type: "Softmax"
  bottom: "fc"
  top: "prob"
}
"""


def deployed(folder: Path, text: str, *options: str) -> str:
    (folder / "train_val.prototxt").write_text(text)
    assert main(["deploy", "train_val.prototxt", "deploy.prototxt", *options]) == 0
    return (folder / "deploy.prototxt").read_text()


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_whole_of_it(tmp_path: Path) -> None:
    assert deployed(tmp_path, TRAIN) == DEPLOYED
    net = netspec.load("deploy.prototxt")
    assert net.blobs["prob"].shape == (4, 3)


def test_alexnets_deploy_net_is_that_of_models(tmp_path: Path) -> None:
    folder = ROOT / "models" / "bvlc_alexnet"
    shape = "--input=data=10,3,227,227"
    text = (folder / "train_val.prototxt").read_text()
    deployed(tmp_path, text, shape)
    ours, theirs = netspec.load("deploy.prototxt"), netspec.load(folder / "deploy.prototxt")
    rows = [
        [(x.name, x.type, x.tops, [b.shape for b in x.top_blobs], x.macs) for x in net.layers]
        for net in (ours, theirs)
    ]
    assert rows[0] == rows[1]


def test_the_solvers_net(tmp_path: Path) -> None:
    (tmp_path / "train_val.prototxt").write_text(TRAIN)
    (tmp_path / "solver.prototxt").write_text(
        'net: "train_val.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 1'
    )
    assert main(["deploy", "--solver", "solver.prototxt", "deploy.prototxt"]) == 0
    assert (tmp_path / "deploy.prototxt").read_text() == DEPLOYED


def test_a_loss_that_counts_less_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = TRAIN + (
        'layer { name: "aux_fc" type: "InnerProduct" bottom: "data" top: "aux_fc"'
        " inner_product_param { num_output: 3 } }\n"
        'layer { name: "aux" type: "SoftmaxWithLoss" bottom: "aux_fc" bottom: "label" top: "aux"'
        " loss_weight: 0.3 }\n"
    )
    assert deployed(tmp_path, more) == DEPLOYED
    assert "left out, for they count less than another loss: 'aux'" in capsys.readouterr().err


def test_a_metric_of_such_a_loss_goes_with_it(tmp_path: Path) -> None:
    more = TRAIN + (
        'layer { name: "side" type: "InnerProduct" bottom: "data" top: "side"'
        " inner_product_param { num_output: 3 } }\n"
        'layer { name: "aux" type: "SoftmaxWithLoss" bottom: "side" bottom: "label" top: "aux"'
        " loss_weight: 0.3 }\n"
        'layer { name: "top1" type: "Accuracy" bottom: "side" bottom: "label" top: "top1" }\n'
    )
    assert deployed(tmp_path, more) == DEPLOYED


def test_a_regression_answers_with_its_prediction(tmp_path: Path) -> None:
    text = (
        'layer { name: "x" type: "DummyData" top: "x" top: "t" dummy_data_param {'
        " shape { dim: 2 dim: 3 } shape { dim: 2 dim: 1 } } }\n"
        'layer { name: "y" type: "InnerProduct" bottom: "x" top: "y"'
        " inner_product_param { num_output: 1 } }\n"
        'layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }\n'
    )
    deployed(tmp_path, text)
    net = netspec.load("deploy.prototxt")
    assert [layer.name for layer in net.layers] == ["x", "y"]
    assert (net.inputs, net.outputs) == (["x"], ["y"])


def test_data_of_unknown_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = TRAIN.replace("new_height: 8 new_width: 8", "").replace("crop_size: 6", "")
    (tmp_path / "train_val.prototxt").write_text(text)
    assert main(["deploy", "train_val.prototxt", "deploy.prototxt"]) == 1
    err = capsys.readouterr().err
    assert "layer 'data': the shape of 'data' is not known" in err
    assert "hint: --input data=1,3,224,224" in err
    assert not (tmp_path / "deploy.prototxt").exists()


def test_yaml(tmp_path: Path) -> None:
    (tmp_path / "train_val.prototxt").write_text(TRAIN)
    assert main(["deploy", "train_val.prototxt", "deploy.yaml"]) == 0
    assert netspec.load("deploy.yaml").outputs == ["prob"]
    assert "# the only features" in (tmp_path / "deploy.yaml").read_text()
