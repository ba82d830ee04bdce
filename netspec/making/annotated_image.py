"""An image with its objects, as annotations of any form name them, in pixels."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import NamedTuple

from netspec.making.annotated_datum import Box

Warn = Callable[[str], object]


class Object(NamedTuple):
    """What an annotation says of an object: its class and its edges in pixels."""

    name: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    difficult: bool = False


class AnnotatedImage(NamedTuple):
    """An image's path and its objects; `where` is what a message calls its annotation."""

    path: str
    where: str
    objects: list[Object]
    size: tuple[int, int] | None = None  # height and width, where the annotation says them


def boxes_of(
    image: AnnotatedImage, size: tuple[int, int], labels: dict[str, int], warn: Warn
) -> list[Box]:
    """The boxes of an image as shares of its height and width.

    A box without an area is left out, one that reaches over the edge is cut; both are reported to
    `warn`.
    """
    height, width = size
    if image.size not in (None, size):
        said = image.size or size
        warn(
            f"{image.where}: says that the image is {said[1]}×{said[0]}, but '{image.path}' is "
            f"{width}×{height} (W×H)"
        )
    boxes = []
    for each in image.objects:
        edges = each[1:5]
        shown = " ".join(f"{edge:g}" for edge in edges)
        if not all(map(isfinite, edges)) or each.xmin >= each.xmax or each.ymin >= each.ymax:
            warn(f"{image.where}: left out the box {shown} of '{each.name}', which has no area")
            continue
        xmin, xmax = (min(max(x, 0), width) for x in (each.xmin, each.xmax))
        ymin, ymax = (min(max(y, 0), height) for y in (each.ymin, each.ymax))
        if xmin >= xmax or ymin >= ymax:
            warn(f"{image.where}: left out the box {shown} of '{each.name}', outside of the image")
            continue
        if (xmin, ymin, xmax, ymax) != edges:
            warn(
                f"{image.where}: cut the box {shown} of '{each.name}' to the image, which is "
                f"{width}×{height} (W×H)"
            )
        label = labels[each.name]
        boxes.append(
            Box(label, xmin / width, ymin / height, xmax / width, ymax / height, each.difficult)
        )
    return boxes
