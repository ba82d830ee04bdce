"""Caffe's log on stderr: caffe.log, a solver's run, debug_info."""

from __future__ import annotations

import logging
import re

import numpy as np
import pytest

import netspec.pycaffe as caffe
from netspec.logs.read_log import read_log
from netspec.pycaffe import run_log

NET = """
layer { name: 'data' type: 'DummyData' top: 'data' top: 'label'
  dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 }
    data_filler { type: 'constant' value: 2 } data_filler { type: 'constant' } } }
layer { name: 'ip' type: 'InnerProduct' bottom: 'data' top: 'ip' param { lr_mult: 1 name: 'w' }
  param { lr_mult: 0 }
  inner_product_param { num_output: 2 weight_filler { type: 'constant' value: -0.5 } } }
layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip' bottom: 'label' top: 'loss' }
layer { name: 'more' type: 'SoftmaxWithLoss' bottom: 'ip' bottom: 'label' top: 'more'
  loss_weight: 0.5 }
"""
HEAD = re.compile(r"I\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ [\w.]+:\d+\] ")


@pytest.fixture(autouse=True)
def level():
    yield
    caffe.init_log(0)


@pytest.fixture
def solver(tmp_path):
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(
        f"net: '{tmp_path / 'net.prototxt'}' base_lr: 0.1 lr_policy: 'fixed' max_iter: 4 "
        f"display: 2 test_iter: 1 test_interval: 4 snapshot_prefix: '{tmp_path / 's'}' DEBUG"
    )

    def make(debug_info: bool = False) -> caffe.SGDSolver:
        path = tmp_path / "solver.prototxt"
        more = "debug_info: true" if debug_info else ""
        path.write_text(path.read_text().replace("DEBUG", more))
        return caffe.SGDSolver(str(path))

    return make


def messages(text: str) -> list[str]:
    lines = text.splitlines()
    assert all(HEAD.match(line) for line in lines)
    return [HEAD.sub("", line, count=1) for line in lines]


def test_log(capsys, monkeypatch):
    caffe.log("a message\nin two lines")
    assert messages(capsys.readouterr().err) == ["a message", "in two lines"]
    caffe.init_log(2, True)
    caffe.log("another")
    monkeypatch.setenv("GLOG_minloglevel", "1")
    caffe.init_log()
    caffe.log("another")
    assert capsys.readouterr().err == ""
    assert logging.getLogger("caffe").level == logging.WARNING
    monkeypatch.delenv("GLOG_minloglevel")
    assert run_log._wanted_level() == logging.INFO


def test_a_run_is_logged_as_caffe_does(solver, capsys, tmp_path):
    solver().solve()
    text = capsys.readouterr().err
    found = messages(text)
    assert found[0] == "Solving "
    assert "Learning Rate Policy: fixed" in found
    assert "Iteration 0, Testing net (#0)" in found
    assert any(re.match(r"Iteration 2 \(.* iter/s.*\), loss = ", line) for line in found)
    assert any(line.startswith("    Train net output #1: more = ") for line in found)
    assert "(* 0.5 = " in text
    assert found[-1] == "Optimization Done."
    (tmp_path / "log").write_text(text)
    assert read_log(tmp_path / "log") is not None


def test_debug_info_of_a_solver(solver, capsys):
    made = solver(debug_info=True)
    made.step(2)
    found = [line.strip() for line in messages(capsys.readouterr().err) if "Layer" in line]
    forward = [line for line in found if line.startswith("[Forward]")]
    test, shown = forward[: len(forward) // 2], forward[len(forward) // 2 :]
    assert len(test) == len(shown)  # iteration 1 is not displayed
    assert shown[:7] == [
        "[Forward] Layer data, top blob data data: 2",
        "[Forward] Layer data, top blob label data: 0",
        "[Forward] Layer label_data_1_split, top blob label_data_1_split_0 data: 0",
        "[Forward] Layer label_data_1_split, top blob label_data_1_split_1 data: 0",
        "[Forward] Layer ip, top blob ip data: 3",
        "[Forward] Layer ip, param blob w data: 0.5",
        "[Forward] Layer ip, param blob 1 data: 0",
    ]
    backward = [line for line in found if line.startswith("[Backward] Layer")]
    assert backward[0].startswith("[Backward] Layer more, bottom blob ip_ip_0_split_1 diff: ")
    # a param with lr_mult 0 has no diff, the data have none
    gradient = 2 * 0.5 * 1.5
    assert backward[-1] == f"[Backward] Layer ip, param blob 0 diff: {gradient:g}"


def test_debug_info_of_a_net(tmp_path, capsys):
    (tmp_path / "n.prototxt").write_text("debug_info: true\n" + NET)
    net = caffe.Net(str(tmp_path / "n.prototxt"), caffe.TRAIN)
    net.forward(end="ip")
    found = messages(capsys.readouterr().err)
    assert found[-3] == "    [Forward] Layer ip, top blob ip data: 3"
    net.forward()
    net.backward()
    assert "[Backward] Layer loss" in capsys.readouterr().err
    assert np.isfinite(net.params["ip"][0].diff).all()
