"""What stands in for a layer type that netspec does not know, where unknown types are allowed."""

from __future__ import annotations

from netspec.graph import Shape
from netspec.layers.layer_context import LayerContext
from netspec.layers.spec import Spec


class UnknownType(Spec):
    """A layer type that netspec does not know.

    A top written in place keeps its shape, another has none.
    """

    type = "(unknown)"
    bottoms = tops = (0, None)
    keeps_places = False
    in_place = True

    def infer(self, context: LayerContext) -> list[Shape | None]:
        shapes = {blob.name: blob.shape for blob in context.layer.bottom_blobs}
        return [context.given.get(top, shapes.get(top)) for top in context.layer.tops]


class UnknownSource(UnknownType):
    """An unknown layer type without a bottom, which may be a data layer."""

    type = "(unknown source)"
    is_source = True
