"""Image files to arrays as OpenCV gives them to Caffe: BGR, uint8, and its bilinear resize."""

from __future__ import annotations

import io
import logging
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError, Span, os_reason
from netspec.graph import shape_text
from netspec.read_file import GIB, read_file
from netspec.readers.color import bgr_to_grey
from netspec.readers.jpeg import decode_jpeg
from netspec.schema.caffe_pb2 import Datum

if TYPE_CHECKING:
    from PIL import Image

Pixels = NDArray[np.uint8]
_HOW_TO_LOOK = "`netspec dataset info DB` lists every damaged record of a database"
# What OpenCV reads. Pillow knows more, and starts Ghostscript for one of them, EPS. The frequent
# ones come first.
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "JPEG2000", "DIB")
_READ = "BMP, GIF, JPEG, JPEG 2000, PNG, PNM, TIFF and WebP are read"
_RESIZE_BITS = 11  # OpenCV weighs 8-bit pixels with whole numbers of so many bits


def decode(
    data: bytes,
    color: bool | None = None,
    name: str = "the image",
    span: Span | None = None,
    hint: str | None = None,
) -> Pixels:
    """The pixels of an image file's bytes.

    Args:
        color: True gives three channels, False one, None what the file holds (a grey one stays one
            channel, an alpha channel becomes a fourth), as cv::imdecode's flags 1, 0 and -1.
        name: what a message calls the image.

    The pixels are OpenCV's, but for a 16-bit colour PNG read as grey, which may be one level off. A
    camera's note that the picture lies on its side (EXIF orientation) is not followed, as in the
    OpenCV 2.4 of Caffe's time.

    Shapes: (C, H, W), channels in the order B, G, R(, A).
    Raises: NetspecError where the bytes are no whole image.
    Source: ReadImageToCVMat and DecodeDatumToCVMat of util/io.cpp.
    """
    try:
        pixels = decode_jpeg(data) if color is not False else None
        if pixels is not None:
            return pixels
        with _open(data) as picture:
            if color is False:
                # a JPEG's grey is its luma as stored, not a mix of its colours
                picture.draft("L", None)
            return _as_stored(picture) if color is None else _planes(picture, color)
    except MemoryError:
        raise NetspecError(f"{name} is too large to decode", span, hint) from None
    except Exception as error:
        # Pillow's decoders raise whatever they meet: OSError, SyntaxError, struct.error, ...
        raise NetspecError(
            f"{name} does not decode as an image: {_reason(error)}", span, hint
        ) from None


def image_shape(
    data: bytes, color: bool | None = None, name: str = "the image", span: Span | None = None
) -> tuple[int, int, int]:
    """(C, H, W) of what `decode` gives, by the file's header alone. Raises: NetspecError."""
    return image_header(data, color, name, span)[1]


def image_header(
    data: bytes, color: bool | None = None, name: str = "the image", span: Span | None = None
) -> tuple[str, tuple[int, int, int]]:
    """The format of an image file (JPEG, PNG, …), and the (C, H, W) of what `decode` gives.

    Only the header is read.

    Raises: NetspecError.
    """
    try:
        with _open(data) as picture:
            channels = {None: _channels(picture), True: 3, False: 1}[color]
            return picture.format or "", (channels, picture.height, picture.width)
    except Exception as error:  # as in decode
        raise NetspecError(f"{name} does not decode as an image: {_reason(error)}", span) from None


def read_image(
    path: str,
    color: bool = True,
    height: int = 0,
    width: int = 0,
    span: Span | None = None,
    where: str = "",
) -> Pixels:
    """An image file, resized where height and width are not 0.

    Args: where: what a message begins with, such as the line of the list.

    Shapes: (3 or 1, H, W).
    Raises: NetspecError where the file is missing or no image.
    Source: ReadImageToCVMat of util/io.cpp.
    """
    image = decode(read_image_file(path, span, where), color, f"{where}the image '{path}'", span)
    if not (height and width):
        return image
    try:
        return resize(image, height, width)
    except MemoryError:
        raise NetspecError(
            f"{where}the image '{path}' can't be resized to {height}×{width}: "
            "the memory does not suffice",
            span,
        ) from None


def read_image_file(path: str, span: Span | None = None, where: str = "") -> bytes:
    """The bytes of an image file. Raises: NetspecError where it can't be read."""
    try:
        return read_file(path, GIB, "an image file")
    except (OSError, ValueError) as error:
        raise NetspecError(
            f"{where}the image '{path}' can't be read: {os_reason(error)}", span
        ) from None


def datum_pixels(
    datum: Datum, color: bool | None = None, name: str = "the record", span: Span | None = None
) -> NDArray[Any]:
    """The array that a Datum holds, uint8 or (from float_data) float32.

    `color` is for compressed images only, as force_color and force_gray are.

    Shapes: (C, H, W).
    Raises: NetspecError where its sizes and its data contradict each other, or its image does not
        decode.
    Source: DataTransformer::Transform(Datum), which reads past the end of data that is too short.
    """
    if datum.encoded:
        return decode(datum.data, color, name, span, _HOW_TO_LOOK)
    shape = datum.channels, datum.height, datum.width
    if min(shape) <= 0:
        message = (
            f"{name} has no size: channels, height and width are "
            f"{shape[0]}, {shape[1]} and {shape[2]}"
        )
        raise NetspecError(message, span, _HOW_TO_LOOK)
    data = datum.data
    values: NDArray[Any] = (
        np.frombuffer(data, np.uint8) if data else np.array(datum.float_data, np.float32)
    )
    if values.size != shape[0] * shape[1] * shape[2]:
        raise NetspecError(
            f"{name} holds {values.size} values, but says that it is {shape_text(shape)} (C×H×W)",
            span,
            _HOW_TO_LOOK,
        )
    return values.reshape(shape)


def resize(image: Pixels, height: int, width: int) -> Pixels:
    """Bilinear, each pixel from its four neighbours, however much smaller the result.

    There is no antialiasing.

    Shapes: (C, H, W) to (C, height, width).
    Source: cv::resize with INTER_LINEAR for 8-bit pixels, in its whole-number arithmetic.
    """
    old_height, old_width = image.shape[1:]
    if (old_height, old_width) == (height, width):
        return image
    # OpenCV takes the mean of 2×2 pixels here
    if (old_height, old_width) == (2 * height, 2 * width):
        four = (
            image.astype(np.uint16)
            .reshape(image.shape[0], height, 2, width, 2)
            .sum(axis=(2, 4), dtype=np.uint16)
        )
        return ((four + 2) >> 2).astype(np.uint8)
    left, right, left_weight, right_weight = _neighbours(old_width, width, clamp_weights=True)
    upper, lower, upper_weight, lower_weight = _neighbours(old_height, height, clamp_weights=False)
    # rows that count, each once
    rows, inverse = np.unique(np.concatenate([upper, lower]), return_inverse=True)
    wide = np.take(image, rows, axis=1).astype(np.int32)
    across = (
        np.take(wide, left, axis=2) * left_weight + np.take(wide, right, axis=2) * right_weight
    ) >> 4
    above = (np.take(across, inverse[:height], axis=1) * upper_weight[:, None]) >> 16
    below = (np.take(across, inverse[height:], axis=1) * lower_weight[:, None]) >> 16
    return ((above + below + 2) >> 2).astype(np.uint8)


def _neighbours(
    old: int, new: int, clamp_weights: bool
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """For each new place along an axis, the two old places to mix and their weights.

    Past the edge OpenCV moves the weight to the edge pixel along the width, along the height it
    takes the edge row twice.
    """
    middle = ((np.arange(new) + 0.5) * (old / new) - 0.5).astype(np.float32)
    first = np.floor(middle).astype(np.int64)
    share = middle - first.astype(np.float32)
    if clamp_weights:
        share[(first < 0) | (first >= old - 1)] = 0
    one = np.float32(1 << _RESIZE_BITS)
    weights = np.rint((1 - share) * one).astype(np.int32), np.rint(share * one).astype(np.int32)
    return np.clip(first, 0, old - 1), np.clip(first + 1, 0, old - 1), *weights


def _open(data: bytes) -> Image.Image:
    """A picture of which no more than the head is decoded. Raises: what Pillow raises."""
    from PIL import Image  # imported only where a compressed image is met

    _silence_pillow()
    return Image.open(io.BytesIO(data), formats=_FORMATS)


@cache
def _silence_pillow() -> None:
    """Our own errors report damage.

    Filters that the user has set come first, and so do handlers of the root logger.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.", append=True)
    logging.getLogger("PIL").addHandler(logging.NullHandler())


def _channels(picture: Image.Image) -> int:
    """Channels of a picture as cv::imdecode gives it unchanged."""
    if picture.mode in ("1", "L") or picture.mode.startswith("I"):
        return 1
    alpha = picture.mode in ("LA", "PA", "RGBA", "La", "RGBa") or (
        picture.mode in ("P", "RGB") and "transparency" in picture.info
    )
    return 4 if alpha else 3


def _as_stored(picture: Image.Image) -> Pixels:
    if _channels(picture) != 4:
        return _planes(picture, _channels(picture) == 3)
    red, green, blue, alpha = picture.convert("RGBA").split()
    return np.stack([np.asarray(band) for band in (blue, green, red, alpha)])


def _planes(picture: Image.Image, color: bool) -> Pixels:
    """Three channels B, G, R or one of grey; an alpha channel is dropped, not blended."""
    if picture.mode.startswith("I"):  # 16 bits: the upper eight count
        grey = (np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
    elif picture.mode in ("1", "L", "LA"):
        grey = np.asarray(picture.convert("L") if picture.mode == "1" else picture.getchannel("L"))
    else:
        bgr = _cmyk_to_bgr(picture) if picture.mode == "CMYK" else _rgb_bands(picture)
        return bgr if color else _grey(bgr, picture.format)[None]
    return np.stack([grey] * 3) if color else np.array(grey)[None]


def _rgb_bands(picture: Image.Image) -> Pixels:
    if picture.mode in ("P", "PA"):
        # straight to RGB, Pillow would warn of the lost transparency
        picture = picture.convert("RGBA")
    elif picture.mode not in ("RGB", "RGBA", "RGBX"):
        picture = picture.convert("RGB")
    if picture.mode != "RGB":
        return np.stack([np.asarray(picture.getchannel(band)) for band in "BGR"])
    planes = np.empty((3, picture.height, picture.width), np.uint8)
    for plane, band in zip(planes, "BGR", strict=True):  # without an image for each in between
        plane.reshape(-1)[:] = np.frombuffer(picture.tobytes("raw", band), np.uint8)
    return planes


def _cmyk_to_bgr(picture: Image.Image) -> Pixels:
    """OpenCV's own mix of the inks.

    It takes them inverted, as Photoshop stores them, and Pillow has turned them round.
    """
    cyan, magenta, yellow, black = (
        255 - np.asarray(band).astype(np.int32) for band in picture.split()
    )
    return np.stack([black - ((255 - ink) * black >> 8) for ink in (yellow, magenta, cyan)]).astype(
        np.uint8
    )


def _grey(bgr: Pixels, image_format: str | None) -> Pixels:
    """PNG's grey comes from libpng, which cuts off the fraction.

    Any other's comes from OpenCV, which rounds.
    """
    if image_format == "PNG":
        blue, green, red = bgr.astype(np.int32)
        return ((9797 * red + 19234 * green + 3737 * blue) >> 15).astype(np.uint8)
    return bgr_to_grey(bgr)


def _reason(error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return f"its format is unknown; {_READ}"
    if isinstance(error, Image.DecompressionBombError):
        return (
            f"it claims more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels, "
            "as a decompression bomb does"
        )
    if "truncated" in str(error).lower():
        return "it is cut short"
    return str(error) or type(error).__name__
