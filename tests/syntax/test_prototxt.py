"""prototxt: all that text format allows, each syntax error at its place, comments kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format

from netspec.diagnostics import NetspecError, Report, Source
from netspec.schema import caffe_pb2
from netspec.syntax import prototxt
from netspec.syntax.bind import bind, unbind
from netspec.syntax.read import file_kind, parse_source, read_source
from tests.conftest import REFERENCE, ROOT
from tests.syntax.messages import faults, oracle, read, same

# protobuf's own reader knows no field of a fork
FILES = sorted(
    path
    for path in [*REFERENCE.rglob("*.prototxt"), *ROOT.glob("models/**/*.prototxt")]
    if REFERENCE / "forks" not in path.parents and path.parent.name != "ssd_digits"
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_bind_to_what_protobuf_reads(path: Path) -> None:
    source = read_source(path)
    block = parse_source(source)
    kind = file_kind(block)
    expected = oracle(path.read_text(), kind())
    message, report = kind(), Report()
    bind(block, message, report)
    assert not report.diagnostics
    assert message == expected
    printed = prototxt.print_tree(block)
    assert read(printed, kind()) == expected
    assert oracle(printed, kind()) == expected
    assert printed.count("#") == source.text.count("#")  # no text of these files holds one


# Texts of a NetParameter, held against protobuf's own parser.
FEATURES = {
    "field { }": 'layer { name: "a" }',
    "field: { }": 'layer: { name: "a" param: { lr_mult: 1 } }',
    "< >": 'layer < name: "a" param < lr_mult: 1 > >',
    "field: < >": 'layer: < name: "a" >',
    "braces within angles": 'layer < param { name: "<" } >',
    "empty blocks": "layer { } layer: <> layer{}",
    "nothing": "",
    "nothing but space": " \n\t\r\n\v\f ",
    "nothing but a comment": "# nothing",
    "lists of numbers": "input_dim: [1, 3, 8, 8]",
    "lists of texts": 'layer { bottom: ["a", "b" "c", \'d\'] }',
    "lists of blocks": 'layer: [{ name: "a" }, < name: "b" >]',
    "lists of blocks without a colon": 'layer [{ name: "a" }, { name: "b" }]',
    "lists of enum values": "layers { blob_share_mode: [STRICT, 1, PERMISSIVE] }",
    "a list of one": "input_dim: [7]",
    "empty lists": "input_dim: [] layer: [] layer [] input: []",
    "lists added up": "input_dim: [1, 2] input_dim: 3 input_dim: [4]",
    "adjacent texts": "name: \"a\" 'b'\n\"c\" # and\n'd'",
    "texts with the other quote": 'input: "it\'s" input: \'say "yes"\'',
    "escapes by letter": r'name: "\a\b\f\n\r\t\v\\\'\""',
    "escapes in octal": r'name: "\1\12\101\1012\0\377"'.replace(r"\377", r"\303\251"),
    "escapes in hex": r'name: "\x4\x41\x4g\x414"',
    "escapes in unicode": r'name: "\u00e9\U0001F600é😀"',
    "an escaped backslash": r'name: "\\n\\x41\\101\\u0041"',
    "control characters as they are": 'name: "\t\r\v\x01\x7f"',
    "separators": (
        'name: "a"; input_dim: 1, input_dim: 2; layer { name: "b", type: "c"; }, layer {};'
    ),
    "no space anywhere": (
        'name:"a"input:"b"layer{name:"c"type:"d"}input_dim:[1,2]force_backward:true'
    ),
    "enum names and numbers": (
        "layer { phase: TEST } layer { phase: 1 } layer { phase: 0 } layer { phase: 0x1 }"
    ),
    "old enums": "layers { type: CONVOLUTION } layers { type: 4 } layers { type: NONE }",
    "decimal": (
        "input_dim: 0 input_dim: -0 input_dim: 7 input_dim: "
        "-12 input_dim: 2147483647 input_dim: -2147483648"
    ),
    "hex": (
        "input_dim: 0x1F input_dim: 0Xab input_dim: -0x10 input_dim: "
        "0x0000000000000000000000000000000000000001"
    ),
    "octal": "input_dim: 010 input_dim: -017 input_dim: 00 input_dim: 0777",
    "64 bits": (
        "layer { reshape_param { shape { dim: 9223372036854775807 dim: -9223372036854775808 } } }"
    ),
    "unsigned": "layer { convolution_param { num_output: 4294967295 pad: 0 } }",
    "floats": (
        "layer { loss_weight: [1, -1, 1.5, .5, -.5, 5., 1e3, 1E-3, 1e+3, 0.1, -0, 0., 00] }"
    ).replace(", 00", ""),
    "floats with f": "layer { loss_weight: [1f, 1.f, 1.0f, .5F, 1e3f, -2.5F, 0f] }",
    "inf and nan": "layer { loss_weight: [inf, -inf, nan, Infinity, -INFINITY, NaN] }",
    "floats beyond 32 bits": (
        "layer { loss_weight: [1e400, -1e39, 1e-50, 3.4028235e38, 3.4028236e38] }"
    ),
    "many digits": "layer { loss_weight: 0.1000000014901161193847656250000000000000001 }",
    "booleans": "layer { propagate_down: [true, false, True, False, t, f, 1, 0] }",
    "comments in odd places": (
        '#\nlayer # a\n: # b\n{ # c\nname # d\n: # e\n"x" # f\n"y" ; # g\n'
        "input_param { # h\n} # i\n} # j"
    ),
    "comments in lists": "input_dim # a\n: [ # b\n1 # c\n, # d\n2 # e\n] # f",
    "quotes and braces in comments": 'name: "a" # it\'s "not } { a field: [\nforce_backward: true',
    "no comment in a text": 'name: "a # b"',
    "carriage returns": 'name: "a"\r\nlayer {\r\n  name: "b" # c\r\n}\r\n',
    "words that are values elsewhere": 'name: "true" layer { name: "inf" type: "TEST" }',
    "field names that are keywords of nothing": "debug_info: t state { level: 1 stage: 'name' }",
}


@pytest.mark.parametrize("text", FEATURES.values(), ids=FEATURES)
def test_features(text: str) -> None:
    expected = oracle(text, caffe_pb2.NetParameter())
    assert same(read(text, caffe_pb2.NetParameter()), expected)
    block = parse_source(Source("net.prototxt", text))
    bind(block, caffe_pb2.NetParameter(), Report())
    for tree in (block, unbind(expected)):
        printed = prototxt.print_tree(tree)
        assert same(oracle(printed, caffe_pb2.NetParameter()), expected)
        assert same(read(printed, caffe_pb2.NetParameter()), expected)


def test_cpp_parser_and_not_python_parser() -> None:
    """Where the two differ, Caffe's is the one to follow."""
    assert read(r'name: "\?\X41\400"', caffe_pb2.NetParameter()).name == "?A\0"
    assert read(
        "input_dim: - 5 input_dim: -\n# minus what\n7", caffe_pb2.NetParameter()
    ).input_dim == [-5, -7]


# The text; line, column and message of its one fault.
ERRORS = {
    "no closing brace": (
        'layer {\n  name: "a"\n',
        "3:1: expected a field name or '}', got end of the file",
    ),
    "no closing angle": ('layer <\n  name: "a"\n}', "3:1: expected a field name or '>', got '}'"),
    "a brace too many": ("layer { }\n}", "2:1: expected a field name, got '}'"),
    "no colon": ('name "a"', "1:6: expected ':' or '{' after 'name', got '\"a\"'"),
    "no colon before a number": (
        "layer {\n  pad 2\n}",
        "2:7: expected ':' or '{' after 'pad', got '2'",
    ),
    "no colon before a list of scalars": (
        "input_dim [1]",
        "1:11: expected ':' after 'input_dim', got '['",
    ),
    "no value": (
        "name:\nforce_backward: true",
        "1:1: expected a value after 'name:', got the next field, 'force_backward'",
    ),
    "no value before a block": (
        "layer { type:\nparam { } }",
        "1:9: expected a value after 'type:', got the next field, 'param'",
    ),
    "no value before the end": ("name:", "1:6: expected a value, got end of the file"),
    "no value before a brace": ("layer { name: }", "1:15: expected a value, got '}'"),
    "equals": ('name = "a"', "1:6: '=' has no meaning in a prototxt"),
    "a value first": ('"a": 1', "1:1: expected a field name, got '\"a\"'"),
    "a number first": ("1: 2", "1:1: expected a field name, got '1'"),
    "two separators": ("force_backward: true,,", "1:22: expected a field name, got ','"),
    "a separator first": ("; name: 'a'", "1:1: expected a field name, got ';'"),
    "no closing quote": (
        'name: "abc\nlayer {}',
        "1:7: this string has no closing quote on its line",
    ),
    "no closing quote after a backslash": (
        'name: "abc\\',
        "1:7: this string has no closing quote on its line",
    ),
    "an escaped closing quote": (
        'name: "abc\\"',
        "1:7: this string has no closing quote on its line",
    ),
    "no comma in a list": ("input_dim: [1 2]", "1:15: expected ',' or ']' in the list, got '2'"),
    "a comma too many in a list": ("input_dim: [1, ]", "1:16: expected a value, got ']'"),
    "a list in a list": ("input_dim: [[1]]", "1:13: expected a value, got '['"),
    "a list without an end": ("input_dim: [1,", "1:15: expected a value, got end of the file"),
    "a unit behind a number": ("input_dim: 12px", "1:12: '12px' is not a number"),
    "two points in a number": ("layer { loss_weight: 1.2.3 }", "1:22: '1.2.3' is not a number"),
    "half a number": ("layer { loss_weight: 1e }", "1:22: '1e' is not a number"),
    "half a hex number": ("input_dim: 0x", "1:12: '0x' is not a number"),
    "a point": ("layer { loss_weight: . }", "1:22: '.' is not a number"),
    "a minus before nothing": ("input_dim: -", "1:12: expected a value, got '-'"),
    "two minus": ("input_dim: --5", "1:12: expected a value, got '-'"),
    "a hyphen in a name": ("layer-name: 1", "1:6: expected ':' or '{' after 'layer', got '-'"),
    "an escape without digits": (r'name: "\x"', "1:7: '\\x' is not an escape of a string"),
    "half a unicode escape": (r'name: "\u12"', "1:7: '\\u' is not an escape of a string"),
    "a surrogate": (r'name: "\ud800"', "1:7: '\\ud800' is not an escape of a string"),
    "beyond unicode": (r'name: "\U00110000"', "1:7: '\\U00110000' is not an escape of a string"),
    "typographic quotes": ("name: “a”", "1:7: '“' has no meaning in a prototxt"),
    "a comment of another language": ("// name", "1:1: '/' has no meaning in a prototxt"),
    "a control character": ("name: \x00", "1:7: the character U+0000 has no meaning in a prototxt"),
    "an extension": ("[caffe.x]: 1", "1:1: expected a field name, got '['"),
    "the first of two": ("name 5\nname: 'a", "1:6: expected ':' or '{' after 'name', got '5'"),
    "half a number behind a minus": ("input_dim: -1x", "1:13: '1x' is not a number"),
    "too deep": ("a{" * 101, "1:203: blocks are nested deeper than 100"),
}
# protobuf's Python parser takes these, its C++ parser does not
ONLY_OURS = {
    "a plus": ("input_dim: +5", "1:12: '+' has no meaning in a prototxt"),
    "a wrong escape": ("name: 'a'\n  'b\\q'", "2:3: '\\q' is not an escape of a string"),
    "a space that is none": (
        "name:\u00a0'a'",
        "1:6: the character U+00A0 has no meaning in a prototxt",
    ),
}


@pytest.mark.parametrize(("text", "message"), ERRORS.values(), ids=ERRORS)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(text_format.ParseError):
        oracle(text, caffe_pb2.NetParameter())
    assert faults(text, caffe_pb2.NetParameter()) == [message]


@pytest.mark.parametrize(("text", "message"), ONLY_OURS.values(), ids=ONLY_OURS)
def test_errors_that_protobuf_for_python_overlooks(text: str, message: str) -> None:
    assert faults(text, caffe_pb2.NetParameter()) == [message]


def test_an_equals_sign_has_a_hint() -> None:
    with pytest.raises(NetspecError) as caught:
        prototxt.parse(Source("solver.prototxt", "base_lr = 0.1"))
    assert str(caught.value).endswith("\n  hint: a field and its value have a ':' between them")


def test_an_unclosed_block_is_shown() -> None:
    with pytest.raises(NetspecError) as caught:
        prototxt.parse(Source("net.prototxt", "layer {\n  param {\n    lr_mult: 1\n}\n"))
    assert str(caught.value) == (
        "net.prototxt:5:1: error: expected a field name or '}', got end of the file\n"
        "net.prototxt:1:7: note: this '{' is not closed"
    )


def test_columns_count_characters() -> None:
    assert faults('name: "é\u4e2d" 5', caffe_pb2.NetParameter()) == [
        "1:12: expected a field name, got '5'"
    ]
    assert faults("\t\tname 5", caffe_pb2.NetParameter()) == [
        "1:8: expected ':' or '{' after 'name', got '5'"
    ]
    assert faults("\r\nname 5\r\n", caffe_pb2.NetParameter()) == [
        "2:6: expected ':' or '{' after 'name', got '5'"
    ]


def _net_of(path: Path, raw: bytes) -> caffe_pb2.NetParameter:
    path.write_bytes(raw)
    message, report = caffe_pb2.NetParameter(), Report()
    bind(parse_source(read_source(path)), message, report)
    report.raise_errors()
    return message


def test_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    """Harmless in comments, where old files have them; an error in texts and outside."""
    path = tmp_path / "net.prototxt"
    assert _net_of(path, b"# caf\xe9\nname: 'a' # \xff\n").name == "a"
    with pytest.raises(
        NetspecError,
        match=(
            r"net.prototxt:1:7: error: 'name' takes a text in quotes, got 'caf\\xe9'\n.*\n.*\n  "
            r"hint: the text is not UTF-8"
        ),
    ):
        _net_of(path, b"name: 'caf\xe9'")
    with pytest.raises(
        NetspecError,
        match="1:7: error: the byte 0xE9, which is no UTF-8, has no meaning in a prototxt",
    ):
        _net_of(path, b"name: \xe9")
    with pytest.raises(NetspecError, match="hint: the text is not UTF-8"):
        _net_of(path, rb"name: '\351'")


def test_a_byte_order_mark_is_harmless(tmp_path: Path) -> None:
    assert _net_of(tmp_path / "net.prototxt", b"\xef\xbb\xbfname: 'a'").name == "a"


COMMENTED = """# the head of the file
#
# three lines
name: "a"  # behind a value
# above a block
layer {  # behind a brace
  # above a field
  name: "b"  # behind, with { " } ' # in it
  type: "c"  # one; # two
  bottom: "x"  # behind the first
  bottom: "y"
  # at the end of a block
}  # behind a block
layer {
  # alone in a block
}
# at the end of the file
"""


def _printed(text: str) -> str:
    block = prototxt.parse(Source("net.prototxt", text))
    bind(block, caffe_pb2.NetParameter(), Report())
    return prototxt.print_tree(block)


def test_comments_stay_where_they_stood() -> None:
    expected = COMMENTED.replace("layer {  # behind a brace\n", "layer {\n  # behind a brace\n")
    assert _printed(COMMENTED) == expected
    assert _printed(expected) == expected


def test_comments_between_the_parts_of_a_field_go_above_it() -> None:
    assert (
        _printed('name # one\n: # two\n"a" # three\n"b" # four\n')
        == '# one\n# two\n# three\nname: "ab"  # four\n'
    )
    assert (
        _printed("input_dim: [ # one\n1, # two\n2 # three\n] # four\n")
        == "# one\n# two\n# three\ninput_dim: 1\ninput_dim: 2  # four\n"
    )


def test_values_are_printed_in_one_form() -> None:
    text = (
        "layer { propagate_down: [t, 0] phase: 1 loss_weight: [1.f, 0.10, 1e-3, Infinity] "
        "pooling_param { kernel_size: 0x10 pad: 010 } }"
    )
    assert _printed(text) == (
        "layer {\n  propagate_down: true\n  propagate_down: false\n  phase: TEST\n"
        "  loss_weight: 1\n  loss_weight: 0.1\n"
        "  loss_weight: 0.001\n  loss_weight: inf\n  pooling_param {\n    kernel_size: 16\n"
        "    pad: 8\n  }\n}\n"
    )
    assert _printed("name: 'a\"\\n\\x01\\\\é'") == 'name: "a\\"\\n\\001\\\\é"\n'
