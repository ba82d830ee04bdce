"""A builder for each layer type: graph.Layer → torch.nn.Module.

The files are those of netspec/layers.
"""

from __future__ import annotations

from netspec.diagnostics import NetspecError
from netspec.graph import Layer
from netspec.plugins import plugins
from netspec.pytorch.layers import (
    arithmetic,
    convolution,
    data,
    inner_product,
    loss,
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
    """What lowers a layer of its type.

    Raises: NetspecError where a plugin defines the type and not how it is computed.
    """
    if layer.type in BUILDERS:
        return BUILDERS[layer.type]
    for plugin in plugins():
        if any(spec.type == layer.type for spec in plugin.specs):
            found = plugin.find_builders().get(layer.type)
            if found is not None:
                return found if isinstance(found, Builder) else Builder(found)
            raise NetspecError(
                f"the plugin '{plugin.origin}' has no builder for layer type '{layer.type}'",
                layer.spans.at("type"),
            )
    raise NetspecError(f"layer type '{layer.type}' has no builder", layer.spans.at("type"))
