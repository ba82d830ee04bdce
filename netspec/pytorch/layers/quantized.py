"""Layers with numbers of few bits: netspec/layers knows their shapes alone."""

from __future__ import annotations

from netspec.pytorch.layers.builder import Builder

BUILDERS: dict[str, Builder] = {}
