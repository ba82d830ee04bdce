"""Which nets train and run on a CPU with their blobs channels last, and what of them follows it."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from netspec.graph import Blob, Layer, Net, Shape
from netspec.layers import find_spec, is_source

# the types whose planar weights are laid so
_CONVOLUTIONS = ("Convolution", "DepthwiseConvolution", "ConvolutionDepthwise")


def channels_last(nets: Iterable[Net]) -> bool:
    """Whether nets of the same weights give the same values channels last."""
    return all(_takes_it(layer) for net in nets for layer in net.layers)


def laid_last(net: Net) -> list[Layer]:
    """The planar convolutions, whose own weights then lie so.

    Those that another layer shares in another shape keep their order, in which it reads them.
    """
    shapes = {(layer.name, 0): layer.params[0].shape for layer in net.layers if layer.params}
    reshaped = {
        param.owner
        for layer in net.layers
        for param in layer.params
        if param.owner in shapes and shapes[param.owner] != param.shape
    }
    return [
        layer
        for layer in net.layers
        if layer.type in _CONVOLUTIONS
        and layer.params
        and all(param.owner is None for param in layer.params)
        and len(layer.params[0].shape) == 4
        and (layer.name, 0) not in reshaped
    ]


def blobs_last(net: Net) -> set[Blob]:
    """The blobs that lie channels last in a training step.

    A convolution's top does where its weights or its bottom do; the data do where a convolution of
    such weights reads them; what the other layers make lies as their bottoms do.
    """
    found: set[Blob] = set()
    if not channels_last([net]):
        return found
    laid = {layer for layer in laid_last(net) if _has_format(layer.params[0].shape)}
    for layer in net.layers:
        bottoms_last = not found.isdisjoint(layer.bottom_blobs)
        for blob in layer.top_blobs:
            is_read_last = is_source(layer) and any(reader in laid for reader, _ in blob.consumers)
            if _has_format(blob.shape) and (layer in laid or bottoms_last or is_read_last):
                found.add(blob)
    return found


def _has_format(shape: Shape | None) -> bool:
    """Whether values lie channels last or first; those of one channel or place lie in both."""
    return shape is not None and len(shape) == 4 and shape[1] > 1 and prod(shape[2:]) > 1


def _takes_it(layer: Layer) -> bool:
    """Whether a layer gives the same values in either format.

    netspec's own do. What a user's code does with a blob is not known.
    """
    spec = find_spec(layer.spec_name)
    is_own = spec is not None and type(spec).__module__.startswith("netspec.")
    return spec is not None and is_own and not spec.has_side_effects
