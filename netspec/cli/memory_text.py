"""The memory of a net, as `netspec shapes --memory` and `--batch-fit` print it."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from netspec.cli.state import options_of
from netspec.diagnostics import NetspecError, Report, counted
from netspec.graph import Net
from netspec.passes.batch_fit import batch_shapes, largest_batch
from netspec.passes.memory_cost import PRECISIONS, MemoryCost, memory_cost
from netspec.pipeline import load_source, read_text_file
from netspec.weights.snapshot_size import size_text

if TYPE_CHECKING:
    from netspec.schema.caffe_pb2 import SolverParameter

UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def byte_size(text: str) -> int:
    """A number of bytes: 8GiB, 8G, 512MiB; the units are powers of 1024."""
    number = text.rstrip("KMGTBkmgtbi")
    unit = text[len(number) :].lower().removesuffix("b").removesuffix("i")
    try:
        size = float(number) * UNITS[unit]
        if not 1 <= size < 2**63:
            raise ValueError
    except (KeyError, ValueError):
        raise argparse.ArgumentTypeError(
            f"must be a number of bytes such as 8GiB or 512MiB, got '{text}'"
        ) from None
    return int(size)


def solver_of(args: argparse.Namespace) -> SolverParameter | None:
    """The message of --solver. Raises: NetspecError."""
    if not args.solver:
        return None
    from netspec.cli.terminal import show
    from netspec.solver.solver_file import load_solver

    file = load_solver(args.solver, strict=args.strict)
    show(file.warnings)
    return file.message


def cost_of(net: Net, args: argparse.Namespace, solver: SolverParameter | None) -> MemoryCost:
    """The memory of a net. Raises: NetspecError where a shape in it is unknown."""
    for layer in net.layers:
        for blob in layer.top_blobs:
            if blob.shape is None:
                message = f"{layer.label}: the shape of '{blob.name}' is unknown, so is its memory"
                raise NetspecError(message, blob.span)
    return memory_cost(net, PRECISIONS[args.precision], solver, args.checkpoint == "auto")


def memory_facts(cost: MemoryCost) -> dict[str, int]:
    """For JSON: bytes by their names."""
    return {f"{name}_bytes": size for name, size in asdict(cost).items()}


def memory_text(net: Net, cost: MemoryCost, precision: str, solver: str) -> str:
    """A line for each part of the memory."""
    rows = {"params": cost.params, "data": cost.data, "activations": cost.activations}
    if cost.step:
        rows |= {
            "gradients of params": cost.gradients,
            f"history of {solver}": cost.history,
            "kept for the backward pass": cost.kept,
            "training step at its peak": cost.step,
        }
    sizes = [f"{size_text(size)}  ({size:,} bytes)" for size in rows.values()]
    width, right = max(map(len, rows)), max(text.index("  ") for text in sizes)
    items = "" if net.batch_size is None else f", batch {net.batch_size}"
    return "\n".join(
        [
            f"memory in {precision}{items}:",
            *(
                f"  {name:<{width}}  {text.rjust(len(text) + right - text.index('  '))}"
                for name, text in zip(rows, sizes, strict=True)
            ),
            *([] if cost.step else ["  the net has no loss: it does not train"]),
            "",
        ]
    )


def fitting_batch(args: argparse.Namespace, net: Net, limit: int) -> tuple[int, MemoryCost]:
    """The largest batch of a net whose training step takes no more bytes, and its memory.

    Raises: NetspecError where the net does not train, has no batch, or one item is too much.
    """
    if not net.loss_weights:
        raise NetspecError(
            f"the net '{net.name}' has no loss: it does not train",
            net.layers[0].span if net.layers else None,
            "take the training net; --phase TRAIN is the default of --batch-fit",
        )
    if net.batch_size is None:
        raise NetspecError(f"the net '{net.name}' has no input with a batch to change")
    solver, options = solver_of(args), options_of(args, allow_unknown=True)
    source = read_text_file(args.net)
    costs: dict[int, MemoryCost] = {}

    def fits(batch: int) -> bool:
        inputs = {**options.inputs, **batch_shapes(net, batch)}
        try:
            found = load_source(source, replace(options, inputs=inputs), Report())
        except NetspecError:
            if batch == 1:
                raise
            return False  # more values than a blob can have
        costs[batch] = cost_of(found, args, solver)
        return costs[batch].step <= limit

    batch = largest_batch(fits)
    if not batch:
        message = (
            f"a training step with {counted(1, 'item')} takes {size_text(costs[1].step)}, "
            f"more than {size_text(limit)}"
        )
        raise NetspecError(message)
    return batch, costs[batch]
