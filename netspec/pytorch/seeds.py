"""Seeds as a function of what they are for.

A resumed run therefore draws what it would have drawn.
"""

from __future__ import annotations

import random
import secrets
from hashlib import blake2b

import numpy as np
import torch

from netspec.graph import Net


def draw_seed() -> int:
    """A seed for a run whose solver file gives none."""
    return secrets.randbits(31)


def mixed_seed(seed: int, *purpose: str | int) -> int:
    """A seed of its own for each purpose, the same each time."""
    return int.from_bytes(
        blake2b(repr((seed, *purpose)).encode(), digest_size=7).digest(), "little"
    )


def seed_generators(seed: int, net: Net) -> None:
    """Seeds what the layers of a net draw from.

    A user's Python layer may take numpy's generator or Python's own.
    """
    if torch.accelerator.is_available():
        torch.manual_seed(seed)
    else:  # what torch.manual_seed does besides takes a third of a millisecond
        torch.default_generator.manual_seed(seed)
    if any(layer.type == "Python" for layer in net.layers):
        random.seed(seed)
        np.random.seed(seed % 2**32)
