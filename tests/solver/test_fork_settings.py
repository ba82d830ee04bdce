"""The solver settings of Caffe's forks: rates carried out, others reported and refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import netspec
from netspec.cli import main
from netspec.diagnostics import Report
from netspec.solver.learning_rate import learning_rate
from netspec.solver.solver_file import SolverFile, read_solver

NET = """
layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 2 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "d" top: "ip" loss_weight: 1
  inner_product_param { num_output: 2 } }
"""
SOLVER = 'net: "net.prototxt" base_lr: 0.1 max_iter: 10\n'


def read(tmp_path: Path, text: str, report: Report | None = None) -> SolverFile:
    path = tmp_path / "solver.prototxt"
    path.write_text(text)
    (tmp_path / "net.prototxt").write_text(NET)
    return read_solver(path, report or Report())


def rates(tmp_path: Path, text: str, count: int) -> list[float]:
    message = read(tmp_path, SOLVER + text).message
    return [learning_rate(message, iteration) for iteration in range(count)]


def test_warm_up_is_linear_and_comes_before_the_policy(tmp_path: Path) -> None:
    got = rates(
        tmp_path,
        'lr_policy: "step" gamma: 0.5 stepsize: 3 warmup_iter: 4 warmup_start_lr: 0.02',
        8,
    )
    # (i · base_lr + (4 - i) · start) / 4, then base_lr · 0.5^(i // 3)
    assert got == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.05, 0.05, 0.025, 0.025])


def test_multifixed_takes_a_rate_till_its_iteration(tmp_path: Path) -> None:
    text = 'lr_policy: "multifixed" stagelr: 0.3 stagelr: 0.2 stageiter: 1 stageiter: 3'
    assert rates(tmp_path, text, 6) == pytest.approx([0.3, 0.3, 0.2, 0.2, 0.2, 0.2])


def test_min_lr_is_where_poly_ends_and_the_least_of_any_policy(tmp_path: Path) -> None:
    got = rates(tmp_path, 'lr_policy: "poly" power: 1 min_lr: 0.05', 11)
    assert got == pytest.approx([0.05 + 0.05 * (1 - i / 10) for i in range(11)])
    got = rates(tmp_path, 'lr_policy: "exp" gamma: 0.5 min_lr: 0.03', 4)
    assert got == pytest.approx([0.1, 0.05, 0.03, 0.03])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('lr_policy: "fixed" larc: true larc_eta: 0.01', "'larc' is a fork's setting"),
        ('lr_policy: "fixed" rampup_interval: 5', "'rampup_interval' is a fork's setting"),
        ('lr_policy: "fixed" momentum_policy: "poly"', "'momentum_policy' is a fork's"),
        ('lr_policy: "plateau" gamma: 0.1 plateau_winsize: 5', "lr_policy 'plateau' follows"),
    ],
)
def test_what_is_not_carried_out_is_reported_and_refused(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    read(tmp_path, SOLVER + text)
    assert main(["check", "solver.prototxt"]) == 0
    err = capsys.readouterr().err
    assert "solver.prototxt:2:" in err
    assert f"warning: {message}" in err
    assert err.count("warning:") == 1
    with pytest.raises(netspec.NetspecError, match=message) as caught:
        netspec.Solver("solver.prototxt")
    assert str(caught.value).startswith("solver.prototxt:2:")


def test_what_changes_nothing_is_reported_once_or_not(tmp_path: Path) -> None:
    report = Report()
    read(
        tmp_path,
        SOLVER + 'lr_policy: "fixed" eval_type: "detection" ap_version: "11point"\n'
        'show_per_class_result: true larc: false engine: "X" solver_data_type: FLOAT',
        report,
    )
    assert [warning.message for warning in report.diagnostics] == [
        "'engine', 'solver_data_type': a fork's settings without effect in netspec"
    ]


def test_stages_must_go_with_their_rates(tmp_path: Path) -> None:
    report = Report()
    read(
        tmp_path, SOLVER + 'lr_policy: "multifixed" stagelr: 0.3 stageiter: 1 stageiter: 2', report
    )
    assert "takes as many 'stagelr' as 'stageiter', at least one, got 1 and 2" in str(
        report.diagnostics[0].message
    )


def test_a_run_and_its_schedule_follow_the_warm_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    text = SOLVER + 'lr_policy: "fixed" warmup_iter: 2 warmup_start_lr: 0.02'
    read(tmp_path, text)
    solver = netspec.Solver("solver.prototxt")
    assert solver.lr == pytest.approx(0.02)
    solver.step(1)
    assert solver.lr == pytest.approx(0.06)
    assert main(["solver", "schedule", "solver.prototxt", "--format", "csv"]) == 0
    assert "0.06" in capsys.readouterr().out
