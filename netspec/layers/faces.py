"""Face recognition: margins, centres, normalised features."""

from __future__ import annotations

from netspec.layers.spec import Spec

SPECS: tuple[type[Spec], ...] = ()
