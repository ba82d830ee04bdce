"""Gradients that lie as their blobs do."""

from __future__ import annotations

import torch
from torch import Tensor


def takes_gradient_alike(top: Tensor) -> Tensor:
    """A top channels last, whose gradient is brought to that where a later layer gave it otherwise.

    What reshapes planes gives it so. torch's kernels then take up to forty times as long, and each
    sum of gradients before them twice.
    """
    if not top.requires_grad or top.dim() != 4 or torch.compiler.is_compiling():
        return top
    if not top.is_contiguous() and top.is_contiguous(memory_format=torch.channels_last):
        top.register_hook(_channels_last)
    return top


def _channels_last(grad: Tensor) -> Tensor:
    return grad.contiguous(memory_format=torch.channels_last)
