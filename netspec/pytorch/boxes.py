"""Boxes as (xmin, ymin, xmax, ymax): their areas and overlaps, SSD's codes, suppression.

Source: weiliu89/caffe, bbox_util.cpp. All arithmetic is in 32 bits, as there.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netspec.diagnostics import NetspecError, Span

CORNER, CENTER_SIZE, CORNER_SIZE = 1, 2, 3  # PriorBoxParameter.CodeType
_BLOCK = 64  # boxes of a step of suppression: the bits of a number

Boxes = NDArray[np.float32]


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


@np.errstate(invalid="ignore", over="ignore")  # an untrained net's boxes may be infinite
def suppress(boxes: Boxes, threshold: float, eta: float = 1.0) -> list[int]:
    """Greedy suppression of boxes that stand in the order of their scores.

    One is kept whose overlap with each kept one is at most the threshold. With `eta` below 1 the
    threshold shrinks after each kept box while it is above 0.5; it then holds against the boxes
    that were kept before, too.

    Shapes: (M, 4), 32 bits

    Returns: the places of the kept boxes, in order.
    """
    sides, limit = np.ascontiguousarray(boxes.T), np.float32(threshold)
    width, height = sides[2] - sides[0], sides[3] - sides[1]
    sizes = np.where((width < 0) | (height < 0), np.float32(0), width * height)
    if eta < 1 and limit > 0.5:
        return _suppress_adaptively(sides, sizes, limit, np.float32(eta))
    kept: list[int] = []
    left = np.arange(len(boxes))
    while len(left):
        # a block decides among its own, then what it keeps takes from all that come later
        block, later = left[:_BLOCK], left[_BLOCK:]
        columns = (sides[:, left], sizes[left])
        is_over = ~(_overlap_rows(sides[:, block], sizes[block], *columns) <= limit)
        rows = _first_of_block(is_over[:, :_BLOCK])
        kept += block[rows].tolist()
        left = later[~is_over[rows, _BLOCK:].any(0)]
    return kept


def _first_of_block(is_over: NDArray[np.bool_]) -> list[int]:
    """The rows that are kept, one after the other: each takes out what overlaps it too much."""
    masks = np.zeros((len(is_over), _BLOCK), bool)
    masks[:, : is_over.shape[1]] = is_over
    kept, taken = [], 0
    for i, mask in enumerate(np.packbits(masks, 1, "little").view("<u8")[:, 0].tolist()):
        if not taken >> i & 1:
            kept.append(i)
            taken |= mask
    return kept


def _suppress_adaptively(
    sides: Boxes, sizes: Boxes, limit: np.float32, eta: np.float32
) -> list[int]:
    rows = _overlap_rows(sides, sizes, sides, sizes)
    highest = np.zeros(len(rows), np.float32)  # overlap with any box kept so far
    kept = []
    for i, row in enumerate(rows):
        if highest[i] <= limit:
            kept.append(i)
            np.maximum(highest, row, out=highest)
            if limit > 0.5:
                limit *= eta
    return kept


def _overlap_rows(sides: Boxes, sizes: Boxes, others: Boxes, other_sizes: Boxes) -> Boxes:
    """The same overlaps as `overlaps`; numpy's calls cost less on so few boxes.

    Shapes: (4, A), (A), (4, B), (B) → (A, B)
    """
    a = sides[:, :, None]
    shared = np.minimum(a[2], others[2])
    shared -= np.maximum(a[0], others[0])
    np.maximum(shared, 0, out=shared)
    height = np.minimum(a[3], others[3])
    height -= np.maximum(a[1], others[1])
    np.maximum(height, 0, out=height)
    shared *= height
    union = np.add(sizes[:, None], other_sizes, out=height)
    union -= shared
    union[shared == 0] = 1
    shared /= union
    return shared
