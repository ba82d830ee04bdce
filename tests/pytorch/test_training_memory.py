"""What the memory of a training step is said to be, against what PyTorch takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import netspec
from netspec.graph import Layer
from netspec.layers import all_specs, find_spec
from netspec.layers.spec import Spec
from netspec.pytorch.layers import find_builder
from tests.conftest import ROOT

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


STEP = """
import sys
import torch
import netspec
from torch.profiler import ProfilerActivity, profile
from netspec.passes.memory_cost import memory_cost
from netspec.pytorch.lower import fill_params, lower
from netspec.pytorch.solver_nets import learnable
from netspec.pytorch.training_forward import TrainingForward
from netspec.pytorch.updates import Updater
from netspec.schema import caffe_pb2
from tests import published_nets

name, batch, kind, checkpoint = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4] == "auto"
if name == "alexnet":
    net = netspec.load(
        "models/bvlc_alexnet/train_val.prototxt",
        phase="TRAIN",
        inputs={"data": (batch, 3, 227, 227), "label": (batch,)},
    )
else:
    net = netspec.loads(getattr(published_nets, name)(batch, train=True), phase="TRAIN")
p = caffe_pb2.SolverParameter(type=kind, base_lr=1e-4, momentum=0.9, weight_decay=1e-4)
if kind == "Adam":
    p.momentum2, p.delta = 0.999, 1e-8
with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
    module = lower(net)
    fill_params(module, net, 1)
    updater = Updater(p, *learnable(net, module))
    data = [torch.rand(module.about.input_shapes[name]) for name in module.input_names]
    forward = TrainingForward(module, checkpoint=checkpoint)
    for step in range(2):
        updater.zero_grad()
        module.loss(forward(data)).backward()
        updater.apply(1e-4, step)
events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
live = peak = 0
for event in sorted(events, key=lambda event: event.start_ns()):
    live += event.nbytes()
    peak = max(peak, live)
print("PEAK", memory_cost(net, 4, p, checkpoint).step, peak)
"""


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
        [sys.executable, "-c", STEP, name, str(batch), kind, checkpoint],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    said, measured = next(
        map(int, line.split()[1:]) for line in done.stdout.splitlines() if line.startswith("PEAK")
    )
    assert said == pytest.approx(measured, rel=0.1)
