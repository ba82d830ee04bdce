"""`netspec test --oversample`: AlexNet's ten crops, against numbers worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.cli import main
from netspec.making.encode_datum import raw_datum
from netspec.readers.ten_places import ten_places
from netspec.stores.lmdb_writer import LmdbWriter

RECORDS, BATCH, CROP = 10, 5, 4
HEAD = """name: "n"
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
  transform_param {{ {transform} }} data_param {{ source: "{db}" backend: LMDB batch_size: 5 }} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param {{ num_output: 3 weight_filler {{ type: "gaussian" std: 0.01 }} }} }}
"""
LOSS = """
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
ACCURACY = """
layer { name: "acc" type: "Accuracy" bottom: "ip" bottom: "label" top: "acc" }
"""
CROPPED = "crop_size: 4 scale: 0.5 mean_value: 9"


def images() -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (RECORDS, 2, 6, 7), np.uint8)


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """trained(layers, transform) → the arguments of a test of a net with its weights."""
    monkeypatch.chdir(tmp_path)
    with LmdbWriter(tmp_path / "db") as writer:
        for i, image in enumerate(images()):
            writer.put(f"{i:08d}".encode(), raw_datum(image, i % 3))

    def make(layers: str, transform: str = CROPPED) -> list[str]:
        text = HEAD.format(transform=transform, db=tmp_path / "db") + layers
        (tmp_path / "net.prototxt").write_text(text)
        module = netspec.compile(tmp_path / "net.prototxt", seed=3)
        netspec.save_weights(module, tmp_path / "a.caffemodel")
        return ["test", "net.prototxt", "a.caffemodel", "--iterations", "2"]

    return make


def scores_of_crops() -> np.ndarray:
    """The scores of each crop of each record, by hand. Shapes: (10, N, 3)."""
    blobs = netspec.compile("net.prototxt", weights="a.caffemodel").params["ip"]
    weight, bias = (blob.detach().double().numpy() for blob in blobs)
    pixels = (images() - 9.0) * 0.5
    places = [(0, 0), (0, 3), (2, 0), (2, 3), (1, 1)]
    crops = [pixels[:, :, y : y + CROP, x : x + CROP] for y, x in places]
    crops += [crop[..., ::-1] for crop in crops]
    return np.stack([crop.reshape(RECORDS, -1) @ weight.T + bias for crop in crops])


def outputs_of(arguments: list[str], capsys) -> dict[str, float]:
    capsys.readouterr()
    assert main([*arguments, "--oversample", "--format", "json"]) == 0
    about = json.loads(capsys.readouterr().out)
    assert about["oversample"] is True
    assert about["records_read"] == RECORDS
    return {output["name"]: output["mean"] for output in about["outputs"]}


def test_the_mean_probability_goes_to_loss_and_accuracy(trained, capsys):
    found = outputs_of(trained(LOSS + ACCURACY), capsys)
    raised = np.exp(scores_of_crops())
    mean = (raised / raised.sum(2, keepdims=True)).mean(0)
    labels = np.arange(RECORDS) % 3
    loss = -np.log(mean[np.arange(RECORDS), labels])
    assert found["loss"] == pytest.approx(loss.mean(), rel=1e-5)
    assert found["acc"] == pytest.approx((mean.argmax(1) == labels).mean())


def test_other_scores_are_averaged_as_they_are(trained, capsys):
    found = outputs_of(trained(ACCURACY), capsys)
    mean = scores_of_crops().mean(0)
    assert found["acc"] == pytest.approx((mean.argmax(1) == np.arange(RECORDS) % 3).mean())


def test_scores_that_were_written_in_place(trained, capsys):
    relu = 'layer { name: "r" type: "ReLU" bottom: "ip" top: "ip" }'
    found = outputs_of(trained(relu + LOSS + ACCURACY), capsys)
    raised = np.exp(scores_of_crops().clip(0))
    mean = (raised / raised.sum(2, keepdims=True)).mean(0)
    loss = -np.log(mean[np.arange(RECORDS), np.arange(RECORDS) % 3])
    assert found["loss"] == pytest.approx(loss.mean(), rel=1e-5)


def test_probabilities_of_a_softmax_layer(trained, capsys):
    softmax = 'layer { name: "p" type: "Softmax" bottom: "ip" top: "p" }'
    found = outputs_of(trained(softmax + ACCURACY.replace('"ip"', '"p"')), capsys)
    raised = np.exp(scores_of_crops())
    mean = (raised / raised.sum(2, keepdims=True)).mean(0)
    assert found["acc"] == pytest.approx((mean.argmax(1) == np.arange(RECORDS) % 3).mean())


def test_an_output_without_labels_is_averaged_too(trained, capsys):
    text = 'layer { name: "s" type: "Reduction" bottom: "ip" top: "s" }'
    capsys.readouterr()
    arguments = [*trained(text + LOSS), "--oversample"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "averages over ten crops the probabilities of 'ip', the values of 's'" in out
    last = next(line for line in out.splitlines()[::-1] if line.startswith("s = "))
    by_hand = scores_of_crops().mean(0).reshape(2, BATCH, 3).sum((1, 2)).mean()
    assert float(last.split()[2]) == pytest.approx(by_hand, rel=1e-4)


def test_crops_of_one_size_with_the_records_average_the_mirrored_alone():
    places = ten_places([(0, 0)])
    assert [each[:, 0].tolist() for each in places] == [[0, 0, 0]] * 5 + [[0, 0, 1]] * 5


@pytest.mark.parametrize(
    ("layers", "transform", "message"),
    [
        (LOSS, "scale: 0.5", "ten crops are taken at crop_size, but layer 'data' has none"),
        (
            'layer { name: "e" type: "EuclideanLoss" bottom: "data" bottom: "data" top: "e" }'
            ' layer { name: "h" type: "Silence" bottom: "data" bottom: "label" }',
            CROPPED,
            "but the images 'data' themselves would be",
        ),
    ],
)
def test_what_it_refuses(trained, capsys, layers, transform, message):
    arguments = trained(layers, transform)
    assert main([*arguments, "--oversample"]) == 1
    assert message in capsys.readouterr().err


def test_a_net_without_images_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(
        'layer { name: "d" type: "DummyData" top: "x" dummy_data_param { shape { dim: 1 } } }'
    )
    (tmp_path / "w.caffemodel").write_bytes(b"")
    assert main(["test", "net.prototxt", "w.caffemodel", "--oversample"]) == 1
    assert "but the net's data layers are DummyData" in capsys.readouterr().err
