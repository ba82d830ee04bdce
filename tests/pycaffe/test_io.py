"""caffe.io, Classifier, Detector, draw."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image

import netspec
import netspec.pycaffe as caffe
from netspec.pycaffe import draw
from netspec.schema import caffe_pb2

NET = """
layer { name: 'data' type: 'Input' top: 'data'
  input_param { shape { dim: 2 dim: 3 dim: 4 dim: 4 } } }
layer { name: 'pool' type: 'Pooling' bottom: 'data' top: 'pool'
  pooling_param { pool: AVE global_pooling: true } }
layer { name: 'ip' type: 'InnerProduct' bottom: 'pool' top: 'ip'
  inner_product_param { num_output: 3 bias_term: false } }
"""


@pytest.fixture
def files(tmp_path) -> tuple[str, str]:
    """A net whose output is the mean of each channel, and its weights."""
    (tmp_path / "net.prototxt").write_text(NET)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    net.params["ip"][0].data[...] = np.eye(3)
    net.save(str(tmp_path / "net.caffemodel"))
    return str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel")


def test_blobprotos():
    array = np.arange(6.0).reshape(1, 2, 3)
    blob = caffe.io.array_to_blobproto(array, -array)
    assert list(blob.shape.dim) == [1, 2, 3]
    np.testing.assert_array_equal(caffe.io.blobproto_to_array(blob), array)
    np.testing.assert_array_equal(caffe.io.blobproto_to_array(blob, return_diff=True), -array)
    old = caffe_pb2.BlobProto(num=1, channels=1, height=2, width=3, data=range(6))
    assert caffe.io.blobproto_to_array(old).shape == (1, 1, 2, 3)
    assert caffe.io.blobproto_to_array(caffe_pb2.BlobProto(data=[3])) == 3
    with pytest.raises(ValueError, match="reshape"):
        caffe.io.blobproto_to_array(caffe_pb2.BlobProto(data=range(6)))
    text = caffe.io.arraylist_to_blobprotovector_str([array, array])
    np.testing.assert_array_equal(caffe.io.blobprotovector_str_to_arraylist(text)[1], array)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_datums(kind):
    array = np.arange(24).reshape(2, 3, 4).astype(kind)
    datum = caffe.io.array_to_datum(array, 7)
    assert (datum.channels, datum.height, datum.width, datum.label) == (2, 3, 4, 7)
    assert bool(datum.data) == (kind is np.uint8)
    np.testing.assert_array_equal(caffe.io.datum_to_array(datum), array)
    assert not caffe.io.array_to_datum(array).HasField("label")
    with pytest.raises(ValueError, match="3 axes"):
        caffe.io.array_to_datum(array[0])


def test_load_image(tmp_path):
    pixels = np.array([[[255, 0, 51], [0, 255, 102]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "rgb.png")
    Image.fromarray(pixels[..., 2]).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([pixels, pixels[..., :1]])).save(tmp_path / "rgba.png")
    np.testing.assert_allclose(caffe.io.load_image(tmp_path / "rgb.png"), pixels / 255, rtol=1e-6)
    np.testing.assert_allclose(caffe.io.load_image(tmp_path / "rgba.png"), pixels / 255, rtol=1e-6)
    grey = caffe.io.load_image(tmp_path / "rgb.png", color=False)
    np.testing.assert_allclose(grey[0, :, 0], [0.2125 + 0.0721 / 5, 0.7154 + 0.0721 * 0.4], 1e-5)
    assert caffe.io.load_image(tmp_path / "grey.png").shape == (1, 2, 3)
    assert caffe.io.load_image(tmp_path / "grey.png", False).shape == (1, 2, 1)
    with pytest.raises(FileNotFoundError):
        caffe.io.load_image(tmp_path / "none.png")


def test_resize_image():
    ramp = np.repeat(np.arange(4.0)[None, :, None], 2, 0)
    # in skimage's terms: mode 'constant', without anti-aliasing
    np.testing.assert_allclose(caffe.io.resize_image(ramp, (2, 2))[0, :, 0], [0.5, 2.5])
    wide = caffe.io.resize_image(ramp, (2, 8))[0, :, 0]
    np.testing.assert_allclose(wide, [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 2.4375], atol=0.2)
    np.testing.assert_array_equal(caffe.io.resize_image(ramp, (2, 2), 0)[0, :, 0], [1, 3])
    constant = caffe.io.resize_image(np.full((2, 2, 3), 7.0), (5, 6))
    assert constant.shape == (5, 6, 3)
    assert (constant == 7).all()
    other = np.repeat(ramp, 2, 2)  # with two channels the outermost pixels meet
    np.testing.assert_allclose(caffe.io.resize_image(other, (2, 7))[0, :, 0], np.arange(7) / 2)
    with pytest.raises(ValueError, match="order of interpolation is from 0 to 5, got 6"):
        caffe.io.resize_image(ramp, (2, 2), 6)


@pytest.mark.parametrize("order", range(6))
def test_orders_of_interpolation(order):
    """As skimage's resize without anti_aliasing, and for other channels scipy's zoom."""
    ndimage = pytest.importorskip("scipy.ndimage")
    rng = np.random.default_rng(order)
    for before, after in [((9, 7), (14, 7)), ((9, 7), (4, 5))]:
        ratio = (after[0] / before[0], after[1] / before[1], 1)
        image = rng.random((*before, 3)).astype(np.float32)
        scaled = (image - image.min()) / (image.max() - image.min())
        expected = ndimage.zoom(scaled, ratio, order=order, mode="grid-constant", grid_mode=True)
        expected = expected.clip(0, 1) * (image.max() - image.min()) + image.min()
        found = caffe.io.resize_image(image, after, order)
        np.testing.assert_allclose(found, expected, atol=1e-5)
        image = rng.random((*before, 2))
        found = caffe.io.resize_image(image, after, order)
        np.testing.assert_allclose(found, ndimage.zoom(image, ratio, order=order), atol=1e-5)


def test_splines_need_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.ndimage", None)
    with pytest.raises(netspec.NetspecError, match="order 3 needs the package scipy"):
        caffe.io.resize_image(np.random.default_rng(0).random((4, 4, 3)), (2, 2), 3)


def test_oversample():
    image = np.arange(30.0).reshape(5, 6, 1)
    crops = caffe.io.oversample([image, -image], (3, 2))
    assert crops.shape == (20, 3, 2, 1)
    starts = [(0, 0), (0, 4), (2, 0), (2, 4), (1, 2)]
    for crop, mirrored, (y, x) in zip(crops[:5], crops[5:10], starts, strict=True):
        np.testing.assert_array_equal(crop, image[y : y + 3, x : x + 2])
        np.testing.assert_array_equal(mirrored, crop[:, ::-1])
    np.testing.assert_array_equal(crops[10:], -crops[:10])


def test_transformer():
    transformer = caffe.io.Transformer({"data": (1, 3, 4, 5)})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_channel_swap("data", (2, 0, 1))
    transformer.set_raw_scale("data", 255)
    transformer.set_mean("data", np.array([1.0, 2.0, 3.0]))
    transformer.set_input_scale("data", 0.5)
    image = np.random.default_rng(0).random((4, 5, 3))
    made = transformer.preprocess("data", image)
    expected = (image.transpose(2, 0, 1)[[2, 0, 1]] * 255 - [[[1]], [[2]], [[3]]]) * 0.5
    np.testing.assert_allclose(made, expected, rtol=1e-5)
    np.testing.assert_allclose(transformer.deprocess("data", made), image, rtol=1e-4)
    assert transformer.preprocess("data", np.ones((8, 9, 3))).shape == (3, 4, 5)
    transformer.set_mean("data", np.ones((3, 8, 10)))
    assert transformer.mean["data"].shape == (3, 4, 5)


def test_transformer_of_one_channel():
    transformer = caffe.io.Transformer({"data": (1, 1, 4, 5)})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_mean("data", [0.5])
    image = np.random.default_rng(0).random((4, 5, 1))
    made = transformer.preprocess("data", image)
    np.testing.assert_allclose(transformer.deprocess("data", made), image, rtol=1e-5)
    np.testing.assert_allclose(transformer.deprocess("data", made[None]), image, rtol=1e-5)
    with pytest.raises(ValueError, match="1, 2 or 3 axes, got 0"):
        transformer.set_mean("data", 0.5)


def test_transformer_refuses():
    transformer = caffe.io.Transformer({"data": (1, 3, 4, 5)})
    with pytest.raises(ValueError, match="not one of the net's inputs"):
        transformer.set_raw_scale("image", 2)
    with pytest.raises(ValueError, match="needs 3 axes"):
        transformer.set_transpose("data", (1, 0))
    with pytest.raises(ValueError, match="needs 3 channels"):
        transformer.set_channel_swap("data", (1, 0))
    with pytest.raises(ValueError, match="needs 3 channels"):
        transformer.set_mean("data", np.ones(2))


def test_classifier(files: tuple[str, str]):
    images = [np.full((6, 8, 3), [0.1, 0.2, 0.3]), np.full((9, 7, 3), [0.4, 0.5, 0.6])]
    classifier = caffe.Classifier(
        *files, image_dims=(6, 6), raw_scale=10, channel_swap=(2, 1, 0), mean=np.ones(3)
    )
    for oversample in (True, False):
        predictions = classifier.predict(images, oversample)
        np.testing.assert_allclose(predictions, [[2, 1, 0], [5, 4, 3]], atol=1e-5)


def test_detector(files, tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[2:6, 2:6] = 255
    Image.fromarray(pixels).save(tmp_path / "i.png")
    windows = [(2, 2, 6, 6), (0, 0, 2, 2), (0, 0, 8, 8)]
    detector = caffe.Detector(*files)
    found = detector.detect_windows([(str(tmp_path / "i.png"), windows)])
    assert [detection["window"] for detection in found] == windows
    assert found[0]["filename"] == str(tmp_path / "i.png")
    scores = [float(detection["prediction"][0]) for detection in found]
    np.testing.assert_allclose(scores, [1, 0, 0.25], atol=1e-5)
    assert detector.detect_windows([]) == []


def test_detector_with_context(files: tuple[str, str], tmp_path):
    Image.fromarray(np.full((8, 8, 3), 255, np.uint8)).save(tmp_path / "i.png")
    mean = np.full((3, 4, 4), 5.0)
    detector = caffe.Detector(*files, mean=mean, raw_scale=10, context_pad=1)
    crop = detector.crop(caffe.io.load_image(tmp_path / "i.png"), np.array([0, 0, 3, 3]))
    assert crop.shape == (4, 4, 3)
    # beyond the image stands the mean, which preprocessing makes 0
    np.testing.assert_allclose(crop[0, :, 0], 0.5)
    np.testing.assert_allclose(crop[1:, 1:, 0], 1)
    (found,) = detector.detect_windows([(str(tmp_path / "i.png"), [(0, 0, 3, 3)])])
    np.testing.assert_allclose(found["prediction"], 5 * 9 / 16, rtol=1e-5)


def test_draw(tmp_path):
    net = text_format.Parse(NET, caffe_pb2.NetParameter())
    assert b"InnerProduct" in draw.draw_net(net, "LR", "dot")
    draw.draw_net_to_file(net, str(tmp_path / "net.svg"), "TB", caffe.TEST, True)
    assert (tmp_path / "net.svg").read_bytes().startswith(b"<?xml")
    with pytest.raises(ValueError, match="no format 'raw'"):
        draw.draw_net(net, ext="raw")


def test_a_graph_of_pydots(monkeypatch):
    net = text_format.Parse(NET, caffe_pb2.NetParameter())
    monkeypatch.setitem(sys.modules, "pydot", None)
    with pytest.raises(netspec.NetspecError, match="needs the package pydot"):
        draw.get_pydot_graph(net, "LR")
    monkeypatch.undo()
    pytest.importorskip("pydot")
    for shows in (True, False):
        graph = draw.get_pydot_graph(net, "TB", shows, caffe.TEST)
        assert "InnerProduct" in graph.to_string()
        assert any(edge.get_label() for edge in graph.get_edges()) == shows
