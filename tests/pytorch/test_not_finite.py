"""A loss that is no number: which layer is named, and what is blamed."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from netspec import NetspecError, Solver

NET = """
layer {{ name: "data" type: "HDF5Data" top: "data" top: "target" \
hdf5_data_param {{ source: "{folder}/list.txt" batch_size: 4 }} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip" \
inner_product_param {{ num_output: 2 weight_filler {{ {filler} }} }} }}
layer {{ name: "log" type: "Log" bottom: "ip" top: "log" log_param {{ shift: {shift} }} }}
layer {{ name: "loss" type: "EuclideanLoss" bottom: "log" bottom: "target" top: "loss" }}
"""
SOLVER = """net: "{folder}/net.prototxt" base_lr: {rate} lr_policy: "fixed" \
max_iter: 50 iter_size: {parts} solver_mode: CPU
snapshot_prefix: "{folder}/snap"
"""
XAVIER = 'type: "xavier"'


def message_of(
    folder: Path,
    filler: str = XAVIER,
    shift: float = 100,
    rate: float = 0.01,
    parts: int = 1,
    bad_row: int | None = None,
) -> str:
    """What is reported of a run whose loss stops being a number."""
    rng = np.random.default_rng(0)
    data = rng.random((8, 3), np.float32)
    if bad_row is not None:
        data[bad_row, 1] = np.nan
    with h5py.File(folder / "data.h5", "w") as file:
        file["data"], file["target"] = data, rng.random((8, 2), np.float32)
    (folder / "list.txt").write_text(f"{folder}/data.h5\n")
    (folder / "net.prototxt").write_text(NET.format(folder=folder, filler=filler, shift=shift))
    (folder / "solver.prototxt").write_text(SOLVER.format(folder=folder, rate=rate, parts=parts))
    solver = Solver(folder / "solver.prototxt")
    with pytest.raises(NetspecError) as caught:
        solver.step(50)
    solver.close()
    return str(caught.value)


def test_a_layer_that_makes_it_is_named_and_no_rate_is_blamed_before_an_update(
    tmp_path: Path,
) -> None:
    message = message_of(tmp_path, shift=-100)
    assert message.startswith(
        "error: the loss is nan at iteration 0: the run stops, its snapshots stand\n"
    )
    assert (
        "net.prototxt:4:1: note: layer 'log' (Log) is the first whose output is not finite: "
        "'log'; its bottoms and params are finite"
    ) in message
    assert "base_lr" not in message


def test_a_filler_is_blamed_for_a_param_that_was_never_updated(tmp_path: Path) -> None:
    message = message_of(tmp_path, 'type: "constant" value: inf')
    assert "layer 'ip' (InnerProduct) is the first" in message
    assert (
        "its param 0 is not finite either: its filler, or a weight file, has made it so" in message
    )


def test_an_update_is_blamed_with_the_rates_line(tmp_path: Path) -> None:
    message = message_of(tmp_path, rate=3e38)
    assert "solver.prototxt:1:" in message
    assert "hint: a lower base_lr, clip_gradients, or another filler may help" in message


@pytest.mark.parametrize("parts", [1, 2])
def test_data_that_is_no_number_is_reported_by_its_record(tmp_path: Path, parts: int) -> None:
    message = message_of(tmp_path, bad_row=6, parts=parts)
    assert (
        "layer 'data' (HDF5Data) is the first whose output is not finite: 'data'; the data is so"
        in message
    )
    assert "layer 'data' feeds it; it is record 6 (from 0) of its 8" in message
    assert "base_lr" not in message
