"""Blobs in files of MATLAB.

Source: DeepLab's MatWriteLayer and MatReadLayer (hszhao/PSPNet).
"""

from __future__ import annotations

from netspec.graph import Shape
from netspec.layers.data import Source
from netspec.layers.example import MAPS, Example
from netspec.layers.layer_context import LayerContext
from netspec.layers.spec import Spec

_REASON = "files of MATLAB are not read or written"


class MatWrite(Spec):
    """Writes each item of its bottoms to a file of MATLAB."""

    type = "MatWrite"
    param = "mat_write_param"
    not_computed = _REASON
    bottoms = (1, None)
    tops = (0, 0)
    has_side_effects = True
    example = Example(MAPS, 'mat_write_param { prefix: "out/" source: "names.txt" }', ())

    def infer(self, context: LayerContext) -> list[Shape]:
        return []


class MatRead(Source):
    """Reads blobs from the files of MATLAB that a list names.

    Shapes: those of the files' arrays, which netspec does not open.
    """

    type = "MatRead"
    param = "mat_read_param"
    not_computed = _REASON
    example = Example(
        {},
        'mat_read_param { prefix: "in/" source: "names.txt" batch_size: 1 }',
        ("data",),
        inputs={"data": (1, 21, 64, 64)},
    )

    def shapes(self, context: LayerContext) -> list[Shape]:
        raise context.unknown_size(
            _REASON, f"give --input {context.layer.tops[0]}=N,C,H,W for each top"
        )


SPECS: tuple[type[Spec], ...] = (MatWrite, MatRead)
