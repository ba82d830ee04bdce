"""Random messages and mutated texts.

netspec and protobuf's own parser accept the same texts and read the same from them.

The exceptions are listed here, each with its reason. Where protobuf's Python and C++ parsers
differ, netspec goes with the C++ one, which Caffe uses.
"""

from __future__ import annotations

import re
from random import Random

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.diagnostics import NetspecError, Report, Source
from netspec.schema import caffe_pb2
from netspec.syntax import prototxt
from netspec.syntax.bind import bind, unbind
from netspec.syntax.read import parse_source
from tests.syntax.messages import Writer, fields_below, messages, oracle, read, same

KINDS = (
    caffe_pb2.NetParameter,
    caffe_pb2.SolverParameter,
    caffe_pb2.LayerParameter,
    caffe_pb2.V1LayerParameter,
    caffe_pb2.V0LayerParameter,
)
ANY_MESSAGE = st.sampled_from(KINDS).flatmap(messages)
STABLE = settings(max_examples=150, deadline=None, derandomize=True, database=None)

# What protobuf's Python parser takes and netspec refuses, with an example.
REFUSED = {
    "a plus sign, which its C++ parser refuses": (
        r"(?i)\+[0-9.ni]",
        "layer { param { lr_mult: +5 } }",
    ),
    "Python's own numbers: 1_000": (r"[0-9]_[0-9]", "layer { param { lr_mult: 1_000 } }"),
    "Python's own numbers: 0b11, 0o17": (
        r"0[bBoO][0-9]",
        "layer { loss_weight: [] convolution_param { axis: 0o17 } }",
    ),
    "more than one f behind a number": (r"[0-9.][fF]{2,}\b", "layer { param { lr_mult: 1.0ff } }"),
    "an f behind inf and nan": (
        r"(?i)\b(inf|infinity|nan)f\b",
        "layer { param { lr_mult: inff } }",
    ),
    "escapes that do not exist, kept with their backslash": (
        r"\\[^abfnrtvxXuU0-7\\'\"?]",
        r'name: "\q"',
    ),
    "Python's names of characters": (r"\\N\{", r'name: "\N{LATIN SMALL LETTER A}"'),
    "spaces and digits that are not ASCII": (r"[^\x00-\x7f]|[\x1c-\x1f]", "name:\u00a0'x'"),
}
# What netspec takes and protobuf's Python parser refuses.
TAKEN = {
    "a minus sign that stands alone, as in C++": (
        r"-\s*(#.*\n\s*)*[0-9.in]",
        "layer { param { lr_mult: - 5 } }",
    ),
    "octal escapes beyond a byte, cut to it as in C++": (r"\\[4-7][0-7][0-7]", r'name: "\400"'),
    "octal numbers of enum values, as in C++": (r"\b0[0-7]+\b", "layer { phase: 01 }"),
    "hexadecimal and octal numbers of booleans, as in C++": (
        r"\b0[xX0]?[01]\b",
        "force_backward: 0x1",
    ),
    "an empty list without a colon": (r"\w\s*(#.*\n\s*)*\[", "layer { bottom [] }"),
}
# What both take and read differently.
READ_OTHERWISE = {
    r"\? is a question mark, as in C++": (r"\\\?", r'name: "\?"'),
    r"\X41 is \x41, as in C++": (r"\\X", r'name: "\X41"'),
    "an escaped backslash begins no other escape": (
        r"\\(u005[cC]|U0000005[cC])",
        r'name: "\u005cn"',
    ),
}


def _explained(text: str, exceptions: dict[str, tuple[str, str]]) -> bool:
    return any(re.search(pattern, text) for pattern, _ in exceptions.values())


def _hold_against_oracle(text: str, kind: type[Message]) -> None:
    try:
        expected = oracle(text, kind())
    except text_format.ParseError:
        expected = None
    try:
        found = read(text, kind())
    except NetspecError:
        if expected is None or _explained(text, REFUSED):
            return
        raise
    if expected is None:
        assert _explained(text, TAKEN), "taken, though protobuf refuses it"
    else:
        assert same(found, expected) or _explained(text, READ_OTHERWISE)


@pytest.mark.parametrize(("pattern", "text"), REFUSED.values(), ids=REFUSED)
def test_refused_exceptions(pattern: str, text: str) -> None:
    assert re.search(pattern, text)
    oracle(text, caffe_pb2.NetParameter())
    with pytest.raises(NetspecError):
        read(text, caffe_pb2.NetParameter())


@pytest.mark.parametrize(("pattern", "text"), TAKEN.values(), ids=TAKEN)
def test_taken_exceptions(pattern: str, text: str) -> None:
    assert re.search(pattern, text)
    read(text, caffe_pb2.NetParameter())
    with pytest.raises(text_format.ParseError):
        oracle(text, caffe_pb2.NetParameter())


@pytest.mark.parametrize(("pattern", "text"), READ_OTHERWISE.values(), ids=READ_OTHERWISE)
def test_exceptions_in_reading(pattern: str, text: str) -> None:
    assert re.search(pattern, text)
    assert not same(read(text, caffe_pb2.NetParameter()), oracle(text, caffe_pb2.NetParameter()))


_KINDS = descriptor_pb2.FieldDescriptorProto.Type.items()
SCALARS = [
    name.removeprefix("TYPE_") for name, _ in _KINDS if name not in ("TYPE_GROUP", "TYPE_MESSAGE")
]
NUMBERS = """
0 1 -1 00 01 08 010 0x0 0x1 0X1F 0xg -0x1 -010 1f 1F 1.f 1.5f 1. .5 -.5 -0 -0.0 \
1e3 1E+3 1e-3 1e400 -1e400 1e-400
inf -INF Infinity nan -nan 2 t f true True TRUE A B -8 \
2147483647 2147483648 -2147483648 4294967295 4294967296
9223372036854775807 9223372036854775808 18446744073709551615 \
18446744073709551616 123456789012345678901234567890
3.4028235677973366e38 3.4028235677973367e38 1e39 1e-45 7e-46 0x1.8p3 1e 1e+ . 00.5 0f '1'
"""


def _message_of_scalars() -> type[Message]:
    """A message with an optional field of each scalar type.

    Caffe's schema does not use them all.
    """
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="scalars.proto", package="scalars")
    file.enum_type.add(name="Enum").value.add(name="A", number=0)
    file.enum_type[0].value.add(name="B", number=8)
    message = file.message_type.add(name="Scalars")
    for number, name in enumerate(SCALARS, 1):
        field = message.field.add(
            name=name,
            number=number,
            type=kinds.Type.Value(f"TYPE_{name}"),
            label=kinds.LABEL_OPTIONAL,
        )
        if name == "ENUM":
            field.type_name = ".scalars.Enum"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("scalars.Scalars"))


@pytest.mark.parametrize("name", SCALARS)
def test_forms_of_numbers(name: str) -> None:
    kind = _message_of_scalars()
    for number in NUMBERS.split():
        if name == "ENUM" and number.isdecimal() and int(number) > 2**31:
            continue  # protobuf's Python parser cuts it to 32 bits
        _hold_against_oracle(f"{name}: {number}", kind)


@STABLE
@given(ANY_MESSAGE, st.integers(0, 2**32))
def test_any_way_to_write_a_message(message: Message, seed: int) -> None:
    text = Writer(seed).text(message)
    assert same(oracle(text, type(message)()), message)
    assert same(read(text, type(message)()), message)


@STABLE
@given(ANY_MESSAGE)
def test_what_protobuf_prints(message: Message) -> None:
    for options in (
        {},
        {"as_one_line": True},
        {"use_short_repeated_primitives": True},
        {"pointy_brackets": True},
        {"as_utf8": True},
    ):
        assert same(read(text_format.MessageToString(message, **options), type(message)()), message)


@STABLE
@given(ANY_MESSAGE, st.integers(0, 2**32))
def test_printing_what_was_read(message: Message, seed: int) -> None:
    """The trees of a text and of a message print to a text that both parsers read alike."""
    block = parse_source(Source("net.prototxt", Writer(seed).text(message)))
    bind(block, type(message)(), Report())
    for tree in (block, unbind(message)):
        printed = prototxt.print_tree(tree)
        assert same(read(printed, type(message)()), message)
        assert same(oracle(printed, type(message)()), message)


_TOKEN = re.compile(r"\s+|#[^\n]*|\w+|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|.", re.DOTALL)
_ODD_TOKENS = [
    *"{}<>[]:;,-+.#\"'\\01\n_",
    "-1",
    "08",
    "010",
    "00.5",
    "1.",
    ".5",
    "1.f",
    "1e5",
    "1e",
    "0x",
    "0x1F",
    "0xg",
    "1.5.2",
    "nan",
]
_ODD_TOKENS += [
    "4294967296",
    "18446744073709551616",
    "1e400",
    "-nan",
    "inf",
    "-inf",
    "infinity",
    "- 1",
    "a1",
    "1a",
    "{}",
    "[]",
    "<>",
    "[1,2]",
    "[1,]",
]
_ODD_TOKENS += [
    "true",
    "True",
    "t",
    "false",
    "name",
    "layer",
    "type",
    "TEST",
    "MAX",
    "phase",
    '"a"',
    "'b'",
    '"\\n"',
    '"\\x4"',
    '"\\400"',
    ";;",
    "::",
]


def mutated(text: str, seed: int, words: list[str]) -> str:
    """A text with some of its tokens left out, doubled, exchanged or replaced."""
    random, tokens = Random(seed), _TOKEN.findall(text)
    for _ in range(random.randint(1, 3)):
        if not tokens:
            break
        i, j = random.randrange(len(tokens)), random.randrange(len(tokens))
        kind = random.randrange(6)
        if kind == 0:
            del tokens[i : i + random.randint(1, 3)]
        elif kind == 1:
            tokens[i:i] = tokens[i : i + random.randint(1, 8)]
        elif kind == 2:
            tokens[i], tokens[j] = tokens[j], tokens[i]
        elif kind == 3:
            tokens[i] = random.choice(_ODD_TOKENS)
        elif kind == 4:
            tokens[i] = random.choice(words)
        else:
            tokens.insert(i, random.choice(_ODD_TOKENS))
    return "".join(tokens)


@settings(STABLE, max_examples=400)
@given(ANY_MESSAGE, st.integers(0, 2**32))
def test_mutated_texts(message: Message, seed: int) -> None:
    words = sorted(fields_below(message.DESCRIPTOR))
    _hold_against_oracle(mutated(Writer(seed).text(message), seed, words), type(message))


@settings(STABLE, max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [
                *"{}<>[]:;,-+.#\"'\\01x \n\t",
                "name",
                "layer",
                "type",
                "phase",
                "TEST",
                "dim",
                "inf",
                "1e3",
            ]
        ),
        max_size=12,
    )
)
def test_texts_of_odd_tokens(tokens: list[str]) -> None:
    text = "".join(tokens)
    _hold_against_oracle(text, caffe_pb2.NetParameter)
    _hold_against_oracle(f"layer {{ {text} }}", caffe_pb2.NetParameter)
    _hold_against_oracle(f"layer {{ param {{ lr_mult: {text} }} }}", caffe_pb2.NetParameter)
    _hold_against_oracle(f"input_dim: {text}", caffe_pb2.NetParameter)
    _hold_against_oracle(f'name: "{text}"', caffe_pb2.NetParameter)
