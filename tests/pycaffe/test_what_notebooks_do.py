"""What the notebooks of pycaffe's days do with it, on nets and data of our own."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

import netspec
import netspec.pycaffe as caffe
from netspec.pycaffe import layers as L
from netspec.pycaffe import params as P
from netspec.pycaffe.proto import caffe_pb2

XAVIER = {"type": "xavier"}
FROZEN = [{"lr_mult": 0}] * 2


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    caffe.set_random_seed(3)


def write(path, message) -> str:
    with open(path, "w") as file:
        file.write(str(message))
    return path


def solver_of(train, test=None, **settings) -> str:
    s = caffe_pb2.SolverParameter()
    s.train_net = train
    if test:
        s.test_net.append(test)
        s.test_interval = 500
        s.test_iter.append(4)
        s.test_initialization = False
    s.base_lr, s.lr_policy, s.max_iter, s.random_seed = 0.1, "fixed", 100, 0xCAFFE
    s.momentum, s.snapshot_after_train = 0.9, False
    s.solver_mode = caffe_pb2.SolverParameter.GPU  # the process's mode decides, as in Caffe
    for name, value in settings.items():
        setattr(s, name, value)
    return write(f"{train}.solver", s)


def test_fully_connected_weights_become_convolutions():
    def features(height, width):
        n = caffe.NetSpec()
        n.data = L.Input(shape={"dim": [1, 3, height, width]})
        n.conv1 = L.Convolution(n.data, num_output=4, kernel_size=3, weight_filler=XAVIER)
        n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
        return n

    fc = features(12, 12)
    fc.fc6 = L.InnerProduct(fc.pool1, num_output=7, weight_filler=XAVIER)
    fc.prob = L.Softmax(fc.fc6)
    full = features(20, 18)
    full["fc6-conv"] = L.Convolution(full.pool1, num_output=7, kernel_size=5)
    full.prob = L.Softmax(full["fc6-conv"])
    net = caffe.Net(write("fc.prototxt", fc.to_proto()), caffe.TEST)
    net.save("fc.caffemodel")
    conv = caffe.Net(write("conv.prototxt", full.to_proto()), "fc.caffemodel", caffe.TEST)
    given = {"fc6": tuple(blob.data for blob in net.params["fc6"])}
    taken = {"fc6-conv": tuple(blob.data for blob in conv.params["fc6-conv"])}
    assert given["fc6"][0].shape == (7, 100)
    taken["fc6-conv"][0].flat = given["fc6"][0].flat  # type: ignore[misc]
    taken["fc6-conv"][1][...] = given["fc6"][1]
    conv.save("conv.caffemodel")
    image = np.random.default_rng(0).random((1, 3, 20, 18)).astype(np.float32)
    out = conv.forward_all(data=image)
    assert out["prob"].shape == (1, 7, 5, 4)
    places = out["prob"][0].argmax(axis=0)
    single = net.forward(data=image[:, :, 4:16, 2:14])["prob"]
    np.testing.assert_allclose(out["prob"][0, :, 2, 1], single[0], rtol=1e-4)
    assert places[2, 1] == single[0].argmax()
    loaded = netspec.compile("conv.prototxt", weights="conv.caffemodel")
    np.testing.assert_array_equal(
        loaded.params["fc6-conv"][0].detach().numpy().ravel(), given["fc6"][0].ravel()
    )


def test_an_image_is_filtered_by_hand():
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [1, 1, 100, 100]})
    n.conv = L.Convolution(n.data, num_output=3, kernel_size=5)
    net = caffe.Net(write("c.prototxt", n.to_proto()), caffe.TEST)
    image = np.random.default_rng(0).integers(0, 255, (36, 48)).astype(np.uint8)
    batch = image[np.newaxis, np.newaxis, :, :]
    net.blobs["data"].reshape(*batch.shape)
    net.blobs["data"].data[...] = batch
    net.params["conv"][1].data[0] = 1.0
    size = net.params["conv"][0].data.shape[2:]
    net.params["conv"][0].data[0, 0] = np.ones(size) / 25
    net.params["conv"][0].data[1, 0, 1:-1, 1:-1] = [[-1, 0, 1]] * 3
    net.forward()
    assert net.blobs["conv"].data.shape == (1, 3, 32, 44)
    np.testing.assert_allclose(
        net.blobs["conv"].data[0, 0, 0, 0], image[:5, :5].mean() + 1, rtol=1e-5
    )
    assert not net.blobs["conv"].data[0, 2].any()


def digits(batch: int, source: str) -> caffe.NetSpec:
    n = caffe.NetSpec()
    n.data, n.label = L.HDF5Data(batch_size=batch, source=source, ntop=2)
    return n


@pytest.fixture
def hdf5():
    """Points in two dimensions, labelled by the sign of their sum."""
    rng = np.random.default_rng(1)
    for name in ("train", "test"):
        data = rng.normal(size=(80, 2)).astype(np.float32)
        with h5py.File(f"{name}.h5", "w") as file:
            file["data"] = data
            file.create_dataset("label", data=(data.sum(1) > 0).astype(np.float32))
        write(f"{name}.txt", f"{name}.h5\n")


def logistic(source: str):
    n = digits(10, source)
    n.ip1 = L.InnerProduct(n.data, num_output=2, weight_filler=XAVIER)
    n.accuracy = L.Accuracy(n.ip1, n.label)
    n.loss = L.SoftmaxWithLoss(n.ip1, n.label)
    return n.to_proto()


def test_logistic_regression_from_hdf5(hdf5):
    train, test = (write(f"{w}.prototxt", logistic(f"{w}.txt")) for w in ("train", "test"))
    path = solver_of(train, test, snapshot=50, snapshot_prefix="logreg")
    solver = caffe.get_solver(path)
    solver.solve()
    accuracy = 0
    for _ in range(8):
        solver.test_nets[0].forward()
        accuracy += solver.test_nets[0].blobs["accuracy"].data
    assert accuracy / 8 > 0.9
    weights = solver.net.params["ip1"][0].data
    assert (weights[1] > weights[0]).all()
    own = netspec.Solver(path, device="cpu")
    own.solve()
    np.testing.assert_allclose(
        weights, own.module.params["ip1"][0].detach().numpy(), rtol=1e-4, atol=1e-6
    )
    again = caffe.get_solver(path)
    again.solve("logreg_iter_50.solverstate")
    np.testing.assert_array_equal(again.net.params["ip1"][0].data, weights)


def test_a_solver_loop_with_tests_by_hand(hdf5):
    train, test = (write(f"{w}.prototxt", logistic(f"{w}.txt")) for w in ("train", "test"))
    solver = caffe.SGDSolver(solver_of(train, test))
    rounds, interval = 30, 10
    loss, outputs, accuracies = np.zeros(rounds), np.zeros((rounds, 8, 2)), []
    solver.net.forward()
    solver.test_nets[0].forward()
    held = solver.test_nets[0].blobs["data"].data.copy()
    for it in range(rounds):
        solver.step(1)
        loss[it] = solver.net.blobs["loss"].data
        solver.test_nets[0].forward(start="ip1")
        outputs[it] = solver.test_nets[0].blobs["ip1"].data[:8]
        if it % interval == 0:
            np.testing.assert_array_equal(solver.test_nets[0].blobs["data"].data, held)
            correct = 0
            for _ in range(8):
                solver.test_nets[0].forward()
                blobs = solver.test_nets[0].blobs
                correct += sum(blobs["ip1"].data.argmax(1) == blobs["label"].data)
            accuracies.append(correct / 80)
            held = solver.test_nets[0].blobs["data"].data.copy()
    assert loss[-5:].mean() < loss[:5].mean()
    assert accuracies[-1] > 0.85
    assert not np.array_equal(outputs[0], outputs[-1])
    shapes = [(k, v[0].data.shape, v[1].data.shape) for k, v in solver.net.params.items()]
    assert shapes == [("ip1", (2, 2), (2,))]


def styled(source: str, names=("fc8", 5), learn_all=False, train=True):
    n = caffe.NetSpec()
    n.data, label = L.ImageData(
        transform_param={"mirror": train, "crop_size": 12, "mean_value": 110, "scale": 0.01},
        source=source, batch_size=4, new_height=16, new_width=16, ntop=2,
    )  # fmt: skip
    param = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}]
    n.conv1 = L.Convolution(
        n.data, kernel_size=3, num_output=6, weight_filler=XAVIER,
        param=param if learn_all else FROZEN,
    )  # fmt: skip
    n.relu1 = L.ReLU(n.conv1, in_place=True)
    n.norm1 = L.LRN(n.relu1, local_size=5, alpha=1e-4, beta=0.75)
    n.fc7 = L.InnerProduct(
        n.norm1, num_output=9, weight_filler=XAVIER, param=param if learn_all else FROZEN
    )
    if train:
        n.drop7 = fc7 = L.Dropout(n.fc7, in_place=True)
    else:
        fc7 = n.fc7
    score = L.InnerProduct(fc7, num_output=names[1], weight_filler=XAVIER, param=param)
    n[names[0]] = score
    if not train:
        n.probs = L.Softmax(score)
    n.label = label
    n.loss = L.SoftmaxWithLoss(score, n.label)
    n.acc = L.Accuracy(score, n.label)
    return n.to_proto()


def test_fine_tuning(tmp_path):
    rng = np.random.default_rng(0)
    lines = []
    for i in range(8):
        pixels = np.full((20, 24, 3), (i % 2) * 200, np.uint8) + rng.integers(0, 50, (20, 24, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(f"{i}.png")
        lines.append(f"{tmp_path}/{i}.png {i % 2}")
    write("list.txt", "\n".join(lines) + "\n")
    trained = caffe.Net(write("all.prototxt", styled("list.txt")), caffe.TRAIN)
    trained.save("pretrained.caffemodel")
    style = write("style.prototxt", styled("list.txt", ("fc8_style", 2)))
    test = write("test.prototxt", styled("list.txt", ("fc8_style", 2), train=False))
    untrained = caffe.Net(test, "pretrained.caffemodel", caffe.TEST)
    untrained.forward()
    batch = untrained.blobs["data"].data.copy()
    labels = np.array(untrained.blobs["label"].data, dtype=np.int32)
    assert labels.tolist() == [0, 1, 0, 1]
    net_input = untrained.blobs["data"]
    net_input.data[0, ...] = batch[1]
    probs = untrained.forward(start="conv1")["probs"]
    np.testing.assert_allclose(probs[0], probs[1], rtol=1e-5)
    tuned, scratch = (caffe.get_solver(solver_of(style, base_lr=0.05)) for _ in range(2))
    tuned.net.copy_from("pretrained.caffemodel")
    before = tuned.net.params["conv1"][0].data.copy()
    np.testing.assert_array_equal(before, trained.params["conv1"][0].data)
    assert not np.array_equal(before, scratch.net.params["conv1"][0].data)
    blobs = ("loss", "acc")
    found = {name: np.zeros((len(blobs), 20)) for name in ("tuned", "scratch")}
    for it in range(20):
        for name, solver in (("tuned", tuned), ("scratch", scratch)):
            solver.step(1)
            found[name][:, it] = [solver.net.blobs[b].data.copy() for b in blobs]
    assert np.isfinite(found["tuned"]).all()
    np.testing.assert_array_equal(before, tuned.net.params["conv1"][0].data)  # it is frozen
    tuned.net.save("tuned.caffemodel")
    end = solver_of(write("end.prototxt", styled("list.txt", ("fc8_style", 2), True)))
    end_to_end = caffe.get_solver(end)
    end_to_end.net.copy_from("tuned.caffemodel")
    end_to_end.step(1)
    assert not np.array_equal(before, end_to_end.net.params["conv1"][0].data)
    checked = caffe.Net(test, "tuned.caffemodel", caffe.TEST)
    assert sum(checked.forward()["acc"] for _ in range(2)) / 2 > 0.9


def test_classification_step_by_step(tmp_path):
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [10, 3, 17, 17]})
    n.conv1 = L.Convolution(n.data, num_output=4, kernel_size=3, group=1, weight_filler=XAVIER)
    n.relu1 = L.ReLU(n.conv1, in_place=True)
    n.fc8 = L.InnerProduct(n.relu1, num_output=12, weight_filler=XAVIER)
    n.prob = L.Softmax(n.fc8)
    net = caffe.Net(write("deploy.prototxt", n.to_proto()), caffe.TEST)
    net.save("net.caffemodel")
    net = caffe.Net("deploy.prototxt", "net.caffemodel", caffe.TEST)
    np.save("mean.npy", np.full((3, 32, 32), 100.0))
    Image.fromarray(np.arange(30 * 40 * 3, dtype=np.uint8).reshape(30, 40, 3)).save("cat.png")
    transformer = caffe.io.Transformer({"data": net.blobs["data"].data.shape})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_mean("data", np.load("mean.npy").mean(1).mean(1))
    transformer.set_raw_scale("data", 255)
    transformer.set_channel_swap("data", (2, 1, 0))
    net.blobs["data"].reshape(50, 3, 17, 17)
    net.blobs["data"].data[...] = transformer.preprocess("data", caffe.io.load_image("cat.png"))
    output = net.forward()
    assert output["prob"].shape == (50, 12)
    module = netspec.compile("deploy.prototxt", weights="net.caffemodel")
    expected = module(data=torch.tensor(net.blobs["data"].data[:10]))["prob"].detach().numpy()
    np.testing.assert_allclose(output["prob"][:10], expected, rtol=1e-4, atol=1e-6)
    top = output["prob"][0].argsort()[::-1][:5]
    assert len(set(top)) == 5
    assert transformer.deprocess("data", net.blobs["data"].data[0]).shape == (17, 17, 3)
    filters = net.params["conv1"][0].data.transpose(0, 2, 3, 1)
    assert filters.shape == (4, 3, 3, 3)
    assert net.blobs["conv1"].data[0, :36].min() >= 0


def test_siamese_features_are_computed_in_batches():
    shared = [{"name": "w", "lr_mult": 1}, {"name": "b", "lr_mult": 2}]
    n = caffe.NetSpec()
    n.pair_data = L.Input(shape={"dim": [5, 2, 4, 4]})
    n.sim = L.Input(shape={"dim": [5]})
    n.data, n.data_p = L.Slice(n.pair_data, slice_dim=1, slice_point=1, ntop=2)
    n.feat = L.InnerProduct(n.data, num_output=2, weight_filler=XAVIER, param=shared)
    n.feat_p = L.InnerProduct(n.data_p, num_output=2, weight_filler=XAVIER, param=shared)
    n.loss = L.ContrastiveLoss(n.feat, n.feat_p, n.sim, margin=1)
    train = caffe.Net(write("siamese.prototxt", n.to_proto()), caffe.TRAIN)
    rng = np.random.default_rng(0)
    train.forward(pair_data=rng.random((5, 2, 4, 4)), sim=np.array([0, 1, 0, 1, 1]))
    train.backward()
    assert train.params["feat"][0].diff.any()
    np.testing.assert_array_equal(train.params["feat"][0].diff, train.params["feat_p"][0].diff)
    train.save("siamese.caffemodel")
    deploy = """name: 'siamese' input: 'data' input_dim: 5 input_dim: 1 input_dim: 4 input_dim: 4
layer { name: 'feat' type: 'InnerProduct' bottom: 'data' top: 'feat'
  inner_product_param { num_output: 2 } }"""
    net = caffe.Net(write("deploy.prototxt", deploy), "siamese.caffemodel", caffe.TEST)
    raw = rng.integers(0, 255, 12 * 16).astype(np.uint8)
    data = raw.reshape(12, 1, 4, 4) * 0.00390625
    feat = net.forward_all(data=data)["feat"]
    w, b = (blob.data for blob in train.params["feat"])
    np.testing.assert_allclose(feat, data.reshape(12, 16) @ w.T + b, rtol=1e-4, atol=1e-6)


MULTILABEL = """
import json
import numpy as np
import caffe

class Layer(caffe.Layer):
    def setup(self, bottom, top):
        self.top_names = ['data', 'label']
        params = eval(self.param_str)
        self.batch_size = params['batch_size']
        self.loader = iter(range(10 ** 6))
        top[0].reshape(self.batch_size, 3, *params['im_shape'])
        top[1].reshape(self.batch_size, 4)
    def forward(self, bottom, top):
        for itt in range(self.batch_size):
            index = next(self.loader)
            label = np.arange(4) == index % 4
            top[0].data[itt, ...] = 0
            top[0].data[itt, 0, index % 4] = 1
            top[1].data[itt, ...] = label
    def reshape(self, bottom, top):
        pass
    def backward(self, top, propagate_down, bottom):
        pass
"""


def test_multilabel_training_from_a_python_layer(tmp_path, monkeypatch):
    write("pycaffe_multilabel.py", MULTILABEL)
    monkeypatch.syspath_prepend(str(tmp_path))

    def net(batch):
        n = caffe.NetSpec()
        n.data, n.label = L.Python(
            module="pycaffe_multilabel", layer="Layer", ntop=2,
            param_str=str({"batch_size": batch, "im_shape": [4, 4], "split": "train"}),
        )  # fmt: skip
        n.score = L.InnerProduct(n.data, num_output=4, weight_filler=XAVIER)
        n.loss = L.SigmoidCrossEntropyLoss(n.score, n.label)
        return n.to_proto()

    path = solver_of(write("t.prototxt", net(8)), write("v.prototxt", net(3)))
    solver = caffe.SGDSolver(path)
    solver.test_nets[0].share_with(solver.net)
    solver.step(1)
    for _ in range(5):
        solver.step(10)
    test = solver.test_nets[0]
    test.forward()
    truth, estimate = test.blobs["label"].data, test.blobs["score"].data > 0
    assert sum(((gt == 1) == est).mean() for gt, est in zip(truth, estimate, strict=True)) / 3 > 0.9
    assert solver.net.layers[0].top_names == ["data", "label"]
