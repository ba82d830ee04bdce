"""Texts of any size: read in a time that grows with them, or refused with their place."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import pytest

import netspec
from netspec.diagnostics import NetspecError, Source
from netspec.syntax import prototxt, read, yaml_text
from netspec.syntax.tree import MAX_PARTS

DATA = 'layer { name: "data" type: "Input" top: "b0" input_param { shape { dim: 2 dim: 3 } } }\n'
LAYER = (
    "layer {{\n  name: 'l{0}'  # a comment\n  type: 'ReLU'\n"
    "  bottom: 'b{0}'\n  top: 'b{1}'\n  {2}\n}}\n"
)


@pytest.mark.parametrize(
    ("module", "suffix", "what"),
    [(prototxt, ".prototxt", "words, numbers and signs"), (yaml_text, ".yaml", "values")],
)
def test_a_text_of_too_many_parts(
    monkeypatch: pytest.MonkeyPatch, module: object, suffix: str, what: str
) -> None:
    monkeypatch.setattr(module, "MAX_PARTS", 20)
    with pytest.raises(NetspecError) as caught:
        read.parse_source(
            Source("net" + suffix, "name: n\n" * 3 + "input_dim: [" + "1, " * 20 + "1]\n")
        )
    (fault,) = caught.value.diagnostics
    assert (
        fault.message == f"the text has more than 20 {what}, the most that is read"
        or "stands twice" in fault.message
    )
    assert fault.span is not None


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "MAX_BYTES", 2**20)
    path = tmp_path / "net.prototxt"
    path.write_text("#" * (2**20 + 1))
    with pytest.raises(
        NetspecError, match="more than the 1 MiB that a net or solver file may have"
    ):
        netspec.load(path)


def _seconds(text: str, tmp_path: Path) -> float:
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    start = time.process_time()
    with suppress(NetspecError):
        netspec.load(path)
    return time.process_time() - start


# What makes a layer's fields wrong, or many of something.
KINDS = {
    "right": lambda n: "".join(LAYER.format(i, i + 1, "") for i in range(n)),
    "unknown fields": lambda n: "".join(LAYER.format(i, i + 1, "x: 1") for i in range(n)),
    "missing blobs": lambda n: "".join(LAYER.format(f"0x{i}", i + 1, "") for i in range(n)),
    "faulty layers beside unread data": lambda n: "".join(
        (
            f'layer {{ type: "DummyData" top: "y{i}" top: "z{i}" '
            'dummy_data_param { shape { dim: 1 } } } layer { foo: 1 type: "ReLU" }\n'
        )
        for i in range(n)
    ),
    "bottoms of one layer": lambda n: (
        'layer { type: "Concat" top: "c" ' + 'bottom: "b0" ' * (3 * n) + "}"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_time_grows_with_the_text(kind: str, tmp_path: Path) -> None:
    small, large = (_seconds(DATA + KINDS[kind](n), tmp_path) for n in (4000, 16000))
    # 4 times, were it alone on the machine; 16 times, were it quadratic
    assert large < 10 * small + 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        DATA + LAYER.format(0, 1, "x: 1") * 1_000_000,
        "x: 1 " * 1_000_000,
        "input_dim: [" + "1,\n" * 2_000_000 + "1]",
    ],
)
def test_what_is_too_large_is_refused_soon(text: str, tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    start = time.process_time()
    with pytest.raises(NetspecError, match=f"{MAX_PARTS:,} words|more than the 16 MiB"):
        netspec.load(path)
    assert time.process_time() - start < 10
