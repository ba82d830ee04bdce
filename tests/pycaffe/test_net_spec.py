"""NetSpec, L and P, and the map between coordinates."""

from __future__ import annotations

import numpy as np
import pytest

import netspec.pycaffe as caffe
from netspec.pycaffe import layers as L
from netspec.pycaffe import params as P
from netspec.pycaffe.coord_map import AxisMismatchException, compose, coord_map_from_to, crop

TEXT = """layer {
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  transform_param {
    scale: 0.5
  }
  dummy_data_param {
    shape {
      dim: 2
      dim: 1
      dim: 6
      dim: 6
    }
    shape {
      dim: 2
    }
  }
}
layer {
  name: "Convolution1"
  type: "Convolution"
  bottom: "data"
  top: "Convolution1"
  param {
    lr_mult: 1
  }
  param {
    lr_mult: 2
  }
  convolution_param {
    num_output: 4
    kernel_size: 3
    weight_filler {
      type: "xavier"
    }
  }
}
layer {
  name: "relu"
  type: "ReLU"
  bottom: "Convolution1"
  top: "Convolution1"
}
layer {
  name: "pool"
  type: "Pooling"
  bottom: "Convolution1"
  top: "pool"
  pooling_param {
    pool: AVE
    global_pooling: true
  }
}
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "pool"
  bottom: "label"
  top: "loss"
  loss_weight: 2
}
layer {
  name: "quiet"
  type: "Silence"
  bottom: "label"
}
"""


def small():
    n = caffe.NetSpec()
    n.data, n.label = L.DummyData(
        shape=[{"dim": [2, 1, 6, 6]}, {"dim": 2}], ntop=2, transform_param={"scale": 0.5}
    )
    conv = L.Convolution(
        n.data,
        num_output=4,
        kernel_size=3,
        weight_filler={"type": "xavier"},
        param=[{"lr_mult": 1}, {"lr_mult": 2}],
    )
    n.relu = L.ReLU(conv, in_place=True)
    n.pool = L.Pooling(n.relu, pool=P.Pooling.AVE, global_pooling=True)
    n.loss = L.SoftmaxWithLoss(n.pool, n.label, loss_weight=2)
    n.quiet = L.Silence(n.label, ntop=0)
    return n


def test_the_text():
    assert str(small().to_proto()) == TEXT


def test_the_net_runs(tmp_path):
    (tmp_path / "n.prototxt").write_text(str(small().to_proto()))
    net = caffe.Net(str(tmp_path / "n.prototxt"), caffe.TEST)
    assert list(net.forward()) == ["loss"]


def test_automatic_names():
    data = L.Input(shape={"dim": [1, 2]})
    first = L.InnerProduct(data, num_output=1)
    second = L.InnerProduct(first, num_output=1)
    names = [layer.name for layer in caffe.to_proto(second, first).layer]
    assert names == ["Input1", "InnerProduct1", "InnerProduct2"]
    assert second.to_proto().layer[2].bottom == ["InnerProduct1"]


def test_update_and_items():
    n = small()
    n.update("pool", {"global_pooling": False, "kernel_size": 2})
    n["extra"] = L.TanH(n["pool"])
    proto = n.to_proto()
    assert proto.layer[3].pooling_param.kernel_size == 2
    assert proto.layer[-1].name == "extra"
    del n.extra
    assert "extra" not in n.tops


def test_which_field_holds_a_types_parameters():
    fields = caffe.net_spec.param_name_dict()
    assert fields["InnerProduct"] == "inner_product"
    assert fields["ReLU"] == "relu"
    assert "Silence" not in fields


def test_faults():
    data = L.DummyData(ntop=2)
    with pytest.raises(TypeError, match=r"ReLU input 0 is not a Top \(type is <class 'tuple'>\)"):
        L.ReLU(data)
    with pytest.raises(AttributeError, match="no setting 'num_outputs'"):
        L.Convolution(*data, num_outputs=3).to_proto()
    with pytest.raises(AttributeError, match="no blob 'conv9'"):
        small().conv9
    with pytest.raises(AttributeError, match="no parameters of 'Poling'"):
        P.Poling.MAX


def spatial(kernel=3, stride=1, pad=0, pool=2, up=2, up_pad=0):
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [1, 1, 40, 40]})
    n.conv = L.Convolution(n.data, num_output=2, kernel_size=kernel, stride=stride, pad=pad)
    n.pool = L.Pooling(n.conv, pool=P.Pooling.MAX, kernel_size=pool, stride=pool)
    n.relu = L.ReLU(n.pool)
    sizes = {"num_output": 2, "kernel_size": 2 * up, "stride": up, "pad": up_pad}
    n.up = L.Deconvolution(n.relu, convolution_param=sizes)
    return n


@pytest.mark.parametrize(
    ("given", "shift"),
    [({}, 0), ({"pool": 4, "up": 4}, -1), ({"pad": 3}, -3), ({"up_pad": 2}, 2)],
)
def test_coordinates(given, shift):
    n = spatial(**given)
    assert coord_map_from_to(n.up, n.data) == (1, 1, shift)


def test_coordinates_of_each_axis():
    n = spatial(kernel=[3, 5], pad=[0, 4])
    axis, scale, shift = coord_map_from_to(n.up, n.data)
    assert axis == 1
    np.testing.assert_array_equal(scale, [1])
    np.testing.assert_array_equal(shift, [0, -3])


def test_crop():
    n = spatial(pad=3)
    n.crop = crop(n.up, n.data)
    layer = n.to_proto().layer[-1]
    assert (layer.type, layer.bottom, layer.crop_param.axis) == ("Crop", ["up", "data"], 2)
    assert list(layer.crop_param.offset) == [3]
    assert coord_map_from_to(n.crop, n.data) == (1, 1, 0)


def test_crop_refuses():
    for given, fault in [
        ({"pool": 3}, "scale mismatch"),
        ({"up_pad": 9}, "negative offset"),
        ({"kernel": 4, "pad": 2}, "noninteger"),
    ]:
        n = spatial(**given)
        with pytest.raises(AssertionError, match=fault):
            crop(n.up, n.data)
    n = spatial()
    n.ip = L.InnerProduct(n.up, num_output=2)
    with pytest.raises(RuntimeError, match="no map"):
        coord_map_from_to(n.ip, n.data)
    with pytest.raises(AxisMismatchException):
        compose((1, 1, 0), (2, 1, 0))
