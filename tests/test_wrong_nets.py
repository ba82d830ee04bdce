"""Wrong nets and solvers with what `netspec check` reports of them.

It stands as comments in the files, and nothing more is reported.

In wrong_nets/, `# error:`, `# warning:`, `# note:` or `# hint:` behind a line says what is reported
of that line; on a line of its own it goes with the line above. `# error+2:` means two lines
further down.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from netspec.check_file import check_file

FILES = sorted((Path(__file__).parent / "wrong_nets").iterdir())
_EXPECTED = re.compile(
    r"# (error|warning|note|hint)(?:\+([0-9]+))?: (.*?)(?= # "
    r"(?:error|warning|note|hint)(?:\+[0-9]+)?: |$)"
)

# A line's number, "error", "warning", "note" or "hint", and the text.
Reported = tuple[int, str, str]


def expected_in(text: str) -> list[Reported]:
    found: list[Reported] = []
    above = 0
    for number, line in enumerate(text.splitlines(), 1):
        above = above if line.lstrip().startswith("#") else number
        found += [
            (above + int(further or 0), kind, message)
            for kind, further, message in _EXPECTED.findall(line)
        ]
    return sorted(found)


def reported_for(path: Path) -> list[Reported]:
    found: list[Reported] = []
    for diagnostic in check_file(str(path)).diagnostics:
        for part in (diagnostic, *diagnostic.notes):
            assert part.span is not None, part.message
            found.append((part.span.line, part.severity, part.message))
            found += [(part.span.line, "hint", part.hint.text)] if part.hint else []
    return sorted(found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_wrong_net(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    expected = expected_in(path.read_text())
    assert reported_for(Path(os.path.basename(path))) == expected
    assert any(kind in ("error", "warning") for _, kind, _ in expected)


def test_wrong_nets_show_every_kind_of_fault() -> None:
    """The list of what `check` must find."""
    messages = "\n".join(
        message for path in FILES for _, _, message in expected_in(path.read_text())
    )
    for pattern in (
        r"a net has no field '\w+'",
        r"did you mean '\w+'",
        r"belongs inside",
        r"takes one of .*, got",
        r"there is no layer type",
        r"takes a whole number, got",
        r"may stand only once",
        r"reads blob '\w+', which no earlier layer makes",
        r"makes blob '\w+' a second time",
        r"no layer reads blob 'label'",
        r"of type \w+ takes .* bottoms?, got",
        r"of type \w+ takes .* tops?, got",
        r"\(10×3×32×32\) and '\w+' \(10×16×28×28\) must agree",
        r"is 10×3×32×32 \(N×C×H×W\) and made here",
        r"the output's size would be",
        r"'group' 3 does not divide",
        r"has both 'include' and 'exclude'",
        r"shares param '\w+' with another shape",
        r"expected .*, got",
    ):
        assert re.search(pattern, messages), pattern
