"""How params begin. Source: Caffe's filler.hpp."""

from __future__ import annotations

from math import ceil, prod, sqrt

import torch
from torch import Tensor

from netspec.schema.caffe_pb2 import FillerParameter


def fill(tensor: Tensor, filler: FillerParameter, generator: torch.Generator | None = None) -> None:
    """Fills a param in place, as `filler_fault` allows it.

    xavier and msra ignore `min`, `max`, `mean` and `std`, as in Caffe.
    """
    if not tensor.numel():
        return
    with torch.no_grad():
        _FILLERS[filler.type](tensor, filler, generator)


def _constant(tensor: Tensor, filler: FillerParameter, generator: torch.Generator | None) -> None:
    tensor.fill_(filler.value)


def _uniform(tensor: Tensor, filler: FillerParameter, generator: torch.Generator | None) -> None:
    tensor.uniform_(filler.min, filler.max, generator=generator)


def _gaussian(tensor: Tensor, filler: FillerParameter, generator: torch.Generator | None) -> None:
    tensor.normal_(filler.mean, filler.std, generator=generator)
    if filler.sparse >= 0:  # keeps `sparse` inputs of each output on average
        keep = torch.empty_like(tensor).bernoulli_(
            filler.sparse / tensor.shape[0], generator=generator
        )
        tensor.mul_(keep)


def _fan(tensor: Tensor, filler: FillerParameter) -> float:
    """The n of xavier and msra. Groups are not counted in: a group's weights are in/group wide."""
    count = prod(tensor.shape)
    fan_in = count / tensor.shape[0]
    fan_out = count / tensor.shape[1] if tensor.dim() > 1 else count
    if filler.variance_norm == FillerParameter.AVERAGE:
        return (fan_in + fan_out) / 2
    return fan_out if filler.variance_norm == FillerParameter.FAN_OUT else fan_in


def _xavier(tensor: Tensor, filler: FillerParameter, generator: torch.Generator | None) -> None:
    bound = sqrt(3 / _fan(tensor, filler))
    tensor.uniform_(-bound, bound, generator=generator)


def _msra(tensor: Tensor, filler: FillerParameter, generator: torch.Generator | None) -> None:
    tensor.normal_(0, sqrt(2 / _fan(tensor, filler)), generator=generator)


def _positive_unitball(
    tensor: Tensor, filler: FillerParameter, generator: torch.Generator | None
) -> None:
    tensor.uniform_(0, 1, generator=generator)
    rows = tensor.reshape(tensor.shape[0] if tensor.dim() else 1, -1)
    tensor.copy_((rows / rows.sum(1, keepdim=True)).reshape(tensor.shape))


def _bilinear(tensor: Tensor, filler: FillerParameter, generator: torch.Generator | None) -> None:
    """The kernel that enlarges bilinearly, the same for every pair of channels."""
    size = tensor.shape[-1]
    half = ceil(size / 2)
    centre = (size - 1) / (2 * half)
    line = 1 - (torch.arange(size, dtype=torch.float64) / half - centre).abs()
    tensor.copy_((line[:, None] * line[None, :]).to(tensor.dtype).expand(tensor.shape))


_FILLERS = {
    "constant": _constant,
    "uniform": _uniform,
    "gaussian": _gaussian,
    "xavier": _xavier,
    "msra": _msra,
    "positive_unitball": _positive_unitball,
    "bilinear": _bilinear,
}
