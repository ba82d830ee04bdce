"""Sequences."""

from __future__ import annotations

from netspec.layers.spec import Spec

SPECS: tuple[type[Spec], ...] = ()
