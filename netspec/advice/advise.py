"""Runs the rules over what was checked, and leaves out what comments in the files silence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from netspec.advice import RULES
from netspec.advice.ignores import Ignore, Silencer, ignores_in, unknown_rules
from netspec.advice.rule import CheckedNet, CheckedSolver, CheckedText, Found, Rule
from netspec.diagnostics import Diagnostic, Report, Source, Span
from netspec.syntax.read import FileKind, file_kind, parse_source
from netspec.syntax.tree import Block


class Advice:
    """What some rules find in a file and in the nets that it names."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = list(rules)
        self._found: list[Diagnostic] = []
        self._blocks: dict[str, tuple[Source, Block]] = {}
        # where the layers of the files stand, and which of them some net has
        self._layers: dict[tuple[str, int], Span] = {}
        self._kept: set[tuple[str, int]] = set()

    def text(self, source: Source, block: Block, kind: FileKind) -> None:
        """Looks at a text as it was written; a file counts once."""
        if source.path in self._blocks:
            return
        self._blocks[source.path] = source, block
        checked = CheckedText(block, kind)
        self._run(lambda rule: rule.text, checked)

    def net(self, checked: CheckedNet) -> None:
        """Looks at the net of one state, and at the file that it is of."""
        source = checked.spans.value.source if checked.spans.value else None
        if source is not None and source.path not in self._blocks:
            block = parse_source(source)
            self.text(source, block, file_kind(block))
        for place in checked.spans.fields.get("layer", ()):
            if (span := place.whole()) is not None:
                self._layers[span.source.path, span.start] = span
        for layer in checked.net.layers:
            if layer.span is not None:
                self._kept.add((layer.span.source.path, layer.span.start))
        self._run(lambda rule: rule.net, checked)

    def solver(self, checked: CheckedSolver) -> None:
        """Looks at a solver and its nets."""
        self._run(lambda rule: rule.solver, checked)

    def _run(self, finder: Callable[[Rule], Callable[[Any], Found] | None], checked: Any) -> None:
        for rule in self.rules:
            find = finder(rule)
            for each in find(checked) if find is not None else ():
                each.rule = rule.name
                self._found.append(each)

    def diagnostics(self, own: Source, is_whole: bool) -> list[Diagnostic]:
        """What was found and is not silenced, and what is wrong in the comments that silence.

        Args:
            own: the file that is checked; comments in others are not judged.
            is_whole: whether it was checked for all that it is meant for, so that a comment without
                a use has none.
        """
        report = Report()
        ignores: list[Ignore] = []
        for source, block in self._blocks.values():
            found = ignores_in(source, block)
            unknown_rules(found, report)
            ignores += found
        silencer = Silencer(ignores)
        left = [each for each in self._found if not silencer.silences(each)]
        if is_whole:
            left_out = [span for place, span in self._layers.items() if place not in self._kept]
            for ignore in ignores:
                if ignore.source.path == own.path and not _covers_any(ignore, left_out):
                    self._warn_unused(ignore, report)
        return [*left, *report.diagnostics]

    def _warn_unused(self, ignore: Ignore, report: Report) -> None:
        run = {rule.name for rule in self.rules}
        for name, span in ignore.names:
            if name in run - ignore.used and not RULES[name].reads_files:
                hint = "leave the comment out"
                report.warning(f"'ignore[{name}]' silences nothing", span, hint)


def _covers_any(ignore: Ignore, left_out: list[Span]) -> bool:
    """Whether it covers one of the layers that no net which was looked at has."""
    return any(
        span.source.path == ignore.source.path
        and span.start < ignore.end
        and ignore.start < span.end
        for span in left_out
    )
