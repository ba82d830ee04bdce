"""`netspec shapes NET`: a line a layer, and the totals."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from netspec.cli.columns import ALL_COLUMNS, CSV_COLUMNS, SUMMED, Figures
from netspec.cli.layer_groups import Row, grouped, in_order
from netspec.cli.state import configure_state, load_net, name_list
from netspec.diagnostics import did_you_mean
from netspec.graph import COLUMNS, HEADINGS, Net, aligned, cell_text, title, totals


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net", help="a prototxt, or YAML by its suffix")
    configure_state(parser)
    parser.add_argument("--format", choices=["table", "markdown", "json", "csv"], default="table")
    parser.add_argument(
        "--columns",
        metavar="A,B",
        type=_columns,
        help=f"which columns, in their order: {', '.join(ALL_COLUMNS)}",
    )
    parser.add_argument(
        "--sort",
        metavar="COLUMN",
        type=_column,
        help="order the layers by a column: numbers from the largest, texts from A to Z",
    )
    parser.add_argument(
        "--group",
        action="store_true",
        help=(
            "a line for all layers whose names begin alike up to '/', else '_', with their sums: "
            "inception_3a/…, res2a_…"
        ),
    )


def _columns(text: str) -> list[str]:
    names = [_column(name) for name in name_list(text)]
    if not names:
        raise argparse.ArgumentTypeError("names no column")
    return names


def _column(name: str) -> str:
    if name in ALL_COLUMNS:
        return name
    hint = did_you_mean(name, ALL_COLUMNS) or f"the columns are {', '.join(ALL_COLUMNS)}"
    raise argparse.ArgumentTypeError(f"there is no column '{name}'; {hint}")


def run(args: argparse.Namespace) -> int:
    net = load_net(args.net, args, allow_unknown=True, require_shapes=False)
    rows: list[Row] = grouped(net) if args.group else list(net.layers)
    figures = Figures(net)
    if args.sort:
        rows = in_order(rows, lambda row: ALL_COLUMNS[args.sort](figures, row))
    if args.format == "json":
        sys.stdout.write(_json(net, rows, figures, args))
        return 0
    columns = args.columns or list(CSV_COLUMNS if args.format == "csv" else COLUMNS)
    values = [[ALL_COLUMNS[name](figures, row) for name in columns] for row in rows]
    write = {"table": _table, "markdown": _markdown, "csv": _csv}[args.format]
    sys.stdout.write(write(net, columns, values))
    return 0


def _table(net: Net, columns: list[str], values: list[list[Any]]) -> str:
    table = aligned(columns, values)
    return "\n".join([title(net), "", table, "", _sums(net, columns, values), ""])


def _markdown(net: Net, columns: list[str], values: list[list[Any]]) -> str:
    """A table as GitHub and most tools read it."""
    rules = [
        "---" if any(isinstance(row[i], (str, list)) for row in values) else "--:"
        for i in range(len(columns))
    ]
    texts = [[cell_text(value).replace("|", "\\|") for value in row] for row in values]
    headings = [HEADINGS.get(name, name) for name in columns]
    lines = [f"| {' | '.join(row)} |" for row in (headings, rules, *texts)]
    return "\n".join([title(net), "", *lines, "", _sums(net, columns, values), ""])


def _sums(net: Net, columns: list[str], values: list[list[Any]]) -> str:
    """The net's totals, and those of the columns that add up beside them."""
    own = [
        f"{sum(row[i] for row in values):,} {HEADINGS.get(name, name)}"
        for i, name in enumerate(columns)
        if name in SUMMED
    ]
    return ", ".join([totals(net), *own])


def _json(net: Net, rows: list[Row], figures: Figures, args: argparse.Namespace) -> str:
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
        "groups" if args.group else "layers": [
            {name: ALL_COLUMNS[name](figures, row) for name in args.columns}
            if args.columns
            else _json_row(row)
            for row in rows
        ],
        "param_count": net.param_count,
        "macs": sum(layer.macs for layer in net.layers),
    }
    return json.dumps(about, indent=1) + "\n"


def _json_row(row: Row) -> dict[str, Any]:
    span = None
    if row.span is not None:
        line, column = row.span.source.position(row.span.start)
        span = {"path": row.span.source.path, "line": line, "column": column}
    return {
        "name": row.name,
        "type": row.type,
        "bottoms": row.bottoms,
        "tops": row.tops,
        "outputs": [list(blob.shape or ()) for blob in row.top_blobs],
        "macs": row.macs,
        "params": row.param_count,
        "span": span,
    }


def _csv(net: Net, columns: list[str], values: list[list[Any]]) -> str:
    import csv
    import io

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_csv_cell(value) for value in row] for row in values)
    return out.getvalue()


def _csv_cell(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return " ".join(part if isinstance(part, str) else _csv_shape(part) for part in value)


def _csv_shape(shape: tuple[float, ...] | None) -> str:
    return cell_text([shape]).replace("×", "x")
