"""`netspec shapes NET`: a line a layer, and the totals."""

from __future__ import annotations

import argparse
import json
import sys

from netspec.cli.state import configure_state, load_net
from netspec.graph import Layer, Net, shape_text
from netspec.passes.count_cost import param_count

_HEADINGS = ("layer", "type", "bottoms", "tops", "output", "params", "count", "multiply-adds")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net", help="a prototxt, or YAML by its suffix")
    configure_state(parser)
    parser.add_argument("--format", choices=["table", "json", "csv"], default="table")


def run(args: argparse.Namespace) -> int:
    net = load_net(args.net, args)
    write = {"table": _table, "json": _json, "csv": _csv}[args.format]
    sys.stdout.write(write(net))
    return 0


def _row(layer: Layer) -> tuple[str, ...]:
    return (
        layer.name,
        layer.type,
        ", ".join(layer.bottoms),
        ", ".join(layer.tops),
        ", ".join(shape_text(blob.shape) for blob in layer.top_blobs),
        ", ".join(shape_text(param.shape) for param in layer.params),
        f"{sum(param.count for param in layer.params):,}" if layer.params else "",
        f"{layer.macs:,}" if layer.macs else "",
    )


def _table(net: Net) -> str:
    rows = [_HEADINGS, *(_row(layer) for layer in net.layers)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADINGS))]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) if i >= 6 else cell.ljust(width) for i, (cell, width) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([f"{net.name or net.path}, phase {net.phase}", "", *lines, "", _totals(net)]) + "\n"


def _totals(net: Net) -> str:
    macs = sum(layer.macs for layer in net.layers)
    values = sum(blob.count for layer in net.layers for blob in layer.top_blobs if blob.shape is not None)
    counts = [f"{len(net.layers)} layers", f"{param_count(net):,} parameters", f"{macs:,} multiply-adds", f"{values * 4 / 2**20:,.1f} MiB of blobs"]
    batch = _batch(net)
    if batch > 1:
        counts[2] += f" for a batch of {batch} ({macs // batch:,} an item)"
    return ", ".join(counts)


def _batch(net: Net) -> int:
    shapes = [net.blobs[name].shape for name in [*net.inputs, *net.sources]]
    return shapes[0][0] if shapes and shapes[0] else 1


def _json(net: Net) -> str:
    layers = []
    for layer in net.layers:
        span = None
        if layer.span is not None:
            line, column = layer.span.source.position(layer.span.start)
            span = {"path": layer.span.source.path, "line": line, "column": column}
        layers.append(
            {
                "name": layer.name,
                "type": layer.type,
                "bottoms": layer.bottoms,
                "tops": layer.tops,
                "outputs": [list(blob.shape or ()) for blob in layer.top_blobs],
                "macs": layer.macs,
                "params": sum(param.count for param in layer.params),
                "span": span,
            }
        )
    about = {
        "name": net.name,
        "phase": net.phase,
        "inputs": net.inputs,
        "sources": net.sources,
        "outputs": net.outputs,
        "blobs": {name: list(blob.shape or ()) for name, blob in net.blobs.items()},
        "params": {layer.name: [list(param.shape) for param in layer.params] for layer in net.layers if layer.params},
        "layers": layers,
        "param_count": param_count(net),
        "macs": sum(layer.macs for layer in net.layers),
    }
    return json.dumps(about, indent=1) + "\n"


def _csv(net: Net) -> str:
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("layer", "type", "bottoms", "tops", "output", "params", "count", "macs", "line"))
    for layer in net.layers:
        cells = [cell.replace("×", "x").replace(", ", " ") for cell in _row(layer)[:6]]
        writer.writerow([*cells, sum(param.count for param in layer.params), layer.macs, layer.span.line if layer.span else ""])
    return out.getvalue()
