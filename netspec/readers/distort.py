"""Colours changed at random, as distort_param says.

Source: weiliu89/caffe, branch ssd, ApplyDistort of util/im_transforms.cpp.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from netspec.readers.color import bgr_to_hsv, hsv_to_bgr
from netspec.readers.images import Pixels

Step = Callable[[Pixels], Pixels]


def apply_distort(image: Pixels, param: Any, rng: np.random.Generator) -> Pixels:
    """Brightness, contrast, saturation, hue and the channels' order, each with its probability.

    A coin decides whether the contrast is changed before saturation and hue or after them.
    Shapes: (C, H, W); saturation, hue and order need three channels.
    """
    contrast_first = rng.random() > 0.5
    steps: list[Step] = [_saturation(param, rng), _hue(param, rng)]
    steps.insert(0 if contrast_first else 2, _contrast(param, rng))
    for step in (_brightness(param, rng), *steps, _order(param, rng)):
        image = step(image)
    return image


def needs_colour(param: Any) -> bool:
    """Whether any of it may look at hues or at the channels' order."""
    return param.saturation_prob > 0 or param.hue_prob > 0 or param.random_order_prob > 0


def _brightness(param: Any, rng: np.random.Generator) -> Step:
    happens, delta = _drawn(rng, param.brightness_prob, *_both_ways(param.brightness_delta))
    return lambda image: scaled(image, 1, delta) if happens and delta else image


def _contrast(param: Any, rng: np.random.Generator) -> Step:
    happens, factor = _drawn(rng, param.contrast_prob, param.contrast_lower, param.contrast_upper)
    changes = happens and abs(factor - 1) > 1e-3
    return lambda image: scaled(image, factor, 0) if changes else image


def _saturation(param: Any, rng: np.random.Generator) -> Step:
    happens, factor = _drawn(
        rng, param.saturation_prob, param.saturation_lower, param.saturation_upper
    )
    return lambda image: _in_hsv(image, 1, factor, 0) if happens else image


def _hue(param: Any, rng: np.random.Generator) -> Step:
    happens, delta = _drawn(rng, param.hue_prob, *_both_ways(param.hue_delta))
    # Quirk: hues below 0 end at 0, they do not go on round the circle
    return lambda image: _in_hsv(image, 0, 1, delta) if happens and delta else image


def _order(param: Any, rng: np.random.Generator) -> Step:
    happens = rng.random() < param.random_order_prob
    order = rng.permutation(3)
    return lambda image: image[order] if happens else image


def _both_ways(delta: float) -> tuple[float, float]:
    return -delta, delta


def _drawn(
    rng: np.random.Generator, prob: float, lower: float, upper: float
) -> tuple[bool, np.float32]:
    """Whether it happens, and by how much; both are drawn in any case."""
    return rng.random() < prob, np.float32(rng.uniform(lower, upper))


def _in_hsv(image: Pixels, channel: int, factor: Any, delta: Any) -> Pixels:
    hsv = bgr_to_hsv(image)
    hsv[channel] = scaled(hsv[channel], factor, delta)
    return hsv_to_bgr(hsv)


def scaled(values: Pixels, factor: Any, delta: Any) -> Pixels:
    """Each value times a factor plus a difference, rounded, within 0 to 255."""
    changed = values.astype(np.float32) * np.float32(factor) + np.float32(delta)
    return np.rint(changed).clip(0, 255).astype(np.uint8)
