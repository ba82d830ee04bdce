"""The lines of debug_info against numpy's numbers.

What Caffe's ForwardDebugInfo and BackwardDebugInfo print, in their order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from netspec import Solver
from netspec.listener import Listener, Values

rng = np.random.default_rng(3)
DATA, TARGET = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
W1, B1, W2, B2 = (
    rng.normal(size=(5, 3)),
    rng.normal(size=5),
    rng.normal(size=(2, 5)),
    rng.normal(size=2),
)
NET = """
name: "Seen"
layer { name: "data" type: "HDF5Data" top: "data" top: "target" \
hdf5_data_param { source: "data.txt" batch_size: 4 } }
layer { name: "first" type: "InnerProduct" bottom: "data" top: "hidden" \
inner_product_param { num_output: 5 } }
layer { name: "relu" type: "ReLU" bottom: "hidden" top: "hidden" }
layer { name: "second" type: "InnerProduct" bottom: "hidden" top: "out" param { name: "w2" } \
param { lr_mult: 0 }
  inner_product_param { num_output: 2 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "out" bottom: "target" top: "loss" }
"""
APART = NET.replace('bottom: "hidden" top: "hidden"', 'bottom: "hidden" top: "active"').replace(
    '"second" type: "InnerProduct" bottom: "hidden"',
    '"second" type: "InnerProduct" bottom: "active"',
)
SOLVER = (
    'net: "net.prototxt" base_lr: 0 lr_policy: "fixed" debug_info: true snapshot_after_train: '
    "false solver_mode: CPU random_seed: 1\n"
)


class Recorder(Listener):
    """Keeps what is reported, with the events it stands between."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.lines: list[list[str]] = []

    def debugged(self, lines: Iterable[str]) -> None:
        self.lines.append(list(lines))
        self.events.append(
            "backward" if any("[Backward]" in line for line in self.lines[-1]) else "forward only"
        )

    def displayed(self, iteration: int, loss: float, outputs: Values, rate: float) -> None:
        self.events.append(f"display {iteration}")

    def tested(self, iteration: int, index: int, means: Values, loss: float | None) -> None:
        self.events.append(f"test {iteration}")


def run(folder: Path, settings: str, net: str = NET) -> Recorder:
    """A whole run with the known weights; what it reported."""
    with h5py.File(folder / "data.h5", "w") as file:
        file["data"], file["target"] = DATA.astype(np.float32), TARGET.astype(np.float32)
    (folder / "data.txt").write_text(f"{folder / 'data.h5'}\n")
    (folder / "net.prototxt").write_text(net.replace("data.txt", str(folder / "data.txt")))
    (folder / "solver.prototxt").write_text(SOLVER + settings)
    recorder = Recorder()
    solver = Solver(folder / "solver.prototxt", listener=recorder)
    for layer, arrays in (("first", (W1, B1)), ("second", (W2, B2))):
        for blob, array in zip(solver.module.params[layer], arrays, strict=True):
            with torch.no_grad():
                blob.copy_(torch.from_numpy(array))
    solver.solve()
    solver.close()
    return recorder


def expected(passes: int = 1, active: str = "hidden") -> list[tuple[str, list[float]]]:
    """The lines of the last of several passes over one batch, without their numbers; the numbers.

    Args: active: the name of ReLU's top.
    """

    def mean(values: np.ndarray) -> list[float]:
        return [float(np.abs(values).mean())]

    before = DATA @ W1.T + B1
    hidden = np.maximum(before, 0)
    out = hidden @ W2.T + B2
    d_out = (out - TARGET) / 4
    d_hidden = d_out @ W2
    d_before = d_hidden * (before > 0)
    d_w2, d_w1, d_b1 = (
        passes * grad for grad in (d_out.T @ hidden, d_before.T @ DATA, d_before.sum(axis=0))
    )
    data = np.concatenate([array.ravel() for array in (W1, B1, W2, B2)])
    diffs = np.concatenate([array.ravel() for array in (d_w1, d_b1, d_w2)])
    norms = [
        np.abs(data).sum(),
        np.abs(diffs).sum(),
        np.sqrt((data**2).sum()),
        np.sqrt((diffs**2).sum()),
    ]
    return [
        ("    [Forward] Layer data, top blob data data: #", mean(DATA)),
        ("    [Forward] Layer data, top blob target data: #", mean(TARGET)),
        ("    [Forward] Layer first, top blob hidden data: #", mean(before)),
        ("    [Forward] Layer first, param blob 0 data: #", mean(W1)),
        ("    [Forward] Layer first, param blob 1 data: #", mean(B1)),
        (f"    [Forward] Layer relu, top blob {active} data: #", mean(hidden)),
        ("    [Forward] Layer second, top blob out data: #", mean(out)),
        ("    [Forward] Layer second, param blob w2 data: #", mean(W2)),
        ("    [Forward] Layer second, param blob 1 data: #", mean(B2)),
        (
            "    [Forward] Layer loss, top blob loss data: #",
            [float(((out - TARGET) ** 2).sum() / 8)],
        ),
        ("    [Backward] Layer loss, bottom blob out diff: #", mean(d_out)),
        (f"    [Backward] Layer second, bottom blob {active} diff: #", mean(d_hidden)),
        ("    [Backward] Layer second, param blob 0 diff: #", mean(d_w2)),
        ("    [Backward] Layer relu, bottom blob hidden diff: #", mean(d_before)),
        ("    [Backward] Layer first, param blob 0 diff: #", mean(d_w1)),
        ("    [Backward] Layer first, param blob 1 diff: #", mean(d_b1)),
        (
            "    [Backward] All net params (data, diff): L1 norm = (#, #); L2 norm = (#, #)",
            [float(norm) for norm in norms],
        ),
    ]


NUMBER = re.compile(r"(?:(?<=data: )|(?<=diff: )|(?<=\()|(?<=, ))-?\d[\d.e+-]*")


def compare(lines: list[str], wanted: list[tuple[str, list[float]]]) -> None:
    assert [NUMBER.sub("#", line) for line in lines] == [text for text, _ in wanted]
    for line, (_, values) in zip(lines, wanted, strict=True):
        assert [float(number) for number in NUMBER.findall(line)] == pytest.approx(
            values, rel=2e-5
        ), line


@pytest.mark.parametrize("in_place", [False, True])
def test_the_lines_are_caffes(tmp_path: Path, in_place: bool) -> None:
    (lines,) = run(tmp_path, "max_iter: 1 display: 2", NET if in_place else APART).lines
    compare(lines, expected(active="hidden" if in_place else "active"))


def test_gradients_of_params_add_up_over_iter_size_those_of_blobs_do_not(tmp_path: Path) -> None:
    first, second = run(tmp_path, "max_iter: 1 display: 2 iter_size: 2", APART).lines
    compare(first, expected(active="active"))
    compare(second, expected(passes=2, active="active"))


def test_the_train_net_reports_in_displayed_iterations_and_a_test_net_always(
    tmp_path: Path,
) -> None:
    recorder = run(tmp_path, "max_iter: 4 display: 3 test_iter: 2 test_interval: 2")
    test = ["forward only"] * 2
    assert recorder.events == [
        *test,
        "test 0",
        "backward",
        "display 0",
        *test,
        "test 2",
        "backward",
        "display 3",
        *test,
        "test 4",
    ]
    forward = [row for row in expected() if "[Forward]" in row[0]]
    compare(recorder.lines[0], forward)


def test_a_blob_that_two_layers_read_has_the_gradient_of_each(tmp_path: Path) -> None:
    twice = (
        'layer { name: "loss2" type: "EuclideanLoss" bottom: "out" bottom: "target" top: "loss2" '
        "loss_weight: 3 }"
    )
    (lines,) = run(tmp_path, "max_iter: 1 display: 2", NET + twice).lines
    wanted = dict(expected())["    [Backward] Layer loss, bottom blob out diff: #"][0]
    found = {
        line.split(",")[0].split()[-1]: float(line.split()[-1])
        for line in lines
        if "bottom blob out" in line
    }
    assert found == pytest.approx({"loss": wanted, "loss2": 3 * wanted}, rel=2e-5)
