"""Blobs whose channels lie last, and gradients that lie as their blobs do."""

from __future__ import annotations

import torch
from torch import Tensor


def lies_last(x: Tensor) -> bool:
    """Whether planes of several channels and places lie channels last."""
    is_planar = x.dim() == 4 and not x.is_contiguous()
    return is_planar and x.is_contiguous(memory_format=torch.channels_last)


def takes_gradient_alike(top: Tensor) -> Tensor:
    """A top channels last, whose gradient is brought to that where a later layer gave it otherwise.

    What reshapes planes gives it so. torch's kernels then take up to forty times as long, and each
    sum of gradients before them twice.
    """
    if top.requires_grad and not torch.compiler.is_compiling() and lies_last(top):
        top.register_hook(_channels_last)
    return top


def _channels_last(grad: Tensor) -> Tensor:
    return grad.contiguous(memory_format=torch.channels_last)
