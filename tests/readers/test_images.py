"""Decoding and resizing against OpenCV 4.14, and images that are none.

OpenCV's results are in tests/reference/data/opencv_4_14.npz.
"""

import io
import os
import struct
import subprocess
import sys
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from netspec.diagnostics import NetspecError
from netspec.readers.images import datum_pixels, decode, image_shape, read_image, resize
from netspec.schema.caffe_pb2 import Datum
from netspec.stores.lmdb_writer import LmdbWriter


@pytest.fixture(scope="module")
def opencv(reference):
    return dict(np.load(reference / "opencv_4_14.npz"))


@pytest.mark.parametrize(("word", "color"), [("stored", None), ("grey", False), ("color", True)])
def test_decodes_as_opencv(opencv, word, color):
    """PNG, JPEG and BMP; grey, colour, palette, alpha, CMYK and 16 bits."""
    names = [key.split("/")[1] for key in opencv if key.startswith("file/")]
    assert len(names) > 10
    for name in names:
        data = opencv[f"file/{name}"].tobytes()
        image = decode(data, color)
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, opencv[f"{word}/{name}"], err_msg=name)
        assert image_shape(data, color) == image.shape, name


def test_resizes_as_opencv(opencv):
    sizes = [key.split("/")[1] for key in opencv if key.startswith("resize/") and "x" in key]
    assert len(sizes) > 5
    for size in sizes:
        height, width = map(int, size.split("x"))
        np.testing.assert_array_equal(
            resize(opencv["resize/from"], height, width), opencv[f"resize/{size}"], err_msg=size
        )
    np.testing.assert_array_equal(resize(opencv["halve/from"], 6, 8), opencv["halve/to"])


def test_channels_come_in_the_order_bgr():
    picture = Image.new("RGB", (3, 2), (10, 20, 30))
    file = io.BytesIO()
    picture.save(file, "PNG")
    assert decode(file.getvalue(), True)[:, 0, 0].tolist() == [30, 20, 10]


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "its format is unknown"), (b"no image", "its format is unknown"), (None, "")],
)
def test_bytes_that_are_no_image_are_reported(reference, data, message):
    if data is None:
        data = (reference / "images" / "im00.png").read_bytes()[:700]
    with pytest.raises(NetspecError, match=f"record 3 does not decode as an image: {message}"):
        decode(data, True, "record 3")


def test_a_missing_file_is_reported():
    with pytest.raises(
        NetspecError, match=r"the image 'none.png' can't be read: No such file or directory"
    ):
        read_image("none.png")


@pytest.mark.parametrize(
    ("datum", "message"),
    [
        (
            Datum(channels=3, height=2, width=2, data=bytes(11)),
            "the record holds 11 values, but says that it is 3×2×2",
        ),
        (
            Datum(channels=3, height=2, width=2, float_data=[1.0] * 13),
            "the record holds 13 values, but says that it is 3×2×2",
        ),
        (
            Datum(channels=2**31 - 1, height=2**31 - 1, width=2**31 - 1, data=bytes(1)),
            "the record holds 1 values",
        ),
        (
            Datum(channels=-3, height=2, width=-2, data=bytes(12)),
            "the record has no size: channels, height and width are -3, 2 and -2",
        ),
        (Datum(), "the record has no size"),
        (Datum(channels=1, height=1, width=1), "the record holds 0 values"),
        (Datum(data=b"none", encoded=True), "the record does not decode as an image"),
    ],
)
def test_datums_that_contradict_themselves_are_reported(datum, message):
    with pytest.raises(NetspecError, match=message):
        datum_pixels(datum)


def test_datums_hold_bytes_or_floats():
    assert datum_pixels(Datum(channels=1, height=1, width=2, data=b"\x00\xff")).tolist() == [
        [[0, 255]]
    ]
    floats = datum_pixels(Datum(channels=1, height=1, width=2, float_data=[-0.5, 1e6]))
    assert floats.dtype == np.float32
    assert floats.tolist() == [[[-0.5, 1e6]]]


def _files():
    picture = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    )
    for kind in ("PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP"):
        file = io.BytesIO()
        picture.save(file, kind)
        yield file.getvalue()


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(list(_files())),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=20),
    st.floats(0, 2),
    st.sampled_from([None, True, False]),
)
def test_damage_is_an_error_or_nothing(file, changes, end, color):
    damaged = bytearray(file)
    for place, byte in changes:
        damaged[int(place * len(damaged))] = byte
    for read in (decode, image_shape):
        with suppress(NetspecError):
            read(bytes(damaged[: int(end * len(damaged))]), color)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n%%EOF\n"


def test_an_eps_among_the_images_starts_no_ghostscript(tmp_path):
    """Pillow decodes EPS by starting Ghostscript: here a stand-in that would leave a mark."""
    mark, gs = tmp_path / "mark", tmp_path / "bin" / "gs"
    gs.parent.mkdir()
    gs.write_text(f"#!/bin/sh\ntouch {mark}\nexit 1\n")
    gs.chmod(0o755)
    (tmp_path / "image.png").write_bytes(EPS)
    (tmp_path / "list.txt").write_text("image.png 1\n")
    with LmdbWriter(tmp_path / "db") as writer:
        writer.put(b"0", Datum(encoded=True, data=EPS).SerializeToString())
    environment = {
        **os.environ,
        "PATH": f"{gs.parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    for command in ("dataset build list.txt out", "dataset mean db m.binaryproto"):
        words = [
            sys.executable,
            "-c",
            "import sys; from netspec.cli import main; sys.exit(main(sys.argv[1:]))",
            *command.split(),
        ]
        done = subprocess.run(
            words, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
        )
        assert done.returncode == 1
        assert (
            "its format is unknown; BMP, GIF, JPEG, JPEG 2000, PNG, PNM, TIFF and WebP are read"
            in done.stderr
        )
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["ICO", "PCX", "TGA", "PDF", "ICNS"])
def test_other_formats_that_pillow_knows_are_not_read(kind):
    file = io.BytesIO()
    Image.new("RGB", (16, 16)).save(file, kind)
    for read in (decode, image_shape):
        with pytest.raises(NetspecError, match="its format is unknown; BMP, GIF, JPEG"):
            read(file.getvalue())


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("DIB", "RGB"),
        ("JPEG2000", "RGB"),
        ("PPM", "1"),
        ("PPM", "L"),
        ("PPM", "RGB"),
        ("MPO", "RGB"),
    ],
)
def test_further_formats_of_opencv_are_read(kind, mode):
    file = io.BytesIO()
    Image.new(mode, (6, 5), 255 if mode != "RGB" else (10, 20, 30)).save(file, kind)
    assert decode(file.getvalue(), True).shape == (3, 5, 6)


def png_of(width, height):
    """A PNG that claims a size: its head is right, its data are missing."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + head
        + struct.pack(">I", zlib.crc32(head))
        + struct.pack(">I", 0)
        + b"IDAT"
    )


def test_a_decompression_bomb_is_an_error():
    for read in (decode, image_shape):
        with pytest.raises(
            NetspecError,
            match="record 3 does not decode as an image: it claims more than 178,956,970 pixels",
        ):
            read(png_of(20_000, 20_000), True, "record 3")


def test_warnings_of_pillow_do_not_reach_the_terminal(tmp_path):
    """A large image, damaged EXIF and a cut TIFF.

    Pillow warns of each in its own words, by way of warnings and logging.
    """
    tiff = io.BytesIO()
    Image.new("RGB", (20, 20)).save(tiff, "TIFF")
    cut = tiff.getvalue()[:8] + tiff.getvalue()[8:].replace(
        struct.pack("<HHL", 277, 3, 1), struct.pack("<HHL", 277, 3, 9), 1
    )
    files = {
        "large.png": png_of(10_000, 10_000),
        "samples.tif": cut,
        "cut.tif": tiff.getvalue()[: len(tiff.getvalue()) - 30],
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "list.txt").write_text("".join(f"{name} 1\n" for name in files))
    code = "import sys; from netspec.cli import main; sys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, "dataset", "build", "list.txt", "out"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert [line.split(" left out ")[0] for line in lines[:-2]] == [
        f"warning: list.txt:{i}:" for i in (1, 2, 3)
    ], done.stderr
    assert lines[-2].startswith("error: none of the 3 images"), "and its hint"
