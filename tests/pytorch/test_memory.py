"""A net for which the memory does not suffice is refused before its params are made."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import netspec
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.pytorch import memory

TEXT = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1000 } } }
layer { name: "f" type: "InnerProduct" bottom: "x" top: "y" \
inner_product_param { num_output: 2000000 } }
"""


def test_params_that_nobody_can_hold(
    load_text: Callable[..., Net], monkeypatch: pytest.MonkeyPatch
) -> None:
    net = load_text(TEXT)  # its shapes are no trouble
    monkeypatch.setattr(memory, "free_memory", lambda: 2**31)
    with pytest.raises(
        NetspecError,
        match=(
            r"net.prototxt:3:25: error: layer 'f': its params take 7.5 GiB, "
            r".* of which 2.0 GiB are free"
        ),
    ):
        netspec.compile(net)


def test_the_system_reports_what_is_free() -> None:
    free = memory.free_memory()
    assert free is None or free > 2**20
