"""Whatever a file holds: a net or solver loads, or a NetspecError reports what is wrong.

Never a traceback, never much memory.

A longer run by hand: raise EXAMPLES, and set derandomize to False.
"""

from __future__ import annotations

import contextlib
import io
import re
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import netspec
from netspec.cli import main
from netspec.diagnostics import NetspecError
from netspec.layers import SPECS
from netspec.schema import caffe_pb2
from netspec.solver.solver_file import load_solver
from netspec.syntax.bind import unbind
from netspec.syntax.print_yaml import print_yaml
from tests.conftest import REFERENCE, ROOT
from tests.nets import input_text
from tests.syntax.messages import Writer, fields_below, messages

EXAMPLES = 120
STABLE = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
NETS = sorted(
    [
        *ROOT.glob("models/*/*[yl].prototxt"),
        *ROOT.glob("models/*/[td]*.yaml"),
        *REFERENCE.glob("upgrade/v*[ls].prototxt"),
    ]
)
NETS += sorted(REFERENCE.glob("layers/*/*.prototxt"))[::3]
SOLVERS = sorted([*ROOT.glob("models/*/solver.*"), *REFERENCE.glob("solvers/*/solver.prototxt")])
SECONDS = 10  # of one core; more than any of these files may take
MEBIBYTES = 200

# How a file is changed: each takes its text and two numbers, which say where.
Change = Callable[[bytes, int, int], bytes]
_NUMBER = re.compile(rb"(?<![\w.])-?[0-9][\w.]*")
_WORD = re.compile(rb"[A-Za-z_][\w/.]*")
_TOKEN = re.compile(rb"\w+|\"[^\"\n]*\"|[^\w\s]")
_TYPE = re.compile(rb"(type: *\"?)(\w+)")
_NUMBERS = [
    b"0",
    b"-1",
    b"1",
    b"2",
    b"4294967295",
    b"2147483647",
    b"-2147483648",
    b"9223372036854775807",
    b"18446744073709551616",
]
_NUMBERS += [
    b"1e400",
    b"nan",
    b"-inf",
    b"0.5",
    b"1e-3",
    b"010",
    b"0x7fffffff",
    b"1" * 5000,
    b"99999999999999999999",
    b"3.",
    b"1_0",
    b"true",
]
_JUNK = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"<",
    b">",
    b'"',
    b"'",
    b":",
    b",",
    b"#",
    b"-",
    b"\t",
    b"\x00",
    b"\xff",
    b"\xe2\x80\xa8",
    b"\xef\xbb\xbf",
    b"\r",
]
_JUNK += [
    b"&a ",
    b"*a",
    b"<<: *a",
    b"!!python/object:os.system ",
    b"|\n",
    b">\n",
    b"%YAML 1.1\n",
    b"---\n",
    b"? ",
    b"- ",
    b"\\",
    b"\n",
    b"~",
]
_TYPES = [*sorted(type_name.encode() for type_name in SPECS), b"", b"Nonsense", b"relu"]
_FIELDS = sorted(
    name.encode()
    for name in fields_below(caffe_pb2.NetParameter.DESCRIPTOR)
    | fields_below(caffe_pb2.SolverParameter.DESCRIPTOR)
)


def _replace(
    text: bytes, pattern: re.Pattern[bytes], where: int, new: Callable[[re.Match[bytes]], bytes]
) -> bytes:
    found = list(pattern.finditer(text))
    if not found:
        return text
    match = found[where % len(found)]
    return text[: match.start()] + new(match) + text[match.end() :]


def _swap(text: bytes, pattern: re.Pattern[bytes], a: int, b: int) -> bytes:
    found = list(pattern.finditer(text))
    if not found:
        return text
    first, second = sorted(
        (found[a % len(found)], found[b % len(found)]), key=lambda match: match.start()
    )
    if first is second:
        return text
    return (
        text[: first.start()]
        + second[0]
        + text[first.end() : second.start()]
        + first[0]
        + text[second.end() :]
    )


def _change_lines(text: bytes, a: int, b: int) -> bytes:
    """Leaves out, doubles or moves some lines."""
    lines = text.splitlines(keepends=True)
    if not lines:
        return text
    at, some = a % len(lines), b % 7 + 1
    taken = lines[at : at + some]
    if b % 3 == 0:
        del lines[at : at + some]
    to = b % len(lines) if lines else 0
    return b"".join([*lines[:to], *(taken if b % 3 else []), *lines[to:]])


def _flip(text: bytes, a: int, b: int) -> bytes:
    at = a % max(1, len(text))
    return text[:at] + bytes([text[at] ^ 1 << b % 8]) + text[at + 1 :] if text else text


CHANGES: dict[str, Change] = {
    "flip a bit": _flip,
    "cut": lambda text, a, b: text[: a % (len(text) + 1)] + text[a % (len(text) + 1) + b % 40 :],
    "end here": lambda text, a, b: text[: a % (len(text) + 1)],
    "lines": _change_lines,
    "swap tokens": lambda text, a, b: _swap(text, _TOKEN, a, b),
    "swap words": lambda text, a, b: _swap(text, _WORD, a, b),
    "number": lambda text, a, b: _replace(text, _NUMBER, a, lambda _: _NUMBERS[b % len(_NUMBERS)]),
    "type": lambda text, a, b: _replace(
        text, _TYPE, a, lambda match: match[1] + _TYPES[b % len(_TYPES)]
    ),
    "field": lambda text, a, b: _replace(text, _WORD, a, lambda _: _FIELDS[b % len(_FIELDS)]),
    "junk": lambda text, a, b: (
        text[: a % (len(text) + 1)] + _JUNK[b % len(_JUNK)] + text[a % (len(text) + 1) :]
    ),
}
MUTATIONS = st.lists(
    st.tuples(st.sampled_from(sorted(CHANGES)), st.integers(0, 10**6), st.integers(0, 10**6)),
    min_size=1,
    max_size=5,
)


def changed(text: bytes, mutations: list[tuple[str, int, int]]) -> bytes:
    for name, a, b in mutations:
        text = CHANGES[name](text, a, b)
    return text


def check(path: Path) -> None:
    """`netspec check` ends with one of its exit statuses; an error is printed where it says 1."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(["check", str(path)])
    assert status in (0, 1)
    assert (status == 1) == (
        ": error: " in err.getvalue() or err.getvalue().startswith("error: ")
    ), err.getvalue()
    assert out.getvalue().startswith(f"{path}: ")


def load(path: Path) -> None:
    """The net of both phases, or its faults, each of which can be printed."""
    for phase in ("TRAIN", "TEST"):
        try:
            net = netspec.load(path, phase=phase)
            assert all(
                blob.shape is not None and all(type(size) is int for size in blob.shape)
                for blob in net.blobs.values()
            )
        except NetspecError as error:
            reported(error)


def reported(error: NetspecError) -> None:
    assert error.diagnostics
    assert str(error)


def quickly(path: Path, *actions: Callable[[Path], None]) -> None:
    started = time.process_time()
    for action in actions:
        action(path)
    assert time.process_time() - started < SECONDS


def solve(path: Path) -> None:
    try:
        solver = load_solver(path)
        assert solver.train_net
        assert len(solver.test_nets) == len(solver.message.test_iter)
    except NetspecError as error:
        reported(error)


@STABLE
@given(st.sampled_from(NETS), MUTATIONS)
def test_mutated_nets(tmp_path: Path, source: Path, mutations: list[tuple[str, int, int]]) -> None:
    path = tmp_path / f"net{source.suffix}"
    path.write_bytes(changed(source.read_bytes(), mutations))
    quickly(path, load, check)


@STABLE
@given(st.sampled_from(SOLVERS), MUTATIONS)
def test_mutated_solvers(
    tmp_path: Path, source: Path, mutations: list[tuple[str, int, int]]
) -> None:
    path = tmp_path / f"solver{source.suffix}"
    path.write_bytes(changed(source.read_bytes(), mutations))
    quickly(path, solve, check)


@STABLE
@given(messages(caffe_pb2.NetParameter, depth=4), st.integers(0, 2**32), st.booleans())
def test_random_nets(
    tmp_path: Path, message: caffe_pb2.NetParameter, seed: int, as_yaml: bool
) -> None:
    path = tmp_path / ("net.yaml" if as_yaml else "net.prototxt")
    text = (
        print_yaml(unbind(message), message.DESCRIPTOR) if as_yaml else Writer(seed).text(message)
    )
    path.write_bytes(text.encode())
    quickly(path, load, check)


@STABLE
@given(messages(caffe_pb2.SolverParameter, depth=2), st.integers(0, 2**32))
def test_random_solvers(tmp_path: Path, message: caffe_pb2.SolverParameter, seed: int) -> None:
    path = tmp_path / "solver.prototxt"
    path.write_bytes(Writer(seed).text(message).encode())
    quickly(path, solve, check)


SIZES = st.lists(st.sampled_from([0, 1, 1, 2, 3, 4, 7, 8, 16, 2**31 - 1, 2**62]), max_size=5)


@settings(STABLE, max_examples=3 * EXAMPLES)
@given(
    st.sampled_from(sorted(SPECS)),
    st.lists(SIZES, min_size=1, max_size=4),
    st.integers(0, 3),
    messages(caffe_pb2.LayerParameter, depth=2, most=6),
)
def test_any_layer_on_any_shape(
    tmp_path: Path, kind: str, shapes: list[list[int]], tops: int, message: caffe_pb2.LayerParameter
) -> None:
    net = caffe_pb2.NetParameter(name="any")
    for i, shape in enumerate(shapes):
        net.layer.add(name=f"in{i}", type="Input", top=[f"b{i}"]).input_param.shape.add(dim=shape)
    layer = net.layer.add()
    layer.CopyFrom(message)
    layer.name, layer.type = "layer", kind
    for name in ("bottom", "top", "include", "exclude", "loss_weight", "propagate_down", "phase"):
        layer.ClearField(name)
    layer.bottom.extend(f"b{i}" for i in range(len(shapes)))
    layer.top.extend(f"t{i}" for i in range(tops))
    path = tmp_path / "net.prototxt"
    path.write_text(Writer(len(shapes)).text(net), newline="")
    quickly(path, load, check)


HUGE = "4294967295"
INPUT = input_text("data", (1, 3, 8, 8)) + "\n"
BOMBS = {
    "kernel": INPUT
    + (
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
        f"convolution_param {{ num_output: 4 kernel_size: {HUGE} pad: {HUGE} }} }}"
    ),
    "output": INPUT
    + (
        'layer { name: "c" type: "InnerProduct" bottom: "data" top: "c" '
        f"inner_product_param {{ num_output: {HUGE} }} }}"
    ),
    "window": INPUT
    + (
        'layer { name: "c" type: "Pooling" bottom: "data" top: "c" '
        f"pooling_param {{ kernel_size: 2 stride: {HUGE} pad: {HUGE} }} }}"
    ),
    "input": (
        'input: "data" input_shape { dim: 9223372036854775807 '
        "dim: 9223372036854775807 dim: 3 dim: 8 }"
    ),
    "dummy": (
        f'layer {{ type: "DummyData" top: "data" dummy_data_param {{ num: {HUGE} channels: {HUGE} '
        f"height: {HUGE} width: {HUGE} }} }}"
    ),
    "batch": (
        f'layer {{ type: "Data" top: "data" data_param {{ source: "x" batch_size: {HUGE} }} '
        f"transform_param {{ crop_size: {HUGE} }} }}"
    ),
    "axes": 'input: "data" input_shape { ' + "dim: 1 " * 5_000 + "}",
    "digits": "input_dim: " + "9" * 100_000,
    "fraction": "layer { loss_weight: " + "1" * 100_000 + "x }",
    "string": 'name: "' + "\\x41" * 100_000,
    "depth": "layer { " * 5_000,
    "depth of lists": "layer: [" * 5_000,
    "unknown fields": "".join(f"field{i}: {i}\n" for i in range(2_000)),
    "unknown blobs": INPUT
    + "".join(
        f'layer {{ name: "l{i}" type: "ReLU" bottom: "lost{i}" top: "made{i}" }}\n'
        for i in range(500)
    ),
    "comments": "# comment\n" * 5_000 + 'name: "a"',
}
YAML_BOMBS = {
    "aliases": "x-0: &a0 {name: a}\n"
    + "".join(f"x-{i}: &a{i} {{layer: [{', '.join([f'*a{i - 1}'] * 10)}]}}\n" for i in range(1, 12))
    + "layer: [*a11]\n",
    "merges": "x-0: &a {name: a}\nlayer:\n- "
    + "".join(f"k{i}: 1\n  " for i in range(2_000))
    + f"<<: [{', '.join(['*a'] * 2_000)}]\n",
    "depth": "layer: " + "[" * 5_000,
    "depth of blocks": "layer: " + "{a: " * 5_000,
    "depth by indent": "".join(" " * i + "a:\n" for i in range(2_000)),
    "list": "layer:\n" + "- {}\n" * 2_000,
    "comments": "# comment\n" * 5_000 + "name: a\n",
    "unknown": "".join(f"field{i}: {i}\n" for i in range(2_000)),
}


@pytest.mark.parametrize(
    ("text", "suffix"),
    [(t, ".prototxt") for t in BOMBS.values()] + [(t, ".yaml") for t in YAML_BOMBS.values()],
    ids=[*BOMBS, *YAML_BOMBS],
)
def test_bombs(tmp_path: Path, text: str, suffix: str) -> None:
    path = tmp_path / f"bomb{suffix}"
    path.write_text(text)
    tracemalloc.start()
    try:
        quickly(path, load)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MEBIBYTES * 2**20


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xef\xbb\xbfname: 'a'",
        b"\n" * 9,
        b"#",
        b"\x80",
        bytes(range(256)),
    ],
)
@pytest.mark.parametrize("suffix", [".prototxt", ".yaml", ".yml", ".txt", ""])
def test_odd_files(tmp_path: Path, raw: bytes, suffix: str) -> None:
    path = tmp_path / f"odd{suffix}"
    path.write_bytes(raw)
    quickly(path, load, solve, check)


def test_no_file(tmp_path: Path) -> None:
    for path in (
        tmp_path,
        tmp_path / "none.prototxt",
        tmp_path / "none.yaml",
        Path("a\0b.prototxt"),
        Path("x" * 5000),
    ):
        quickly(path, load, solve, check)
