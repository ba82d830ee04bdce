"""`netspec dataset preview`: a sheet of records before and after."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netspec.cli import main
from netspec.draw.sheet import draw_sheet
from netspec.making.encode_datum import raw_datum
from netspec.pipeline import load
from netspec.readers.preview import previewed
from netspec.stores.lmdb_writer import LmdbWriter
from tests.readers.test_annotated_data import annotated

Image = pytest.importorskip("PIL.Image")

NET = """name: "n"
layer {{ name: "data" type: "{kind}" top: "data" top: "label" include {{ phase: TRAIN }}
  transform_param {{ {transform} }} {more}
  data_param {{ source: "{db}" backend: LMDB batch_size: 3 }} }}
layer {{ name: "hush" type: "Silence" bottom: "data" bottom: "label" }}
"""


@pytest.fixture
def write_net(tmp_path: Path, images):
    """write_net(transform, kind) → the path of a net on twelve records."""
    for kind, encode in (("Data", raw_datum), ("AnnotatedData", lambda i, _: annotated(i))):
        with LmdbWriter(tmp_path / kind) as writer:
            for i, image in enumerate(images):
                writer.put(f"{i:08d}".encode(), encode(image, 0))

    def write(transform="", kind="Data", more=""):
        path = tmp_path / "net.prototxt"
        path.write_text(NET.format(kind=kind, transform=transform, db=tmp_path / kind, more=more))
        return path

    return write


@pytest.mark.parametrize("kind", ["Data", "AnnotatedData"])
def test_the_mean_is_added_back_and_the_scale_left_out(write_net, images, kind):
    path = write_net("mirror: true scale: 0.1 mean_value: 10 mean_value: 20 mean_value: 30", kind)
    shown = previewed(load(path, phase="TRAIN"), None, 7, 1)
    assert len(shown) == 7
    for i, (before, after, name) in enumerate(shown):
        np.testing.assert_array_equal(before, images[i])
        flips = [np.allclose(after, each, atol=1e-4) for each in (before, before[:, :, ::-1])]
        assert sum(flips) == 1
        assert name.startswith(f"record {i} (from 0)")


def test_a_mean_image_is_added_back_where_the_crop_lay(write_net, write_mean, images):
    mean = np.random.default_rng(3).random((3, 10, 12), np.float32) * 99
    path = write_net(f'crop_size: 7 scale: 0.1 mean_file: "{write_mean(mean)}"')
    for before, after, _ in previewed(load(path, phase="TRAIN"), "data", 5, 1):
        windows = np.lib.stride_tricks.sliding_window_view(before, (3, 7, 7))[0]
        assert any(np.allclose(after, w, atol=1e-3) for row in windows for w in row)


def test_writes_the_sheet(write_net, tmp_path, capsys):
    path, out = write_net("crop_size: 7"), tmp_path / "out.png"
    assert main(["dataset", "preview", str(path), str(out), "--count", "3"]) == 0
    assert "3 records of layer 'data'" in capsys.readouterr().out
    first = out.read_bytes()
    with Image.open(out) as sheet:
        assert sheet.format == "PNG"
    main(["dataset", "preview", str(path), str(out), "--count", "3"])
    assert out.read_bytes() == first
    main(["dataset", "preview", str(path), str(out), "--count", "3", "--seed", "2"])
    assert out.read_bytes() != first


def test_a_sheets_colours_are_red_green_blue(tmp_path):
    red = np.zeros((3, 4, 4), np.float32)
    red[2] = 300  # cut off at 255
    grey = np.full((1, 4, 4), 77, np.uint8)
    (tmp_path / "s.png").write_bytes(draw_sheet([(red, grey, "a")], "t"))
    with Image.open(tmp_path / "s.png") as sheet:
        colours = {colour for _, colour in sheet.getcolors()}
    assert {(255, 0, 0), (77, 77, 77)} <= colours


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["out.gif"], "'out.gif' must end in .png, .jpg or .jpeg"),
        (["out.png", "--layer", "dta"], "there is no layer 'dta' in the phase TRAIN"),
        (["out.png", "--layer", "hush"], "is of type Silence, expected Data, ImageData"),
    ],
)
def test_what_it_refuses(write_net, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["dataset", "preview", str(write_net()), *arguments]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.png").exists()
