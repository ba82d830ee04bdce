"""Numbers of variable length, as protobuf and LevelDB write them.

Each byte holds seven bits, the lowest first.
"""

from __future__ import annotations


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of at most 64 bits, and where it ends.

    Raises: ValueError, IndexError where the bytes end first.
    """
    byte = data[at]
    if byte < 128:
        return byte, at + 1
    number, shift = byte & 127, 7
    while shift < 64:
        at += 1
        byte = data[at]
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at + 1
        shift += 7
    raise ValueError("a number in it does not end")


def varint(value: int) -> bytes:
    """The bytes of a number ≥ 0."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def varint_size(value: int) -> int:
    """How many bytes these are."""
    return max(1, (value.bit_length() + 6) // 7)
