"""Numbers as options take them."""

from __future__ import annotations

import argparse

_LARGEST = 2**31 - 1  # what Caffe's fields hold
_SINGLE_END = 2.0**128 - 2.0**103  # from here on single precision rounds to infinity


def positive(text: str) -> int:
    """A whole number from 1."""
    if not _is_whole(text) or not text.strip("0"):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got '{text}'")
    if len(text.lstrip("0")) > 10 or int(text) > _LARGEST:
        raise argparse.ArgumentTypeError(f"must be at most {_LARGEST}, got '{text}'")
    return int(text)


def natural(text: str) -> int:
    """A whole number from 0."""
    if not _is_whole(text):
        raise argparse.ArgumentTypeError(f"must be a whole number from 0, got '{text}'")
    return positive(text) if text.strip("0") else 0


def positive_or_all(text: str) -> int | None:
    """A whole number from 1, or None for 'all'."""
    if text == "all":
        return None
    if not _is_whole(text) or not text.strip("0"):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, or all, got '{text}'")
    return positive(text)


def signed(text: str) -> int:
    """A whole number of 32 bits, with its sign."""
    digits = text.removeprefix("-")
    if (
        not _is_whole(digits)
        or len(digits.lstrip("0")) > 10
        or not -_LARGEST - 1 <= int(text) <= _LARGEST
    ):
        raise argparse.ArgumentTypeError(
            f"must be a whole number that fits into 32 bits, got '{text}'"
        )
    return int(text)


def port(text: str) -> int:
    """A TCP port; 0 takes any that is free."""
    if not _is_whole(text) or len(text) > 5 or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be from 0 to 65535, got '{text}'")
    return int(text)


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def finite(text: str) -> float:
    """A finite number, in single precision as well."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < _SINGLE_END:
        raise argparse.ArgumentTypeError(f"must be a finite number, got '{text}'")
    return value
