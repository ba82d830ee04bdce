"""A small run on a database of its own, which the tests of training start from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.data_fixtures import datums, images, write_lmdb, write_mean  # noqa: F401

RECORDS = 11
NET = """
name: "Tiny"
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TRAIN }}
  data_param {{ source: "{db}" backend: LMDB batch_size: 4 }} \
transform_param {{ crop_size: 6 mirror: true scale: 0.01 }} }}
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
  data_param {{ source: "{db}" backend: LMDB batch_size: 5 }} \
transform_param {{ crop_size: 6 scale: 0.01 }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 4 kernel_size: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" }}
layer {{ name: "relu" type: "ReLU" bottom: "bn" top: "bn" }}
layer {{ name: "drop" type: "Dropout" bottom: "bn" top: "bn" }}
layer {{ name: "ip" type: "InnerProduct" bottom: "bn" top: "ip" \
inner_product_param {{ num_output: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }}
layer {{ name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" \
include {{ phase: TEST }} }}
"""
SOLVER = """
net: "net.prototxt"
base_lr: 0.05 momentum: 0.9 weight_decay: 0.001 lr_policy: "step" gamma: 0.5 stepsize: 5
max_iter: 12 display: 4 average_loss: 2 test_iter: 2 test_interval: 6 snapshot: 6 \
snapshot_prefix: "{prefix}"
random_seed: 5 solver_mode: CPU
"""


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A folder with a net, its solver, and a database of random 8×8 records of 3 classes."""
    from netspec.schema.caffe_pb2 import Datum
    from netspec.stores.lmdb_writer import LmdbWriter

    rng = np.random.default_rng(0)
    with LmdbWriter(tmp_path / "train_lmdb") as writer:
        for i in range(RECORDS):
            pixels = rng.integers(0, 256, (1, 8, 8), np.uint8)
            datum = Datum(channels=1, height=8, width=8, data=pixels.tobytes(), label=i % 3)
            writer.put(f"{i:08d}".encode(), datum.SerializeToString())
    (tmp_path / "net.prototxt").write_text(NET.format(db=tmp_path / "train_lmdb"))
    (tmp_path / "solver.prototxt").write_text(SOLVER.format(prefix=tmp_path / "snap"))
    return tmp_path
