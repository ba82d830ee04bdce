"""What the memory of a training step is said to be, against what PyTorch takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import netspec
from netspec.graph import Layer
from netspec.layers import all_specs, find_spec
from netspec.layers.spec import Spec
from netspec.passes.memory_cost import update_scratch
from netspec.pytorch.layers import find_builder
from netspec.pytorch.solver_nets import learnable
from netspec.pytorch.updates import Updater
from netspec.schema.caffe_pb2 import SolverParameter
from netspec.schema.solver_types import SOLVER_TYPES
from tests.conftest import ROOT
from tests.pytorch.step_memory import peak_of_memory, solver_of

# They take data that mean something, or run code.
UNFED = {"DetectionOutput", "DetectionEvaluate", "MultiBoxLoss", "Python", "Silence"}
# What they keep depends on the data, or is counted as more than it is: all of their bottoms.
ROUGH = {"PSROIPooling", "Axpy", "LSTMUnit", "MarginInnerProduct", "LargeMarginInnerProduct"}


def spec_cases() -> list[Spec]:
    return [
        spec
        for spec in all_specs().values()
        if not spec.is_source and not spec.not_computed and spec.type not in UNFED
    ]


def last_layer(spec: Spec) -> Layer:
    dialect = spec.dialects[0] if spec.dialects else None
    text = spec.example.text(spec.type)
    return netspec.loads(text, phase="TRAIN", dialect=dialect, allow_unknown=True).layers[-1]


@pytest.mark.parametrize("spec", spec_cases(), ids=lambda spec: spec.name)
def test_the_specs_know_which_tops_may_be_written_over(spec: Spec) -> None:
    layer = last_layer(spec)
    kept = find_spec(layer.spec_name).kept(layer)
    assert kept.top_is_free == find_builder(layer).leaves_top(layer)
    assert not (kept.top_is_free and kept.tops)


@pytest.mark.parametrize(
    "spec",
    [spec for spec in spec_cases() if spec.type not in ROUGH and "Loss" not in spec.type],
    ids=lambda spec: spec.name,
)
def test_what_a_layer_keeps(spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # HDF5Output writes there
    dialect = spec.dialects[0] if spec.dialects else None
    text = spec.example.text(spec.type)
    net = netspec.loads(text, phase="TRAIN", dialect=dialect, allow_unknown=True)
    layer = net.layers[-1]
    module = netspec.compile(net, seed=1).train().requires_grad_(True)
    params = {p.untyped_storage().data_ptr() for p in module.parameters()}
    data = {
        blob.name: torch.rand(blob.shape or ()).requires_grad_(i not in spec.unforced)
        for i, blob in enumerate(layer.bottom_blobs)
    }
    saved: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in params:
            saved[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        outputs = module(**data)
    measured = sum(storage.nbytes() for storage in saved.values())
    kept = find_spec(layer.spec_name).kept(layer)
    bottoms, tops = (
        4 * sum(blob.count for blob in blobs) for blobs in (layer.bottom_blobs, layer.top_blobs)
    )
    said = bottoms * kept.bottoms + tops * kept.tops + 4 * kept.values + kept.bytes
    assert outputs is not None
    # statistics of channels, indices of rows, flags of timesteps
    assert abs(said - measured) <= max(8192, 0.05 * measured)


TWO_LAYERS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 60 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
layer { name: "one" type: "InnerProduct" bottom: "data" top: "one" param { decay_mult: 1 }
  param { decay_mult: 0 } inner_product_param { num_output: 500 } }
layer { name: "two" type: "InnerProduct" bottom: "one" top: "two" param { lr_mult: 2 }
  param { decay_mult: 0 } inner_product_param { num_output: 30 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "two" bottom: "label" top: "loss" }
"""


@pytest.mark.parametrize("more", [{}, {"regularization_type": "L1"}, {"snapshot_diff": True}])
@pytest.mark.parametrize("kind", SOLVER_TYPES)
def test_what_an_update_takes(kind: str, more: dict[str, Any]) -> None:
    net, p = netspec.loads(TWO_LAYERS, phase="TRAIN"), solver_of(kind)
    p.MergeFrom(SolverParameter(**more))
    module = netspec.compile(net, seed=1).train().requires_grad_(True)
    updater = Updater(p, *learnable(net, module))
    data = [torch.rand(module.about.input_shapes[name]) for name in module.input_names]
    module.loss(module(*data)).backward()
    with peak_of_memory() as found:
        updater.apply(1e-4, 0)
    assert update_scratch(net, 4, p) == pytest.approx(found[0], abs=64)  # the steps' numbers


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "batch", "kind", "checkpoint"),
    [
        ("alexnet", 16, "SGD", "none"),
        ("alexnet", 4, "Adam", "none"),
        ("googlenet", 8, "SGD", "none"),
        ("googlenet", 8, "SGD", "auto"),
        ("resnet50", 4, "SGD", "none"),
        ("resnet50", 8, "SGD", "auto"),
        ("resnet50", 2, "AdaDelta", "none"),
    ],
)
def test_a_training_step_takes_what_is_said(
    name: str, batch: int, kind: str, checkpoint: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.pytorch.step_memory", name, str(batch), kind, checkpoint],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    said, measured = next(
        map(int, line.split()[1:]) for line in done.stdout.splitlines() if line.startswith("PEAK")
    )
    assert said == pytest.approx(measured, rel=0.1)
