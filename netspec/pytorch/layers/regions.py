"""Regions of interest: Fast and Faster R-CNN, R-FCN."""

from __future__ import annotations

from netspec.pytorch.layers.builder import Builder

BUILDERS: dict[str, Builder] = {}
