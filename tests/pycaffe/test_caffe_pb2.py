"""caffe_pb2 as scripts import it: the forks' fields are fields like Caffe's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format

from netspec import pycaffe
from netspec.pycaffe.draw import draw_net
from netspec.pycaffe.proto import caffe_pb2
from tests.conftest import REFERENCE, ROOT

CASES = sorted((REFERENCE / "forks" / "layers").rglob("*.prototxt"))


def merged(path: Path) -> caffe_pb2.NetParameter:
    net = caffe_pb2.NetParameter()
    text_format.Merge(path.read_text(), net)
    return net


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_forks_text_merges(path: Path) -> None:
    net = merged(path)
    again = caffe_pb2.NetParameter()
    text_format.Merge(str(net), again)
    assert again == net


def test_fields_of_ssd() -> None:
    net = merged(ROOT / "models" / "ssd_digits" / "deploy.prototxt")
    sizes = [list(each.prior_box_param.min_size) for each in net.layer if each.type == "PriorBox"]
    assert sizes == [[18, 26], [32, 42]]
    assert draw_net(net, "TB", "dot").startswith(b"digraph")


def test_ssds_scripts_write_their_layers() -> None:
    net = pycaffe.NetSpec()
    net.data = pycaffe.layers.Input(shape={"dim": [1, 3, 9, 9]})
    net.perm = pycaffe.layers.Permute(net.data, order=[0, 2, 3, 1])
    made = net.to_proto()
    assert list(made.layer[1].permute_param.order) == [0, 2, 3, 1]
    copy = caffe_pb2.NetParameter()
    copy.CopyFrom(made)
    assert copy == made
    assert pycaffe.params.MultiBoxLoss.PER_PREDICTION == 1


def test_enums_and_their_values() -> None:
    assert caffe_pb2.TRAIN == caffe_pb2.Phase.Value("TRAIN") == 0
    assert caffe_pb2.PoolingParameter.MAX == 0
    with pytest.raises(AttributeError, match="has no 'Nothing'"):
        caffe_pb2.Nothing
