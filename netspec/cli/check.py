"""`netspec check FILE…`: every fault of nets and solver files, each with its line."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace

from netspec.cli.as_json import diagnostic_as_json
from netspec.cli.state import configure_level, options_of
from netspec.cli.terminal import MAX_KINDS, counts, show
from netspec.diagnostics import (
    ERROR,
    WARNING,
    Diagnostic,
    NetspecError,
    Report,
    as_errors,
    counted,
    note,
)
from netspec.layers.layer_context import MISSING_DATA
from netspec.options import NetOptions
from netspec.passes.filter_state import filter_state
from netspec.passes.meant_phases import meant_phases, sources_of
from netspec.pipeline import assemble, read_net, read_text_file
from netspec.schema import caffe_pb2
from netspec.solver.solver_file import (
    check_net_paths,
    check_weight_paths,
    find_net,
    load_solver_net,
    read_solver,
)
from netspec.syntax.read import file_kind, parse_source, without_collector

_PHASE_HELP = "which phases' nets (default ALL: those that the file is meant to have, see below)"
_ABOUT_PHASES = """
Without --phase, a net is checked for the phases that its file means to have:
- a phase for which layers make data, after the include and exclude rules; for both where neither
  has data.
- A net with data for one phase only is checked for that one. Where a rule asks for the other phase
  all the same, a warning says that its data are missing.
- A net that only Input layers feed, without a loss and without rules for a phase, is a deploy
  net: TEST.
"""
_MAX_NOTES = 8  # of layers whose data are not there, one below the other


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="nets and solver files, prototxt or YAML"
    )
    configure_level(parser)
    parser.add_argument(
        "--phase",
        "-phase",
        type=str.upper,
        choices=["TRAIN", "TEST", "ALL"],
        default="ALL",
        help=_PHASE_HELP,
    )
    parser.add_argument(
        "--input",
        metavar="NAME=N,C,H,W",
        action="append",
        default=[],
        help="the shape of an input or of a data layer's top; may be repeated",
    )
    all_help = (
        f"show every fault, not each kind once with its lines and at most {MAX_KINDS} kinds a file"
    )
    parser.add_argument("--all", action="store_true", help=all_help)
    parser.add_argument(
        "--format",
        choices=["text", "json"],
        default="text",
        help="lines, or a list with every fault of each file on stdout (default %(default)s)",
    )
    parser.epilog = _ABOUT_PHASES


def run(args: argparse.Namespace) -> int:
    options = options_of(args, require_shapes=False)
    phases = ["TRAIN", "TEST"] if args.phase == "ALL" else [args.phase]
    named = frozenset(map(os.path.abspath, args.files))
    found: list[Diagnostic] = []
    checked: list[dict[str, object]] = []
    for path in args.files:
        with without_collector():
            diagnostics, what = check_file(path, phases, options, named)
        if args.strict:
            diagnostics = as_errors(diagnostics)
        found += diagnostics
        if args.format == "json":
            faults = [diagnostic_as_json(each) for each in diagnostics]
            checked.append({"path": path, "kind": what, "diagnostics": faults})
            continue
        show(diagnostics, args.all, "--all shows them")
        print(f"{path}: {what}: {counts(diagnostics) or 'no faults'}")
    if args.format == "json":
        print(json.dumps(checked, indent=1))
    elif len(args.files) > 1:
        print(", ".join([counted(len(args.files), "file"), counts(found) or "no faults"]))
    return 1 if any(each.severity == ERROR for each in found) else 0


def check_file(
    path: str,
    phases: list[str],
    options: NetOptions,
    named: frozenset[str] = frozenset(),
) -> tuple[list[Diagnostic], str]:
    """Every fault of a file, in the order of their places, and what kind of file it is.

    Given both phases, a net is checked for those that its file means to have. With a solver go the
    nets that it names, except those in `named`, which are checked for themselves.
    """
    report = Report()
    try:
        source = read_text_file(path)
        block = parse_source(source)
        if file_kind(block) is caffe_pb2.SolverParameter:
            others = _check_solver_file(path, phases, options, report, named)
            what = f"solver and its {'net' if others == 1 else 'nets'}" if others else "solver"
            return _one_for_missing_data(report.in_order()), what
    except NetspecError as error:
        return error.diagnostics, "not read"
    message, spans = read_net(source, report, block)
    if spans.value is None:  # nothing was bound
        return report.in_order(), "not a net"
    states = {phase: caffe_pb2.NetState() for phase in phases}
    for phase, state in states.items():
        state.CopyFrom(message.state)
        state.MergeFrom(replace(options, phase=phase).state)
    kept = {phase: filter_state(message, spans, state, Report()) for phase, state in states.items()}
    phases, warnings = meant_phases(message, spans, kept)
    found = Report()
    found.diagnostics = [*report.diagnostics, *warnings]
    for phase in phases:
        here = Report()
        here.diagnostics += report.diagnostics
        sources = sources_of(kept[phase])
        given = {name: shape for name, shape in options.inputs.items() if name in sources}
        assemble(message, spans, states[phase], here, replace(options, inputs=given))
        found.diagnostics += here.diagnostics[len(report.diagnostics) :]
    return _one_for_missing_data(found.in_order()), " and ".join(phases) + " net"


def _one_for_missing_data(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """One warning for all data that are not there.

    On a machine without them it is the same for each layer that reads some.
    """
    told: list[Diagnostic] = []
    more: list[Diagnostic] = []
    first: Diagnostic | None = None
    for each in diagnostics:
        if each.kind != MISSING_DATA or each.severity != WARNING:
            told.append(each)
        elif first is None:
            first = each
            told.append(each)
        else:
            more.append(note(each.message, each.span))
    if first is not None:
        first.notes += more[:_MAX_NOTES]
        if len(more) > _MAX_NOTES:
            first.notes.append(
                note(
                    f"the data of {len(more) - _MAX_NOTES} more layers do not exist",
                    more[_MAX_NOTES].span,
                )
            )
    return told


def _check_solver_file(
    path: str,
    phases: list[str],
    options: NetOptions,
    report: Report,
    named: frozenset[str],
) -> int:
    """The faults of a solver file, of its nets, and of the paths that it names.

    Returns: how many other files were checked with it.
    """
    file = read_solver(path, report)
    check_net_paths(file, report)
    check_weight_paths(file, report)
    others: set[str] = set()
    unread: set[str] = set()
    for source in file.nets:
        found = find_net(source, file) if source.message is None else None
        is_elsewhere = source.message is None and (
            found is None or found in unread or os.path.abspath(found) in named
        )
        if (
            is_elsewhere
            or not source.is_state_known
            or caffe_pb2.Phase.Name(source.phase) not in phases
        ):
            continue
        others.update([found] if found else [])
        inner = Report()
        # as in Caffe, the command line's level and stages are the train net's
        is_train = source.phase == caffe_pb2.TRAIN
        own = options if is_train else replace(options, level=0, stages=())
        try:
            load_solver_net(source, file, inner, own)
        except NetspecError as error:  # the net can't be parsed
            inner.diagnostics += error.diagnostics
            unread.update([found] if found else [])
        report.diagnostics += inner.diagnostics
    return len(others)
