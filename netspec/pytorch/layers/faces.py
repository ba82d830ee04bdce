"""Face recognition: margins, centres, normalised features."""

from __future__ import annotations

from netspec.pytorch.layers.builder import Builder

BUILDERS: dict[str, Builder] = {}
