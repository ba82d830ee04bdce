"""A builder for each layer type: graph.Layer → torch.nn.Module.

The files are those of netspec/layers.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from netspec.diagnostics import NetspecError
from netspec.graph import Layer
from netspec.layers import FORK_FAMILIES
from netspec.plugins import plugins
from netspec.pytorch.layers import (
    arithmetic,
    convolution,
    data,
    inner_product,
    loss,
    lrn,
    neuron,
    normalization,
    pooling,
    python,
    recurrent,
    regression_loss,
    selection,
    shape,
)
from netspec.pytorch.layers.builder import Builder

_FAMILIES = (
    data,
    convolution,
    pooling,
    inner_product,
    lrn,
    normalization,
    neuron,
    shape,
    selection,
    arithmetic,
    loss,
    regression_loss,
    recurrent,
    python,
)

BUILDERS: dict[str, Builder] = {}
for _family in _FAMILIES:
    BUILDERS.update(_family.BUILDERS)


def find_builder(layer: Layer) -> Builder:
    """What lowers a layer.

    Raises: NetspecError where only its shapes are known, or a plugin has no builder for its type.
    """
    if layer.spec_name in BUILDERS:
        return BUILDERS[layer.spec_name]
    for plugin in plugins():
        if any(spec.name == layer.spec_name for spec in plugin.specs):
            found = plugin.find_builders().get(layer.spec_name)
            if found is not None:
                return found if isinstance(found, Builder) else Builder(found)
            raise NetspecError(
                f"the plugin '{plugin.origin}' has no builder for layer type '{layer.spec_name}'",
                layer.spans.at("type"),
            )
    found = _fork_builders().get(layer.spec_name)
    if found is None:
        raise NetspecError(f"layer type '{layer.spec_name}' has no builder", layer.spans.at("type"))
    return found


def is_built_here(layer: Layer) -> bool:
    """Whether netspec's own code computes a layer, not a plugin's. Raises: as find_builder."""
    return find_builder(layer).build.__module__.startswith("netspec.")


@cache
def _fork_builders() -> dict[str, Builder]:
    """The builders of the forks' types, imported where a net has one."""
    found: dict[str, Builder] = {}
    for family in FORK_FAMILIES:
        found |= import_module(f"{__name__}.{family}").BUILDERS
    return found
