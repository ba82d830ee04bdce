"""What a rule of advice is: a name, a page, and what it looks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from netspec.diagnostics import ADVICE, Diagnostic, Span
from netspec.graph import Layer, Net
from netspec.hint import Hint, as_hint
from netspec.schema import caffe_pb2
from netspec.solver.solver_file import NetSource, SolverFile
from netspec.syntax.bind import Spans
from netspec.syntax.read import FileKind
from netspec.syntax.tree import Block


@dataclass(frozen=True)
class CheckedNet:
    """A net of one state without errors, and the message of the whole file that it is of."""

    net: Net
    message: caffe_pb2.NetParameter
    spans: Spans

    @cached_property  # rules ask for each layer
    def trains(self) -> bool:
        """Whether it is the net of a training run: of the phase TRAIN, with a loss."""
        return self.net.phase == "TRAIN" and bool(self.net.loss_weights)


@dataclass(frozen=True, slots=True)
class CheckedSolver:
    """A solver file without errors and its nets, the net to train first.

    A net is None where it is not there or has errors of its own.
    """

    file: SolverFile
    nets: list[tuple[NetSource, CheckedNet | None]]


@dataclass(frozen=True, slots=True)
class CheckedText:
    """The tree of a file, as it was written."""

    block: Block
    kind: FileKind


Found = Iterator[Diagnostic]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule of advice.

    Args:
        name: in kebab-case; comments, options and messages know the rule by it.
        summary: what it finds, in one line.
        why: the text of its page.
        bad, good: an example that it finds, and the same fixed: files by name, the first of which
            is checked. The tests run them.
        net, solver, text: what looks for it; each takes what was checked and yields what `advice`
            makes.
        reads_files: whether it looks at other files than nets and solvers, so that what it finds
            depends on the machine.
    """

    name: str
    summary: str
    why: str
    bad: Mapping[str, str]
    good: Mapping[str, str]
    net: Callable[[CheckedNet], Found] | None = None
    solver: Callable[[CheckedSolver], Found] | None = None
    text: Callable[[CheckedText], Found] | None = None
    reads_files: bool = False


def advice(
    message: str,
    span: Span | None,
    hint: Hint | str | None = None,
    notes: Iterable[Diagnostic] = (),
) -> Diagnostic:
    """What a rule finds; who runs the rule adds its name."""
    return Diagnostic(ADVICE, message, span, as_hint(hint), list(notes))


def own_settings(layer: Layer, param: str) -> tuple[str, ...]:
    """The path to show for a layer: its own parameters where it states them, else its type."""
    return (param,) if param in layer.spans.fields else ("type",)
