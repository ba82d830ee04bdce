"""The solvers: steps, updates, files, what a script changes between two steps."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import netspec
import netspec.pycaffe as caffe

NET = """
name: 'small'
layer { name: 'data' type: 'DummyData' top: 'data' top: 'label'
  dummy_data_param {
    shape { dim: 4 dim: 3 } shape { dim: 4 }
    data_filler { type: 'gaussian' } data_filler { type: 'constant' value: 1 } } }
layer { name: 'ip' type: 'InnerProduct' bottom: 'data' top: 'ip' param { lr_mult: 1 }
  param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: 5 weight_filler { type: 'xavier' } } }
layer { name: 'drop' type: 'Dropout' bottom: 'ip' top: 'ip' }
layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip' bottom: 'label' top: 'loss' }
layer { name: 'acc' type: 'Accuracy' bottom: 'ip' bottom: 'label' top: 'acc'
  include { phase: TEST } }
"""
SOLVER = """
net: '{net}' test_iter: 3 test_interval: 2 base_lr: 0.1 lr_policy: 'step' gamma: 0.5 stepsize: 3
weight_decay: 0.01 random_seed: 7 max_iter: 5 snapshot_prefix: '{prefix}' iter_size: 2 display: 2
"""
RULES = {
    "SGD": "momentum: 0.9",
    "Nesterov": "momentum: 0.9",
    "AdaGrad": "",
    "RMSProp": "rms_decay: 0.9",
    "AdaDelta": "momentum: 0.9 delta: 1e-6",
    "Adam": "momentum: 0.9 momentum2: 0.99",
}


@pytest.fixture
def solver_file(tmp_path):
    def write(rule="SGD", more=""):
        (tmp_path / "net.prototxt").write_text(NET)
        text = SOLVER.format(net=tmp_path / "net.prototxt", prefix=tmp_path / "snap")
        path = tmp_path / f"{rule}.prototxt"
        path.write_text(f"{text} type: '{rule}' {RULES[rule]} {more}")
        return str(path)

    return write


def weights(solver):
    return [blob.data.copy() for blob in solver.net.params["ip"]]


@pytest.mark.parametrize("rule", RULES)
def test_steps_are_netspecs(solver_file, rule):
    path = solver_file(rule)
    own = netspec.Solver(path, device="cpu")
    own.step(4)
    solver = caffe.get_solver(path)
    assert type(solver).__name__ == f"{rule}Solver"
    solver.step(4)
    assert (solver.iter, solver.lr) == (4, own.lr)
    for blob, expected in zip(weights(solver), own.module.params["ip"], strict=True):
        np.testing.assert_allclose(blob, expected.detach().numpy(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("is_seen", [False, True])
def test_a_diff_holds_the_update_after_a_step(solver_file, rule, is_seen):
    solver = caffe.get_solver(solver_file(rule))
    if is_seen:
        solver.net.params["ip"][0].diff.sum()
    for _ in range(3):
        before = weights(solver)
        solver.step(1)
    for blob, old in zip(solver.net.params["ip"], before, strict=True):
        np.testing.assert_allclose(blob.diff, old - blob.data, rtol=1e-3, atol=2e-7)


def test_params_are_in_c_order(tmp_path):
    images = tmp_path / "images.txt"
    Image.new("RGB", (8, 8)).save(tmp_path / "i.png")
    images.write_text(f"{tmp_path / 'i.png'} 0\n")
    # a net whose convolutions netspec's own solver lays channels last
    (tmp_path / "net.prototxt").write_text(f"""
layer {{ name: 'd' type: 'ImageData' top: 'data' top: 'label'
  image_data_param {{ source: '{images}' batch_size: 2 }} }}
layer {{ name: 'conv' type: 'Convolution' bottom: 'data' top: 'conv'
  convolution_param {{ num_output: 2 kernel_size: 8 weight_filler {{ type: 'xavier' }} }} }}
layer {{ name: 'loss' type: 'SoftmaxWithLoss' bottom: 'conv' bottom: 'label' top: 'loss' }}""")
    path = tmp_path / "solver.prototxt"
    path.write_text(f"net: '{tmp_path / 'net.prototxt'}' base_lr: 0.1 lr_policy: 'fixed'")
    solver = caffe.SGDSolver(str(path))
    solver.step(1)
    weights = solver.net.params["conv"][0]
    for array in (weights.data, weights.diff):
        array.ravel()[:] = 3
    assert (weights.data == 3).all()
    assert (weights.diff == 3).all()
    assert weights.data.flags.c_contiguous


def test_the_class_says_which_rule(solver_file):
    assert caffe.AdamSolver(solver_file("SGD")).type == "Adam"
    with pytest.raises(netspec.NetspecError, match="AdaGrad has no momentum"):
        caffe.AdaGradSolver(solver_file("SGD"))


def test_apply_update_takes_what_stands_in_the_diffs(solver_file):
    solver = caffe.SGDSolver(solver_file())
    solver.net.params["ip"][0].data[...] = 0
    solver.net.params["ip"][0].diff[...] = 1
    solver.apply_update()
    # iter_size 2 halves the gradient
    np.testing.assert_allclose(solver.net.params["ip"][0].data, -0.05, rtol=1e-6)
    assert solver.iter == 1


def test_a_pass_by_hand_and_an_update(solver_file):
    solver = caffe.SGDSolver(solver_file())
    before = weights(solver)
    solver.net.forward()
    solver.net.backward()
    gradient = solver.net.params["ip"][1].diff.copy()
    assert gradient.any()
    solver.apply_update()
    np.testing.assert_allclose(
        solver.net.params["ip"][1].data, before[1] - 0.1 * 2 * gradient / 2, rtol=1e-5
    )


def test_a_pass_backward_after_an_update(solver_file):
    solver = caffe.SGDSolver(solver_file())
    solver.net.forward()
    for _ in range(2):
        solver.net.clear_param_diffs()
        solver.net.backward()
        solver.apply_update()
    assert solver.iter == 2
    solver.net.backward()
    assert solver.net.params["ip"][0].diff.any()
    solver.step(1)


def test_weights_that_a_script_sets_count(solver_file):
    one, other = caffe.SGDSolver(solver_file()), caffe.SGDSolver(solver_file())
    for solver in (one, other):
        solver.step(1)
        solver.net.params["ip"][0].data[...] = 0.5
        solver.step(1)
    for a, b in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(a, b)
    assert abs(weights(one)[0] - 0.5).max() < 0.3


def test_blobs_hold_the_last_pass(solver_file):
    solver = caffe.SGDSolver(solver_file())
    solver.step(1)
    loss = float(solver.net.blobs["loss"].data)
    solver.step(1)
    assert float(solver.net.blobs["loss"].data) != loss
    assert solver.net.blobs["ip"].diff.any()


def test_labels_that_a_script_sets_are_trained_on(solver_file):
    solver = caffe.SGDSolver(solver_file())
    solver.net.blobs["label"].data[...] = [0, 2, 3, 4]
    solver.test_nets[0].blobs["label"].data[...] = [0, 2, 3, 4]
    solver.step(3)
    assert solver.net.blobs["label"].data.tolist() == [0, 2, 3, 4]
    assert solver.test_nets[0].blobs["label"].data.tolist() == [0, 2, 3, 4]


def test_test_nets_share_the_weights(solver_file):
    solver = caffe.SGDSolver(solver_file())
    (net,) = solver.test_nets
    assert net.outputs == ["acc", "loss"]
    solver.step(2)
    np.testing.assert_array_equal(net.params["ip"][0].data, solver.net.params["ip"][0].data)
    assert set(net.forward()) == {"acc", "loss"}


def test_callbacks_may_change_the_gradients(solver_file):
    solver = caffe.SGDSolver(solver_file())
    told = []

    def ready():
        told.append("ready")
        for blob in solver.net.params["ip"]:
            blob.diff[...] = 0

    solver.add_callback(lambda: told.append("start"), ready)
    before = weights(solver)
    solver.step(2)
    assert told == ["start", "ready"] * 2
    np.testing.assert_array_equal(weights(solver)[1], before[1])  # its decay_mult is 0


def test_solve_and_files(solver_file, tmp_path):
    path = solver_file()
    solver = caffe.SGDSolver(path)
    solver.solve()
    assert solver.iter == 5
    state = tmp_path / "snap_iter_5.solverstate"
    assert state.exists()
    assert (tmp_path / "snap_iter_5.caffemodel").exists()
    again = caffe.SGDSolver(path)
    again.restore(str(state))
    assert again.iter == 5
    np.testing.assert_array_equal(weights(again)[0], weights(solver)[0])
    again.step(2)
    whole = netspec.Solver(path, device="cpu")
    whole.step(7)
    np.testing.assert_allclose(
        weights(again)[0], whole.module.params["ip"][0].detach().numpy(), rtol=1e-5
    )
    with pytest.raises(RuntimeError, match="could not open file"):
        again.solve("none.solverstate")


def test_share_weights(solver_file, tmp_path):
    solver = caffe.SGDSolver(solver_file())
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    solver.share_weights(net)
    solver.step(1)
    np.testing.assert_array_equal(net.params["ip"][0].data, solver.net.params["ip"][0].data)


def test_nets_outlive_the_solver(solver_file):
    solver = caffe.SGDSolver(solver_file())
    net = solver.net
    del solver
    assert net.forward()["loss"] > 0


def test_a_seed_makes_runs_repeatable(solver_file):
    path = solver_file()
    with open(path) as file:
        text = file.read().replace("random_seed: 7", "")
    with open(path, "w") as file:
        file.write(text)
    found: list[np.ndarray] = []
    for seed in (3, 3, 4):
        caffe.set_random_seed(seed)
        solver = caffe.SGDSolver(path)
        solver.step(2)
        found.append(weights(solver)[0])
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])
