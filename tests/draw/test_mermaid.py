"""Mermaid's text: a golden file, and that no name of a net is read as a word of Mermaid's.

What the names of NAMES become was looked at with Mermaid 11.17 in Chromium.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netspec.cli import main
from netspec.draw.load_phases import load_phases
from netspec.draw.mermaid import escaped, mermaid_text
from tests.page.resnet import resnet_text

GOLDEN = Path(__file__).parent / "golden"
NAMES = {
    'a "b" <i>': "a #34;b#34; #60;i#62;",
    "x;#34;": "x#59;#35;34#59;",
    "1. __y__ *z* `w`": "1#46; #95;#95;y#95;#95; #42;z#42; #96;w#96;",
    "%%{init}%%": "#37;#37;#123;init#125;#37;#37;",
    "a] --> b": "a#93; #45;#45;#62; b",
    "$$x$$": "#36;#8203;#36;x#36;#8203;#36;",
    "fa:fa-car": "fa#58;#8203;fa-car",
    "\n\x01": "#65533;#65533;",
    "inception_3a/1x1": "inception_3a/1x1",
    "ratio 0.5 · α": "ratio 0.5 · α",
    "x" * 200: "x" * 59 + "…",
}


def text_of(path: Path, **options: object) -> str:
    return mermaid_text(load_phases(path), **options)


def test_golden() -> None:
    """To renew the file: netspec draw two_phases.prototxt two_phases.mmd."""
    text = text_of(GOLDEN / "two_phases.prototxt")
    assert text == (GOLDEN / "two_phases.mmd").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "code"), NAMES.items())
def test_names_are_escaped(name: str, code: str) -> None:
    assert escaped(name) == code


def test_a_title_stays_on_its_line_without_markup(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(
        'name: "\\"<b>\\n---"\nlayer { name: "end" type: "Input" top: "x"'
        " input_param { shape { dim: 1 } } }"
    )
    lines = text_of(path).splitlines()
    assert [lines[0], lines[2], lines[3]] == ["---", "---", "flowchart TB"]
    title = json.loads(lines[1].removeprefix("title: "))
    assert title == '"‹b›\ufffd--- · TRAIN and TEST · 0 parameters'


def test_its_options(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(resnet_text(50))
    text = text_of(path, rankdir="LR", theme="dark")
    assert "flowchart LR" in text
    assert '["res2a<br>16 layers · 76.3 k params<br>256×56×56"]' in text
    assert "color:#e3e9f1" in text
    assert "bn2a_branch2a" not in text
    assert "bn2a_branch2a" in text_of(path, fold="none")
    assert "256×56×56" not in text_of(path, has_shapes=False)


def test_the_command_writes_it_and_writes_over_its_own(tmp_path: Path) -> None:
    out = tmp_path / "net.mmd"
    for _ in range(2):
        assert main(["draw", str(GOLDEN / "two_phases.prototxt"), str(out)]) == 0
    assert out.read_text(encoding="utf-8") == text_of(GOLDEN / "two_phases.prototxt")
    out.write_text("mine")
    assert main(["draw", str(GOLDEN / "two_phases.prototxt"), str(out)]) == 1
