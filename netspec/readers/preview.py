"""Records before and after the transformation that a net's data layer carries out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from itertools import count as endless
from typing import Any, NamedTuple, Protocol

from numpy.typing import NDArray

from netspec.diagnostics import NetspecError
from netspec.graph import Layer, Net
from netspec.hint import did_you_mean
from netspec.readers.batches import open_reader, reader_of
from netspec.readers.reader import Reader

_TYPES = ("Data", "ImageData", "AnnotatedData")


class Shown(NamedTuple):
    """A record's image before and after, in levels of 0 to 255, and what it is called.

    Shapes: (C, H, W), (C, h, w).
    """

    before: NDArray[Any]
    after: NDArray[Any]
    name: str


class _Transforming(Protocol):
    keeps_levels: bool


class _ImageReader(Reader, Protocol):
    """A reader of images that one transformer changes."""

    transformer: _Transforming

    def originals(self, batch_index: int) -> list[NDArray[Any]]: ...


def previewed(net: Net, layer_name: str | None, count: int, seed: int) -> list[Shown]:
    """The first records that a data layer feeds, the mean added back and the scale left out.

    Args: layer_name: None for the net's first data layer of images.
    Raises: NetspecError where there is no such layer, or its data are missing or wrong.
    """
    layer = image_layer(net, layer_name)
    reader: Any = open_reader(layer, seed)
    try:
        return _first(reader, layer, count)
    finally:
        reader.close()


def image_layer(net: Net, name: str | None) -> Layer:
    """The data layer of a name, or the first one. Raises: NetspecError where there is none."""
    readable = [layer for layer in net.layers if reader_of(layer)]
    if name is not None:
        named = [layer for layer in net.layers if layer.name == name]
        if not named:
            hint = did_you_mean(name, [layer.name for layer in readable])
            message = f"there is no layer '{name}' in the phase {net.phase}"
            raise NetspecError(message, None, hint)
        if named[0].type not in _TYPES:
            message = f"{named[0].label} is of type {named[0].type}, expected {', '.join(_TYPES)}"
            raise NetspecError(message, named[0].spans.at("type"))
        return named[0]
    found = next((layer for layer in readable if layer.type in _TYPES), None)
    if found is None:
        raise NetspecError(
            f"no layer of type {', '.join(_TYPES)} feeds '{net.path}' in the phase {net.phase}",
            None,
            "--phase names the other phase",
        )
    return found


def _first(reader: _ImageReader, layer: Layer, count: int) -> list[Shown]:
    reader.transformer.keeps_levels = True
    records = chain.from_iterable(_of_batch(reader, layer, batch) for batch in endless())
    return list(islice(records, count))


def _of_batch(reader: _ImageReader, layer: Layer, batch: int) -> Iterator[Shown]:
    after = reader.read(batch)[layer.tops[0]]
    for item, (old, new) in enumerate(zip(reader.originals(batch), after, strict=True)):
        yield Shown(old, new, reader.record(batch, item) or "")
