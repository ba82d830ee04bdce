"""Small nets for mobile devices: MobileNet, ShuffleNet, SENet."""

from __future__ import annotations

from netspec.layers.spec import Spec

SPECS: tuple[type[Spec], ...] = ()
