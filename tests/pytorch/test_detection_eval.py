"""Mean average precision: the three rules, and the tests of a run that compute it."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

import netspec
from netspec.cli import main
from netspec.diagnostics import NetspecError
from netspec.listener import Listener
from netspec.pytorch.detection_eval import average_precision, mean_average_precision
from netspec.solver.evaluation import AP_VERSIONS, Evaluation


def fork_rule(pairs, positives, version):
    """The fork's loops, over (score, true positive) from the highest score on."""
    pairs = sorted(pairs, key=lambda pair: -pair[0])
    hits, precision, recall = 0, [], []
    for i, (_, is_true) in enumerate(pairs):
        hits += is_true
        precision.append(np.float32(hits / (i + 1)))
        recall.append(np.float32(hits / positives))
    total = 0.0
    if version == "11point":
        for j in range(11):
            reached = [p for p, r in zip(precision, recall, strict=True) if float(r) >= j / 10]
            total += max(reached, default=0) / 11
        return total
    if version == "Integral":
        for i in range(len(pairs)):
            total += precision[i] * (recall[i] - (recall[i - 1] if i else 0))
        return total
    now, best = recall[-1], precision[-1]
    for i in range(len(pairs) - 2, -1, -1):
        best = max(best, precision[i])
        total += best * (now - recall[i])
        now = recall[i]
    return total + now * best


@pytest.mark.parametrize("version", AP_VERSIONS)
@pytest.mark.parametrize("seed", range(8))
def test_against_the_loops(version, seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 40))
    scores = rng.integers(0, 12, count).astype(np.float32) / 12  # with ties
    is_true = rng.integers(0, 2, count).astype(np.float32)
    positives = int(is_true.sum()) + seed
    if not positives:
        positives = 1
    pairs = list(zip(scores.tolist(), is_true.astype(int).tolist(), strict=True))
    want = fork_rule(pairs, positives, version)
    got = average_precision(scores, is_true, positives, version)
    assert got == pytest.approx(want, abs=2e-6)


@pytest.mark.parametrize(
    ("version", "want"),
    [("Integral", 0.5 + 0.5 * 2 / 3), ("MaxIntegral", 1.0), ("11point", (6 + 5 * 2 / 3) / 11)],
)
def test_by_hand(version, want):
    """True, false, true of two: the precision is 1, then 2/3 at recall 1."""
    scores, is_true = np.array([0.9, 0.8, 0.7], np.float32), np.array([1, 0, 1], np.float32)
    if version == "MaxIntegral":  # the step to recall 1 begins at the false one, of precision 1/2
        want = 0.5 * 1 + 0.5 * 2 / 3
    assert average_precision(scores, is_true, 2, version) == pytest.approx(want, abs=1e-6)


def test_batches_add_up_and_a_class_without_detections_counts():
    first = np.array([[-1, 1, 1, -1, -1], [-1, 2, 3, -1, -1], [0, 1, 0.9, 1, 0]], np.float32)
    second = np.array(
        [[-1, 1, 1, -1, -1], [-1, 2, 0, -1, -1], [0, 1, 0.8, 0, 1], [0, 1, 0.7, 0, 0]], np.float32
    )
    values = mean_average_precision("eval", [first, second], Evaluation(per_class=True))
    assert values == {
        "eval": [pytest.approx(0.25)],  # (0.5 + 0) / 2; the last row is a difficult box's
        "eval/class1": [pytest.approx(0.5)],
        "eval/class2": [0.0],
    }
    assert mean_average_precision("eval", [], Evaluation()) == {"eval": [0.0]}


# a net whose detections are its data: two images of one class and a few boxes
NET = """
name: "n"
layer { name: "x" type: "DummyData" top: "x" include { phase: TRAIN }
  dummy_data_param { shape { dim: 2 dim: 3 } } }
layer { name: "fc" type: "InnerProduct" bottom: "x" top: "fc" include { phase: TRAIN }
  inner_product_param { num_output: 1 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "fc" bottom: "fc" top: "loss"
  include { phase: TRAIN } }
layer { name: "det" type: "HDF5Data" top: "det" include { phase: TEST }
  hdf5_data_param { source: "det.txt" batch_size: 1 } }
layer { name: "gt" type: "HDF5Data" top: "gt" include { phase: TEST }
  hdf5_data_param { source: "gt.txt" batch_size: 1 } }
layer { name: "eval" type: "DetectionEvaluate" bottom: "det" bottom: "gt" top: "eval"
  include { phase: TEST } detection_evaluate_param { num_classes: 3 } }
"""
SOLVER = """
net: "net.prototxt" test_iter: 2 test_interval: 1 base_lr: 0.1 lr_policy: "fixed" max_iter: 2
snapshot_after_train: false solver_mode: CPU test_initialization: true
"""
DETECTION = 'eval_type: "detection" ap_version: "Integral" show_per_class_result: true'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    h5py = pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)
    truth = [[0, 1, 0, 0, 0, 0.4, 0.4, 0], [0, 2, 0, 0.5, 0.5, 1, 1, 0]]
    found = [  # of two batches: both right, then one wrong and one right
        [[0, 1, 0.9, 0, 0, 0.4, 0.4], [0, 2, 0.8, 0.5, 0.5, 1, 1]],
        [[0, 1, 0.95, 0.6, 0.6, 1, 1], [0, 2, 0.7, 0.5, 0.5, 1, 1]],
    ]
    for name, rows in (("det", found), ("gt", [truth, truth])):
        with h5py.File(f"{name}.h5", "w") as file:
            file[name] = np.array(rows, np.float32)[:, None]
        (tmp_path / f"{name}.txt").write_text(f"{name}.h5\n")
    (tmp_path / "net.prototxt").write_text(NET)
    return tmp_path


class Heard(Listener):
    def __init__(self):
        self.means = []

    def tested(self, iteration, index, means, loss):
        self.means.append(means)


def test_a_run_tests_the_mean_average_precision(folder):
    (folder / "solver.prototxt").write_text(SOLVER + DETECTION)
    heard = Heard()
    netspec.Solver("solver.prototxt", listener=heard).solve()
    assert len(heard.means) == 3
    # class 1: wrong at 0.95, right at 0.9, of two; class 2: right twice of two
    for means in heard.means:
        assert means["eval"] == [pytest.approx((0.25 + 1) / 2)]
        assert means["eval/class1"] == [pytest.approx(0.25)]
        assert means["eval/class2"] == [pytest.approx(1)]


def test_logs_and_keep_best_know_it(folder, capsys):
    (folder / "solver.prototxt").write_text(SOLVER + DETECTION + ' snapshot_prefix: "snap"')
    args = ["--log", "log.jsonl", "--caffe-log", "caffe.log", "--keep-best", "eval"]
    status = main(["train", "solver.prototxt", *args])
    assert status == 0, capsys.readouterr()
    assert "eval 0.625" in capsys.readouterr().out
    assert "Test net output #0: eval = 0.625" in (folder / "caffe.log").read_text()
    tests = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert any("eval/class1" in json.dumps(line) for line in tests)
    assert "Best eval up to now: 0.625" in (folder / "caffe.log").read_text()


def test_without_eval_type_there_is_no_mean_of_detections(folder):
    (folder / "solver.prototxt").write_text(SOLVER)
    with pytest.raises(NetspecError, match="the output 'eval' lists detections") as error:
        netspec.Solver("solver.prototxt")
    assert 'eval_type: "detection"' in str(error.value.diagnostics[0].hint)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ('eval_type: "detect"', "there is no eval_type 'detect'"),
        ('eval_type: "detection" ap_version: "12point"', "there is no ap_version '12point'"),
    ],
)
def test_unknown_words(folder, words, message):
    (folder / "solver.prototxt").write_text(SOLVER + words)
    with pytest.raises(NetspecError, match=message) as error:
        netspec.Solver("solver.prototxt")
    assert [d.span.line for d in error.value.diagnostics if d.severity == "error"] == [4]


def test_the_command_test_computes_it(folder, capsys):
    (folder / "weighted.prototxt").write_text(
        NET.replace("include { phase: TRAIN }", "").replace(
            'bottom: "fc" bottom: "fc" top: "loss"', 'bottom: "fc" bottom: "fc" top: "loss"'
        )
    )
    module = netspec.compile("weighted.prototxt", phase="TEST", seed=1)
    netspec.save_weights(module, "w.caffemodel")
    arguments = ["test", "weighted.prototxt", "w.caffemodel", "--iterations", "2"]
    assert main([*arguments, "--per-class", "--ap-version", "MaxIntegral"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^eval = 0\.6", out, re.MULTILINE)
    assert "eval/class2 = 1" in out
    assert main([*arguments, "--format", "json"]) == 0
    outputs = json.loads(capsys.readouterr().out)["outputs"]
    assert {each["name"]: each["mean"] for each in outputs}["eval"] == pytest.approx(0.625)


class OneOfTwo:
    """The first of two processes, which hears what the second has found."""

    is_root, rank, count = True, 0, 2

    def __init__(self, other):
        self.other = other

    def gathered(self, value):
        return [value, self.other]

    def broadcast(self, value):
        return value


def test_processes_add_their_batches_in_the_batches_order():
    from netspec.pytorch.tester import Tester

    # a tie of scores: the stable order is that of the batches, 0 to 3
    rows = [np.array([[-1, 1, 1, -1, -1], [0, 1, 0.5, i % 2, 1 - i % 2]], np.float32)
            for i in range(4)]  # fmt: skip
    tester = Tester.__new__(Tester)
    tester.evaluation = Evaluation()
    tester.processes = OneOfTwo([(1, rows[1]), (3, rows[3])])
    own = {"eval": [(0, rows[0]), (2, rows[2])]}
    want = mean_average_precision("eval", rows, Evaluation())
    assert tester._evaluated(own, alone=False) == want
    assert want["eval"][0] == pytest.approx(0.25 / 2 + 0.25 / 2)  # 1/2 and 2/4 at each quarter
