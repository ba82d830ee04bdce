"""The predicted sizes of snapshots against the files that netspec writes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import netspec
from netspec.diagnostics import Report
from netspec.pytorch.updates import RULES
from netspec.schema.solver_types import HISTORIES
from netspec.solver.solver_file import load_solver
from netspec.solver.solver_net import load_solver_net
from netspec.weights.snapshot_size import size_text, state_bytes, weights_bytes

SOLVER = """
net_param {{
  name: "Tiny"
  layer {{ name: "data" type: "DummyData" top: "data"
    dummy_data_param {{ shape {{ dim: 2 dim: 3 dim: 8 dim: 8 }}
      data_filler {{ type: "gaussian" }} }} }}
  layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv" \
convolution_param {{ num_output: 8 kernel_size: 3 }} }}
  layer {{ name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }}
  layer {{ name: "a" type: "InnerProduct" bottom: "conv" top: "a"
    inner_product_param {{ num_output: {width} }} param {{ name: "w" }} param {{ name: "b" }} }}
  layer {{ name: "b" type: "InnerProduct" bottom: "conv" top: "b"
    inner_product_param {{ num_output: {width} }} param {{ name: "w" }} param {{ name: "b" }} }}
  layer {{ name: "loss" type: "EuclideanLoss" bottom: "a" bottom: "b" top: "loss" }}
}}
base_lr: 0.01 lr_policy: "fixed" max_iter: 1 random_seed: 1 solver_mode: CPU type: "{type}" \
snapshot_prefix: "s" {more}
"""


def sizes(
    folder: Path, width: int, kind: str, more: str
) -> tuple[tuple[int, int], tuple[int, int]]:
    """What weights and state were predicted to take, and what they take."""
    (folder / "solver.prototxt").write_text(SOLVER.format(width=width, type=kind, more=more))
    file = load_solver(folder / "solver.prototxt")
    net = load_solver_net(file.train_net, file, Report())
    suffix = ".h5" if "HDF5" in more else ""
    predicted = (
        weights_bytes(net, bool(suffix), "snapshot_diff" in more),
        state_bytes(net, kind, 1, "s_iter_1.caffemodel", bool(suffix)),
    )
    solver = netspec.Solver(folder / "solver.prototxt")
    solver.step(1)
    solver.snapshot()
    solver.close()
    return predicted, (
        os.path.getsize(f"s_iter_1.caffemodel{suffix}"),
        os.path.getsize(f"s_iter_1.solverstate{suffix}"),
    )


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdaDelta"])
@pytest.mark.parametrize("more", ["", "snapshot_diff: true"])
def test_protobuf_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, more: str
) -> None:
    monkeypatch.chdir(tmp_path)
    predicted, written = sizes(tmp_path, 5, kind, more)
    assert predicted == written


@pytest.mark.parametrize(
    "more", ["snapshot_format: HDF5", "snapshot_format: HDF5 snapshot_diff: true"]
)
def test_hdf5_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str) -> None:
    monkeypatch.chdir(tmp_path)
    predicted, written = sizes(tmp_path, 500, "SGD", more)
    assert predicted == pytest.approx(written, rel=0.01)


def test_each_solver_type_has_a_rule() -> None:
    assert RULES.keys() == HISTORIES.keys()


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1023, "1,023 bytes"),
        (1536, "1.5 KiB"),
        (243862414, "232.6 MiB"),
        (2**41, "2.0 TiB"),
    ],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert size_text(size) == text
