"""The states that LSTM and RNN layers carry over from one forward pass to the next.

They stand in the companion of a snapshot.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from math import prod
from typing import Any

import numpy as np

States = dict[str, np.ndarray]
# of each state its shape and its values: base64 of little-endian single precision
PackedStates = dict[str, dict[str, Any]]


def pack_states(states: States) -> PackedStates:
    """States as JSON holds them, bit for bit."""
    return {
        name: {
            "shape": list(array.shape),
            "float32": b64encode(array.astype("<f4").tobytes()).decode(),
        }
        for name, array in states.items()
    }


def unpack_states(packed: PackedStates) -> States:
    """The states again. Raises: ValueError where they are damaged."""
    states = {}
    try:
        for name, state in packed.items():
            shape, values = state["shape"], b64decode(state["float32"], validate=True)
            if not all(type(size) is int and size >= 0 for size in shape) or len(
                values
            ) != 4 * prod(shape):
                raise ValueError(f"the state '{name}' does not have its shape")
            states[name] = np.frombuffer(values, "<f4").reshape(shape)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("no packed states") from error
    return states


def states_digest(carried: list[PackedStates]) -> str:
    """BLAKE2b of the states of all processes, in hexadecimal."""
    return hashlib.blake2b(json.dumps(carried, sort_keys=True).encode()).hexdigest()
