"""`netspec check FILE…`: every fault of nets and solver files, each with its line."""

from __future__ import annotations

import argparse
import sys

from netspec.cli.state import configure_level, input_shapes
from netspec.diagnostics import ERROR, WARNING, Diagnostic, NetspecError, Report, counted
from netspec.graph import Shape
from netspec.passes.filter_state import Placed, filter_state
from netspec.pipeline import assemble, read_net
from netspec.schema import caffe_pb2
from netspec.solver.solver_file import check_net_paths, check_weight_paths, load_solver_net, read_solver
from netspec.syntax.read import file_kind, parse_source, read_source


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="nets and solver files, prototxt or YAML")
    configure_level(parser)
    parser.add_argument("--phase", "-phase", type=str.upper, choices=["TRAIN", "TEST", "ALL"], default="ALL", help="which phases' nets (default ALL)")
    parser.add_argument(
        "--input", metavar="NAME=N,C,H,W", action="append", default=[], help="the shape of an input or of a data layer's top; may be repeated"
    )


def run(args: argparse.Namespace) -> int:
    inputs = input_shapes(args.input)
    phases = ["TRAIN", "TEST"] if args.phase == "ALL" else [args.phase]
    failed = False
    for path in args.files:
        diagnostics, what = check_file(path, phases, args.level, args.stage, inputs, args.allow_python_layers)
        for diagnostic in diagnostics:
            print(diagnostic.render(), file=sys.stderr)
        errors = sum(d.severity == ERROR for d in diagnostics)
        warnings = len(diagnostics) - errors
        failed = failed or errors > 0
        counts = [counted(count, word) for count, word in ((errors, "error"), (warnings, "warning")) if count]
        print(f"{path}: {what}: {', '.join(counts) or 'no faults'}")
    return 1 if failed else 0


def check_file(
    path: str, phases: list[str], level: int, stages: list[str], inputs: dict[str, Shape], allow_python_layers: bool = False
) -> tuple[list[Diagnostic], str]:
    """Every fault of a file, in the order of their places, and what kind of file it is."""
    report = Report()
    try:
        source = read_source(path)
        kind = file_kind(parse_source(source))
    except NetspecError as error:
        return error.diagnostics, "not read"
    if kind is caffe_pb2.SolverParameter:
        _check_solver_file(path, phases, level, stages, inputs, allow_python_layers, report)
        return report.in_order(), "solver"
    message, spans = read_net(source, report)
    seen = list(report.diagnostics)
    states = {phase: caffe_pb2.NetState() for phase in phases}
    for phase, state in states.items():
        state.CopyFrom(message.state)
        state.MergeFrom(caffe_pb2.NetState(phase=phase, level=level, stage=stages))
    sources = {phase: _sources(filter_state(message, spans, state, Report())) for phase, state in states.items()}
    for phase, state in states.items():
        here = Report()
        here.diagnostics += report.diagnostics
        if not sources[phase] and any(sources.values()):
            hint = f"a net for one phase only is checked with --phase, one for a stage with --stage; --phase {phase} tells what is missing"
            seen.append(Diagnostic(WARNING, f"no layer makes data in phase {phase}, so that only the other phase's net is checked", None, hint))
            continue
        given = {name: shape for name, shape in inputs.items() if name in sources[phase]}
        assemble(message, spans, state, here, given, require_shapes=False, allow_python_layers=allow_python_layers)
        rendered = {d.render() for d in seen}
        seen += [d for d in here.diagnostics if d.render() not in rendered]
    ordered = Report()
    ordered.diagnostics = seen
    return ordered.in_order(), " and ".join(phases) + " net"


def _check_solver_file(
    path: str, phases: list[str], level: int, stages: list[str], inputs: dict[str, Shape], allow_python_layers: bool, report: Report
) -> None:
    """The faults of a solver file, of its nets that stand inside it, and of the paths that it names."""
    file = read_solver(path, report)
    check_net_paths(file, report)
    check_weight_paths(file, report)
    for source in file.nets:
        if source.message is None or not source.is_state_known or caffe_pb2.Phase.Name(source.phase) not in phases:
            continue
        inner = Report()
        # as in Caffe, the command line's level and stages are the train net's
        state = (level, stages) if source.phase == caffe_pb2.TRAIN else (0, [])
        load_solver_net(source, file, inner, *state, inputs=inputs, require_shapes=False, allow_python_layers=allow_python_layers)
        report.diagnostics += inner.diagnostics


def _sources(layers: Placed) -> set[str]:
    """The blobs that layers without bottoms make."""
    return {top for layer, _ in layers if not layer.bottom for top in layer.top}
