"""Layers of one form under the other's name: today's in 'layers', the older ones in 'layer'.

They make one fault for the file, not one a layer.
"""

from __future__ import annotations

from netspec.diagnostics import Report
from netspec.schema.history import V1_TYPES
from netspec.syntax.tree import STRING, Block, Field, Scalar

_V2_TYPES = frozenset(V1_TYPES.values())
_V1_FIELDS = frozenset({"blobs_lr", "weight_decay", "blob_share_mode"})
_FAULTS = {
    "layers": (
        "'layers' holds layers of today's form, which stand in 'layer'",
        "write 'layer' for each 'layers'",
    ),
    "layer": (
        "'layer' holds layers of the older form (type: {}), which stand in 'layers'",
        "write 'layers' for each 'layer', or today's form: type: \"{}\"",
    ),
}


def mend_layer_forms(net: Block, report: Report) -> None:
    """Reports layers under the wrong name and gives them the right one.

    Their own faults can then be found.
    """
    for name, right, is_right, is_wrong in (
        ("layers", "layer", _is_v1, _is_v2),
        ("layer", "layers", _is_v2, _is_v1),
    ):
        fields = [field for field in net.fields if field.name == name]
        layers = [value for field in fields for value in field.values if isinstance(value, Block)]
        if not any(map(is_wrong, layers)) or any(map(is_right, layers)):
            continue
        message, hint = _FAULTS[name]
        old = next((text for text in map(_type_of, layers) if text in V1_TYPES), "CONVOLUTION")
        report.error(
            message.format(old),
            fields[0].name_span,
            hint.format(V1_TYPES[old]) if name == "layer" else hint,
        )
        for field in fields:
            field.name = right
        return


def _is_v1(layer: Block) -> bool:
    return any(field.name in _V1_FIELDS for field in layer.fields) or _type_of(layer) in V1_TYPES


def _is_v2(layer: Block) -> bool:
    field = _field(layer, "param")
    if field and any(isinstance(value, Block) for value in field.values):  # V1's 'param' is a text
        return True
    text, scalar = _type_of(layer), _scalar(_field(layer, "type"))
    if scalar is None or text in V1_TYPES:
        return False
    # YAML needs no quotes; the older types are in capitals throughout
    return scalar.kind == STRING or text in _V2_TYPES or not (text.isupper() or text.islower())


def _type_of(layer: Block) -> str:
    scalar = _scalar(_field(layer, "type"))
    if scalar is None:
        return ""
    return scalar.value.decode(errors="replace") if isinstance(scalar.value, bytes) else scalar.text


def _field(layer: Block, name: str) -> Field | None:
    return next((field for field in layer.fields if field.name == name), None)


def _scalar(field: Field | None) -> Scalar | None:
    return (
        next((value for value in field.values if isinstance(value, Scalar)), None)
        if field
        else None
    )
