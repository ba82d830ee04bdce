"""The layer types that a net may have. Source: Caffe's LayerRegistry::LayerTypeList."""

from __future__ import annotations

from netspec.layers import SPECS


def layer_type_list() -> list[str]:
    """The layer types that Caffe has, in byte order."""
    return sorted({spec.type for spec in SPECS.values()})
