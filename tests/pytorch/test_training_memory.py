"""What the memory of a training step is said to be, against what PyTorch takes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import netspec
from netspec.graph import Layer
from netspec.layers import all_specs, find_spec
from netspec.layers.spec import Spec
from netspec.passes.memory_cost import memory_cost, update_scratch
from netspec.pytorch.layers import find_builder
from netspec.pytorch.solver_nets import learnable
from netspec.pytorch.updates import Updater
from netspec.schema.caffe_pb2 import SolverParameter
from netspec.schema.solver_types import SOLVER_TYPES
from tests.conftest import ROOT
from tests.pytorch.step_memory import measured, peak_of_memory, solver_of

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


def image_net(batch: int, channels: int, side: int, layers: str) -> str:
    """A net of images whose layers end with the blob "end"."""
    return f"""
layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape {{ dim: {batch} dim: {channels} dim: {side} dim: {side} }} }} }}
layer {{ name: "label" type: "Input" top: "label" input_param {{ shape {{ dim: {batch} }} }} }}
{layers}
layer {{ name: "mean" type: "Pooling" bottom: "end" top: "mean"
  pooling_param {{ pool: AVE kernel_size: 2 stride: 2 }} }}
layer {{ name: "fc" type: "InnerProduct" bottom: "mean" top: "fc"
  inner_product_param {{ num_output: 3 }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }}
"""


def conv(bottom: str, top: str, outputs: int, kernel: int = 3, more: str = "") -> str:
    return (
        f'layer {{ name: "{top}" type: "Convolution" bottom: "{bottom}" top: "{top}" {more} '
        f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} pad: {kernel // 2} }} }}"
    )


def plain(kind: str, bottom: str, top: str, more: str = "") -> str:
    name = f"{kind}_{top}"
    return f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{top}" {more} }}'


POOL = plain("Pooling", "c", "end", "pooling_param { kernel_size: 3 stride: 2 }")
BRANCHES = "".join(
    conv(f"b{i}", f"c{i}", 16)
    + plain("ReLU", f"c{i}", f"c{i}")
    + plain("LRN", f"c{i}", f"n{i}")
    + f'layer {{ name: "b{i + 1}" type: "Concat" bottom: "n{i}" bottom: "c{i}" top: "b{i + 1}" }}'
    for i in range(6)
)
STEPS = {
    # the room that LRN's gradient works in
    "lrn": image_net(4, 3, 40, conv("data", "c", 64) + plain("LRN", "c", "end")),
    "wide lrn": image_net(
        4, 3, 40, conv("data", "c", 16) + plain("LRN", "c", "end", "lrn_param { local_size: 9 }")
    ),
    # the ReLU behind the pooling: its gradient has the pooled size, and is made first
    "pooled": image_net(4, 3, 60, conv("data", "c", 64) + plain("ReLU", "c", "c") + POOL),
    "pooled apart": image_net(4, 3, 60, conv("data", "r", 64) + plain("ReLU", "r", "c") + POOL),
    # the images channels last, beside those that were fed
    "images": image_net(8, 16, 60, conv("data", "c", 16) + POOL),
    "images of one channel": image_net(
        8, 1, 60, conv("data", "b", 16, 5) + plain("ReLU", "b", "b") + conv("b", "c", 16, 5) + POOL
    ),
    # the gradient of the weights in three orders, also where it is thrown away
    "weights": image_net(2, 16, 8, conv("data", "c", 128) + conv("c", "end", 256)),
    "frozen weights": image_net(
        2, 16, 8, conv("data", "c", 128) + conv("c", "end", 256, more="param { lr_mult: 0 }")
    ),
    "frozen": image_net(
        2, 16, 8, conv("data", "c", 128) + conv("c", "end", 256, more=2 * "param { lr_mult: 0 }")
    ),
    "sigmoid": image_net(
        4, 16, 40, conv("data", "c", 32) + plain("Sigmoid", "c", "s") + conv("s", "end", 32)
    ),
    # a layer that keeps the net from lying channels last: each convolution's blobs are reordered
    "channels first": image_net(
        4,
        16,
        40,
        conv("data", "c", 32)
        + conv("c", "end", 32)
        + 'layer { name: "file" type: "HDF5Output" bottom: "label" bottom: "label" '
        'hdf5_output_param { file_name: "out.h5" } }',
    ),
    "branches": image_net(4, 16, 32, plain("ReLU", "data", "b0") + BRANCHES.replace("b6", "end")),
}


LARGE_LRN = image_net(40, 3, 32, conv("data", "c", 64) + plain("LRN", "c", "end"))


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    threads = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("checkpoint", [False, True], ids=["none", "auto"])
@pytest.mark.parametrize("text", STEPS.values(), ids=STEPS)
def test_what_a_step_takes(
    text: str,
    checkpoint: bool,
    one_thread: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    net, p = netspec.loads(text, phase="TRAIN"), solver_of("SGD")
    said = memory_cost(net, 4, p, checkpoint).step
    assert said == pytest.approx(measured(net, p, checkpoint), rel=0.05)


def test_what_lrn_works_in_grows_with_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    net = netspec.loads(LARGE_LRN, phase="TRAIN")
    said = []
    for threads in ("1", "2", "64"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        said.append(memory_cost(net).step)
    # 2^20 values a thread are 16 of these images; the batch has 40
    image = 4 * 4 * (64 + 4) * 32 * 32
    assert [said[1] - said[0], said[2] - said[1]] == [16 * image, 8 * image]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "batch", "kind", "checkpoint"),
    [
        ("alexnet", 16, "SGD", "none"),
        *(("alexnet", 4, kind, "none") for kind in SOLVER_TYPES),
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
    said, taken = next(
        map(int, line.split()[1:]) for line in done.stdout.splitlines() if line.startswith("PEAK")
    )
    assert said == pytest.approx(taken, rel=0.1)
