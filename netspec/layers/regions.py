"""Regions of interest: Fast and Faster R-CNN, R-FCN."""

from __future__ import annotations

from netspec.layers.spec import Spec

SPECS: tuple[type[Spec], ...] = ()
