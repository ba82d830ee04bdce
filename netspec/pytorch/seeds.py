"""Seeds as a function of what they are for, so that a resumed run draws what it would have drawn."""

from __future__ import annotations

import secrets
from hashlib import blake2b


def draw_seed() -> int:
    """A seed for a run whose solver file gives none."""
    return secrets.randbits(31)


def mixed_seed(seed: int, *purpose: str | int) -> int:
    """A seed of its own for each purpose, the same each time."""
    return int.from_bytes(blake2b(repr((seed, *purpose)).encode(), digest_size=7).digest(), "little")
