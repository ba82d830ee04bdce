"""snapshot_diff: beside each param stands what the last update took from it.

As Caffe's blobs hold it after Solver::ApplyUpdate.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from netspec import Solver
from netspec.schema.caffe_pb2 import NetParameter

NET = """
name: "Diffs"
layer { name: "data" type: "DummyData" top: "data" top: "target"
  dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 3 } \
data_filler { type: "gaussian" } data_filler { type: "gaussian" } } }
layer { name: "frozen" type: "InnerProduct" bottom: "data" top: "a" param { lr_mult: 0 } \
param { lr_mult: 2 }
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "norm" type: "BatchNorm" bottom: "a" top: "n" }
layer { name: "owner" type: "InnerProduct" bottom: "n" top: "b" param { name: "w" } \
param { decay_mult: 0 }
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "sharer" type: "InnerProduct" bottom: "b" top: "c" param { name: "w" } \
inner_product_param { num_output: 3 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "c" bottom: "target" top: "loss" }
"""
SOLVER = """net: "net.prototxt" base_lr: 0.02 lr_policy: "fixed" weight_decay: 0.1 \
max_iter: 9 iter_size: 2 clip_gradients: 1
snapshot_after_train: false solver_mode: CPU random_seed: 7 snapshot_prefix: "snap" """
TYPES = {
    "SGD": "momentum: 0.9",
    "Nesterov": "momentum: 0.9",
    "AdaGrad": "",
    "RMSProp": "rms_decay: 0.9",
    "AdaDelta": "momentum: 0.9 delta: 1e-4",
    "Adam": "momentum: 0.9",
}
# the others never change
MOVED = {("frozen", 1), ("owner", 0), ("owner", 1), ("sharer", 0), ("sharer", 1)}


def make(folder: Path, monkeypatch: pytest.MonkeyPatch, settings: str, net: str = NET) -> Solver:
    monkeypatch.chdir(folder)
    Path("net.prototxt").write_text(net)
    Path("solver.prototxt").write_text(f"{SOLVER} {settings}\n")
    return Solver("solver.prototxt")


def values(solver: Solver) -> dict[tuple[str, int], np.ndarray]:
    return {
        (name, i): blob.detach().numpy().copy()
        for name, blobs in solver.module.params.items()
        for i, blob in enumerate(blobs)
    }


def stored(path: Path) -> dict[tuple[str, int], tuple[list[int], list[float], list[float]]]:
    """Shape, data and diff of each blob of a caffemodel."""
    net = NetParameter.FromString(path.read_bytes())
    return {
        (layer.name, i): (list(b.shape.dim), list(b.data), list(b.diff))
        for layer in net.layer
        for i, b in enumerate(layer.blobs)
    }


@pytest.mark.parametrize("kind", TYPES)
def test_the_diff_is_what_the_last_update_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    solver = make(tmp_path, monkeypatch, f'type: "{kind}" {TYPES[kind]} snapshot_diff: true')
    solver.step(2)
    before = values(solver)
    solver.step(1)
    after = values(solver)
    solver.snapshot()
    found = stored(tmp_path / "snap_iter_3.caffemodel")
    assert found.keys() == after.keys()
    for key, (shape, data, diff) in found.items():
        assert tuple(shape) == after[key].shape, key
        assert np.array_equal(np.float32(data), after[key].ravel()), key
        assert any(diff) == (key in MOVED), key
        # BatchNorm's statistics change by themselves
        took = before[key] - after[key] if key in MOVED else np.zeros_like(after[key])
        np.testing.assert_allclose(diff, took.ravel(), atol=3e-7, err_msg=str(key))
    assert found["owner", 0] == found["sharer", 0]


def test_hdf5_writes_a_shared_param_once_and_its_diff_with_each_layer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, monkeypatch, "").close()
    solver = make(tmp_path, monkeypatch, "snapshot_diff: true snapshot_format: HDF5")
    before = values(solver)
    solver.step(1)
    after = values(solver)
    solver.snapshot()
    with h5py.File(tmp_path / "snap_iter_1.caffemodel.h5") as file:
        names = {
            top: {name: sorted(group) for name, group in file[top].items()}
            for top in ("data", "diff")
        }
        diff, data = file["diff/sharer/0"][()], file["data/owner/0"][()]
        kinds = {file[top]["owner/0"].dtype for top in names}
    layers = {
        "data": [],
        "frozen": ["0", "1"],
        "norm": ["0", "1", "2"],
        "owner": ["0", "1"],
        "loss": [],
    }
    assert names == {"data": {**layers, "sharer": ["1"]}, "diff": {**layers, "sharer": ["0", "1"]}}
    assert kinds == {np.dtype(np.float32)}
    assert np.array_equal(data, after["owner", 0])
    np.testing.assert_allclose(diff, before["owner", 0] - after["owner", 0], atol=3e-7)


def test_without_it_no_diff_is_written_and_before_an_update_it_is_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    solver = make(tmp_path, monkeypatch, "")
    solver.step(1)
    state = solver.snapshot()
    assert not any(diff for _, _, diff in stored(tmp_path / "snap_iter_1.caffemodel").values())
    solver = make(tmp_path, monkeypatch, "snapshot_diff: true")
    solver.restore(state)
    solver.snapshot()
    for key, (_, data, diff) in stored(tmp_path / "snap_iter_1.caffemodel").items():
        assert diff == [0.0] * len(data), key


PERMISSIVE = """
layer { name: "data" type: "DummyData" top: "data" top: "target"
  dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 } \
data_filler { type: "gaussian" } data_filler { type: "gaussian" } } }
layer { name: "owner" type: "InnerProduct" bottom: "data" top: "a" param { name: "w" }
  inner_product_param { num_output: 2 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "sharer" type: "InnerProduct" bottom: "data" top: "b" \
param { name: "w" share_mode: PERMISSIVE }
  inner_product_param { num_output: 2 bias_term: false transpose: true } }
layer { name: "loss" type: "EuclideanLoss" bottom: "a" bottom: "b" top: "loss" }
"""


def test_a_param_that_is_shared_in_another_shape_has_its_owners_diff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    solver = make(tmp_path, monkeypatch, "snapshot_diff: true", PERMISSIVE)
    solver.step(1)
    solver.snapshot()
    found = stored(tmp_path / "snap_iter_1.caffemodel")
    assert (found["owner", 0][0], found["sharer", 0][0]) == ([2, 3], [3, 2])
    assert any(found["owner", 0][2])
    assert found["owner", 0][1:] == found["sharer", 0][1:]
