"""Blocks of a net: layers whose names say that they belong together, as inception_3a/… does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

LEAST_LAYERS = 3  # of a block
_NUMBERED = re.compile(r"[A-Za-z]+(\d+[A-Za-z]?\d*)(?=_|$)")


@dataclass(frozen=True, slots=True)
class Block:
    """Neighbouring layers: those from index `start` up to `end`, without `end`."""

    name: str
    start: int
    end: int


def find_blocks(names: Sequence[str]) -> list[Block]:
    """The blocks among layers in file order; none where a net has but one.

    The members of a block follow one another, so that a net of blocks has no circle.

    >>> find_blocks(["data", "a/1", "a/2", "a/3", "res2a_1", "bn2a_1", "res2a"])
    [Block(name='a', start=1, end=4), Block(name='res2a', start=4, end=7)]
    """
    blocks: list[Block] = []
    start = 0
    while start < len(names):
        key, end = _key(names[start]), start + 1
        while end < len(names) and key and _key(names[end]) == key:
            end += 1
        if key and end - start >= LEAST_LAYERS:
            blocks.append(Block(_shown(names[start]), start, end))
        start = end
    return blocks if len(blocks) > 1 else []


def _key(name: str) -> str:
    """What the names of a block's layers share; "" for a layer of none."""
    front = name.rpartition("/")[0]
    if front:
        return f"{front}/"
    numbered = _NUMBERED.match(name)
    return numbered[1] if numbered else ""


def _shown(name: str) -> str:
    front = name.rpartition("/")[0]
    if front:
        return front
    numbered = _NUMBERED.match(name)
    return numbered[0] if numbered else name
