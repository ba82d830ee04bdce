"""The fields in which two solver files differ."""

from __future__ import annotations

from netspec.diagnostics import Report
from netspec.diff.compare_fields import FieldChange, compare_fields
from netspec.passes.upgrade import upgrade_solver
from netspec.schema import caffe_pb2
from netspec.syntax.bind import Spans, bind
from netspec.syntax.tree import Block


def compare_solvers(old: Block, new: Block) -> list[FieldChange]:
    """What differs between two solvers, each in today's format; the nets they name are not read.

    Raises: NetspecError where their fields are not those of a solver.
    """
    (one, one_place), (other, other_place) = _read(old), _read(new)
    return compare_fields(one, other, one_place, other_place)


def _read(block: Block) -> tuple[caffe_pb2.SolverParameter, Spans]:
    message, report = caffe_pb2.SolverParameter(), Report()
    spans = bind(block, message, report)
    upgrade_solver(message, spans, report)
    report.raise_errors()
    return message, spans
