"""The gradients that Caffe loses are reported."""

from __future__ import annotations

from pathlib import Path

import pytest

import netspec
from netspec.diagnostics import Report

NET = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "a" inner_product_param { num_output: 3 } }
%s
layer { name: "f" type: "%s" bottom: "v" top: "f" %s }
layer { name: "l" type: "Reduction" bottom: "f" top: "l" loss_weight: 1 }
%s
"""
RESHAPE = (
    'layer { name: "v" type: "Reshape" bottom: "a" top: "v" '
    "reshape_param { shape { dim: 6 dim: 1 } } }"
)
CONCAT = 'layer { name: "v" type: "Concat" bottom: "a" top: "v" }'
JOINED = 'layer { name: "v" type: "Concat" bottom: "a" bottom: "x" top: "v" }'
RELU = 'layer { name: "r" type: "ReLU" bottom: "v" top: "v" }'
READER = 'layer { name: "s" type: "Silence" bottom: "v" }'
TO_VECTOR = "reshape_param { shape { dim: 0 dim: -1 } }"


def warnings(text: str, path: Path, phase: str) -> list[str]:
    (path / "net.prototxt").write_text(text)
    report = Report()
    netspec.load(path / "net.prototxt", phase=phase, report=report)
    return [str(d.message) for d in report.diagnostics]


@pytest.mark.parametrize("between", [RESHAPE, CONCAT, RESHAPE + RELU])
def test_a_flatten_takes_the_gradient_away(between: str, tmp_path: Path) -> None:
    (message,) = warnings(NET % (between, "Flatten", "", ""), tmp_path, "TRAIN")
    assert "layer 'f': Caffe loses the gradient of 'v'" in message


@pytest.mark.parametrize(
    ("between", "type_", "settings", "more", "phase"),
    [
        (JOINED, "Flatten", "", "", "TRAIN"),
        (RESHAPE, "Reshape", TO_VECTOR, "", "TRAIN"),
        (RESHAPE, "Flatten", "", READER, "TRAIN"),
        (RESHAPE, "Flatten", "", "", "TEST"),
        (RESHAPE.replace('"a"', '"x"'), "Flatten", "", "", "TRAIN"),
    ],
)
def test_where_nothing_is_lost_nothing_is_reported(
    between: str, type_: str, settings: str, more: str, phase: str, tmp_path: Path
) -> None:
    assert warnings(NET % (between, type_, settings, more), tmp_path, phase) == []
