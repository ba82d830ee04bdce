"""Boxes as (xmin, ymin, xmax, ymax): their areas and overlaps, SSD's codes, suppression.

Source: weiliu89/caffe, bbox_util.cpp. All arithmetic is in 32 bits, as there.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from netspec.diagnostics import NetspecError, Span

CORNER, CENTER_SIZE, CORNER_SIZE = 1, 2, 3  # PriorBoxParameter.CodeType


def areas(boxes: Tensor) -> Tensor:
    """Width times height, 0 for a box whose right edge lies left of its left one.

    Shapes: (…, 4) → (…)
    """
    width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
    return torch.where((width < 0) | (height < 0), 0.0, width * height)


def overlaps(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of each box of one set with each of another; 0 where they touch.

    Shapes: (A, 4), (B, 4) → (A, B)
    """
    a, b = first.t().unsqueeze(2), second.t().unsqueeze(1)
    width = torch.minimum(a[2], b[2]).sub_(torch.maximum(a[0], b[0])).clamp_(min=0)
    height = torch.minimum(a[3], b[3]).sub_(torch.maximum(a[1], b[1])).clamp_(min=0)
    shared = width.mul_(height)
    union = (areas(first).unsqueeze(1) + areas(second)).sub_(shared)
    return shared.div_(union.masked_fill_(shared == 0, 1))


def split_priors(priors: Tensor) -> tuple[Tensor, Tensor]:
    """The boxes and the variances of a PriorBox layer's top.

    Shapes: (1, 2, P·4) → (P, 4), (P, 4)
    """
    boxes, variances = priors.detach().float().reshape(2, -1, 4)
    return boxes, variances


def require_sizes(priors: Tensor, code: int, label: str, span: Span | None) -> None:
    """Requires prior boxes with a width and a height, by which two of the codes divide.

    Raises: NetspecError (on the CPU; on a GPU the values would have to be waited for).
    """
    if code == CORNER or priors.device.type != "cpu" or not priors.numel():
        return
    sizes = priors[..., 2:] - priors[..., :2]
    if not bool((sizes > 0).all()):
        place = (~(sizes > 0).all(-1)).nonzero()[0].tolist()
        box = ", ".join(f"{value:g}" for value in priors[tuple(place)].tolist())
        word = "CENTER_SIZE" if code == CENTER_SIZE else "CORNER_SIZE"
        raise NetspecError(
            f"{label}: prior box {place[-1]} ({box}) has no width or no height, "
            f"by which 'code_type' {word} divides",
            span,
        )


def decode(code: int, priors: Tensor, variances: Tensor | None, values: Tensor) -> Tensor:
    """The boxes that predictions mean. Variances of None are 1: the predictions hold them.

    Shapes: (…, 4) for all three, which are broadcast → (…, 4)
    """
    scaled = values if variances is None else variances * values
    if code == CORNER:
        return priors + scaled
    sizes = priors[..., 2:] - priors[..., :2]
    if code == CORNER_SIZE:
        return priors + scaled * torch.cat((sizes, sizes), -1)
    centres = scaled[..., :2] * sizes + (priors[..., :2] + priors[..., 2:]) / 2
    halves = scaled[..., 2:].exp() * sizes / 2
    return torch.cat((centres - halves, centres + halves), -1)


def encode(code: int, priors: Tensor, variances: Tensor | None, boxes: Tensor) -> Tensor:
    """The predictions that mean these boxes: the inverse of `decode`.

    Shapes: (…, 4) for all three → (…, 4)
    """
    if code == CENTER_SIZE:
        sizes, wanted = priors[..., 2:] - priors[..., :2], boxes[..., 2:] - boxes[..., :2]
        shift = (boxes[..., :2] + boxes[..., 2:]) / 2 - (priors[..., :2] + priors[..., 2:]) / 2
        values = torch.cat((shift / sizes, (wanted / sizes).log()), -1)
    else:
        values = boxes - priors
        if code == CORNER_SIZE:
            sizes = priors[..., 2:] - priors[..., :2]
            values = values / torch.cat((sizes, sizes), -1)
    return values if variances is None else values / variances


def is_outside(boxes: Tensor) -> Tensor:
    """Which coordinates lie outside the image."""
    return (boxes < 0) | (boxes > 1)


def suppress(boxes: Tensor, threshold: float, eta: float = 1.0, most: int = -1) -> list[int]:
    """Greedy suppression of boxes that stand in the order of their scores.

    One is kept whose overlap with each kept one is at most the threshold. With `eta` below 1 the
    threshold shrinks after each kept box while it is above 0.5; it then holds against the boxes
    that were kept before, too.

    Args:
        most: stop at so many kept boxes; -1 for no bound.

    Returns: the places of the kept boxes, in order.
    """
    rows = overlaps(boxes, boxes).numpy()
    highest = np.zeros(len(rows), np.float32)  # overlap with any box kept so far
    limit, factor = np.float32(threshold), np.float32(eta)
    kept: list[int] = []
    place = 0
    while place < len(rows) and len(kept) != most:
        kept.append(place)
        np.maximum(highest, rows[place], out=highest)
        if factor < 1 and limit > 0.5:
            limit *= factor
        # NaN is no overlap that is small enough
        rest = highest[place + 1 :] <= limit
        step = int(rest.argmax()) if rest.size else 0
        if not rest.size or not rest[step]:
            break
        place += 1 + step
    return kept
