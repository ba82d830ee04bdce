"""`netspec test`: Caffe's lines, the object for scripts, and numbers worked out by hand."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import netspec
from netspec.cli import main
from netspec.schema.caffe_pb2 import Datum
from netspec.stores.lmdb_writer import LmdbWriter

RECORDS, BATCH = 11, 4
DATA = (
    'layer {{ name: "data" type: "Data" top: "data" top: "label" {more} '
    'data_param {{ source: "{db}" backend: LMDB batch_size: 4 }} }}'
)
LAYERS = """
layer { name: "scale" type: "Power" bottom: "data" top: "scaled" power_param { scale: 0.01 } }
layer { name: "ip" type: "InnerProduct" bottom: "scaled" top: "ip" \
inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" \
loss_weight: 0.5 }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" \
include { phase: TEST } }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory with a net, its weights, and a database.

    It has 11 random 4×4 records of 3 classes.
    """
    with LmdbWriter(tmp_path / "test_lmdb") as writer:
        for i, image in enumerate(images()):
            datum = Datum(channels=1, height=4, width=4, data=image.tobytes(), label=i % 3)
            writer.put(f"{i:08d}".encode(), datum.SerializeToString())
    text = (
        'name: "Tiny"\n'
        + DATA.format(db=tmp_path / "test_lmdb", more="include { phase: TEST }")
        + LAYERS
    )
    (tmp_path / "net.prototxt").write_text(text)
    netspec.save_weights(
        netspec.compile(tmp_path / "net.prototxt", seed=3), tmp_path / "a.caffemodel"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (RECORDS, 4, 4), np.uint8)


def by_hand(batches: int) -> tuple[list[float], list[float]]:
    """The accuracy and the loss of each batch, from pixels and weights."""
    weight, bias = (
        blob.detach().double().numpy() for blob in weights_of("net.prototxt", "a.caffemodel")["ip"]
    )
    index = np.arange(batches * BATCH) % RECORDS
    scores = images()[index].reshape(len(index), -1) * 0.01 @ weight.T + bias
    labels = index % 3
    own = scores[np.arange(len(index)), labels]
    losses = np.log(np.exp(scores).sum(1)) - own
    right = (scores >= own[:, None]).sum(1) == 1
    return right.reshape(batches, BATCH).mean(1).tolist(), losses.reshape(batches, BATCH).mean(
        1
    ).tolist()


def weights_of(net: str, path: str) -> dict[str, list[torch.Tensor]]:
    return netspec.compile(net, weights=path).params


def run(capsys: pytest.CaptureFixture, *options: str) -> str:
    assert main(["test", *options, "--cpu"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def refused(capsys: pytest.CaptureFixture, *options: str, status: int = 1) -> str:
    assert main(["test", *options, "--cpu"]) == status
    return capsys.readouterr().err


def test_prints_caffes_lines(folder: Path, capsys: pytest.CaptureFixture) -> None:
    lines = run(capsys, "net.prototxt", "a.caffemodel", "--iterations", "2").splitlines()
    accuracy, loss = by_hand(2)
    assert lines[0].startswith("Tiny, phase TEST, on cpu (")
    assert lines[1].startswith("a.caffemodel: 1 layer")
    printed = dict(line.split(" = ", 1) for line in lines[2:6])
    assert list(printed) == [
        "Batch 0, accuracy",
        "Batch 0, loss",
        "Batch 1, accuracy",
        "Batch 1, loss",
    ]
    assert [float(value) for value in printed.values()] == pytest.approx(
        [accuracy[0], loss[0], accuracy[1], loss[1]], rel=1e-5
    )
    assert lines[6].startswith("Loss: ")
    assert float(lines[6].split()[1]) == pytest.approx(0.5 * np.mean(loss), rel=1e-5)
    assert lines[7] == f"accuracy = {np.mean(accuracy):.6g}"
    assert lines[8] == f"loss = {np.mean(loss):.6g} (* 0.5 = {np.mean(loss) / 2:.6g} loss)"
    assert lines[9].startswith("2 batches of 4: 8 of 11 records; ")
    assert lines[9].endswith(" images/s")
    assert len(lines) == 10


def test_more_than_the_data_is_reported_before(folder: Path, capsys: pytest.CaptureFixture) -> None:
    printed = (
        "reads 5 batches of its 11 records, all of them 1.8 times; --iterations 3 reads them once"
    )
    assert (
        run(capsys, "net.prototxt", "a.caffemodel", "--iterations", "5").splitlines()[2] == printed
    )
    assert "reads " not in run(capsys, "net.prototxt", "a.caffemodel", "--iterations", "3")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_without_a_traceback(folder: Path, number: int) -> None:
    command = [
        sys.executable,
        "-m",
        "netspec",
        "test",
        "net.prototxt",
        "a.caffemodel",
        "--cpu",
        "--iterations",
        "100000000",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while "Batch 3, loss" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + number, "interrupted\n")


def test_json_holds_what_a_script_needs(folder: Path, capsys: pytest.CaptureFixture) -> None:
    about = json.loads(
        run(
            capsys,
            "--model",
            "net.prototxt",
            "--weights",
            "a.caffemodel",
            "--iterations",
            "5",
            "--format",
            "json",
        )
    )
    accuracy, loss = by_hand(5)
    assert (
        about["iterations"],
        about["batch_size"],
        about["records_read"],
        about["dataset_size"],
    ) == (5, 4, 20, 11)
    assert about["loss"] == pytest.approx(0.5 * np.mean(loss), rel=1e-5)
    means = {(output["name"], output["index"]): output for output in about["outputs"]}
    assert set(means) == {("accuracy", 0), ("loss", 0)}
    assert means["accuracy", 0]["mean"] == pytest.approx(np.mean(accuracy))
    assert (means["accuracy", 0]["loss_weight"], means["accuracy", 0]["weighted"]) == (0, 0)
    assert means["loss", 0]["loss_weight"] == 0.5
    assert means["loss", 0]["weighted"] == pytest.approx(0.5 * means["loss", 0]["mean"])
    assert [batch["outputs"]["loss"][0] for batch in about["batches"]] == pytest.approx(
        loss, rel=1e-5
    )
    assert [batch["loss"] for batch in about["batches"]] == pytest.approx(
        [0.5 * value for value in loss], rel=1e-5
    )
    assert about["images_per_second"] == pytest.approx(20 / about["seconds"])
    assert about["weights"] == [
        {"path": "a.caffemodel", "loaded": ["ip"], "missing": [], "unused": []}
    ]


@pytest.mark.parametrize(
    ("iterations", "said"),
    [
        ("1", "1 batch of 4: 4 of 11 records"),
        (
            "all",
            (
                "3 batches of 4: 12 records, every record of the data set (11) once, "
                "1 of them once more: the data wrapped around"
            ),
        ),
        (
            "6",
            (
                "6 batches of 4: 24 records, every record of the data set (11) 2 times, "
                "2 of them once more: the data wrapped around"
            ),
        ),
        ("11", "11 batches of 4: 44 records, every record of the data set (11) 4 times"),
    ],
)
def test_reports_how_much_of_the_data_was_read(
    folder: Path, capsys: pytest.CaptureFixture, iterations: str, said: str
) -> None:
    out = run(capsys, "net.prototxt", "a.caffemodel", "--iterations", iterations)
    assert out.splitlines()[-1].startswith(f"{said}; ")


def test_a_pass_whose_batches_divide_the_data_reads_each_record_once(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    text = (folder / "net.prototxt").read_text()
    (folder / "net.prototxt").write_text(text.replace("batch_size: 4", "batch_size: 11"))
    out = run(capsys, "net.prototxt", "a.caffemodel", "--iterations", "all")
    assert out.splitlines()[-1].startswith(
        "1 batch of 11: 11 records, every record of the data set once; "
    )


def test_caffes_flags_mean_the_same(folder: Path, capsys: pytest.CaptureFixture) -> None:
    text = (folder / "net.prototxt").read_text()
    text = text.replace(
        '"accuracy" include { phase: TEST }', '"accuracy" include { stage: "scored" min_level: 2 }'
    )
    (folder / "net.prototxt").write_text(text)
    plain = run(capsys, "-model", "net.prototxt", "-weights", "a.caffemodel", "-iterations", "2")
    assert "accuracy" not in plain
    scored = run(
        capsys,
        "-model=net.prototxt",
        "-weights=a.caffemodel",
        "-iterations=2",
        "-stage=scored",
        "-level=2",
    )
    assert "Batch 1, accuracy = " in scored
    assert (
        run(capsys, "--model", "net.prototxt", "a.caffemodel", "--iterations", "2").splitlines()[
            2:-1
        ]
        == plain.splitlines()[2:-1]
    )


def test_every_element_of_an_output_has_its_line(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    text = (
        (folder / "net.prototxt")
        .read_text()
        .replace('top: "accuracy"', 'top: "accuracy" top: "each_class"')
    )
    (folder / "net.prototxt").write_text(text)
    lines = run(capsys, "net.prototxt", "a.caffemodel", "--iterations", "2").splitlines()
    assert sum(line.startswith("Batch 1, each_class = ") for line in lines) == 3
    assert sum(line.startswith("each_class = ") for line in lines) == 3
    about = json.loads(
        run(capsys, "net.prototxt", "a.caffemodel", "--iterations", "2", "--format", "json")
    )
    assert [output["index"] for output in about["outputs"] if output["name"] == "each_class"] == [
        0,
        1,
        2,
    ]


def test_a_later_weight_file_wins(folder: Path, capsys: pytest.CaptureFixture) -> None:
    module = netspec.compile("net.prototxt")
    with torch.no_grad():
        for blob in module.params["ip"]:
            blob.zero_()
    netspec.save_weights(module, folder / "zero.caffemodel")
    out = run(capsys, "net.prototxt", "a.caffemodel,zero.caffemodel", "--iterations", "1")
    assert f"\nloss = {np.log(3):.6g} " in out
    assert out.index("\na.caffemodel: ") < out.index("\nzero.caffemodel: ")


def test_layers_that_no_file_holds_are_warned_of(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    more = (
        'layer { name: "more" type: "InnerProduct" bottom: "ip" top: "more" '
        "inner_product_param { num_output: 2 } }"
    )
    (folder / "more.prototxt").write_text((folder / "net.prototxt").read_text() + more)
    assert (
        main(
            [
                "test",
                "more.prototxt",
                "a.caffemodel",
                "--iterations",
                "1",
                "--cpu",
                "--format",
                "json",
            ]
        )
        == 0
    )
    captured = capsys.readouterr()
    assert captured.err.startswith(
        "warning: 'a.caffemodel' does not have 1 of the net's layers, which are tested with the "
        "values of their fillers: more\n"
    )
    assert json.loads(captured.out)["weights"][0]["missing"] == ["more"]


def test_a_layer_whose_params_are_a_loaded_layers_is_not_warned_of(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    text = (
        (folder / "net.prototxt")
        .read_text()
        .replace('top: "ip" ', 'top: "ip" param { name: "w" } param { name: "b" } ')
    )
    shared = 'param { name: "w" } param { name: "b" } inner_product_param { num_output: 3 }'
    twin = f'layer {{ name: "twin" type: "InnerProduct" bottom: "scaled" top: "twin" {shared} }}'
    silence = 'layer { name: "quiet" type: "Silence" bottom: "twin" }'
    (folder / "twin.prototxt").write_text(text + twin + silence)
    assert "Batch 0, loss = " in run(capsys, "twin.prototxt", "a.caffemodel", "--iterations", "1")


def test_weights_of_another_net_are_refused(folder: Path, capsys: pytest.CaptureFixture) -> None:
    text = (folder / "net.prototxt").read_text()
    (folder / "other.prototxt").write_text(text.replace('name: "ip"', 'name: "fc"'))
    err = refused(capsys, "other.prototxt", "a.caffemodel")
    assert err == (
        "error: no layer of the net 'Tiny' is in 'a.caffemodel'\n"
        "  hint: the net's layers with params are fc; the file's are ip\n"
    )
    (folder / "wide.prototxt").write_text(text.replace("num_output: 3", "num_output: 4"))
    err = refused(capsys, "wide.prototxt", "a.caffemodel")
    assert err == (
        "error: 'a.caffemodel' does not fit the net: layer 'ip': param 0 is 4×16 in the net, "
        "3×16 in the file\n"
    )
    assert "file 'none.caffemodel' does not exist" in refused(
        capsys, "net.prototxt", "none.caffemodel"
    )


def test_a_value_that_is_no_number_is_printed(folder: Path, capsys: pytest.CaptureFixture) -> None:
    module = netspec.compile("net.prototxt")
    with torch.no_grad():
        module.params["ip"][1].fill_(torch.nan)
    netspec.save_weights(module, folder / "nan.caffemodel")
    out = run(capsys, "net.prototxt", "nan.caffemodel", "--iterations", "1")
    assert "\nLoss: nan\n" in out
    assert "\nloss = nan (* 0.5 = nan loss)\n" in out
    about = json.loads(
        run(capsys, "net.prototxt", "nan.caffemodel", "--iterations", "1", "--format", "json"),
        parse_constant=pytest.fail,
    )
    assert about["loss"] is None


def test_wrong_data_are_reported_with_their_place(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    text = (folder / "net.prototxt").read_text()
    (folder / "gone.prototxt").write_text(
        text.replace("test_lmdb", "gone_lmdb").replace(
            "data_param", "transform_param { crop_size: 4 } data_param"
        )
    )
    err = refused(capsys, "gone.prototxt", "a.caffemodel")
    assert "gone.prototxt:2:" in err
    assert "gone_lmdb" in err
    assert "does not fit" not in err
    two = text.replace("num_output: 3", "num_output: 2")
    (folder / "two.prototxt").write_text(two)
    netspec.save_weights(netspec.compile("two.prototxt"), folder / "two.caffemodel")
    err = refused(capsys, "two.prototxt", "two.caffemodel")
    assert "layer 'loss': item 2 of the batch has label 2, but there are 2 classes" in err
    assert "it is record 2 (from 0) of its 11" in err


def test_a_net_that_takes_its_data_from_the_caller_is_reported(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    inputs = (
        'layer { name: "data" type: "Input" top: "data" top: "label" '
        "input_param { shape { dim: 4 dim: 1 dim: 4 dim: 4 } shape { dim: 4 } } }"
    )
    (folder / "input.prototxt").write_text(inputs + LAYERS)
    assert "no data layer feeds the input 'data'" in refused(
        capsys, "input.prototxt", "a.caffemodel"
    )


def test_data_without_an_end_have_no_pass(folder: Path, capsys: pytest.CaptureFixture) -> None:
    dummy = (
        'layer { name: "data" type: "DummyData" top: "data" top: "label"'
        " dummy_data_param { shape { dim: 4 dim: 1 dim: 4 dim: 4 } shape { dim: 4 } } }"
    )
    (folder / "dummy.prototxt").write_text(dummy + LAYERS)
    assert refused(capsys, "dummy.prototxt", "a.caffemodel", "--iterations", "all").startswith(
        "error: --iterations all asks for one pass over the data, "
        "but the net's data has no known end\n"
    )
    assert (
        run(capsys, "dummy.prototxt", "a.caffemodel", "--iterations", "2")
        .splitlines()[-1]
        .startswith("2 batches of 4: 8 records; ")
    )


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["net.prototxt"],
        ["net.prototxt", "a.caffemodel", "--model", "net.prototxt"],
        ["net.prototxt", "--weights", ","],
    ],
)
def test_usage_names_what_is_missing(words: list[str], capsys: pytest.CaptureFixture) -> None:
    assert refused(capsys, *words, status=2).startswith(
        "netspec test: name one net and its weights, as in "
    )


@pytest.mark.parametrize("count", ["0", "-1", "many", "1.5"])
def test_a_wrong_number_of_iterations_is_usage(count: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["test", "net.prototxt", "a.caffemodel", f"--iterations={count}"])
    assert ended.value.code == 2
    assert f"must be a whole number from 1, or all, got '{count}'" in capsys.readouterr().err
