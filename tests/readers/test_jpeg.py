"""JPEGs that are decoded at once: the pixels are those of the way that all others go."""

import io

import numpy as np
import pytest

from netspec.diagnostics import NetspecError
from netspec.readers import jpeg
from netspec.readers.images import decode

Image = pytest.importorskip("PIL.Image")


def photo(width=37, height=21):
    """Something smooth with a bit of noise."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8))
    large = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray((large + rng.integers(-9, 9, large.shape)).clip(0, 255).astype(np.uint8))


def encoded(picture, **more):
    file = io.BytesIO()
    picture.save(file, "JPEG", **more)
    return file.getvalue()


def several():
    """Two pictures in one file, as cameras with two lenses write them."""
    file = io.BytesIO()
    photo().save(file, "MPO", save_all=True, append_images=[photo(9, 9)])
    return file.getvalue()


USUAL = {
    "4:2:0": {"quality": 92},
    "4:4:4": {"subsampling": 0},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "comment and EXIF": {"comment": b"x" * 500, "exif": b"Exif\0\0" + bytes(40)},
    "optimised": {"optimize": True},
    "a colour profile": {"icc_profile": b"any"},
}


def test_this_machines_pillow_decodes_into_arrays():
    assert jpeg._agrees()


@pytest.mark.parametrize("kind", USUAL)
@pytest.mark.parametrize("size", [(37, 21), (1, 1), (8, 16), (640, 9)])
def test_the_pixels_are_pillows(kind, size, monkeypatch):
    data = encoded(photo(*size), **USUAL[kind])
    got = jpeg.decode_jpeg(data)
    assert (got.shape, got.dtype) == ((3, size[1], size[0]), np.uint8)
    with Image.open(io.BytesIO(data)) as picture:
        np.testing.assert_array_equal(got, np.asarray(picture).transpose(2, 0, 1)[::-1])
    for color in (None, True):
        np.testing.assert_array_equal(decode(data, color), got)
    monkeypatch.setattr(jpeg, "_agrees", lambda: False)
    assert jpeg.decode_jpeg(data) is None
    np.testing.assert_array_equal(decode(data, True), got)


def test_arrays_are_ones_own():
    data = encoded(photo())
    first, second = decode(data), decode(data)
    first[...] = 0
    assert second.any()


@pytest.mark.parametrize(
    "data",
    [
        encoded(photo().convert("L")),
        encoded(photo().convert("CMYK")),
        several(),
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8",
        b"",
    ],
)
def test_what_is_unusual_goes_the_other_way(data):
    assert jpeg.decode_jpeg(data) is None


def test_a_header_that_steps_otherwise_than_libjpeg_is_not_trusted():
    data = encoded(photo())
    frame = data.index(b"\xff\xc0")
    assert jpeg._usual_size(data) == (21, 37)
    for odd in (b"\xff\xd0", b"\xff\xe5\0\0", b"\xff\xff", b"\0"):
        assert jpeg._usual_size(data[:frame] + odd + data[frame:]) is None


def test_a_damaged_one_is_reported_as_ever():
    data = encoded(photo(200, 200))
    for cut in (len(data) // 2, 300, 30):
        with pytest.raises(NetspecError, match="the image does not decode as an image: "):
            decode(data[:cut])


def test_bombs_are_left_to_pillow(monkeypatch):
    data = encoded(photo())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 37 * 21 - 1)
    assert jpeg.decode_jpeg(data) is None
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(NetspecError, match="as a decompression bomb does"):
        decode(data)
