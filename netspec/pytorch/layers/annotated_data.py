"""No modules: the tops of AnnotatedData and VideoData are inputs of the module."""

from __future__ import annotations

from netspec.pytorch.layers.builder import Builder

BUILDERS: dict[str, Builder] = {}
