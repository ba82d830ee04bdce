"""SSD's resize_param: the size that an image gets, and where its boxes go.

It needs no numpy. Source: weiliu89/caffe, branch ssd, util/im_transforms.cpp.
"""

from __future__ import annotations

import struct
from typing import Any

from netspec.diagnostics import ERROR, Diagnostic
from netspec.layers.layer_context import LayerContext
from netspec.schema.forks import stated


def resize_param(transform: Any) -> Any:
    """The ResizeParameter of a transform_param, or None. Of several the first."""
    found = stated(transform, "resize_param")
    return found[0] if found else None


def inner_size(param: Any, height: int, width: int) -> tuple[int, int]:
    """The size that an image is resized to, before it is padded."""
    aspect, wanted = single(width / height), single(param.width / param.height)
    fills_width = aspect < wanted
    if param.resize_mode == param.FIT_LARGE_SIZE_AND_PAD:
        fills_width = aspect > wanted
    elif param.resize_mode == param.WARP:
        return param.height, param.width
    if fills_width:
        return max(1, int(single(param.width / aspect))), param.width
    return param.height, max(1, int(single(aspect * param.height)))


def resized_size(param: Any, height: int, width: int) -> tuple[int, int]:
    """The size of an image after resize_param."""
    if param.resize_mode == param.FIT_SMALL_SIZE:
        return inner_size(param, height, width)
    return param.height, param.width


def crop_size(transform: Any) -> tuple[int, int] | None:
    """The height and width of the crop: crop_size, or else crop_h and crop_w; None without."""
    if transform.crop_size:
        return transform.crop_size, transform.crop_size
    height, width = stated(transform, "crop_h"), stated(transform, "crop_w")
    return (height, width) if height and width else None


def single(value: float) -> float:
    """The nearest number of single precision, in which the fork computes sizes."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def check_resize(context: LayerContext) -> None:
    """Reports what is wrong in a resize_param.

    Several, of which eric612's fork draws one a batch, leave the layer not computed.
    """
    resizes = stated(context.message.transform_param, "resize_param") or ()
    if len(resizes) > 1:
        message = f"one 'resize_param' is carried out, got {len(resizes)}"
        refuse(context, message, "transform_param", "resize_param", 1)
    for i, resize in enumerate(resizes):
        for name in ("height", "width"):
            if not getattr(resize, name):
                path = ("transform_param", "resize_param", i, name)
                context.error(f"'{name}' of resize_param must be given and at least 1", *path)


def refuse(context: LayerContext, message: str, *path: str | int) -> None:
    """Leaves a layer not computed for one of its fields, with a warning there."""
    text, place = f"{context.layer.label}: {message}", context.layer.spans.at(*path)
    context.layer.not_computed.append(Diagnostic(ERROR, text, place))
    context.report.warning(text, place)
