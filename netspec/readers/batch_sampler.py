"""Batch samplers: patches of an annotated image that show enough of its objects.

Source: weiliu89/caffe, branch ssd, util/sampler.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from netspec.readers.boxes import Boxes, Floats, area, coverage, jaccard

_OVERLAPS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "jaccard_overlap": jaccard,
    "sample_coverage": lambda patch, corners: coverage(area(patch), patch, corners),
    "object_coverage": lambda patch, corners: coverage(area(corners), patch, corners),
}


def sampled_patch(boxes: Boxes, samplers: Iterable[Any], rng: np.random.Generator) -> Floats | None:
    """One patch, drawn among those that all the samplers find; None where they find none.

    Each sampler tries max_trials times and stops at max_sample. A sampler with
    use_original_image false finds nothing: the fork samples from nothing but the original image.
    Shapes: (4), the corners as shares of the image.
    """
    found = [
        patch
        for sampler in samplers
        if sampler.use_original_image
        for patch in _patches(sampler, boxes, rng)
    ]
    return found[rng.integers(0, len(found))] if found else None


def _patches(sampler: Any, boxes: Boxes, rng: np.random.Generator) -> list[Floats]:
    found: list[Floats] = []
    for _ in range(sampler.max_trials):
        if sampler.HasField("max_sample") and len(found) >= sampler.max_sample:
            break
        patch = draw_patch(sampler.sampler, rng)
        if satisfies(patch, boxes.corners, sampler.sample_constraint):
            found.append(patch)
    return found


def draw_patch(sampler: Any, rng: np.random.Generator) -> Floats:
    """A patch of random scale, aspect ratio and place inside the image."""
    scale = np.float32(rng.uniform(sampler.min_scale, sampler.max_scale))
    ratio = np.float32(rng.uniform(sampler.min_aspect_ratio, sampler.max_aspect_ratio))
    ratio = min(max(ratio, scale * scale), np.float32(1) / (scale * scale))  # so that it fits
    root = np.sqrt(ratio)
    # rounding may pass 1 by a bit, where the fork aborts
    size = np.minimum(np.array([scale * root, scale / root], np.float32), np.float32(1))
    start = (rng.random(2) * (1 - size)).astype(np.float32)
    return np.concatenate([start, start + size])


def satisfies(patch: Floats, corners: Floats, constraint: Any) -> bool:
    """Whether a patch meets a SampleConstraint with one of the boxes.

    Of several kinds of constraint the first one alone counts, in the order of `_OVERLAPS`: the fork
    does not forget that a box met it when the box fails the next kind.
    """
    for kind, overlap in _OVERLAPS.items():
        if constraint.HasField(f"min_{kind}") or constraint.HasField(f"max_{kind}"):
            return bool(_within(overlap(patch, corners), kind, constraint).any())
    return True


def _within(values: Floats, kind: str, constraint: Any) -> Any:
    within = np.ones(len(values), np.bool_)
    if constraint.HasField(f"min_{kind}"):
        within &= values >= np.float32(getattr(constraint, f"min_{kind}"))
    if constraint.HasField(f"max_{kind}"):
        within &= values <= np.float32(getattr(constraint, f"max_{kind}"))
    return within
