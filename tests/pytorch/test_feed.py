"""A fault in the data names the record that was really read, of the layer that feeds it."""

from __future__ import annotations

import os
import re
import threading
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from netspec import NetspecError, Overrides, RunOptions, Solver, train
from netspec.pytorch.processes import Processes
from netspec.readers import transform

LAYERS = """
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" \
inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
SOLVER = (
    'net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 50 solver_mode: '
    'CPU random_seed: 7 snapshot_prefix: "snap"'
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a list of eleven images, of which one has label 9."""
    monkeypatch.chdir(tmp_path)
    for i in range(11):
        Image.fromarray(np.full((4, 4), i, np.uint8)).save(f"{i}.png")
    Path("list.txt").write_text("".join(f"{i}.png {9 if i == 6 else i % 3}\n" for i in range(11)))
    return tmp_path


def reported(net: str, processes: Processes | None = None) -> str:
    Path("net.prototxt").write_text(net)
    Path("solver.prototxt").write_text(SOLVER)
    solver = Solver("solver.prototxt", device="cpu", processes=processes)
    with pytest.raises(NetspecError) as caught:
        solver.step(50)
    solver.close()
    return str(caught.value)


def images(settings: str, tops: str = 'top: "data" top: "label"') -> str:
    return (
        f'layer {{ name: "images" type: "ImageData" {tops} '
        f'image_data_param {{ source: "list.txt" batch_size: 4 is_color: false {settings} }} }}\n'
    )


def hdf5(
    name: str,
    tops: list[str],
    settings: str = "",
    rows: int = 8,
    bad: tuple[int, int] | None = None,
    files: int = 1,
) -> str:
    """A layer over HDF5 files; the row `bad` of (file, row) has a NaN."""
    for i in range(files):
        with h5py.File(f"{name}{i}.h5", "w") as file:
            for top in tops:
                file[top] = (
                    np.arange(rows, dtype=np.float32) % 3
                    if top == "label"
                    else np.ones((rows, 2), np.float32)
                )
            if bad and bad[0] == i:
                file[tops[0]][bad[1]] = np.nan
    Path(f"{name}.txt").write_text("".join(f"{name}{i}.h5\n" for i in range(files)))
    text = " ".join(f'top: "{top}"' for top in tops)
    return (
        f'layer {{ name: "{name}" type: "HDF5Data" {text} '
        f'hdf5_data_param {{ source: "{name}.txt" batch_size: 4 {settings} }} }}\n'
    )


@pytest.mark.parametrize(
    "settings", ["", "shuffle: true", "rand_skip: 5", "shuffle: true rand_skip: 5"]
)
def test_the_line_of_a_list_in_any_order(folder: Path, settings: str) -> None:
    message = reported(images(settings) + LAYERS)
    assert "has label 9, but there are 3 classes" in message
    assert (
        "layer 'images' feeds it; it is record 6 (from 0) of its 11, line 7 of 'list.txt': '6.png'"
        in message
    )


@pytest.mark.parametrize("settings", ["", "shuffle: true"])
def test_the_row_of_one_of_several_hdf5_files(folder: Path, settings: str) -> None:
    message = reported(hdf5("rows", ["data", "label"], settings, bad=(1, 5), files=3) + LAYERS)
    assert (
        "layer 'rows' feeds it; it is record 13 (from 0) of its 24, row 5 of 'rows1.h5'" in message
    )


def test_the_layer_that_feeds_the_labels_and_not_the_first(folder: Path) -> None:
    flat = 'layer { name: "flat" type: "Power" bottom: "label" top: "flat" }\n'
    net = (
        hdf5("rows", ["data"], rows=5)
        + images("", 'top: "pixels" top: "label"')
        + flat
        + LAYERS.replace('bottom: "label"', 'bottom: "flat"')
    )
    assert (
        "layer 'images' feeds it; it is record 6 (from 0) of its 11, line 7 of 'list.txt'"
        in reported(net)
    )


def test_the_layer_whose_data_are_not_finite_and_not_the_first(folder: Path) -> None:
    change = (
        'layer { name: "half" type: "Power" bottom: "data" top: "data" '
        "power_param { scale: 0.5 } }\n"
    )
    Path("list.txt").write_text(Path("list.txt").read_text().replace(" 9", " 0"))
    net = (
        images("", 'top: "pixels" top: "label"')
        + hdf5("rows", ["data"], rows=5, bad=(0, 2))
        + change
        + LAYERS
    )
    message = reported(net)
    assert (
        "layer 'rows' (HDF5Data) is the first whose output is not finite: 'data'; the data is so"
        in message
    )
    assert "layer 'rows' feeds it; it is record 2 (from 0) of its 5, row 2 of 'rows0.h5'" in message


def test_no_record_is_named_where_the_items_are_not_the_datas(folder: Path) -> None:
    mixed = (
        'layer { name: "mixed" type: "Concat" bottom: "label" bottom: "label" top: "mixed" '
        "concat_param { axis: 0 } }\n"
    )
    twice = (
        'layer { name: "twice" type: "Concat" bottom: "data" bottom: "data" top: "twice" '
        "concat_param { axis: 0 } }\n"
    )
    message = reported(
        images("")
        + mixed
        + twice
        + LAYERS.replace('"data"', '"twice"').replace('"label"', '"mixed"')
    )
    assert "has label 9" in message
    assert "feeds it" not in message


def test_the_window_is_named(folder: Path) -> None:
    Path("windows.txt").write_text("# 0\n0.png\n3\n4\n4\n2\n1 0.9 0 0 2 2\n7 0.9 1 1 3 3\n")
    window = """layer { name: "w" type: "WindowData" top: "data" top: "label"
      transform_param { crop_size: 4 }
      window_data_param { source: "windows.txt" batch_size: 4 fg_threshold: 0.5 bg_threshold: 0.5
        fg_fraction: 1 } }"""
    assert re.search(
        r"layer 'w' feeds it; it is the window in line 8 of 'windows.txt', of '0.png'",
        reported(window + LAYERS),
    )


def test_the_number_of_workers_changes_no_result(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transform, "_WORTH_A_THREAD", 0)  # these images are small
    Path("list.txt").write_text("".join(f"{i}.png {i % 3}\n" for i in range(11)))
    Path("net.prototxt").write_text(images("shuffle: true") + LAYERS)
    Path("solver.prototxt").write_text(SOLVER)
    weights = []
    for workers in (0, 1, 3):
        options = RunOptions(workers=workers, device="cpu", overwrite=True)
        train("solver.prototxt", replace(options, overrides=Overrides(max_iter=5)))
        weights.append(Path("snap_iter_5.caffemodel").read_bytes())
    assert weights[0] == weights[1] == weights[2]


def test_the_processes_of_a_machine_share_its_cores(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    Path("net.prototxt").write_text(images("") + LAYERS)
    Path("solver.prototxt").write_text(SOLVER)
    alone = Solver("solver.prototxt", device="cpu")
    # of several machines, of which this one has two of the processes
    one_of_two = Solver("solver.prototxt", device="cpu", processes=Processes(local_count=2))
    assert (alone.workers, one_of_two.workers) == (6, 3)


def test_without_workers_the_net_reads_itself(folder: Path) -> None:
    Path("net.prototxt").write_text(images("") + LAYERS)
    Path("solver.prototxt").write_text(SOLVER)
    for workers, names in ((0, []), (2, ["netspec-batches"])):
        before = set(threading.enumerate())
        solver = Solver("solver.prototxt", device="cpu", workers=workers)
        solver.step(1)
        made = [each.name for each in threading.enumerate() if each not in before]
        solver.close()
        assert [name for name in made if name.startswith("netspec")] == names
