"""caffe.Net: forward, backward, blobs, params, files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import netspec
import netspec.pycaffe as caffe

TRAINED = """
name: 'trained' force_backward: true
layer { name: 'data' type: 'DummyData' top: 'data' top: 'label'
  dummy_data_param {
    shape { dim: 4 dim: 2 dim: 6 dim: 5 } shape { dim: 4 }
    data_filler { type: 'gaussian' } data_filler { type: 'constant' value: 1 } } }
layer { name: 'conv' type: 'Convolution' bottom: 'data' top: 'conv'
  convolution_param { num_output: 3 kernel_size: 3
    weight_filler { type: 'xavier' } bias_filler { type: 'constant' value: 0.1 } } }
layer { name: 'scale' type: 'Scale' bottom: 'conv' top: 'conv'
  scale_param { bias_term: true filler { value: -0.5 } } }
layer { name: 'conv2' type: 'Convolution' bottom: 'data' top: 'conv2'
  convolution_param { num_output: 3 kernel_size: 3 weight_filler { type: 'xavier' } } }
layer { name: 'sig' type: 'Sigmoid' bottom: 'conv2' top: 'sig' }
layer { name: 'relu' type: 'ReLU' bottom: 'conv' top: 'conv' }
layer { name: 'flat' type: 'Flatten' bottom: 'sig' top: 'flat' }
layer { name: 'flat2' type: 'Flatten' bottom: 'conv' top: 'flat2' }
layer { name: 'sum' type: 'Eltwise' bottom: 'flat' bottom: 'flat2' top: 'sum'
  eltwise_param { coeff: 2 coeff: 1 } }
layer { name: 'slice' type: 'Slice' bottom: 'sum' top: 'left' top: 'right'
  slice_param { slice_point: 12 } }
layer { name: 'ip' type: 'InnerProduct' bottom: 'left' top: 'ip'
  inner_product_param { num_output: 5 weight_filler { type: 'xavier' } } }
layer { name: 'tanh' type: 'TanH' bottom: 'ip' top: 'ip' }
layer { name: 'quiet' type: 'Silence' bottom: 'right' }
layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip' bottom: 'label' top: 'loss'
  loss_weight: 3 }
layer { name: 'accuracy' type: 'Accuracy' bottom: 'ip' bottom: 'label' top: 'accuracy' }
"""
SIMPLE = """
name: 'simple'
layer { name: 'data' type: 'Input' top: 'data'
  input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
layer { name: 'conv' type: 'Convolution' bottom: 'data' top: 'conv'
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: 'xavier' } } }
layer { name: 'relu' type: 'ReLU' bottom: 'conv' top: 'conv' }
layer { name: 'pool' type: 'Pooling' bottom: 'conv' top: 'pool'
  pooling_param { pool: AVE global_pooling: true } }
layer { name: 'prob' type: 'Softmax' bottom: 'pool' top: 'prob' }
"""


def make(tmp_path: Path, text: str, *args, **options):
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    return caffe.Net(str(path), *(args or (caffe.TEST,)), **options)


@pytest.fixture
def trained(tmp_path):
    return make(tmp_path, TRAINED, caffe.TRAIN)


def module_of(net):
    """The same net in one piece, with its own copy of the params."""
    module = netspec.compile(net.graph)
    for own, theirs in zip(module.layer_params, net.module.layer_params, strict=True):
        for blob, source in zip(own, theirs, strict=True):
            blob.data.copy_(source)
    return module


@pytest.mark.parametrize("is_seen", [False, True])
def test_values_and_gradients_are_the_modules(trained, is_seen):
    net = trained
    if is_seen:  # then results are copied to where the script's arrays are
        for blob in net.blobs.values():
            blob.data.sum() + blob.diff.sum()
    outputs = net.forward()
    net.backward()
    module = module_of(net)
    data = torch.tensor(net.blobs["data"].data, requires_grad=True)
    expected = module(data=data, label=torch.tensor(net.blobs["label"].data))
    module.loss(expected).backward()
    assert outputs.keys() == {"loss", "accuracy"}
    for name, value in expected.items():
        np.testing.assert_allclose(outputs[name], value.detach().numpy(), rtol=1e-5)
    np.testing.assert_allclose(net.blobs["data"].diff, data.grad.numpy(), rtol=1e-4, atol=1e-7)
    for name, blobs in module.params.items():
        for blob, own in zip(blobs, net.params[name], strict=True):
            np.testing.assert_allclose(own.diff, blob.grad.numpy(), rtol=1e-4, atol=1e-7)


def test_names_have_the_splits_of_caffe(trained):
    assert "ip_tanh_0_split" in trained._layer_names
    assert list(trained.blobs)[:4] == [
        "data",
        "label",
        "data_data_0_split_0",
        "data_data_0_split_1",
    ]
    assert trained.bottom_names["conv"] == ["data_data_0_split_0"]
    assert trained.top_names["slice"] == ["left", "right"]
    assert list(trained.layer_dict) == trained._layer_names
    assert [layer.type for layer in trained.layers][:2] == ["DummyData", "Split"]
    assert trained.inputs == []
    assert trained.outputs == ["accuracy", "loss"]
    assert trained.blob_loss_weights["loss"] == 3
    assert trained.blobs["loss"].diff == 3


def test_ids_are_places_among_the_blobs(trained):
    assert [trained._blob_names[i] for i in trained._outputs] == trained.outputs
    assert trained._inputs == []
    for i, name in enumerate(trained._layer_names):
        tops, bottoms = trained._top_ids(i), trained._bottom_ids(i)
        assert [trained._blob_names[j] for j in tops] == trained.top_names[name]
        assert [trained._blob_names[j] for j in bottoms] == trained.bottom_names[name]
    assert trained._blob_loss_weights[trained._blob_names.index("loss")] == 3


def test_params_share_memory_with_the_module(tmp_path):
    net = make(tmp_path, SIMPLE)
    net.params["conv"][0].data[...] = 2
    assert (net.module.params["conv"][0] == 2).all()
    assert list(net.params) == ["conv"]
    assert [blob.shape for blob in net.params["conv"]] == [[4, 3, 3, 3], [4]]
    assert net.layer_dict["conv"].blobs[0].count == 108


def test_an_array_shows_each_pass(tmp_path):
    net = make(tmp_path, SIMPLE)
    conv = net.blobs["conv"].data
    net.forward(data=np.ones((2, 3, 8, 8)))
    first = conv.copy()
    net.forward(data=np.full((2, 3, 8, 8), 2.0))
    np.testing.assert_allclose(conv, 2 * first, rtol=1e-5)
    assert net.blobs["conv"].data.ctypes.data == conv.ctypes.data
    assert conv.min() >= 0  # the ReLU is in place


def test_partial_passes_read_what_stands_in_the_blobs(tmp_path):
    net = make(tmp_path, SIMPLE)
    assert list(net.forward(end="relu")) == ["conv"]
    net.blobs["conv"].data[...] = np.arange(4).reshape(1, 4, 1, 1)
    found = net.forward(start="pool", blobs=["pool"])
    assert list(found) == ["prob", "pool"]
    np.testing.assert_allclose(found["pool"][0, :, 0, 0], np.arange(4), rtol=1e-6)
    with pytest.raises(ValueError, match="no layer 'pol'"):
        net.forward(start="pol")


def test_partial_backward_passes_read_the_diffs(trained):
    trained.forward()
    trained.blobs["ip_tanh_0_split_0"].diff[...] = 0
    trained.blobs["ip_tanh_0_split_1"].diff[...] = 0
    trained.backward(start="ip_tanh_0_split", end="ip")
    assert not trained.params["ip"][0].diff.any()
    trained.blobs["ip"].diff[...] = 1
    found = trained.backward(start="tanh", end="ip")
    assert list(found) == ["left"]
    expected = (1 - trained.blobs["ip"].data ** 2) @ trained.params["ip"][0].data
    np.testing.assert_allclose(found["left"], expected, rtol=1e-4)


def test_backward_adds_to_params_until_they_are_cleared(trained):
    trained.forward()
    trained.backward()
    once = trained.params["ip"][0].diff.copy()
    assert once.any()
    trained.backward()
    np.testing.assert_allclose(trained.params["ip"][0].diff, 2 * once, rtol=1e-5)
    trained.clear_param_diffs()
    assert not trained.params["ip"][0].diff.any()


def test_constants_that_a_script_writes_over_stay(trained):
    trained.blobs["label"].data[...] = [0, 1, 2, 3]
    before = trained.blobs["data"].data.copy()
    trained.forward()
    assert trained.blobs["label"].data.tolist() == [0, 1, 2, 3]
    assert not np.array_equal(before, trained.blobs["data"].data)  # a gaussian is filled anew


def test_reshape(tmp_path):
    net = make(tmp_path, SIMPLE)
    net.blobs["data"].reshape(1, 3, 5, 6)
    net.reshape()
    assert net.blobs["conv"].shape == [1, 4, 3, 4]
    assert net.forward()["prob"].shape == (1, 4, 1, 1)
    net.blobs["data"].reshape(3, 3, 8, 8)
    assert net.forward(data=np.ones((3, 3, 8, 8)))["prob"].shape == (3, 4, 1, 1)
    assert net.blobs["data"].num == 3
    assert net.blobs["data"].width == 8
    net.blobs["data"].reshape(1, 2, 8, 8)
    with pytest.raises(netspec.NetspecError, match="keeps its params"):
        net.reshape()


def test_reshape_in_training(trained):
    weights = trained.params["conv"][0].data.copy()
    # the data layer sets the sizes again, as in Caffe
    trained.blobs["data"].reshape(2, 2, 6, 5)
    trained.forward()
    trained.backward()
    np.testing.assert_array_equal(trained.params["conv"][0].data, weights)
    assert trained.blobs["data"].shape == [4, 2, 6, 5]


def test_forward_all_pads_the_last_batch(tmp_path):
    net = make(tmp_path, SIMPLE)
    rows = np.random.default_rng(0).normal(size=(5, 3, 8, 8))
    found = net.forward_all(data=rows, blobs=["pool"])
    assert found["prob"].shape == (5, 4, 1, 1)
    np.testing.assert_allclose(
        found["pool"][2:4], net.forward(data=rows[2:4], blobs=["pool"])["pool"]
    )


def test_forward_backward_all(tmp_path):
    net = make(tmp_path, "force_backward: true\n" + SIMPLE)
    rows = np.random.default_rng(0).normal(size=(3, 3, 8, 8))
    outputs, diffs = net.forward_backward_all(data=rows, prob=np.ones((3, 4, 1, 1)))
    assert outputs["prob"].shape == (3, 4, 1, 1)
    assert diffs["data"].shape == (3, 3, 8, 8)
    np.testing.assert_allclose(diffs["data"], 0, atol=1e-6)  # the sum of a softmax is constant


def test_inputs_must_be_all_and_batch_sized(tmp_path):
    net = make(tmp_path, SIMPLE)
    with pytest.raises(ValueError, match="do not match"):
        net.forward(image=np.ones((2, 3, 8, 8)))
    with pytest.raises(ValueError, match="batch sized"):
        net.forward(data=np.ones((1, 3, 8, 8)))


@pytest.mark.parametrize("name", ["weights", "weights.caffemodel"])
def test_weights_go_through_files(tmp_path, name):
    net = make(tmp_path, SIMPLE)
    net.save(str(tmp_path / name))
    net.save_hdf5(str(tmp_path / "hdf5"))
    weights = net.params["conv"][0].data.copy()
    old = caffe.Net(str(tmp_path / "net.prototxt"), str(tmp_path / name), caffe.TEST)
    new = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST, weights=str(tmp_path / name))
    other = make(tmp_path, SIMPLE)
    other.load_hdf5(str(tmp_path / "hdf5"))
    for each in (old, new, other):
        np.testing.assert_array_equal(each.params["conv"][0].data, weights)


def test_weights_of_another_shape_are_refused(tmp_path):
    make(tmp_path, SIMPLE).save(str(tmp_path / "w"))
    with pytest.raises(netspec.NetspecError, match="blob 0 of layer 'conv' is 5×3×3×3 in the net"):
        make(tmp_path, SIMPLE.replace("num_output: 4", "num_output: 5"), str(tmp_path / "w"), 1)
    # layers of other names keep their values
    make(tmp_path, SIMPLE.replace("name: 'conv'", "name: 'other'"), str(tmp_path / "w"), 1)


def test_the_phase_must_be_one(tmp_path):
    with pytest.raises(ValueError, match=r"caffe.TRAIN or caffe.TEST, got 7"):
        make(tmp_path, SIMPLE, 7)
    with pytest.raises(TypeError, match="a file and a phase"):
        caffe.Net(str(tmp_path / "net.prototxt"))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(RuntimeError, match="could not open file"):
        caffe.Net(str(tmp_path / "none.prototxt"), caffe.TEST)
    with pytest.raises(RuntimeError, match="could not open file"):
        make(tmp_path, SIMPLE, caffe.TEST, weights="none.caffemodel")


def test_share_with_shares_values_and_not_gradients(tmp_path):
    one, other = make(tmp_path, SIMPLE), make(tmp_path, SIMPLE)
    other.share_with(one)
    one.params["conv"][0].data[...] = 7
    assert (other.params["conv"][0].data == 7).all()
    one.params["conv"][0].diff[...] = 1
    assert not other.params["conv"][0].diff.any()


def test_level_and_stages_choose_layers(tmp_path):
    text = SIMPLE.replace(
        "name: 'prob' type", "name: 'prob' include { stage: 'show' min_level: 2 } type"
    )
    assert make(tmp_path, text).outputs == ["pool"]
    assert make(tmp_path, text, caffe.TEST, level=2, stages=["show"]).outputs == ["prob"]
    assert make(tmp_path, text, caffe.TEST, 2, ["show"]).outputs == ["prob"]


def test_memory_data_goes_round(tmp_path):
    text = """layer { name: 'm' type: 'MemoryData' top: 'data' top: 'label'
      memory_data_param { batch_size: 2 channels: 1 height: 2 width: 2 } }"""
    net = make(tmp_path, text)
    with pytest.raises(RuntimeError, match="set_input_arrays"):
        net.forward()
    data = np.arange(16, dtype=np.float32).reshape(4, 1, 2, 2)
    net.set_input_arrays(data, np.arange(4, dtype=np.float32))
    assert [net.forward()["label"].tolist() for _ in range(3)] == [[0, 1], [2, 3], [0, 1]]
    data[2:] = -1
    assert (net.forward()["data"] == -1).all()  # they are read in each pass
    with pytest.raises(RuntimeError, match="multiple of the batch size 2"):
        net.set_input_arrays(data[:3], np.arange(3, dtype=np.float32))
    with pytest.raises(RuntimeError, match="float32"):
        net.set_input_arrays(data.astype(float), np.arange(4, dtype=np.float32))


def test_callbacks(tmp_path):
    net = make(tmp_path, SIMPLE)
    told = []
    net.before_forward(lambda i: told.append(("before", i)))
    net.after_forward(lambda i: told.append(("after", i)))
    net.after_backward(lambda i: told.append(("back", i)))
    net.forward(end="conv")
    net.backward(start="conv")
    assert told == [
        ("before", 0),
        ("after", 0),
        ("before", 1),
        ("after", 1),
        ("back", 1),
        ("back", 0),
    ]


@pytest.mark.parametrize("is_seen", [False, True])
def test_a_backward_pass_reads_what_stands_in_blobs_and_params(trained, tmp_path, is_seen):
    net = trained
    for blob in net.blobs.values() if is_seen else ():
        blob.data.sum() + blob.diff.sum()

    def check() -> None:
        net.clear_param_diffs()
        net.backward()
        (weights, _), top = net.params["ip"], net.blobs["ip"]
        np.testing.assert_allclose(
            weights.diff, top.diff.T @ net.blobs["left"].data, rtol=1e-4, atol=1e-7
        )
        np.testing.assert_allclose(
            net.blobs["left"].diff, top.diff @ weights.data, rtol=1e-4, atol=1e-7
        )

    net.forward()
    check()
    net.forward(end="slice")  # of the next batch
    check()
    net.save(str(tmp_path / "w"))
    net.params["ip"][0].data[...] *= 2
    check()
    net.copy_from(str(tmp_path / "w"))
    check()
    other = caffe.Net(net.graph.path, caffe.TRAIN)
    net.share_with(other)
    check()


def test_a_pass_backward_without_one_forward(tmp_path):
    net = make(tmp_path, "force_backward: true\n" + SIMPLE)
    net.blobs["pool"].diff[...] = 0
    net.blobs["conv"].data[...] = 1
    net.blobs["conv"].diff[...] = 2
    net.blobs["data"].data[...] = 1
    assert net.backward(start="relu", end="conv")["data"].any()


def test_what_a_net_is_asked_for_is_made_once(trained):
    for name in ("blobs", "params", "layers", "layer_dict", "top_names", "bottom_names"):
        assert getattr(trained, name) is getattr(trained, name)
    assert trained.blobs["ip"] is trained.layer_dict["ip"].tops[0]
