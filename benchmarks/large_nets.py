"""Parsing, checking and inferring a net of 1,000 layers, and one of twice as many."""

from __future__ import annotations

import tempfile
from pathlib import Path

import netspec
from benchmarks.side_by_side import interleaved, report

_BLOCK = """
layer {{ name: "conv{i}" type: "Convolution" bottom: "{before}" top: "conv{i}"
  param {{ lr_mult: 1 }} param {{ lr_mult: 2 }}
  convolution_param {{ num_output: 8 kernel_size: 3 pad: 1 weight_filler {{ type: "xavier" }}
    bias_filler {{ type: "constant" value: 0.1 }} }} }}
layer {{ name: "bn{i}" type: "BatchNorm" bottom: "conv{i}" top: "conv{i}"
  batch_norm_param {{ moving_average_fraction: 0.99 }} }}
layer {{ name: "scale{i}" type: "Scale" bottom: "conv{i}" top: "conv{i}"
  scale_param {{ bias_term: true }} }}
layer {{ name: "relu{i}" type: "ReLU" bottom: "conv{i}" top: "conv{i}" }}
layer {{ name: "sum{i}" type: "Eltwise" bottom: "{before}" bottom: "conv{i}" top: "sum{i}"
  eltwise_param {{ operation: SUM }} }}
"""


def net_text(layers: int) -> str:
    """A residual net of about that many layers."""
    text = [
        (
            'name: "Large"\nlayer { name: "data" type: "Input" top: "data" '
            "input_param { shape { dim: 1 dim: 8 dim: 32 dim: 32 } } }"
        )
    ]
    before = "data"
    for i in range(layers // 5):
        text.append(_BLOCK.format(i=i, before=before))
        before = f"sum{i}"
    return "\n".join(text)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for layers in (1000, 2000):
            paths[layers] = Path(folder) / f"{layers}.prototxt"
            paths[layers].write_text(net_text(layers))
        variants = {
            f"{layers} layers": lambda path=path: netspec.load(path)
            for layers, path in paths.items()
        }
        seconds = interleaved(variants, rounds=15)
    report(
        "parse, check and infer (1,000 layers: at most 1 s is asked for)",
        seconds,
        "2000 layers",
        "1000 layers",
        bound=2.3,
    )
