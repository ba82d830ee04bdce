"""Data of segmentation: the caller feeds them, so that nothing is built."""

from __future__ import annotations

from netspec.pytorch.layers.builder import Builder

BUILDERS: dict[str, Builder] = {}
