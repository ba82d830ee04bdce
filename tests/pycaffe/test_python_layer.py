"""caffe.Layer: layers that a script writes, on the net's own blobs."""

from __future__ import annotations

import subprocess
import sys
from itertools import count
from pathlib import Path

import numpy as np
import pytest

import netspec
import netspec.pycaffe as caffe

LAYERS = """
import caffe
from caffe import io
import caffe.proto.caffe_pb2

class Times(caffe.Layer):
    def setup(self, bottom, top):
        self.factor = float(self.param_str or 10)
        self.reshapes = 0
    def reshape(self, bottom, top):
        self.reshapes += 1
        top[0].reshape(*bottom[0].data.shape)
    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data
    def backward(self, top, propagate_down, bottom):
        self.told = list(propagate_down)
        bottom[0].diff[...] = self.factor * top[0].diff

class Shift(caffe.Layer):
    def setup(self, bottom, top):
        self.blobs.add_blob(1)
        self.blobs[0].data[0] = 5
        self.shift = self.blobs[0]
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)
    def forward(self, bottom, top):
        assert self.shift.data == self.blobs[0].data
        top[0].data[...] = bottom[0].data + self.blobs[0].data
    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[0] += top[0].diff.sum()
        bottom[0].diff[...] = top[0].diff

class Count(caffe.Layer):
    def setup(self, bottom, top):
        self.next = 0
    def reshape(self, bottom, top):
        top[0].reshape(self.next + 2)
    def forward(self, bottom, top):
        top[0].data[...] = self.next
        self.next += 1
    def backward(self, top, propagate_down, bottom):
        pass

class Phase(caffe.Layer):
    def setup(self, bottom, top): pass
    def reshape(self, bottom, top): top[0].reshape()
    def forward(self, bottom, top): top[0].data[()] = self.phase

class Faulty(caffe.Layer):
    def setup(self, bottom, top):
        if self.param_str == 'setup': raise ZeroDivisionError('in setup')
    def reshape(self, bottom, top): top[0].reshape(1)
    def forward(self, bottom, top): raise KeyError('in forward')
"""
_NUMBERS = count()


@pytest.fixture
def make(tmp_path):
    def net(body: str, phase: int = caffe.TRAIN):
        module = f"pycaffe_layers_{next(_NUMBERS)}"
        (tmp_path / f"{module}.py").write_text(LAYERS)
        path = tmp_path / f"{module}.prototxt"
        path.write_text(body.replace("MODULE", f"module: '{module}'"))
        return caffe.Net(str(path), phase)

    return net


INPUT = """force_backward: true
layer { name: 'in' type: 'Input' top: 'x' input_param { shape { dim: 3 dim: 2 } } }
"""
TIMES = (
    INPUT
    + """
layer { name: 'a' type: 'Python' bottom: 'x' top: 'y' python_param { MODULE layer: 'Times' } }
layer { name: 'b' type: 'Python' bottom: 'y' top: 'z'
  python_param { MODULE layer: 'Times' param_str: '3' } }
"""
)
SHIFT = INPUT + (
    "layer { name: 's' type: 'Python' bottom: 'x' top: 'y' python_param { MODULE layer: 'Shift' } }"
)


def test_forward_and_backward(make):
    net = make(TIMES)
    net.blobs["x"].data[...] = 2
    assert (net.forward()["z"] == 60).all()
    net.blobs["z"].diff[...] = 1
    assert (net.backward()["x"] == 30).all()
    layer = net.layers[1]
    assert layer.told == [True]
    assert (layer.type, type(layer).__name__) == ("Python", "Times")
    assert net.layer_dict["a"] is layer
    layer.factor = 1  # it is the user's object itself
    assert (net.forward()["z"] == 6).all()


def test_it_is_reshaped_in_each_pass(make):
    net = make(TIMES)
    net.blobs["x"].reshape(4, 4, 4)
    assert net.forward()["z"].shape == (4, 4, 4)
    before = net.layers[1].reshapes
    net.forward()
    assert net.layers[1].reshapes == before + 1


def test_params_are_the_nets(make, tmp_path):
    net = make(SHIFT)
    assert net.params["s"][0].data == 5
    net.blobs["y"].diff[...] = 1
    net.forward()
    net.backward()
    assert net.params["s"][0].diff == 6
    net.params["s"][0].data[...] += 1
    assert (net.forward()["y"] == 6).all()
    net.save(str(tmp_path / "w"))
    net.params["s"][0].data[...] = 0
    net.copy_from(str(tmp_path / "w"))
    assert (net.forward()["y"] == 6).all()
    other = make(SHIFT)
    other.share_with(net)
    assert (other.forward()["y"] == 6).all()


def test_a_data_layer_may_change_its_size(make):
    net = make("layer { name: 'c' type: 'Python' top: 'n' python_param { MODULE layer: 'Count' } }")
    found = [net.forward()["n"].copy() for _ in range(3)]
    assert [list(array) for array in found] == [[0, 0], [1, 1, 1], [2, 2, 2, 2]]


def test_phase(make):
    body = "layer { name: 'p' type: 'Python' top: 'p' python_param { MODULE layer: 'Phase' } }"
    assert make(body, caffe.TRAIN).forward()["p"] == caffe.TRAIN
    assert make(body, caffe.TEST).forward()["p"] == caffe.TEST


def test_exceptions_are_passed_through(make):
    body = """layer { name: 'p' type: 'Python' top: 'p'
      python_param { MODULE layer: 'Faulty' param_str: 'WHERE' } }"""
    with pytest.raises(ZeroDivisionError, match="in setup"):
        make(body.replace("WHERE", "setup"))
    with pytest.raises(KeyError, match="in forward") as caught:
        make(body.replace("WHERE", "")).forward()
    assert "in layer 'p'" in caught.value.__notes__
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        make(body.replace("MODULE", "module: 'no_such_module'"))
    assert "caffe" not in sys.modules  # only while the code of a layer runs


def test_training_through_python_layers(make, tmp_path):
    net = make(SHIFT)
    text = Path(net.graph.path).read_text().replace("type: 'Input'", "type: 'DummyData'")
    text = text.replace("input_param {", "dummy_data_param {")
    text += "layer { name: 'l' type: 'EuclideanLoss' bottom: 'y' bottom: 'x' top: 'l' }"
    (tmp_path / "train.prototxt").write_text(text)
    (tmp_path / "s.prototxt").write_text(
        f"net: '{tmp_path / 'train.prototxt'}' base_lr: 0.1 lr_policy: 'fixed' max_iter: 9"
    )
    solver = caffe.SGDSolver(str(tmp_path / "s.prototxt"))
    solver.step(1)
    # the loss is half the squared distance of 6 values over 3 items
    np.testing.assert_allclose(solver.net.params["s"][0].data, 5 - 0.1 * 6 * 5 / 3, rtol=1e-5)


def test_the_rest_of_caffe():
    assert {"Convolution", "Data", "Python"} < set(caffe.layer_type_list())
    assert caffe.__version__ == "1.0.0"
    assert (caffe.TRAIN, caffe.TEST) == (0, 1)
    caffe.set_solver_count(3)
    caffe.set_solver_rank(2)
    assert (caffe.solver_count(), caffe.solver_rank()) == (3, 2)
    timer = caffe.Timer()
    with pytest.raises(RuntimeError, match="not started"):
        timer.ms
    timer.start()
    timer.stop()
    assert timer.ms >= 0
    assert len(caffe.NCCL.new_uid()) > 1
    with pytest.raises(RuntimeError, match="no GPU 99"):
        caffe.set_device(99)


WORKER = """
import sys
import caffe
rank, uid, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]
caffe.set_solver_count(2)
caffe.set_solver_rank(rank)
caffe.set_multiprocess(True)
solver = caffe.SGDSolver(path)
nccl = caffe.NCCL(solver, uid)
nccl.bcast()
solver.add_callback(nccl)
solver.net.after_backward(nccl)
solver.step(2)
print(repr(solver.net.params['ip'][0].data.sum()), solver.net.blobs['d'].data[0, 0])
"""


@pytest.mark.slow
def test_two_processes_have_the_same_weights(tmp_path):
    (tmp_path / "w.py").write_text(WORKER)
    (tmp_path / "n.prototxt").write_text("""
layer { name: 'd' type: 'DummyData' top: 'd' top: 'l' dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 } data_filler { type: 'gaussian' }
  data_filler { type: 'constant' } } }
layer { name: 'ip' type: 'InnerProduct' bottom: 'd' top: 'ip'
  inner_product_param { num_output: 2 weight_filler { type: 'xavier' } } }
layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip' bottom: 'l' top: 'loss' }""")
    (tmp_path / "s.prototxt").write_text(
        "net: 'n.prototxt' base_lr: 0.1 lr_policy: 'fixed' max_iter: 2"
    )
    uid = caffe.NCCL.new_uid()
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "netspec.pycaffe", "w.py", str(rank), uid, "s.prototxt"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [worker.communicate(timeout=120)[0].split() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert outputs[0][0] == outputs[1][0]
    assert outputs[0][1] != outputs[1][1]  # each reads data of its own


def test_a_net_that_is_wrong_says_where(make):
    with pytest.raises(netspec.NetspecError, match="did you mean 'x'"):
        make(INPUT + "layer { name: 'r' type: 'ReLU' bottom: 'xx' top: 'y' }")
