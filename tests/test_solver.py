"""The solver file: rates by iteration, states of the nets, and what is told when it is wrong."""

from __future__ import annotations

from math import exp
from pathlib import Path

import pytest

from netspec.diagnostics import NetspecError
from netspec.schema.caffe_pb2 import TEST, TRAIN, SolverParameter
from netspec.solver import current_step, learning_rate, load_solver

GOOD = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 100'


@pytest.mark.parametrize(
    ("settings", "iteration", "rate"),
    [
        ({"lr_policy": "fixed"}, 77, 0.5),
        ({"lr_policy": "step", "gamma": 0.1, "stepsize": 10}, 9, 0.5),
        ({"lr_policy": "step", "gamma": 0.1, "stepsize": 10}, 20, 0.005),
        ({"lr_policy": "exp", "gamma": 0.9}, 3, 0.5 * 0.9**3),
        ({"lr_policy": "inv", "gamma": 0.1, "power": 0.75}, 10, 0.5 * 2**-0.75),
        ({"lr_policy": "multistep", "gamma": 0.1, "stepvalue": [5, 8]}, 4, 0.5),
        ({"lr_policy": "multistep", "gamma": 0.1, "stepvalue": [5, 8]}, 5, 0.05),
        ({"lr_policy": "multistep", "gamma": 0.1, "stepvalue": [5, 8]}, 8, 0.005),
        ({"lr_policy": "poly", "power": 2, "max_iter": 10}, 4, 0.5 * 0.6**2),
        ({"lr_policy": "sigmoid", "gamma": -0.5, "stepsize": 10}, 14, 0.5 / (1 + exp(2))),
    ],
)
def test_learning_rate(settings: dict, iteration: int, rate: float) -> None:
    assert learning_rate(SolverParameter(base_lr=0.5, **settings), iteration) == pytest.approx(rate, rel=1e-6)


def test_one_stepvalue_is_passed_an_iteration() -> None:
    p = SolverParameter(stepvalue=[5, 5, 5])
    assert [current_step(p, i) for i in (4, 5, 6, 7, 8)] == [0, 1, 2, 3, 3]


def written(folder: Path, text: str) -> Path:
    path = folder / "solver.prototxt"
    path.write_text(text)
    return path


def test_nets_and_states(tmp_path: Path) -> None:
    text = """train_net: "a.prototxt" train_state { level: 2 stage: "x" } test_net: "b.prototxt" net_param { name: "inner" }
    base_lr: 1 lr_policy: "fixed" max_iter: 1 test_iter: 3 test_iter: 4 test_interval: 9 test_state { stage: "y" } test_state { level: 1 }"""
    with pytest.raises(NetspecError, match="the net to train is given twice, by 'net_param' and 'train_net'"):
        load_solver(written(tmp_path, text))
    solver = load_solver(written(tmp_path, text.replace('train_net: "a.prototxt" ', "")))
    train = solver.train_net
    assert (train.message.name, train.state.phase, train.state.level, list(train.state.stage)) == ("inner", TRAIN, 2, ["x"])
    first, second = solver.test_nets
    assert (first.path, first.iterations, list(first.state.stage), first.state.phase) == ("b.prototxt", 3, ["y"], TEST)
    assert (second.path, second.message.name, second.iterations, second.state.level) == (None, "inner", 4, 1)


def test_snapshot_prefix_defaults_to_the_files_name(tmp_path: Path) -> None:
    assert load_solver(written(tmp_path, GOOD)).snapshot_prefix == str(tmp_path / "solver")
    assert load_solver(written(tmp_path, GOOD + ' snapshot_prefix: "s"')).snapshot_prefix == "s"


def test_the_old_type_enum(tmp_path: Path) -> None:
    assert load_solver(written(tmp_path, GOOD + " solver_type: RMSPROP")).message.type == "RMSProp"
    with pytest.raises(NetspecError, match="'solver_type' is the older form of 'type'"):
        load_solver(written(tmp_path, GOOD + ' solver_type: RMSPROP type: "Adam"'))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('net: "net.prototxt"', ""), "the net to train must be given"),
        (("base_lr: 0.1", ""), "'base_lr' must be given"),
        (('"fixed"', '"fixd"'), "there is no lr_policy 'fixd'\n.*\n.*\n  hint: did you mean 'fixed'"),
        (('"fixed"', '"step" gamma: 0.1'), "lr_policy 'step' needs 'stepsize'"),
        (("max_iter: 100", 'max_iter: 100 type: "adm"'), "there is no solver type 'adm'\n.*\n.*\n  hint: did you mean 'Adam'"),
        (("max_iter: 100", 'max_iter: 100 type: "AdaGrad" momentum: 0.9'), "AdaGrad has no momentum"),
        (("max_iter: 100", "max_iter: 100 test_iter: 5"), "'test_interval' must be given"),
        (("max_iter: 100", 'max_iter: 100 regularization_type: "L3"'), "'regularization_type' is L1 or L2, got 'L3'"),
        (("max_iter: 100", "max_iter: 100 iter_size: 0"), "'iter_size' must be at least 1, got 0"),
        (("max_iter: 100", "max_iter: 100 test_interval: 1 test_state { } test_iter: 1 test_iter: 1"), "takes one 'test_state', got 1"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(NetspecError, match=message):
        load_solver(written(tmp_path, GOOD.replace(*change)))


def test_all_faults_come_in_one_run(tmp_path: Path) -> None:
    with pytest.raises(NetspecError) as caught:
        load_solver(written(tmp_path, 'net: "n" lr_policy: "x" iter_size: 0 average_loss: 0 type: "y"'))
    assert len(caught.value.diagnostics) == 6
