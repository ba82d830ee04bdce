"""Blocks of a net: layers whose names say that they belong together, as inception_3a/… does.

One rule for pictures, for the page and for the sums of `netspec shapes --group`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

FOLDS = ("auto", "all", "none")
FOLDED_ABOVE = 80  # layers, where 'auto' folds the blocks
LEAST_LAYERS = 3  # of a block
# a kind of layer, then the block's number: res2a_branch1, bn2a_branch1 and scale2a_branch1
_NUMBERED = re.compile(r"[A-Za-z]+(\d+(?:[A-Za-z]\d*)?)(?=_|$)")
# where names have parts, the first may have two numbers: conv2_1/x1/bn and concat_2_1 (DenseNet)
_TWICE_NUMBERED = re.compile(r"[A-Za-z]+_?(\d+(?:[A-Za-z]\d*|_\d+)?)(?=_|$)")


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring layers: those from index `start` up to `end`, without `end`."""

    name: str
    start: int
    end: int


def find_blocks(names: Sequence[str]) -> list[Block]:
    """The blocks among layers in file order; none where a net has but one.

    Layers belong together where what stands before the first '/' of their names is the same, or
    only the kind of layer before its number differs. The members of a block follow one another, so
    that a net of blocks has no circle.

    >>> find_blocks(["data", "a/1", "a/2", "a/3", "res2a_1", "bn2a_1", "res2a"])
    [Block(name='a', start=1, end=4), Block(name='res2a', start=4, end=7)]
    """
    numbered = _TWICE_NUMBERED if any("/" in name for name in names) else _NUMBERED
    parts = [_key_and_name(name, numbered) for name in names]
    blocks: list[Block] = []
    taken: set[str] = set()
    start = 0
    while start < len(names):
        key, end = parts[start][0], start + 1
        while end < len(names) and key and parts[end][0] == key:
            end += 1
        if key and end - start >= LEAST_LAYERS:
            name = parts[start][1]
            blocks.append(Block(f"{names[start]}…" if name in taken else name, start, end))
            taken.add(name)
        start = end
    return blocks if len(blocks) > 1 else []


def is_folded(fold: str, layers: int) -> bool:
    """Whether a net of so many layers is shown with its blocks folded. Args: fold: of FOLDS."""
    return fold == "all" or (fold == "auto" and layers > FOLDED_ABOVE)


def _key_and_name(name: str, numbered: re.Pattern[str]) -> tuple[str, str]:
    """What the names of a block's layers share, "" for a layer of none; the block's name."""
    front, slash, _ = name.partition("/")
    if found := numbered.match(front):
        return found[1], found[0]
    return f"{front}{slash}" if slash else "", front
