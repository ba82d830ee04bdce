"""What the page knows of a net, as values that JSON holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import Any

from netspec.diagnostics import Diagnostic, Source
from netspec.draw import style
from netspec.draw.blocks import find_blocks, is_folded
from netspec.draw.merge_phases import Diagram, Node, merge_phases
from netspec.graph import Blob, Layer, Net, shape_text, sizes_text
from netspec.layers import find_spec
from netspec.layers.reach import Reach
from netspec.passes.count_operations import operations_of
from netspec.passes.receptive_field import receptive_field
from netspec.schema.comments import schema_comments
from netspec.syntax.scalar_value import float_text


def describe(nets: Sequence[Net], source: Source) -> dict[str, Any]:
    """A net of one file, in one phase or several, for the page's script."""
    diagram = merge_phases(nets)
    fields = {blob: reach for net in nets for blob, reach in receptive_field(net).items()}
    names = [node.layer.name for node in diagram.nodes]
    blocks = find_blocks(names)
    return {
        "name": diagram.name or source.path,
        "path": source.path,
        "phases": list(diagram.phases),
        "totals": _totals(diagram, nets),
        "layers": [_layer(node, source, fields) for node in diagram.nodes],
        "edges": [
            {
                "from": edge.tail.index,
                "to": edge.head.index if edge.head else None,
                "blob": edge.blob.name,
                "shape": " or ".join(map(shape_text, diagram.item_shapes(edge))),
                "phases": list(edge.blobs),
            }
            for edge in diagram.edges
        ],
        "blocks": [{"name": b.name, "start": b.start, "end": b.end} for b in blocks],
        "folded": is_folded("auto", len(names)),
        "theme": "",  # the browser's
        "hasShapes": True,  # beside the arrows
        "source": source.text,
    }


def faults(diagnostics: Iterable[Diagnostic], source: Source) -> list[dict[str, Any]]:
    """Diagnostics by their lines in the source; 0 where they lie in another file."""
    return [
        {
            "severity": each.severity,
            "line": each.span.line if each.span and each.span.source is source else 0,
            "message": each.message,
            "hint": str(each.hint) if each.hint else "",
        }
        for each in diagnostics
    ]


def _totals(diagram: Diagram, nets: Sequence[Net]) -> str:
    count = diagram.param_count
    macs = max(sum(layer.macs for layer in net.layers) // (net.batch_size or 1) for net in nets)
    parts = [f"{len(diagram.nodes)} layers"]
    parts += [f"{style.count_text(count)} parameters"] if count is not None else []
    parts += [f"{style.count_text(macs)} multiply-adds an item"] if macs else []
    return " · ".join(parts)


def _layer(node: Node, source: Source, fields: Mapping[Blob, Reach | None]) -> dict[str, Any]:
    layer = max(node.layers.values(), key=lambda each: len(each.params))
    spec = find_spec(layer.spec_name)
    batch = _batch(layer)
    return {
        "name": layer.name,
        "type": layer.type,
        "what": (type(spec).__doc__ or "").strip().partition("\n")[0] if spec else "",
        "family": style.family(layer.type),
        "facts": " · ".join(style.settings(layer)),
        "phases": list(node.layers),
        "inPlace": node.in_place,
        "bottoms": [_blob(blob) for blob in layer.bottom_blobs],
        "tops": [_blob(blob) for blob in layer.top_blobs],
        "fields": list(_fields(layer)),
        "params": [
            {
                "shape": shape_text(param.shape),
                "count": param.count,
                "lr": float_text(param.lr_mult),
                "decay": float_text(param.decay_mult),
                "owner": param.owner[0] if param.owner else "",
            }
            for param in layer.params
        ],
        "count": sum(param.count for param in layer.params if param.owner is None),
        "macs": layer.macs // batch,
        "bytes": sum(blob.count for blob in layer.top_blobs if blob.shape is not None) * 4 // batch,
        "costs": _costs(layer, fields, batch),
        "lines": _lines(node, source),
    }


def _costs(layer: Layer, fields: Mapping[Blob, Reach | None], batch: int) -> list[list[str]]:
    """What the inspector says of the layer's reach and of its operations for an item."""
    found = []
    if layer.top_blobs and layer.top_blobs[0] in fields:
        reach = fields[layer.top_blobs[0]]
        if reach is None:
            found.append(["Receptive field", "may be all of the input"])
        elif reach.size:
            found.append(["Receptive field", sizes_text(ceil(size) for size in reach.size)])
            found.append(["Effective stride", sizes_text(f"{step:g}" for step in reach.stride)])
    counts = operations_of(layer)._asdict().items()
    return found + [[kind.capitalize(), f"{n // batch:,}"] for kind, n in counts if n]


def _batch(layer: Layer) -> int:
    """Items in a batch, of which the costs are those of one."""
    shape = next((b.shape for b in (*layer.bottom_blobs, *layer.top_blobs) if b.shape), None)
    return max(1, shape[0]) if shape else 1


def _blob(blob: Blob) -> list[Any]:
    return [blob.name, list(blob.shape) if blob.shape is not None else None]


def _lines(node: Node, source: Source) -> list[list[int]]:
    """The first and the last line of the layer's text; of two where a pair of layers is one box."""
    found = []
    for span in {layer.span: None for layer in node.layers.values()}:
        if span is not None and span.source is source:
            last = source.position(max(span.start, span.end - 1))[0]
            found.append([span.line, last])
    return [lines for i, lines in enumerate(found) if lines not in found[:i]]


def _fields(layer: Layer) -> Iterator[dict[str, str]]:
    """The fields as the file states them, with their meaning and default."""
    for field, value in layer.message.ListFields():
        if field.name not in ("name", "type", "bottom", "top", "blobs", "param"):
            yield from _field(field, value, "")


def _field(field: Any, value: Any, front: str) -> Iterator[dict[str, str]]:
    path = f"{front}{field.name}"
    if field.message_type is not None:
        for each in value if field.is_repeated else [value]:
            for inner, inner_value in each.ListFields():
                yield from _field(inner, inner_value, f"{path}.")
        return
    values = list(value) if field.is_repeated else [value]
    comments, name = schema_comments(), field.full_name.removeprefix("caffe.")
    yield {
        "path": path,
        "value": ", ".join(_text(field, each) for each in values[:40]),
        "meaning": " ".join(comments.get(name, "").split()),
        "default": _text(field, field.default_value) if field.has_default_value else "",
    }


def _text(field: Any, value: Any) -> str:
    if field.enum_type is not None:
        return str(field.enum_type.values_by_number[value].name)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return float_text(value)
    return f'"{value}"' if isinstance(value, str) else str(value)
