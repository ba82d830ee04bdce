"""Which prior boxes count in a MultiBoxLoss layer's loss of the scores.

Source: weiliu89/caffe, bbox_util.cpp (MineHardExamples, ApplyNMS).
"""

from __future__ import annotations

import torch
from torch import Tensor

from netspec.pytorch.boxes import areas, suppress

_LEAST_AREA = 1e-5  # smaller boxes are dropped before suppression


def most_lossy(loss: Tensor, candidates: Tensor, count: Tensor) -> Tensor:
    """The candidates of each image with the greatest losses; of equals the first.

    Shapes: (N, P), (N, P), (N) → (N, P)
    """
    ranked = torch.where(candidates, loss, -torch.inf)
    order = ranked.argsort(dim=1, descending=True, stable=True)
    places = torch.arange(loss.shape[1], device=loss.device).expand_as(order)
    rank = torch.empty_like(order).scatter_(1, order, places)
    return candidates & (rank < count.unsqueeze(1))


def suppressed(
    loss: Tensor,
    candidates: Tensor,
    listed: Tensor,
    boxes: Tensor,
    count: Tensor,
    threshold: float,
    top_k: int,
) -> Tensor:
    """The candidates of each image that are left after suppression by loss, `count` at most.

    Quirk: the kept boxes are numbered among the candidates, but looked up by these numbers among
    the `listed` ones, which with RefineDet's scores are fewer; a number beyond them selects none.

    Shapes: (N, P), (N, P), (N, P), (N, P, 4), (N) → (N, P)
    """
    selected = torch.zeros_like(candidates)
    for i in range(len(loss)):
        places, names = (mask[i].nonzero().squeeze(1) for mask in (candidates, listed))
        order = loss[i, places].argsort(descending=True, stable=True)
        order = order[:top_k] if top_k > -1 else order
        order = order[areas(boxes[i, places[order]]) >= _LEAST_AREA]
        kept = suppress(boxes[i, places[order]].cpu().numpy(), threshold)
        numbers = order[kept[: int(count[i])]]
        selected[i, names[numbers[numbers < len(names)]]] = True
    return selected
