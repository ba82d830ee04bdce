"""The solver file: rates by iteration, states of the nets, and reports of what is wrong."""

from __future__ import annotations

from math import exp
from pathlib import Path

import pytest

from netspec.diagnostics import NetspecError, Report
from netspec.options import NetOptions
from netspec.schema.caffe_pb2 import TEST, TRAIN, SolverParameter
from netspec.solver.learning_rate import current_step, learning_rate
from netspec.solver.solver_file import load_solver, read_solver
from netspec.solver.solver_net import check_net_paths, check_weight_paths, load_solver_net

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
    assert learning_rate(SolverParameter(base_lr=0.5, **settings), iteration) == pytest.approx(
        rate, rel=1e-6
    )


def test_one_stepvalue_is_passed_an_iteration() -> None:
    p = SolverParameter(lr_policy="multistep", stepvalue=[5, 5, 5])
    assert [current_step(p, i) for i in (4, 5, 6, 7, 8)] == [0, 1, 2, 3, 3]


def written(folder: Path, text: str) -> Path:
    path = folder / "solver.prototxt"
    path.write_text(text)
    return path


def test_nets_and_states(tmp_path: Path) -> None:
    text = """train_net: "a.prototxt" train_state { level: 2 stage: "x" } test_net: "b.prototxt"
      net_param { name: "inner" }
    base_lr: 1 lr_policy: "fixed" max_iter: 1 test_iter: 3 test_iter: 4 test_interval: 9
      test_state { stage: "y" } test_state { level: 1 }"""
    with pytest.raises(
        NetspecError, match="the net to train is given twice, by 'net_param' and 'train_net'"
    ):
        load_solver(written(tmp_path, text))
    solver = load_solver(written(tmp_path, text.replace('train_net: "a.prototxt" ', "")))
    train = solver.train_net
    assert (train.message.name, train.state.phase, train.state.level, list(train.state.stage)) == (
        "inner",
        TRAIN,
        2,
        ["x"],
    )
    first, second = solver.test_nets
    assert (first.path, first.iterations, list(first.state.stage), first.state.phase) == (
        "b.prototxt",
        3,
        ["y"],
        TEST,
    )
    assert (second.path, second.message.name, second.iterations, second.state.level) == (
        None,
        "inner",
        4,
        1,
    )


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
        (
            ('"fixed"', '"fixd"'),
            "there is no lr_policy 'fixd'\n.*\n.*\n  hint: did you mean 'fixed'",
        ),
        (('"fixed"', '"step" gamma: 0.1'), "lr_policy 'step' needs 'stepsize'"),
        (
            ("max_iter: 100", 'max_iter: 100 type: "adm"'),
            "there is no solver type 'adm'\n.*\n.*\n  hint: did you mean 'Adam'",
        ),
        (
            ("max_iter: 100", 'max_iter: 100 type: "AdaGrad" momentum: 0.9'),
            "AdaGrad has no momentum",
        ),
        (("max_iter: 100", "max_iter: 100 test_iter: 5"), "'test_interval' must be given"),
        (
            ("max_iter: 100", 'max_iter: 100 weight_decay: 1 regularization_type: "L3"'),
            "'regularization_type' is L1 or L2, got 'L3'",
        ),
        (("max_iter: 100", "max_iter: 100 iter_size: 0"), "'iter_size' must be at least 1, got 0"),
        (
            (
                "max_iter: 100",
                "max_iter: 100 test_interval: 1 test_state { } test_iter: 1 test_iter: 1",
            ),
            "2 tests and 1 'test_state': each test takes one",
        ),
    ],
)
def test_what_is_wrong_is_reported(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(NetspecError, match=message):
        load_solver(written(tmp_path, GOOD.replace(*change)))


def test_all_faults_come_in_one_run(tmp_path: Path) -> None:
    with pytest.raises(NetspecError) as caught:
        load_solver(
            written(tmp_path, 'net: "n" lr_policy: "x" iter_size: 0 average_loss: 0 type: "y"')
        )
    assert len(caught.value.diagnostics) == 6


def test_what_follows_from_a_fault_is_not_reported(tmp_path: Path) -> None:
    text = (
        GOOD.replace('"fixed"', "fixed")
        + " test_iter: x test_state { } gama: 1 solver_type: 7 momentum: 0.9 momentum2: 2"
    )
    with pytest.raises(NetspecError) as caught:
        load_solver(written(tmp_path, text))
    found = [d.message for d in caught.value.diagnostics]
    assert [message.split(" takes ")[0] for message in found] == [
        "'lr_policy'",
        "'test_iter'",
        "a solver has no field 'gama'",
        "'solver_type'",
    ]


@pytest.mark.parametrize(
    ("settings", "warning"),
    [
        ("", None),
        ("stepsize: 3", "'stepsize' has no effect with lr_policy 'fixed'"),
        ("momentum: 0.9 delta: 1", "'delta' has no effect with type 'SGD'"),
        ('type: "RMSProp" momentum: 0 rms_decay: 0.9', None),
        (
            'type: "AdaDelta" delta: 0',
            "'delta' is 0: where a gradient is 0, AdaDelta may divide by zero",
        ),
        ("momentum: -0.5", "'momentum' is -0.5: each step would turn back the last"),
        (
            "test_interval: 5",
            "nothing is tested: 'test_interval' stands here without a 'test_iter'",
        ),
        ("test_iter: 1 test_interval: 101", None),
        (
            "test_iter: 1 test_interval: 101 test_initialization: false",
            "no test is ever run: the first would be at iteration 101, the run ends at 100",
        ),
        ("snapshot: 101", None),
        (
            "snapshot: 101 snapshot_after_train: false",
            "no snapshot is ever written: the first would be at iteration 101, the run ends at 100",
        ),
        ("snapshot_after_train: false", "no snapshot is ever written"),
        ("debug_info: true display: 5", None),
        ("debug_info: true test_iter: 1 test_interval: 5", None),  # the test nets log at each test
        ("debug_info: true", "'debug_info' has no effect without 'display'"),
        ("clip_gradients: 0", "'clip_gradients' 0 scales every gradient to 0"),
        ("clip_gradients: inf", None),
        (
            (
                'regularization_type: "L1" solver_mode: CPU device_id: 3 random_seed: '
                "-7 test_initialization: true"
            ),
            None,
        ),
        (
            (
                'snapshot_format: HDF5 snapshot_prefix: "a" snapshot_diff: true layer_wise_reduce: '
                "false test_compute_loss: true"
            ),
            None,
        ),
    ],
)
def test_warnings_do_not_stop_a_run(tmp_path: Path, settings: str, warning: str | None) -> None:
    file = load_solver(written(tmp_path, f"{GOOD} {settings}"))
    assert [d.message for d in file.warnings] == ([warning] if warning else [])
    assert all(d.span is not None for d in file.warnings)


@pytest.mark.parametrize(
    ("policy", "severity", "message"),
    [
        ('"inv" gamma: 0.1', "warning", "lr_policy 'inv' without 'power': the rate never changes"),
        ('"poly"', "warning", "lr_policy 'poly' without 'power': the rate never changes"),
        (
            '"multistep" gamma: 0.1',
            "warning",
            "lr_policy 'multistep' without 'stepvalue': the rate never changes",
        ),
        (
            '"multistep"',
            "warning",
            "lr_policy 'multistep' without 'stepvalue': the rate never changes",
        ),
        (
            '"multistep" stepvalue: 5',
            "warning",
            "lr_policy 'multistep' without 'gamma': the rate falls to 0 at the first stepvalue",
        ),
        (
            '"step" stepsize: 5',
            "warning",
            "lr_policy 'step' without 'gamma': the rate falls to 0 at the first step",
        ),
        (
            '"exp"',
            "warning",
            "lr_policy 'exp' without 'gamma': the rate falls to 0 after the first iteration",
        ),
        ('"inv" power: 1', "warning", "lr_policy 'inv' without 'gamma': the rate never changes"),
        (
            '"sigmoid" stepsize: 5',
            "warning",
            "lr_policy 'sigmoid' without 'gamma': the rate never changes",
        ),
        ('"step" gamma: 0.1', "error", "lr_policy 'step' needs 'stepsize'"),
        (
            '"multistep" gamma: 0.1 stepvalue: 101',
            "warning",
            "stepvalue 101 is never reached: 'max_iter' is 100",
        ),
        ('"multistep" gamma: 0.1 stepvalue: 100', None, None),  # says where the run ends
        ('"sigmoid" gamma: 0.1', "error", "lr_policy 'sigmoid' needs 'stepsize'"),
        ('"exp" gamma: -1', "error", "'gamma' of lr_policy 'exp' can't be negative, got -1"),
        (
            '"sigmoid" gamma: -0.1 stepsize: 5',
            "warning",
            "the newer versions of Caffe stop at a negative 'gamma'",
        ),
        (
            '"step" gamma: nan stepsize: 5',
            "error",
            "'gamma' must be a finite number of 32 bits, got nan",
        ),
    ],
)
def test_settings_of_the_policies(
    tmp_path: Path, policy: str, severity: str | None, message: str | None
) -> None:
    report = Report()
    read_solver(written(tmp_path, GOOD.replace('"fixed"', policy)), report)
    assert [(d.severity, d.message) for d in report.diagnostics] == (
        [(severity, message)] if severity else []
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('"AdaGrad" momentum: 0.9', "AdaGrad has no momentum"),
        ('"RMSProp" rms_decay: 1', "'rms_decay' of RMSProp must be at least 0 and below 1, got 1"),
        ('"Adam" momentum2: 1', "'momentum2' of Adam must be at least 0 and below 1, got 1"),
        ('"Adam" momentum: -0.1', "'momentum' of Adam must be at least 0 and below 1, got -0.1"),
        (
            '"AdaDelta" momentum: 1.5',
            "'momentum' of AdaDelta must be at least 0 and below 1, got 1.5",
        ),
    ],
)
def test_shares_out_of_range(tmp_path: Path, settings: str, message: str) -> None:
    with pytest.raises(NetspecError, match=message):
        load_solver(written(tmp_path, f"{GOOD} type: {settings}"))


def test_the_warnings_come_with_the_errors_and_in_the_report(tmp_path: Path) -> None:
    report = Report()
    with pytest.raises(NetspecError) as caught:
        load_solver(written(tmp_path, GOOD + " iter_size: 0 stepsize: 3"), report)
    assert [d.severity for d in caught.value.diagnostics] == ["error", "warning"]
    assert len(report.diagnostics) == 2


STATES = """
train_net_param {
  state { stage: "own" level: 3 }
  layer { name: "in" type: "Input" top: "d" input_param { shape { dim: 2 dim: 3 } } \
include { stage: "own" stage: "given" } }
  layer { name: "high" type: "ReLU" bottom: "d" top: "r" include { min_level: 3 } }
  layer { name: "line" type: "ReLU" bottom: "d" top: "s" include { stage: "line" } }
}
train_state { stage: "given" }
test_net_param {
  name: "one" state { level: 7 } layer { name: "in" type: "Input" top: "d" \
input_param { shape { dim: 2 } } include { max_level: 1 } }
}
test_net_param {
  name: "two" layers { name: "in" type: DUMMY_DATA top: "d" \
dummy_data_param { num: 1 channels: 2 height: 3 width: 4 } include { phase: TEST } }
}
test_state { level: 1 } test_state { }
test_iter: 1 test_iter: 2 test_interval: 5 base_lr: 1 lr_policy: "fixed" max_iter: 10
"""


def test_states_are_merged_as_in_caffe(tmp_path: Path) -> None:
    file = load_solver(written(tmp_path, STATES))
    report = Report()
    nets = [load_solver_net(source, file, report) for source in file.nets]
    assert [[layer.name for layer in net.layers] for net in nets] == [
        ["in", "high"],
        ["in"],
        ["in"],
    ]
    assert [net.name for net in nets[1:]] == ["one", "two"]
    line = load_solver_net(file.train_net, file, report, NetOptions(level=1, stages=("line",)))
    assert [layer.name for layer in line.layers] == ["in", "line"]
    assert not report.diagnostics


def test_the_nets_own_phase_goes_before_the_solvers(tmp_path: Path) -> None:
    """Caffe merges the net's state over the phase that the solver starts with."""
    file = load_solver(
        written(tmp_path, STATES.replace('stage: "own" level', 'phase: TEST stage: "own" level'))
    )
    assert load_solver_net(file.train_net, file, Report()).phase == "TEST"


def test_a_fault_in_an_inner_net_of_the_old_form_has_its_line(tmp_path: Path) -> None:
    file = load_solver(written(tmp_path, STATES.replace("channels: 2 height", "height")))
    report = Report()
    load_solver_net(file.test_nets[1], file, report)
    assert [(d.severity, d.span.line) for d in report.diagnostics] == [("error", 13)]


def test_the_batch_size_is_replaced_and_shared(tmp_path: Path) -> None:
    layer = (
        'layer { name: "d" type: "MemoryData" top: "d" top: "l" '
        "memory_data_param { batch_size: 6 channels: 1 height: 2 width: 2 } }"
    )
    file = load_solver(
        written(tmp_path, GOOD.replace('net: "net.prototxt"', f"train_net_param {{ {layer} }}"))
    )
    for options, size in (
        ({}, 6),
        ({"batch_size": 8}, 8),
        ({"share": 3}, 2),
        ({"batch_size": 8, "share": 2}, 4),
    ):
        report = Report()
        assert load_solver_net(file.train_net, file, report, **options).blobs["d"].shape[0] == size
        assert not report.failed
    report = Report()
    load_solver_net(file.train_net, file, report, share=4)
    assert "4 processes can't share a batch_size of 6" in report.diagnostics[0].message


def test_a_solver_in_yaml(tmp_path: Path) -> None:
    path = tmp_path / "solver.yaml"
    path.write_text(
        "net: n.prototxt\nbase_lr: 0.1\nlr_policy: multistep\ngamma: 0.1\nstepvalue: [5, 500]\n"
        "max_iter: 10\nweights: [a.caffemodel]\n"
    )
    file = load_solver(path)
    assert [str(d.span) for d in file.warnings] == [f"{path}:5:16"]
    report = Report()
    check_weight_paths(file, report)
    assert [(d.message, d.span.line) for d in report.diagnostics] == [
        ("the weights 'a.caffemodel' do not exist", 7)
    ]


def test_weights_may_name_several_files(tmp_path: Path) -> None:
    file = load_solver(
        written(tmp_path, GOOD + ' weights: "a.caffemodel, b.caffemodel" weights: "c.caffemodel"')
    )
    assert [path for path, _ in file.weights] == ["a.caffemodel", "b.caffemodel", "c.caffemodel"]
    with pytest.raises(NetspecError, match="'weights' names no file"):
        load_solver(written(tmp_path, GOOD + ' weights: ""'))


def test_without_base_lr_a_run_learns_nothing_and_says_so(tmp_path: Path) -> None:
    """Caffe takes its default, 0."""
    file = load_solver(written(tmp_path, GOOD.replace("base_lr: 0.1", "")))
    assert [d.message for d in file.warnings] == [
        "'base_lr' is not given: its default, 0, learns nothing"
    ]
    assert learning_rate(file.message, 5) == 0


@pytest.mark.parametrize(
    "named", ["models/x/inner/net.prototxt", "/gone/x/inner/net.prototxt", "wrong/net.prototxt"]
)
def test_a_net_that_lies_beside_its_solver_is_found_for_the_hint(
    tmp_path: Path, named: str
) -> None:
    (tmp_path / "inner").mkdir()
    there = "net.prototxt" if named.startswith("wrong") else "inner/net.prototxt"
    (tmp_path / there).write_text("")
    file = load_solver(written(tmp_path, GOOD.replace("net.prototxt", named)))
    with pytest.raises(NetspecError) as caught:
        load_solver_net(file.train_net, file, Report())
    (fault,) = caught.value.diagnostics
    hint = (
        f"'{tmp_path}/{there}' is there: write \"{there}\", for paths count from the working "
        "directory, then from the solver's folder"
    )
    assert (fault.message, str(fault.hint)) == (f"the net '{named}' does not exist", hint)
    report = Report()
    check_net_paths(file, report)
    assert [str(d.hint) for d in report.diagnostics] == [hint]


def test_a_snapshot_prefix_that_is_a_folder(tmp_path: Path) -> None:
    assert load_solver(
        written(tmp_path, f'{GOOD} snapshot_prefix: "{tmp_path}"')
    ).snapshot_prefix == str(tmp_path / "solver")


@pytest.mark.parametrize(
    ("nets", "message"),
    [
        (
            'train_net: "a" test_iter: 1',
            "'test_iter' has no net to test: 'train_net' is for training only",
        ),
        (
            'train_net: "a" test_net: "b" test_iter: 1 test_iter: 2',
            "1 test net and 2 'test_iter': each test net takes one",
        ),
        (
            'net: "a" test_net: "b" test_net: "c" test_iter: 1',
            "2 test nets and 1 'test_iter': each test net takes one",
        ),
        ('net: "a" test_state { } ', "0 tests and 1 'test_state': each test takes one"),
    ],
)
def test_counts_of_test_nets(tmp_path: Path, nets: str, message: str) -> None:
    with pytest.raises(NetspecError, match=message) as caught:
        load_solver(
            written(tmp_path, GOOD.replace('net: "net.prototxt"', nets) + " test_interval: 5")
        )
    assert sum(d.severity == "error" for d in caught.value.diagnostics) == 1
