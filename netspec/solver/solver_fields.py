"""A solver's fields as its checks see them: values, places, and what is told of them."""

from __future__ import annotations

from collections.abc import Collection

from netspec.diagnostics import Report, Span
from netspec.hint import Hint
from netspec.schema import caffe_pb2
from netspec.syntax.bind import Spans
from netspec.syntax.scalar_value import float_text


class SolverFields:
    """A solver's fields with their places.

    Those that did not bind are left out: what follows from a fault is not reported.
    """

    def __init__(
        self, p: caffe_pb2.SolverParameter, spans: Spans, report: Report, unbound: Collection[str]
    ) -> None:
        self.p, self.spans, self.report = p, spans, report
        self.unbound = set(unbound)

    def known(self, *names: str) -> bool:
        """Whether all of them either bound or are not in the file."""
        return self.unbound.isdisjoint(names)

    def given(self, name: str) -> bool:
        """Whether it is in the file and bound."""
        value = getattr(self.p, name)
        return name not in self.unbound and (
            len(value) > 0 if self.is_repeated(name) else self.p.HasField(name)
        )

    def meant(self, name: str) -> bool:
        """Whether it is in the file, bound or not."""
        return self.given(name) or name in self.unbound

    def is_repeated(self, name: str) -> bool:
        return self.p.DESCRIPTOR.fields_by_name[name].is_repeated

    def at(self, name: str, index: int = 0) -> Span | None:
        return self.spans.at(name, index)

    def text(self, name: str) -> str:
        """A number as a message tells it."""
        value = getattr(self.p, name)
        return float_text(value) if isinstance(value, float) else str(value)

    def error(self, message: str, name: str, hint: Hint | str | None = None) -> None:
        self.report.error(message, self.at(name), hint)

    def warn(self, message: str, name: str, hint: Hint | str | None = None) -> None:
        self.report.warning(message, self.at(name), hint)
