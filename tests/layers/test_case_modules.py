"""Every layer case as a module: its outputs have the shapes that are inferred without torch."""

from __future__ import annotations

import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError, Report
from netspec.pytorch.layers import find_builder
from tests.layers.cases import COMPUTED, NOT_COMPUTED, Case, one

POINT = (2, 3, 1, 1)
MOVES_NOTHING = [
    one("Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }", (POINT,), (2, 1, 1, 3)),
    one("Permute", "permute_param { order: 0 order: 1 order: 2 order: 3 }", (POINT,), POINT),
    one("Transpose", "transpose_param { dim: 0 dim: 2 dim: 1 dim: 3 }", (POINT,), (2, 1, 3, 1)),
    one("Upsample", "upsample_param { scale: 1 }", (POINT,), POINT),
]


@pytest.mark.parametrize("case", COMPUTED, ids=str)
def test_outputs_have_the_inferred_shapes(case: Case) -> None:
    net = netspec.loads(case.text, report=Report())
    # 1 is a value, a label, an index and a choice of every case
    outputs = netspec.compile(net)(*(torch.ones(shape) for shape in case.bottoms))
    names = [blob.name for blob in net.layer("l").top_blobs]
    assert tuple(tuple(outputs[name].shape) for name in names) == case.tops


@pytest.mark.parametrize("case", [*COMPUTED, *MOVES_NOTHING], ids=str)
def test_a_top_that_may_be_written_over_is_no_bottom(case: Case) -> None:
    net = netspec.loads(case.text, report=Report())
    layer = net.layer("l")
    if not layer.top_blobs or not find_builder(layer).leaves_top(layer):
        return
    inputs = [torch.ones(shape) for shape in case.bottoms]
    outputs = netspec.compile(net)(*inputs)
    top = outputs[layer.top_blobs[0].name].untyped_storage()
    assert top.data_ptr() not in [each.untyped_storage().data_ptr() for each in inputs]


@pytest.mark.parametrize("case", NOT_COMPUTED, ids=str)
def test_what_is_not_computed_is_refused(case: Case) -> None:
    report = Report()
    net = netspec.loads(case.text, report=report)
    assert "is checked, not computed" in report.diagnostics[0].message
    with pytest.raises(NetspecError, match="checked, not computed"):
        netspec.compile(net)
