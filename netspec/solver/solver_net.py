"""The nets that a solver file names, each for the state that Caffe builds it for.

Source: Caffe's Solver::InitTrainNet, InitTestNets.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from netspec.diagnostics import NetspecError, Report
from netspec.files.paths import resolve_path
from netspec.graph import Net
from netspec.layers import batched_param
from netspec.options import NetOptions
from netspec.passes.filter_state import Placed, filter_state
from netspec.pipeline import assemble, read_net, read_text_file
from netspec.schema import caffe_pb2
from netspec.solver.solver_file import NetSource, SolverFile
from netspec.syntax.bind import Spans

_PATH_HINT = "paths count from the working directory, then from the solver's folder"


def find_net(source: NetSource, file: SolverFile) -> str | None:
    """The path of a net that the solver file names, or None where there is no such file."""
    path = resolve_path(source.path or "", file.path)
    return path if os.path.isfile(path) else None


def check_net_paths(file: SolverFile, report: Report) -> None:
    """Reports the nets that are not where the solver file says."""
    reported = set()
    for source in file.nets:
        if (
            source.path is not None
            and source.path not in reported
            and find_net(source, file) is None
        ):
            reported.add(source.path)
            report.error(
                f"the net '{source.path}' does not exist",
                source.span,
                _path_hint(source.path, file),
            )


def _path_hint(path: str, file: SolverFile) -> str:
    """A hint at how paths are looked up.

    Where the end of this path names a file in the solver's folder, it says how to write it.
    """
    folder, parts = Path(file.path).parent, Path(path).parts
    for i in range(1, len(parts)):  # the longest end first
        end = Path(*parts[i:])
        if (folder / end).is_file():
            return f"'{folder / end}' is there: write \"{end}\", for {_PATH_HINT}"
    return _PATH_HINT


def check_weight_paths(file: SolverFile, report: Report) -> None:
    """Reports the weight files that are not where the solver file says."""
    for path, span in file.weights:
        if not os.path.isfile(resolve_path(path, file.path)):
            report.error(f"the weights '{path}' do not exist", span, _path_hint(path, file))


def load_solver_net(
    source: NetSource,
    file: SolverFile,
    report: Report,
    options: NetOptions | None = None,
    batch_size: int | None = None,
    share: int = 1,
) -> Net:
    """One of the solver's nets, for the state that the solver gives it. Faults go to the report.

    Args:
        options: those of the command line. Level 0 leaves the files' own, stages are added: Caffe
            gives both to the train net only. The net need not have all of the inputs; the phase is
            the solver's.
        batch_size: replaces that of the net's data layers.
        share: among how many processes the batch is divided.
    Raises: NetspecError where its file does not exist or can't be read.
    """
    options = options or NetOptions()
    report.allow_unknown |= options.allow_unknown
    text = read_solver_net(source, file, report)
    return build_solver_net(source, text, report, options, batch_size, share)


@dataclass(frozen=True, slots=True)
class NetText:
    """The net that a solver names, as it was read: its path, its message and places."""

    path: str
    message: caffe_pb2.NetParameter
    spans: Spans


def read_solver_net(source: NetSource, file: SolverFile, report: Report) -> NetText:
    """Reads one of the solver's nets. Faults go to the report.

    Raises: NetspecError where its file does not exist or can't be read.
    """
    if source.message is not None and source.spans is not None:
        message = caffe_pb2.NetParameter()
        message.CopyFrom(source.message)
        return NetText(file.path, message, source.spans)
    found = find_net(source, file)
    if found is None:
        raise NetspecError(
            f"the net '{source.path}' does not exist",
            source.span,
            _path_hint(source.path or "", file),
        )
    return NetText(found, *read_net(read_text_file(found), report))


def build_solver_net(
    source: NetSource,
    text: NetText,
    report: Report,
    options: NetOptions,
    batch_size: int | None = None,
    share: int = 1,
) -> Net:
    """The net of the state that the solver gives. Arguments are those of `load_solver_net`."""
    message, spans = text.message, text.spans
    state = source.state_with(message.state)
    state.level = options.level or state.level
    state.stage.extend(options.stages)
    kept = filter_state(message, spans, state, Report())
    _set_batch_size(kept, batch_size, share, report)
    sources = {top for layer, _ in kept if not layer.bottom for top in layer.top}
    given = {name: shape for name, shape in options.inputs.items() if name in sources}
    net = assemble(message, spans, state, report, replace(options, inputs=given))
    net.path = text.path
    return net


def _set_batch_size(layers: Placed, size: int | None, share: int, report: Report) -> None:
    """Sets the batch size of every data layer, then gives one of `share` processes its part."""
    for layer, place in layers:
        found = batched_param(layer)
        if found is None:
            continue
        name, param = found
        param.batch_size = size or param.batch_size
        if param.batch_size % share:
            hint = "without --global-batch each process has this batch size"
            message = (
                f"layer '{layer.name}': {share} processes can't share a batch_size of "
                f"{param.batch_size}"
            )
            report.error(message, place.at(name, "batch_size"), hint)
        param.batch_size //= share
