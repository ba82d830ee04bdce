"""Small nets for mobile devices: MobileNet, ShuffleNet, SENet."""

from __future__ import annotations

from netspec.pytorch.layers.builder import Builder

BUILDERS: dict[str, Builder] = {}
