"""`netspec classify`: the classes of pictures, read as in training."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import netspec
from netspec.cli import main
from netspec.readers.images import decode, resize
from tests.pictures import RECORD, picture, small_net, write_mean


@pytest.fixture(autouse=True)
def _in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def scores_of(capsys, *words: str) -> dict[str, np.ndarray]:
    """Each picture's scores by class, from the command's JSON."""
    capsys.readouterr()
    assert main(["classify", *words, "--format", "json", "--top", "99"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return {
        line["image"]: np.array(
            [one["score"] for one in sorted(line["classes"], key=lambda one: one["class"])]
        )
        for line in lines
    }


def net_on(windows: np.ndarray) -> np.ndarray:
    module = netspec.compile("deploy.prototxt", weights="net.caffemodel")
    with torch.no_grad():
        return module(data=torch.from_numpy(windows))["prob"].numpy()


def test_a_picture_a_line_the_likeliest_first(tmp_path, capsys):
    options = small_net(tmp_path)
    (tmp_path / "names.txt").write_text("".join(f"n{i} name {i}\n" for i in range(6)))
    for i in range(6):
        picture(tmp_path / f"{i}.png", seed=i)
    words = ["classify", "3.png", "0.png", *options, "--labels", "names.txt", "--top", "2"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["3.png", "0.png"]
    assert lines[0].count("name") == 2
    scores = scores_of(capsys, "3.png", *options)["3.png"]
    best = int(np.argmax(scores))
    assert lines[0].startswith(f"3.png: {scores[best]:.4f} n{best} name {best} ({best}); ")
    assert err == "assumed: pictures are resized to 12×10, the net's input\n"


def test_the_scores_are_those_of_training_on_the_same_pictures(tmp_path, capsys):
    """Mean image, crop and scale do to a picture what the data layer does."""
    mean = np.random.default_rng(5).uniform(80, 140, (3, 16, 15)).astype(np.float32)
    write_mean(tmp_path / "mean.binaryproto", mean)
    record = (
        "# netspec: preprocess { new_height: 16 new_width: 15 crop_h: 12 crop_w: 10"
        ' mean_file: "mean.binaryproto" scale: 0.02 }'
    )
    options = small_net(tmp_path, record)
    paths = [str(picture(tmp_path / f"{i}.png", 20 + i, 40 - i, i)) for i in range(7)]
    (tmp_path / "list.txt").write_text("".join(f"{path} {i}\n" for i, path in enumerate(paths)))
    found = scores_of(capsys, "list.txt", *options)
    assert list(found) == paths
    resized = [resize(decode(Path(path).read_bytes(), True), 16, 15) for path in paths]
    windows = (np.stack(resized)[:, :, 2:14, 2:12] - mean[:, 2:14, 2:12]) * np.float32(0.02)
    expected = net_on(windows.astype(np.float32))
    np.testing.assert_allclose(np.stack(list(found.values())), expected, rtol=1e-5)
    train = (
        'layer { name: "data" type: "ImageData" top: "data" top: "label"'
        ' image_data_param { source: "list.txt"'
        " batch_size: 7 new_height: 16 new_width: 15 } transform_param { crop_size: 10"
        ' mean_file: "mean.binaryproto" scale: 0.02 } }'
    )
    fed = next(netspec.batches(netspec.loads(train)))["data"]
    assert np.array_equal(fed, windows[:, :, 1:11])  # the data layer's own, cropped to a square


def test_ten_crops_are_averaged(tmp_path, capsys):
    options = small_net(tmp_path, "# netspec: preprocess { mean_value: 100 scale: 0.02 }")
    picture(tmp_path / "a.png")
    found = scores_of(capsys, "a.png", *options, "--oversample", "--resize", "15,17")["a.png"]
    pixels = resize(decode((tmp_path / "a.png").read_bytes(), True), 15, 17)
    crops = [
        pixels[:, top : top + 12, left : left + 10]
        for top, left in ((0, 0), (0, 7), (3, 0), (3, 7), (1, 3))
    ]
    both = np.stack([*crops, *(crop[:, :, ::-1] for crop in crops)])
    expected = net_on((both.astype(np.float32) - 100) * np.float32(0.02)).mean(0)
    assert np.allclose(found, expected, rtol=1e-6)


def test_options_take_the_place_of_the_files_record(tmp_path, capsys):
    options = small_net(tmp_path)
    picture(tmp_path / "a.png", 12, 10)
    pixels = decode((tmp_path / "a.png").read_bytes(), True).astype(np.float32)
    given = ["--mean", "10,20,30", "--scale", "2", "--raw-scale", "1", "--channel-order", "RGB"]
    means = np.float32([10, 20, 30])[:, None, None]
    expected = net_on(((pixels[::-1] * np.float32(1 / 255) - means) * 2)[None])[0]
    assert np.allclose(scores_of(capsys, "a.png", *options, *given)["a.png"], expected, rtol=1e-5)
    mean = np.random.default_rng(5).uniform(80, 140, (3, 9, 9)).astype(np.float32)
    np.save(tmp_path / "mean.npy", mean)
    given = ["--mean", "mean.npy", "--channel-mean", "--scale", "0.02"]
    expected = net_on((pixels - mean.mean((1, 2))[:, None, None])[None] * np.float32(0.02))[0]
    assert np.allclose(scores_of(capsys, "a.png", *options, *given)["a.png"], expected, rtol=1e-5)


def test_a_batchs_size_does_not_change_scores(tmp_path, capsys):
    options = small_net(tmp_path)
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for i in range(5):
        picture(tmp_path / "photos" / ("more" if i % 2 else "") / f"{i}.png", seed=i)
    first = scores_of(capsys, "photos", *options, "--batch", "1")
    assert list(first) == [f"photos/{name}.png" for name in ("0", "2", "4", "more/1", "more/3")]
    for batch in ("2", "5", "64"):
        again = scores_of(capsys, "photos", *options, "--batch", batch)
        assert all(np.allclose(again[name], first[name], rtol=1e-5) for name in first)


def test_a_net_that_holds_on_to_its_batch_gets_whole_ones(tmp_path, capsys):
    fixed = 'layer { name: "flat" type: "Reshape" bottom: "data" top: "flat" reshape_param { shape'
    fixed += " { dim: 4 dim: 360 } } }\n"
    net = tmp_path / "deploy.prototxt"
    options = small_net(tmp_path)
    text = net.read_text()[: net.read_text().index('layer { name: "conv"')]
    net.write_text(
        text + fixed + 'layer { name: "fc" type: "InnerProduct" bottom: "flat" top: "fc"'
        ' inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }'
    )
    netspec.save_weights(netspec.compile(net, seed=3), tmp_path / "net.caffemodel")
    picture(tmp_path / "a.png")
    assert scores_of(capsys, "a.png", *options)["a.png"].shape == (6,)
    assert main(["classify", "a.png", *options, "--batch", "2"]) == 1
    assert "takes batches of 4 alone, got 2" in capsys.readouterr().err


def test_a_grey_net_and_a_grey_picture(tmp_path, capsys):
    options = small_net(tmp_path, "# netspec: preprocess { force_gray: true }", channels=1)
    picture(tmp_path / "a.png", 12, 10)
    Image.open("a.png").convert("L").save("grey.png")
    found = scores_of(capsys, "grey.png", *options)["grey.png"]
    grey = np.asarray(Image.open("grey.png")).astype(np.float32)[None, None]
    np.testing.assert_allclose(found, net_on(grey)[0], rtol=1e-5)


def test_csv(tmp_path, capsys):
    options = small_net(tmp_path)
    picture(tmp_path / "a, b.png")
    assert main(["classify", "a, b.png", *options, "--format", "csv", "--top", "2"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["rank"] for row in rows] == ["1", "2"]
    assert {row["image"] for row in rows} == {"a, b.png"}


def test_a_picture_that_cant_be_read_is_told_and_the_others_go_on(tmp_path, capsys):
    options = small_net(tmp_path)
    picture(tmp_path / "a.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:300])
    (tmp_path / "text.png").write_text("no picture")
    assert main(["classify", "cut.png", "none.png", "a.png", "text.png", *options]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("a.png: ")
    assert out.count("\n") == 1
    for name in ("cut.png", "none.png", "text.png"):
        assert name in err


FAULTS = [
    (["--labels", "two.txt"], "'two.txt' has 2 labels, but the net has 6 classes"),
    (["--labels", "binary.txt"], "the list 'binary.txt' is not text"),
    (["--mean", "none.npy"], "the mean file 'none.npy' does not exist"),
    (["--mean", "two.txt"], "the mean file 'two.txt' is not a .binaryproto"),
    (["--mean", "1,2"], "the mean is 2×1×1, but the input has 3 channels"),
    (["--resize", "8,8"], "is 8×8 after it is resized, smaller than the crop of 12×10"),
    (["--scale", "0"], "--scale must not be 0"),
    (["--output", "none"], "has no blob 'none' to cut it at"),
    (["--output", "conv"], "'conv' is 4×4×10×8, expected N×K: a score for each class"),
    (["--mean", "mean.npy", "--resize", "30,30"], "the mean is 20×20, but pictures are resized to"),
]


@pytest.mark.parametrize(("words", "message"), FAULTS)
def test_what_does_not_fit_is_told(tmp_path, capsys, words, message):
    options = small_net(tmp_path)
    picture(tmp_path / "a.png")
    (tmp_path / "two.txt").write_text("one\ntwo\n")
    (tmp_path / "binary.txt").write_bytes(b"\x00\xff\n" * 6)
    np.save("mean.npy", np.zeros((3, 20, 20), np.float32))
    assert main(["classify", "a.png", *options, *words]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert message in err


def test_nets_that_take_no_pictures(tmp_path, capsys):
    options = small_net(tmp_path)
    picture(tmp_path / "a.png")
    net = tmp_path / "deploy.prototxt"
    deploy = net.read_text()
    for text, message in (
        (
            deploy.replace('type: "Input"', 'type: "DummyData"').replace("input_p", "dummy_data_p"),
            "reads its own data; a net that is given pictures has an Input layer",
        ),
        (deploy.replace("dim: 3 ", "dim: 5 "), "is 4×5×12×10, expected N×C×H×W with 1 or 3"),
        (
            deploy + 'layer { name: "im_info" type: "Input" top: "im_info" input_param { shape '
            '{ dim: 1 dim: 3 } } } layer { name: "s" type: "Silence" bottom: "im_info" }',
            "has 'data', 'im_info'",
        ),
        (deploy.replace('name: "fc"', 'name: "other"'), "1 layer of the net missing: 'other'"),
        (deploy.replace("scale", "scales"), "has no field 'scales'"),
        (RECORD + "\n" + deploy, "a second preprocess record of 'data'"),
    ):
        net.write_text(text)
        assert main(["classify", "a.png", *options]) == 1
        assert message in capsys.readouterr().err


def test_the_python_function(tmp_path):
    small_net(tmp_path)
    path = picture(tmp_path / "a.png", 12, 10)
    pixels = decode(path.read_bytes(), True)
    names = [f"name {i}" for i in range(6)]
    found = netspec.classify(
        [path, path.read_bytes(), pixels], "deploy.prototxt", "net.caffemodel", names, top=1
    )
    assert [one.name for one in found] == [str(path), "picture 1", "picture 2"]
    assert len({one.guesses for one in found}) == 1
    assert found[0].guesses[0].label == f"name {found[0].guesses[0].index}"
    with pytest.raises(netspec.NetspecError, match="expected a path, a file's bytes or uint8"):
        netspec.classify(pixels.astype(np.float32), "deploy.prototxt", "net.caffemodel")
