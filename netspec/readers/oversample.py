"""Which data layers of a net ten crops are taken of."""

from __future__ import annotations

from netspec.diagnostics import NetspecError
from netspec.graph import Layer, Net
from netspec.readers.batches import reader_of

_TYPES = ("Data", "ImageData")


def cropped_layers(net: Net) -> list[Layer]:
    """The data layers whose records ten crops are taken of.

    Raises: NetspecError where there is none, or one does not crop.
    """
    sources = [layer for layer in net.layers if reader_of(layer)]
    images = [layer for layer in sources if layer.type in _TYPES]
    if not images:
        kinds = ", ".join(dict.fromkeys(layer.type for layer in sources)) or "none"
        raise NetspecError(
            f"ten crops are taken of records of {' and '.join(_TYPES)}, but the net's data layers "
            f"are {kinds}",
            sources[0].spans.at("type") if sources else None,
        )
    for layer in images:
        if not layer.message.transform_param.crop_size:
            raise NetspecError(
                f"ten crops are taken at crop_size, but {layer.label} has none",
                layer.spans.at("name"),
                "transform_param { crop_size: 227 }, smaller than the records, says which",
            )
    return images
