"""The one layout: what it does to a text, that it keeps what the text says, that it is its own."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netspec.diagnostics import NetspecError, Source
from netspec.schema import caffe_pb2
from netspec.syntax import layout as layout_module
from netspec.syntax.bind import unbind
from netspec.syntax.layout import layout
from netspec.syntax.print_yaml import _scalar_text
from netspec.syntax.read import read_source
from netspec.syntax.tree import Block
from tests.conftest import REFERENCE, ROOT
from tests.syntax.messages import Writer, messages

STABLE = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
FILES = sorted(
    [
        *ROOT.glob("models/*/*.prototxt"),
        *ROOT.glob("models/*/*.yaml"),
        *REFERENCE.glob("upgrade/*.prototxt"),
        *sorted(REFERENCE.glob("layers/*/*.prototxt"))[::3],
    ]
)


def laid_out(text: str, suffix: str = ".prototxt") -> str:
    """The layout of a text, which is held against the layout of itself."""
    found = layout(Source("net" + suffix, text))
    assert layout(Source("net" + suffix, found)) == found
    return found


PROTOTXT = {
    "one field a line": ("a:1 b :2", "a: 1\nb: 2\n"),
    "no separators": ("a: 1; b { c: 2, d: 3; };", "a: 1\nb { c: 2 d: 3 }\n"),
    "no colon before a brace": ("b: {\nc: 1 }", "b {\n  c: 1\n}\n"),
    "braces, not angles": ("b < c: 1 >", "b { c: 1 }\n"),
    "a message of one line stays one": (
        "input_shape { dim: 1  dim:3 }",
        "input_shape { dim: 1 dim: 3 }\n",
    ),
    "one of more lines stays so": ("include { phase: TEST\n}", "include {\n  phase: TEST\n}\n"),
    "an empty message": ("a {\n\n}", "a {}\n"),
    "a list on one line": ("dim: [ 1,2\n,3 ]", "dim: [1, 2, 3]\n"),
    "a list of messages": (
        "param: [ { lr_mult: 1 }, {\nlr_mult: 2 } ]",
        "param: [\n  { lr_mult: 1 },\n  {\n    lr_mult: 2\n  }\n]\n",
    ),
    "quotes": ("a: 'x' b: 'say \"x\"' c: '\\''", "a: \"x\"\nb: 'say \"x\"'\nc: '\\''\n"),
    "numbers stay as written": ("a: 1.0 b: 0x1F c: - 1e-4f", "a: 1.0\nb: 0x1F\nc: -1e-4f\n"),
    "strings that are one": ('a: "b"\n "c"', 'a: "b" "c"\n'),
    "blank lines": (
        "\n\na: 1\n\n\n\nb: 2\nc {\n\n  d: 1\n\n  e: 2\n\n}\n\n",
        "a: 1\n\nb: 2\nc {\n  d: 1\n\n  e: 2\n}\n",
    ),
    "nothing": (" \n\n", ""),
    "line ends": ("a: 1\r\nb: 2\r\n", "a: 1\r\nb: 2\r\n"),
    "a field called end": ("end: 1 a: 2", "end: 1\na: 2\n"),
}


@pytest.mark.parametrize("name", PROTOTXT)
def test_prototxt(name: str) -> None:
    text, expected = PROTOTXT[name]
    assert laid_out(text) == expected


def test_what_is_too_long_for_a_line_is_taken_apart_from_outside() -> None:
    short = "shape { dim: 1 dim: 3 dim: 227 dim: 227 }"
    text = f'layer {{ name: "data" type: "Input" input_param {{ {short} }} top: "a_long_name" }}'
    assert laid_out(text + " # behind") == (
        f'layer {{\n  name: "data"\n  type: "Input"\n  input_param {{ {short} }}\n'
        '  top: "a_long_name"\n}  # behind\n'
    )
    dims = ", ".join(["100"] * 30)
    assert (
        laid_out(f"dim: [{dims}]") == f"dim: [\n  {dims.replace(', ', ',' + chr(10) + '  ')}\n]\n"
    )


COMMENTS = """#  head,  as it is

name: "n"   #name
layer   {    # opens
    # own line
  name: "a" # behind
     # between

  param { lr_mult: 1 } # behind a message
  dim: [ # first
     1, # one
     2
     # last
  ]
  top # in a
    : # field
    "b" # and behind
  # before the brace
} # behind the brace
# the file's end"""


def test_comments_stay_at_their_places() -> None:
    assert laid_out(COMMENTS) == (
        "#  head,  as it is\n\n"
        'name: "n"  #name\n'
        "layer {  # opens\n"
        "  # own line\n"
        '  name: "a"  # behind\n'
        "  # between\n\n"
        "  param { lr_mult: 1 }  # behind a message\n"
        "  dim: [\n    # first\n    1,  # one\n    2\n    # last\n  ]\n"
        "  # in a\n  # field\n"
        '  top: "b"  # and behind\n'
        "  # before the brace\n"
        "}  # behind the brace\n"
        "# the file's end\n"
    )


YAML = {
    "indents": (
        "layer:\n- name: a\n  param:\n      - lr_mult: 1\n",
        "layer:\n  - name: a\n    param:\n      - lr_mult: 1\n",
    ),
    "a mapping of one line stays one": ("a: { b : 1,c: [1,2 ] }", "a: {b: 1, c: [1, 2]}\n"),
    "one of more lines does not": ("a: { b: 1,\n c: 2}", "a:\n  b: 1\n  c: 2\n"),
    "a list on one line": ("dim: [1,\n  2]", "dim: [1, 2]\n"),
    "a list of lines": ("dim:\n- 1\n- 2\n", "dim:\n  - 1\n  - 2\n"),
    "anchors, aliases, merges": (
        "x-a: &a   {b: 1}\nlayer:\n- &l\n  <<: *a\n  name: y\n-   *l\n",
        "x-a: &a {b: 1}\nlayer:\n  - &l\n    <<: *a\n    name: y\n  - *l\n",
    ),
    "quotes and numbers stay as written": ("a:   'x'\nb: 1.0", "a: 'x'\nb: 1.0\n"),
    "a literal": ("a: |\n     x\n\n       y\nb: 1", "a: |\n  x\n\n    y\nb: 1\n"),
    "a literal that begins with spaces": ("a: |2-\n    x\n   y", "a: |2-\n    x\n   y\n"),
    "a literal with blank lines": ("a: |+\n x\n\n\nb: 1", "a: |+\n  x\n\n\nb: 1\n"),
    "a folded text": ("a: >- # why\n    x\n    y\n", "a: >-  # why\n  x\n  y\n"),
    "a text of two lines": ("a: 'x\n        y'", "a: 'x\n  y'\n"),
    "a document": ("%YAML 1.1\n---   # doc\na: 1\n...\n", "%YAML 1.1\n---  # doc\na: 1\n"),
    "an item that is nothing": ("a:\n-\n- b: 1", "a:\n  -\n  - b: 1\n"),
    "a key that is nothing": ("?\n", '"":\n'),
    "the other line ends of YAML": ("# a\u2028b: 1 # c\x85# d", "# a\nb: 1  # c\n# d\n"),
    "nothing": ("\n", ""),
    "braces around all": ("{name: a}", "name: a\n"),
    "blank lines": ("\n\na: 1\n\n\nb:\n\n  c: 1\n\nd: 1\n\n", "a: 1\n\nb:\n  c: 1\n\nd: 1\n"),
    "comments": (
        "# head\na:   1 # behind\nb: # opens\n    # inside\n    c: 1\n    # of b\n  # odd\n# of d\n"
        "d: # above\n   2\ne:\n- # dash\n  f: 1\n  # of the item\n# of the list\n- g: 2\n# end",
        "# head\na: 1  # behind\nb:  # opens\n  # inside\n  c: 1\n  # of b\n# odd\n# of d\n"
        "# above\nd: 2\ne:\n  # dash\n  - f: 1\n    # of the item\n  # of the list\n  - g: 2\n"
        "# end\n",
    ),
    "comments in brackets": (
        "a: { b: 1, # one\n  # own\n c: 2 }\nd: [ # none\n]",
        "a:\n  b: 1  # one\n  # own\n  c: 2\n# none\nd: []\n",
    ),
}


@pytest.mark.parametrize("name", YAML)
def test_yaml(name: str) -> None:
    text, expected = YAML[name]
    assert laid_out(text, ".yaml") == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files(path: Path) -> None:
    laid_out(read_source(path).text, path.suffix)


@STABLE
@given(messages(caffe_pb2.NetParameter), st.integers(0, 2**32))
def test_any_prototxt(message: Message, seed: int) -> None:
    laid_out(Writer(seed).text(message))


@STABLE
@given(messages(caffe_pb2.NetParameter), st.integers(0, 2**32))
def test_any_yaml(message: Message, seed: int) -> None:
    laid_out(YamlWriter(seed).text(unbind(message)), ".yaml")


class YamlWriter:
    """Writes a tree in one of the many ways that YAML allows, chosen by a seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def text(self, block: Block) -> str:
        start = self.random.choice(["", "---\n", "# head\n\n", "%YAML 1.1\n---\n"])
        return start + (self._block(block, 0) or "{}\n") + self.random.choice(["", "# end\n"])

    def _block(self, block: Block, indent: int) -> str:
        return "".join(
            self._between(indent) + " " * indent + field.name + ":" + self._field(values, indent)
            for field in block.fields
            for values in [field.values]
        )

    def _field(self, values: list, indent: int) -> str:
        value = values[0]
        if isinstance(value, Block) or len(values) > 1 or self.random.random() < 0.2:
            if self.random.random() < 0.3:
                return " " + self._flow(values if len(values) > 1 else value) + self._end()
            if len(values) > 1:
                return self._items(values, indent + self.random.choice([0, 1, 2, 4]))
        if not isinstance(value, Block):
            return " " + _scalar_text(value) + self._end()
        inner = self._block(value, indent + self.random.choice([1, 2, 3]))
        return self._end() + inner if inner else " {}" + self._end()

    def _items(self, values: list, indent: int) -> str:
        lines = self._end()
        for value in values:
            inner = self._block(value, indent + 2) if isinstance(value, Block) else ""
            lines += self._between(indent) + " " * indent + "-"
            if not isinstance(value, Block):
                lines += " " + _scalar_text(value) + self._end()
            elif not inner or self.random.random() < 0.2:
                lines += " " + self._flow(value) + self._end()
            elif self.random.random() < 0.5 and inner.startswith(" " * (indent + 2)):
                lines += " " + inner.lstrip(" ")
            else:
                lines += self._end() + inner
        return lines

    def _flow(self, value: object) -> str:
        def gap() -> str:
            return self.random.choice(["", " ", "", "\n" + " " * 40, " # in\n" + " " * 40])

        if isinstance(value, list):
            return "[" + gap() + ("," + gap()).join(map(self._flow, value)) + gap() + "]"
        if isinstance(value, Block):
            pairs = [
                f"{f.name}: {self._flow(f.values if len(f.values) > 1 else f.values[0])}"
                for f in value.fields
            ]
            return "{" + gap() + (", " + gap()).join(pairs) + gap() + "}"
        return _scalar_text(value)

    def _between(self, indent: int) -> str:
        place = self.random.choice([0, indent, indent, indent + 1])
        return self.random.choice(["", "", "", "\n", "\n\n\n", " " * place + "# own\n"])

    def _end(self) -> str:
        return self.random.choice(["\n", "\n", "  # behind\n", "   \n"])


def test_what_does_not_parse_is_told() -> None:
    with pytest.raises(NetspecError, match=r"net.prototxt:2:4: error: expected a value"):
        layout(Source("net.prototxt", "a: 1\nb: }"))


def test_a_layout_that_says_something_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source("net.prototxt", 'name: "a" # b\nx_unknown: 1')
    for wrong in ('name: "b"  # b\nx_unknown: 1', 'name: "a"\nx_unknown: 1', 'name: "a" # b', "{"):
        monkeypatch.setattr(layout_module, "layout_prototxt", lambda _, wrong=wrong: wrong)
        with pytest.raises(NetspecError, match="internal error"):
            layout(source)
