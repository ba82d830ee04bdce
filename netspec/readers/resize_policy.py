"""Carries out SSD's resize_param on an image and on its boxes.

Source: weiliu89/caffe, branch ssd, ApplyResize, UpdateBBoxByResizePolicy and ExtrapolateBBox of
    util/im_transforms.cpp and util/bbox_util.cpp.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from netspec.layers.resize_policy import inner_size, single
from netspec.readers.boxes import Floats
from netspec.readers.images import Pixels
from netspec.readers.interpolation import resize_by

_PADDED: dict[str, Any] = {"MIRRORED": "reflect", "REPEAT_NEAREST": "edge"}


def interpolations(param: Any) -> list[str]:
    """The names of the interpolations, of which one is drawn for each image."""
    return [param.Interp_mode.Name(mode) for mode in param.interp_mode] or ["LINEAR"]


def apply_resize(image: Pixels, param: Any, mode: str) -> Pixels:
    """The image in its new size. Shapes: (C, H, W) to (C, h, w)."""
    resized = resize_by(image, *inner_size(param, *image.shape[1:]), mode)
    if param.resize_mode != param.FIT_LARGE_SIZE_AND_PAD:
        return resized
    spare = param.height - resized.shape[1], param.width - resized.shape[2]
    edges = [(0, 0), *((each // 2, each - each // 2) for each in spare)]
    how = _PADDED.get(param.Pad_mode.Name(param.pad_mode))
    if how:
        return np.pad(resized, edges, mode=how)
    values = np.array(list(param.pad_value) or [0], np.float32)
    padded = np.empty((len(image), param.height, param.width), np.uint8)
    padded[...] = np.clip(np.rint(values), 0, 255).astype(np.uint8)[:, None, None]
    (_, _), (top, _), (left, _) = edges
    padded[:, top : top + resized.shape[1], left : left + resized.shape[2]] = resized
    return padded


def resize_boxes(corners: Floats, param: Any, height: int, width: int) -> Floats:
    """Where the boxes of an image of some size lie after resize_param. Shapes: (G, 4)."""
    old = np.array([width, height], np.float32)
    new = np.array([param.width, param.height], np.float32)
    aspect, wanted = np.float32(single(width / height)), new[0] / new[1]
    padding = np.zeros(2, np.float32)
    if param.resize_mode == param.FIT_LARGE_SIZE_AND_PAD:
        if aspect > wanted:
            padding[1] = (new[1] - new[0] / aspect) / 2
        else:
            padding[0] = (new[0] - aspect * new[1]) / 2
    elif param.resize_mode == param.FIT_SMALL_SIZE:
        new = np.array(
            [new[0], new[0] / aspect] if aspect < wanted else [aspect * new[1], new[1]], np.float32
        )
    inner = new - 2 * padding
    low = padding + np.maximum(0, corners[:, :2] * old * inner / old)
    high = padding + np.minimum(new, corners[:, 2:] * old * inner / old)
    moved: Floats = np.concatenate([low / new, high / new], axis=1).astype(np.float32)
    return moved


def stretch_boxes(corners: Floats, param: Any, height: int, width: int, crop: Floats) -> Floats:
    """Boxes in units of width_scale and height_scale; FIT_SMALL_SIZE alone asks for these.

    Args: crop: the part of the resized image that stays.
    """
    if not (param.height_scale and param.width_scale):
        return corners
    if param.resize_mode != param.FIT_SMALL_SIZE:
        return corners
    aspect, wanted = single(width / height), single(param.width / param.height)
    size = np.array([param.width, param.height], np.float32)
    if aspect < wanted:
        size[1] = size[0] / np.float32(aspect)
    else:
        size[0] = size[1] * np.float32(aspect)
    shown = size * (crop[2:] - crop[:2])
    scales = np.array([param.width_scale, param.height_scale], np.float32)
    return corners * np.tile(shown / scales, 2)
