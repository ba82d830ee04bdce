"""`netspec test NET WEIGHTS`: a trained net on its test data."""

from __future__ import annotations

import argparse
import json
import sys
from math import isfinite
from typing import TYPE_CHECKING, Any

from netspec.cli.device import (
    chosen_device,
    configure_compile,
    configure_device,
    configure_exact,
    configure_precision,
    configure_workers,
    warn_slow,
)
from netspec.cli.numbers import positive_or_all
from netspec.cli.progress import coverage
from netspec.cli.state import configure_level, load_net, name_list, print_warnings
from netspec.cli.weight_choice import choice_of, configure_choice
from netspec.diagnostics import Report
from netspec.readers.batches import dataset_size
from netspec.readers.oversample import cropped_layers
from netspec.signals import STOP, end_at_once, handling_signals
from netspec.solver.evaluation import AP_VERSIONS, Evaluation

if TYPE_CHECKING:
    from netspec.graph import Net
    from netspec.listener import Values
    from netspec.pytorch.run_test import Scores
    from netspec.pytorch.weights import LoadReport

USAGE_TEXT = (
    "netspec test: name one net and its weights, as in `netspec test train_val.prototxt "
    "alexnet.caffemodel`"
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "net_file",
        nargs="?",
        metavar="NET",
        help="a prototxt, or YAML by its suffix, with data layers for the phase TEST",
    )
    parser.add_argument(
        "weights_files",
        nargs="?",
        metavar="WEIGHTS",
        help="weight files with commas between them; a later one wins",
    )
    parser.add_argument("--model", "-model", metavar="NET", help="the net, as Caffe's flag")
    parser.add_argument(
        "--weights", "-weights", metavar="A,B", help="the weight files, as Caffe's flag"
    )
    parser.add_argument(
        "--iterations",
        "-iterations",
        type=positive_or_all,
        default=50,
        metavar="N",
        help="batches to run, or all for one pass over the data (default 50)",
    )
    parser.add_argument(
        "--ap-version",
        choices=AP_VERSIONS,
        default=AP_VERSIONS[0],
        help="how the average precision of detections is computed (default Integral)",
    )
    parser.add_argument(
        "--per-class", action="store_true", help="also the average precision of each class"
    )
    parser.add_argument(
        "--oversample",
        action="store_true",
        help="average the scores of ten crops of each record: corners, centre, mirrored",
    )
    configure_choice(parser)
    configure_device(parser)
    configure_precision(parser)
    configure_exact(parser)
    configure_compile(parser)
    configure_workers(parser)
    configure_level(parser)
    parser.add_argument(
        "--format",
        choices=["text", "json"],
        default="text",
        help="Caffe's lines, or one object, in which a NaN or infinity is null (default text)",
    )
    parser.set_defaults(phase="TEST", input=[])  # the data give the shapes


def run(args: argparse.Namespace) -> int:
    positional = [text for text in (args.net_file, args.weights_files) if text]
    path = args.model or (positional.pop(0) if positional else "")
    weights = name_list(args.weights or (positional.pop(0) if positional else ""))
    if not path or not weights or positional:
        print(USAGE_TEXT, file=sys.stderr)
        return 2
    if args.oversample and args.compile:
        message = "--oversample runs the net layer by layer, which --compile can't compile"
        print(f"netspec test: {message}", file=sys.stderr)
        return 2
    choice = choice_of(args)
    net = load_net(path, args)
    size = dataset_size(net)  # data that are not there are reported first
    if args.oversample:
        cropped_layers(net)
    chosen = chosen_device(args)
    # torch takes seconds to import
    from netspec.pytorch.device import default_device, device_text, faults_reported
    from netspec.pytorch.optimize import optimized
    from netspec.pytorch.precision import set_precision
    from netspec.pytorch.run_test import load_trained, run_test, untrained_layers
    from netspec.pytorch.ten_crops import TenCrops

    device = chosen or default_device()
    with faults_reported("cpu", None, "its params alone are too many"):
        module, loads = load_trained(net, weights, choice)
    if not (args.exact or args.oversample):  # ten crops follow the net layer by layer
        module = optimized(module, device, args.precision, freezes=True)
    set_precision(module, args.precision, device)
    crops = TenCrops(net, module) if args.oversample else None
    _warn_untrained(untrained_layers(net, loads), weights)
    warn_slow(args.precision, device)
    batches: list[tuple[float, Values]] = []
    if args.format == "text":
        print(f"{net.name or net.path}, phase TEST, on {device_text(device, args.precision)}")
        print("\n".join(map(str, loads)), flush=True)
        if crops is not None:
            print(f"averages over ten crops the {', the '.join(crops.averaged)}", flush=True)
        if (
            size
            and args.iterations
            and net.batch_size
            and args.iterations > -(-size // net.batch_size)
        ):
            print(
                f"reads {coverage(args.iterations, net.batch_size, size, '--iterations')}",
                flush=True,
            )

    def on_batch(index: int, loss: float, outputs: Values) -> None:
        if args.format == "json":
            batches.append((loss, outputs))
            return
        lines = [
            f"Batch {index}, {name} = {value:.6g}"
            for name, values in outputs.items()
            for value in values
        ]
        print("\n".join(lines), flush=True)

    full = "try a smaller batch_size in the net's data layer"
    with handling_signals(end_at_once, STOP), faults_reported(device, net.batch_size, full):
        evaluation = Evaluation(args.ap_version, args.per_class)
        scores = run_test(
            net,
            module,
            device,
            args.iterations,
            size,
            on_batch,
            evaluation,
            crops,
            args.compile,
            args.workers,
        )
    weight_of = module.about.loss_weights
    sys.stdout.write(
        _text(scores, weight_of)
        if args.format == "text"
        else _json(net, scores, weight_of, batches, loads, device, args.precision, args.oversample)
    )
    return 0


def _warn_untrained(layers: list[str], paths: list[str]) -> None:
    if not layers:
        return
    report = Report()
    where = f"'{paths[0]}' does not have" if len(paths) == 1 else "no weight file has"
    message = (
        f"{where} {len(layers)} of the net's layers, which are tested with the values of their "
        f"fillers: {', '.join(layers)}"
    )
    report.warning(message, None, "weights are matched by the layers' names")
    print_warnings(report)


def _text(scores: Scores, weight_of: dict[str, float]) -> str:
    """Caffe's lines, then what they were computed from."""
    lines = [f"Loss: {scores.loss:.6g}"]
    for name, means in scores.means.items():
        weight = weight_of.get(name, 0)
        for mean in means:
            lines.append(
                f"{name} = {mean:.6g}"
                + (f" (* {weight:g} = {weight * mean:.6g} loss)" if weight else "")
            )
    speed = (
        ""
        if scores.records is None
        else f", {scores.records / max(scores.seconds, 1e-9):.1f} images/s"
    )
    lines.append(f"{scores.coverage()}; {scores.seconds:.2f} s{speed}")
    return "\n".join(lines) + "\n"


def _json(
    net: Net,
    scores: Scores,
    weight_of: dict[str, float],
    batches: list[tuple[float, Values]],
    loads: list[LoadReport],
    device: str,
    precision: str,
    oversample: bool,
) -> str:
    outputs = [
        {
            "name": name,
            "index": index,
            "mean": mean,
            "loss_weight": weight_of.get(name, 0.0),
            "weighted": weight_of.get(name, 0.0) * mean,
        }
        for name, means in scores.means.items()
        for index, mean in enumerate(means)
    ]
    about = {
        "net": net.name,
        "device": device,
        "precision": precision,
        "weights": [
            {
                "path": load.path,
                "loaded": load.loaded,
                "missing": load.missing,
                "unused": load.unused,
            }
            for load in loads
        ],
        "oversample": oversample,
        "iterations": scores.iterations,
        "batch_size": scores.batch_size,
        "records_read": scores.records,
        "dataset_size": scores.dataset_size,
        "loss": scores.loss,
        "outputs": outputs,
        "batches": [{"loss": loss, "outputs": values} for loss, values in batches],
        "seconds": scores.seconds,
        "images_per_second": None
        if scores.records is None
        else scores.records / max(scores.seconds, 1e-9),
    }
    return json.dumps(_finite(about), indent=1) + "\n"


def _finite(value: Any) -> Any:
    """The same with None for every NaN and infinity, which JSON has no words for."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return value
