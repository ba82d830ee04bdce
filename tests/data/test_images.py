"""Decoding and resizing against OpenCV 4.14 (tests/reference/data/opencv_4_14.npz), and images that are none."""

import io
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from netspec.data.images import datum_pixels, decode, image_shape, read_image, resize
from netspec.diagnostics import NetspecError
from netspec.schema.caffe_pb2 import Datum


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
        np.testing.assert_array_equal(resize(opencv["resize/from"], height, width), opencv[f"resize/{size}"], err_msg=size)
    np.testing.assert_array_equal(resize(opencv["halve/from"], 6, 8), opencv["halve/to"])


def test_channels_come_in_the_order_bgr():
    picture = Image.new("RGB", (3, 2), (10, 20, 30))
    file = io.BytesIO()
    picture.save(file, "PNG")
    assert decode(file.getvalue(), True)[:, 0, 0].tolist() == [30, 20, 10]


@pytest.mark.parametrize(("data", "message"), [(b"", "its format is unknown"), (b"no image", "its format is unknown"), (None, "")])
def test_bytes_that_are_no_image_are_told(reference, data, message):
    if data is None:
        data = (reference / "images" / "im00.png").read_bytes()[:700]
    with pytest.raises(NetspecError, match=f"record 3 does not decode as an image: {message}"):
        decode(data, True, "record 3")


def test_a_missing_file_is_told():
    with pytest.raises(NetspecError, match=r"the image 'none.png' can't be read: No such file or directory"):
        read_image("none.png")


@pytest.mark.parametrize(
    ("datum", "message"),
    [
        (Datum(channels=3, height=2, width=2, data=bytes(11)), "the record holds 11 values, but says that it is 3×2×2"),
        (Datum(channels=3, height=2, width=2, float_data=[1.0] * 13), "the record holds 13 values, but says that it is 3×2×2"),
        (Datum(channels=2**31 - 1, height=2**31 - 1, width=2**31 - 1, data=bytes(1)), "the record holds 1 values"),
        (Datum(channels=-3, height=2, width=-2, data=bytes(12)), "the record has no size: channels, height and width are -3, 2 and -2"),
        (Datum(), "the record has no size"),
        (Datum(channels=1, height=1, width=1), "the record holds 0 values"),
        (Datum(data=b"none", encoded=True), "the record does not decode as an image"),
    ],
)
def test_datums_that_contradict_themselves_are_told(datum, message):
    with pytest.raises(NetspecError, match=message):
        datum_pixels(datum)


def test_datums_hold_bytes_or_floats():
    assert datum_pixels(Datum(channels=1, height=1, width=2, data=b"\x00\xff")).tolist() == [[[0, 255]]]
    floats = datum_pixels(Datum(channels=1, height=1, width=2, float_data=[-0.5, 1e6]))
    assert floats.dtype == np.float32
    assert floats.tolist() == [[[-0.5, 1e6]]]


def _files():
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8))
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
