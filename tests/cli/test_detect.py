"""`netspec detect`: an SSD's boxes in pixels of the picture, written and drawn."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import netspec
from netspec.cli import main
from netspec.readers.images import decode, resize
from netspec.readers.picture import plan_pictures
from netspec.readers.preprocess import preprocess_of
from tests.pictures import SSD, picture, small_net, untrained_ssd


@pytest.fixture
def options(tmp_path, monkeypatch):
    """An untrained SSD: its boxes lie where chance wills, but always at the same places."""
    monkeypatch.chdir(tmp_path)
    untrained_ssd(tmp_path / "ssd.caffemodel")
    picture(tmp_path / "a.png", 60, 200)
    given = ["--model", str(SSD), "--weights", "ssd.caffemodel", "--mean", "60"]
    return [*given, "--scale", "0.015625", "--threshold", "0.05"]


def expected_rows(path: str) -> np.ndarray:
    pixels = resize(decode(Path(path).read_bytes(), False), 96, 96).astype(np.float32)
    module = netspec.compile(SSD, weights="ssd.caffemodel")
    with torch.no_grad():
        rows = module(data=torch.from_numpy((pixels[None] - 60) / 64))["detection_out"]
    return rows.numpy().reshape(-1, 7)


def test_boxes_are_in_pixels_of_the_picture(options, capsys):
    assert main(["detect", "a.png", *options, "--format", "json"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["width"], found["height"]) == (200, 60)
    rows = expected_rows("a.png")
    rows = rows[rows[:, 2] >= 0.05]
    rows = rows[np.argsort(-rows[:, 2], kind="stable")]
    assert len(rows) > 3
    edges = (rows[:, 3:] * [200, 60, 200, 60]).clip(0, [200, 60, 200, 60])
    named = [[box[name] for name in ("xmin", "ymin", "xmax", "ymax")] for box in found["boxes"]]
    assert np.allclose(named, edges, atol=1e-3)
    assert [box["label"] for box in found["boxes"]] == rows[:, 1].tolist()
    assert np.allclose([box["score"] for box in found["boxes"]], rows[:, 2])
    assert err == "assumed: pictures are resized to 96×96, the net's input\n"


def test_each_picture_of_a_batch_has_its_boxes(options, capsys):
    for i in range(5):
        picture(Path(f"{i}.png"), seed=i)
    names = [f"{i}.png" for i in range(5)]
    texts = []
    for batch in ("1", "3"):
        assert main(["detect", *names, *options, "--batch", batch, "--format", "csv"]) == 0
        texts.append(capsys.readouterr().out)
    first, again = (list(csv.DictReader(io.StringIO(text))) for text in texts)
    assert [row["image"] for row in first] == [row["image"] for row in again]
    assert {row["image"] for row in first} == set(names)
    for name in ("score", "xmin", "ymax"):
        values = [[float(row[name]) for row in rows] for rows in (first, again)]
        assert np.allclose(values[0], values[1], atol=0.01)


def test_labels_and_text(options, capsys):
    labels = "".join(
        f'item {{ name: "n{i}" label: {i} display_name: "digit {i - 1}" }}\n' for i in range(1, 11)
    )
    Path("labelmap.prototxt").write_text(labels)
    Path("names.txt").write_text("".join(f"digit {i}\n" for i in range(10)))
    Path("all.txt").write_text("nothing\n" + "".join(f"digit {i}\n" for i in range(10)))
    lines = set()
    for file in ("labelmap.prototxt", "names.txt", "all.txt"):
        assert main(["detect", "a.png", *options, "--labels", file]) == 0
        lines.add(capsys.readouterr().out)
    assert len(lines) == 1
    label = int(expected_rows("a.png")[:, 1:3][expected_rows("a.png")[:, 2].argmax()][0])
    assert f" digit {label - 1} ({label}) at " in lines.pop().splitlines()[0]
    assert main(["detect", "a.png", *options[:-1], "1.5"]) == 0
    assert capsys.readouterr().out == "a.png: no box\n"


def test_pictures_with_boxes_are_drawn(options, capsys):
    Path("other").mkdir()
    picture(Path("other/a.png"), 30, 40)
    words = ["detect", "a.png", "other", *options, "--draw", "seen/here"]
    assert main(words) == 0
    drawn, before, other = (
        decode(Path(name).read_bytes(), True)
        for name in ("seen/here/a_boxes.png", "a.png", "seen/here/a_2_boxes.png")
    )
    assert drawn.shape == before.shape == (3, 60, 200)
    assert other.shape == (3, 30, 40)
    assert (drawn != before).any()
    assert main(words) == 0  # a picture of its own is written over
    Path("seen/here/a_boxes.png").write_text("someone's text")
    assert main(words) == 1
    assert "already exists and is text" in capsys.readouterr().err
    assert main([*words[:1], "seen/here/a_2_boxes.png", *options, "--draw", "seen/here"]) == 0
    picture(Path("a_boxes.png"))
    assert main(["detect", "a.png", "a_boxes.png", *options, "--draw", "."]) == 1
    assert "is one of the pictures to look at" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("record", "size"),
    [
        ("", (50, 70)),
        ("new_height: 40 new_width: 60", (50, 70)),
        ("resize_param { height: 32 width: 32 resize_mode: FIT_LARGE_SIZE_AND_PAD }", (40, 90)),
        ("resize_param { height: 32 width: 32 resize_mode: FIT_LARGE_SIZE_AND_PAD }", (90, 41)),
        ("resize_param { height: 36 width: 36 resize_mode: FIT_SMALL_SIZE }", (40, 90)),
    ],
)
def test_a_place_in_the_net_is_found_again_in_the_picture(record, size):
    """A bright rectangle's edges, however the picture was resized and cropped."""
    text = (
        f"# netspec: preprocess {{ {record} }}\n"
        'layer { name: "data" type: "Input" top: "data" input_param { shape '
        "{ dim: 1 dim: 1 dim: 32 dim: 32 } } }"
        'layer { name: "relu" type: "ReLU" bottom: "data" top: "relu" }'
    )
    net = netspec.loads(text)
    plan = plan_pictures(preprocess_of(net), (1, 1, 32, 32), "data")
    pixels = np.zeros((1, *size), np.uint8)
    middle = size[0] // 2, size[1] // 2
    pixels[0, middle[0] - 8 : middle[0] + 9, middle[1] - 7 : middle[1] + 8] = 255
    window = plan.windows(plan.resized(pixels))[0, 0]
    rows, columns = np.nonzero(window > 127)
    box = np.float32([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 32
    found = plan.to_picture(box[None], size)[0]
    wanted = [middle[1] - 7, middle[0] - 8, middle[1] + 8, middle[0] + 9]
    pixel = max(size) / 32  # of the net, in pixels of the picture
    assert np.abs(found - wanted).max() <= pixel


def test_a_net_without_boxes(tmp_path, capsys):
    words = small_net(tmp_path)
    picture(tmp_path / "a.png")
    assert main(["detect", str(tmp_path / "a.png"), *words]) == 1
    assert "has 0 DetectionOutput layers, expected 1" in capsys.readouterr().err


def test_what_does_not_fit_is_told(options, capsys):
    Path("two.txt").write_text("one\ntwo\n")
    Path("map.prototxt").write_text("item { nme: 1 }")
    Path("none.png").write_bytes(b"")
    for words, message in (
        (["a.png", "--labels", "two.txt"], "'two.txt' has 2 labels, but the net has 11 classes"),
        (["a.png", "--labels", "map.prototxt"], "'map.prototxt' is no label map"),
        (["none.png"], "the image 'none.png' does not decode"),
        (["a.png", "--draw", "a.png"], "the folder 'a.png' can't be created: File exists"),
    ):
        assert main(["detect", *words, *options]) == 1
        out, err = capsys.readouterr()
        assert not out
        assert message in err
