"""Every layer case without torch: its tops, multiply-adds and params."""

from __future__ import annotations

import pytest

import netspec
from netspec.diagnostics import Report
from tests.layers.cases import CASES, Case


@pytest.mark.parametrize("case", CASES, ids=str)
def test_shapes_and_cost(case: Case) -> None:
    layer = netspec.loads(case.text, report=Report()).layer("l")
    assert tuple(blob.shape for blob in layer.top_blobs) == case.tops
    if case.macs is not None:
        assert layer.macs == case.macs
    if case.params is not None:
        assert tuple(param.shape for param in layer.params) == case.params
