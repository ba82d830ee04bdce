"""models/ssd_digits: the small SSD on scenes of digits, from the sample data to its detections."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import netspec
from netspec.listener import Listener
from netspec.making.sample_digits import sample_digits, sample_sets
from netspec.solver.run_options import Overrides
from netspec.stores.records import open_records
from tests.conftest import ROOT

pytest.importorskip("sklearn")
MODEL = ROOT / "models" / "ssd_digits"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    root = tmp_path_factory.mktemp("ssd_digits")
    sample_digits(sample_sets("ssd_digits"), root)
    return root


@pytest.fixture
def folder(sample, tmp_path, monkeypatch):
    """A working directory in which the solver's paths hold."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(sample / "examples")
    (tmp_path / "models").mkdir()
    (tmp_path / "models/ssd_digits").symlink_to(MODEL)
    return tmp_path


class Heard(Listener):
    def __init__(self):
        self.means = []

    def tested(self, iteration, index, means, loss):
        self.means.append(means)


def solver(heard, folder, **overrides):
    return netspec.Solver(
        "models/ssd_digits/solver.prototxt",
        Overrides(snapshot_prefix=str(folder / "snap"), **overrides),
        listener=heard,
    )


def test_the_boxes_of_a_scene_lie_on_its_digits(folder):
    records = open_records("examples/ssd_digits/test_lmdb")
    assert records.count == 320
    labels = set()
    for i in range(40):
        _, record = records.read_annotated(i)
        scene = np.frombuffer(record.datum.data, np.uint8).reshape(96, 96)
        assert 1 <= sum(len(group.annotation) for group in record.annotation_group) <= 4
        for group in record.annotation_group:
            labels.add(group.group_label)
            for each in group.annotation:
                x0, y0, x1, y1 = (
                    round(96 * edge)
                    for edge in (each.bbox.xmin, each.bbox.ymin, each.bbox.xmax, each.bbox.ymax)
                )
                assert scene[y0:y1, x0:x1].max() > 150
                assert all(
                    edge.max() >= 96  # ink reaches each edge of its box
                    for edge in (scene[y0, x0:x1], scene[y1 - 1, x0:x1],
                                 scene[y0:y1, x0], scene[y0:y1, x1 - 1])
                )  # fmt: skip
    records.close()
    assert labels == set(range(1, 11))


def test_a_few_iterations(folder):
    heard = Heard()
    run = solver(heard, folder, max_iter=3, batch_size=4, test_iter=2, test_interval=3)
    before = [blob.clone() for blob in run.module.params["conv1"]]
    outputs = run.step(3)
    run.test()
    assert torch.isfinite(outputs["mbox_loss"]).all()
    assert not torch.equal(before[0], run.module.params["conv1"][0])
    assert 0 <= heard.means[-1]["detection_eval"][0] <= 1


def test_deploy_gives_rows_of_detections():
    module = netspec.compile(MODEL / "deploy.prototxt", seed=1)
    rows = module(data=torch.rand(1, 1, 96, 96))["detection_out"]
    assert rows.shape[:2] == (1, 1)
    assert rows.shape[3] == 7


@pytest.mark.slow
def test_it_learns_to_find_the_digits(folder):
    heard = Heard()
    solver(heard, folder).solve()
    assert heard.means[-1]["detection_eval"][0] >= 0.8
