"""`netspec time NET`: how long each layer takes forward and backward."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from netspec.cli.device import (
    chosen_device,
    configure_compile,
    configure_device,
    configure_exact,
    configure_precision,
    warn_slow,
)
from netspec.cli.numbers import positive
from netspec.cli.state import configure_state, load_net
from netspec.cli.weight_choice import choice_of, configure_choice
from netspec.signals import STOP, end_at_once, handling_signals
from netspec.text_table import text_table

if TYPE_CHECKING:
    from netspec.graph import Net
    from netspec.pytorch.time_layers import LayerTime, Times

HEADINGS = ("layer", "type", "forward ms", "backward ms", "share", "GFLOP/s")
SOURCES_NOTE = "random numbers stand in for the tops of Input and data layers, which are not timed"
COMPILED_NOTE = "the whole net is compiled, its layers are timed one at a time as they are"
NO_LOSS_NOTE = "the net has no loss: its gradients start at its outputs"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "net_file",
        nargs="?",
        metavar="NET",
        help="a prototxt, or YAML by its suffix; no data need be there",
    )
    parser.add_argument("--model", "-model", metavar="NET", help="the same, as Caffe's flag")
    parser.add_argument(
        "--weights",
        "-weights",
        metavar="A,B",
        help="taken and not read, as by Caffe: weights change no time",
    )
    parser.add_argument(
        "--iterations",
        "-iterations",
        type=positive,
        default=50,
        metavar="N",
        help="passes to take the mean of (default 50)",
    )
    configure_choice(parser)
    configure_device(parser)
    configure_precision(parser)
    configure_exact(parser)
    configure_compile(parser)
    configure_state(parser, phase="TRAIN")
    parser.add_argument(
        "--format",
        choices=["text", "json"],
        default="text",
        help="a table and Caffe's lines, or one object (default text)",
    )


def run(args: argparse.Namespace) -> int:
    path = args.model or args.net_file
    if not path or (args.model and args.net_file):
        print(
            "netspec time: name one net, as in `netspec time "
            "models/bvlc_alexnet/train_val.prototxt`",
            file=sys.stderr,
        )
        return 2
    choice_of(args)  # reports what is wrong in it, though weights are not read
    net = load_net(path, args)
    chosen = chosen_device(args)
    # torch takes seconds to import
    from netspec.pytorch.device import default_device, device_text, faults_reported
    from netspec.pytorch.time_layers import time_layers

    device = chosen or default_device()
    warn_slow(args.precision, device)
    if args.format == "text":
        on = device_text(device, args.precision)
        print(_heading(net, on, args.iterations, args.compile), flush=True)

    def on_iteration(index: int, seconds: float) -> None:
        if args.format == "text":
            print(
                f"Iteration: {index + 1} forward-backward time: {seconds * 1000:.6g} ms.",
                flush=True,
            )

    with (
        handling_signals(end_at_once, STOP),
        faults_reported(
            device, net.batch_size, "try a smaller batch, as in --input data=8,3,227,227"
        ),
    ):
        times = time_layers(
            net, device, args.iterations, on_iteration, args.precision, args.exact, args.compile
        )
    sys.stdout.write(
        _text(net, times)
        if args.format == "text"
        else _json(net, times, device, args.precision, args.compile)
    )
    return 0


def _heading(net: Net, device: str, iterations: int, compile: bool) -> str:
    from netspec.pytorch.device import torch_facts

    batch = [] if net.batch_size is None else [f"batch {net.batch_size}"]
    facts = [net.name or net.path, f"phase {net.phase}", *batch, f"on {device}"]
    lines = [", ".join([*facts, f"torch {torch_facts()['torch']}"]), SOURCES_NOTE]
    if compile:
        lines.append(COMPILED_NOTE)
    if not net.loss_weights:
        lines.append(NO_LOSS_NOTE)
    return "\n".join([*lines, f"Testing for {iterations} iterations."])


def _text(net: Net, times: Times) -> str:
    """A table of the means, then Caffe's lines."""
    count, step = len(times.iterations), times.forward + times.backward
    rows = [HEADINGS, *(_row(layer, count, step) for layer in times.layers)]
    lines = ["", "Average time per layer:", "", *text_table(rows, left=(0, 1))]
    ms = {name: seconds * 1000 / count for name, seconds in _sums(times).items()}
    lines += [
        "",
        f"Average Forward pass: {ms['forward']:.6g} ms.",
        f"Average Backward pass: {ms['backward']:.6g} ms.",
        f"Average Forward-Backward: {ms['forward_backward']:.6g} ms.",
        f"Total Time: {step * 1000:.6g} ms.",
        (
            f"Whole net at once: forward {ms['whole_forward']:.6g} ms, backward "
            f"{ms['whole_backward']:.6g} ms"
        ),
    ]
    return "\n".join(lines) + "\n"


def _row(time: LayerTime, count: int, step: float) -> tuple[str, ...]:
    speed = (
        f"{2 * time.layer.macs * count / time.forward / 1e9:.3g}"
        if time.layer.macs and time.forward
        else ""
    )
    share = (time.forward + time.backward) / step if step else 0.0
    means = (time.forward * 1000 / count, time.backward * 1000 / count)
    return (
        time.layer.name,
        time.layer.type,
        *(f"{mean:.3f}" for mean in means),
        f"{share:.1%}",
        speed,
    )


def _sums(times: Times) -> dict[str, float]:
    """Seconds over all iterations.

    As each layer is timed by itself, a pass is the sum of its layers.
    """
    return {
        "forward": times.forward,
        "backward": times.backward,
        "forward_backward": times.forward + times.backward,
        "whole_forward": times.whole_forward,
        "whole_backward": times.whole_backward,
    }


def _json(net: Net, times: Times, device: str, precision: str, compile: bool) -> str:
    from netspec.pytorch.device import torch_facts

    count = len(times.iterations)
    layers = [
        {
            "name": time.layer.name,
            "type": time.layer.type,
            "forward_ms": time.forward * 1000 / count,
            "backward_ms": time.backward * 1000 / count,
            "macs": time.layer.macs,
        }
        for time in times.layers
    ]
    about: dict[str, Any] = {"net": net.name, "phase": net.phase, "device": device}
    about |= {"precision": precision, "compile": compile, **torch_facts()}
    about |= {"batch_size": net.batch_size, "iterations": count, "layers": layers}
    about |= {f"{name}_ms": seconds * 1000 / count for name, seconds in _sums(times).items()}
    about |= {
        "total_ms": (times.forward + times.backward) * 1000,
        "iteration_ms": [seconds * 1000 for seconds in times.iterations],
    }
    return json.dumps(about, indent=1) + "\n"
