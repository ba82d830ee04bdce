"""`netspec shapes NET`: a line a layer, and the totals."""

from __future__ import annotations

import argparse
import json
import sys

from netspec.cli.as_json import span_as_json
from netspec.cli.state import configure_state, load_net
from netspec.graph import Net, layer_row, net_table


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net", help="a prototxt, or YAML by its suffix")
    configure_state(parser)
    parser.add_argument("--format", choices=["table", "json", "csv"], default="table")


def run(args: argparse.Namespace) -> int:
    net = load_net(args.net, args, allow_unknown=True, require_shapes=False)
    write = {"table": _table, "json": _json, "csv": _csv}[args.format]
    sys.stdout.write(write(net))
    return 0


def _table(net: Net) -> str:
    return net_table(net) + "\n"


def _json(net: Net) -> str:
    layers = []
    for layer in net.layers:
        layers.append(
            {
                "name": layer.name,
                "type": layer.type,
                "bottoms": layer.bottoms,
                "tops": layer.tops,
                "outputs": [list(blob.shape or ()) for blob in layer.top_blobs],
                "macs": layer.macs,
                "params": sum(param.count for param in layer.params),
                "span": span_as_json(layer.span),
            }
        )
    about = {
        "name": net.name,
        "phase": net.phase,
        "inputs": net.inputs,
        "sources": net.sources,
        "outputs": net.outputs,
        "blobs": {name: list(blob.shape or ()) for name, blob in net.blobs.items()},
        "params": {
            layer.name: [list(param.shape) for param in layer.params]
            for layer in net.layers
            if layer.params
        },
        "layers": layers,
        "param_count": net.param_count,
        "macs": sum(layer.macs for layer in net.layers),
    }
    return json.dumps(about, indent=1) + "\n"


def _csv(net: Net) -> str:
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ("layer", "type", "bottoms", "tops", "output", "params", "count", "macs", "line")
    )
    for layer in net.layers:
        cells = [cell.replace("×", "x").replace(", ", " ") for cell in layer_row(layer)[:6]]
        writer.writerow(
            [
                *cells,
                sum(param.count for param in layer.params),
                layer.macs,
                layer.span.line if layer.span else "",
            ]
        )
    return out.getvalue()
