"""Every layer case as a module: its outputs have the shapes that are inferred without torch."""

from __future__ import annotations

import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError, Report
from tests.layers.cases import COMPUTED, NOT_COMPUTED, Case


@pytest.mark.parametrize("case", COMPUTED, ids=str)
def test_outputs_have_the_inferred_shapes(case: Case) -> None:
    net = netspec.loads(case.text, report=Report())
    # 1 is a value, a label, an index and a choice of every case
    outputs = netspec.compile(net)(*(torch.ones(shape) for shape in case.bottoms))
    names = [blob.name for blob in net.layer("l").top_blobs]
    assert tuple(tuple(outputs[name].shape) for name in names) == case.tops


@pytest.mark.parametrize("case", NOT_COMPUTED, ids=str)
def test_what_is_not_computed_is_refused(case: Case) -> None:
    report = Report()
    net = netspec.loads(case.text, report=report)
    assert "is checked, not computed" in report.diagnostics[0].message
    with pytest.raises(NetspecError, match="checked, not computed"):
        netspec.compile(net)
