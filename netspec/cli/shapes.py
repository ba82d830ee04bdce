"""`netspec shapes NET`: a line a layer, and the totals."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from netspec.cli.as_json import span_as_json
from netspec.cli.checkpoint import configure_checkpoint
from netspec.cli.columns import ALL_COLUMNS, CSV_COLUMNS, SUMMED, Figures
from netspec.cli.layer_groups import Row, grouped, in_order
from netspec.cli.numbers import positive
from netspec.cli.state import configure_state, load_net, name_list, options_of
from netspec.diagnostics import NetspecError, Report
from netspec.graph import COLUMNS, HEADINGS, Net, aligned, cell_text, title, totals
from netspec.hint import did_you_mean
from netspec.pipeline import load_source, read_text_file


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("net", help="a prototxt, or YAML by its suffix")
    configure_state(parser)
    parser.set_defaults(phase=None)
    parser.add_argument(
        "--batch", type=positive, metavar="N", help="the number of items, in place of the file's"
    )
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
            "a line for each block of layers, with their sums: neighbours whose names say that "
            "they belong together, as inception_3a/… and res2a_…, bn2a_…"
        ),
    )

    _configure_memory(parser.add_argument_group("memory"))


def _configure_memory(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--memory",
        action="store_true",
        help="print the bytes of params, blobs and a training step; the phase is TRAIN by default",
    )
    group.add_argument(
        "--solver", metavar="FILE", help="the solver file that says what a training step keeps"
    )
    group.add_argument(
        "--precision",
        choices=["fp32", "fp16", "bf16"],
        default="fp32",
        help="of all values (default %(default)s)",
    )
    configure_checkpoint(group)
    group.add_argument(
        "--batch-fit",
        type=_byte_size,
        metavar="SIZE",
        help="print the largest batch whose training step takes at most SIZE, such as 8GiB",
    )


def _byte_size(text: str) -> int:
    from netspec.cli.memory_text import byte_size

    return byte_size(text)


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
    asks_memory = args.memory or args.solver is not None or args.checkpoint != "none"
    if asks_memory and args.format == "csv":
        print("netspec shapes: --memory has no csv; take table, markdown or json", file=sys.stderr)
        return 2
    asks_memory |= args.batch_fit is not None
    args.phase = args.phase or ("TRAIN" if asks_memory else "TEST")
    net = load_net(args.net, args, allow_unknown=True, require_shapes=asks_memory)
    if args.batch_fit is not None:
        return _fit(net, args)
    if args.batch:
        net = _with_batch(net, args)
    rows: list[Row] = grouped(net) if args.group else list(net.layers)
    figures = Figures(net, args.precision)
    if args.sort:
        rows = in_order(rows, lambda row: ALL_COLUMNS[args.sort](figures, row))
    if args.format == "json":
        sys.stdout.write(_json(net, rows, figures, args, asks_memory))
        return 0
    columns = args.columns or list(CSV_COLUMNS if args.format == "csv" else COLUMNS)
    values = [[ALL_COLUMNS[name](figures, row) for name in columns] for row in rows]
    write = {"table": _table, "markdown": _markdown, "csv": _csv}[args.format]
    memory = "\n" + _memory(net, args) if asks_memory else ""
    sys.stdout.write(write(net, columns, values) + memory)
    return 0


def _with_batch(net: Net, args: argparse.Namespace) -> Net:
    """The same net with --batch items."""
    from netspec.passes.batch_fit import batch_shapes

    if net.batch_size is None:
        raise NetspecError(f"the net '{net.name}' has no input with a batch to change")
    shapes = batch_shapes(net, args.batch)
    args.input += [f"{name}={','.join(map(str, shape))}" for name, shape in shapes.items()]
    return load_source(read_text_file(args.net), options_of(args, allow_unknown=True), Report())


def _memory(net: Net, args: argparse.Namespace) -> str:
    from netspec.cli.memory_text import cost_of, memory_text, solver_of

    solver = solver_of(args)
    cost = cost_of(net, args, solver)
    return memory_text(net, cost, args.precision, solver.type if solver is not None else "SGD")


def _fit(net: Net, args: argparse.Namespace) -> int:
    from netspec.cli.memory_text import fitting_batch, memory_facts
    from netspec.weights.snapshot_size import size_text

    batch, cost = fitting_batch(args, net, args.batch_fit)
    if args.format == "json":
        about = {"batch": batch, "limit_bytes": args.batch_fit, **memory_facts(cost)}
        print(json.dumps(about, indent=1))
    else:
        print(
            f"batch {batch}: a training step takes {size_text(cost.step)} "
            f"of {size_text(args.batch_fit)}"
        )
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


def _json(
    net: Net, rows: list[Row], figures: Figures, args: argparse.Namespace, asks_memory: bool
) -> str:
    about: dict[str, Any] = {
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
    if asks_memory:
        from netspec.cli.memory_text import cost_of, memory_facts, solver_of

        about["memory"] = memory_facts(cost_of(net, args, solver_of(args)))
    return json.dumps(about, indent=1) + "\n"


def _json_row(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "type": row.type,
        "bottoms": row.bottoms,
        "tops": row.tops,
        "outputs": [list(blob.shape or ()) for blob in row.top_blobs],
        "macs": row.macs,
        "params": row.param_count,
        "span": span_as_json(row.span),
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
