"""What a layer takes of memory in a training step in PyTorch, beside its tops and gradients."""

from __future__ import annotations

from typing import NamedTuple


class Kept(NamedTuple):
    """What stays from the forward pass until the layer's gradient is computed."""

    bottoms: bool = False
    tops: bool = False
    values: int = 0  # further ones in the net's precision
    bytes: int = 0  # further ones in a precision of their own
    # may a ReLU after it write over its top? As Builder.leaves_top
    top_is_free: bool = False
    overwrites: bool = False  # does it in place write over its bottom in PyTorch, too?
    # is the gradient of its bottoms the memory of its top's, or a part of it?
    same_gradient: bool = False
    scratch: int = 0  # values that stand beside these only while the layer computes


NOTHING = Kept()
ARRANGED = Kept(same_gradient=True)
BOTTOM_KEPT = Kept(bottoms=True)
BOTTOM_ALONE = Kept(bottoms=True, top_is_free=True)
TOP_KEPT = Kept(tops=True)
