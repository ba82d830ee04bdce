"""Nets that run layer by layer on blobs, as in pycaffe, against netspec's modules and solver.

What a layer costs beside its computing, some 0.05 ms, shows where nets or batches are tiny.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import netspec
import netspec.pycaffe as caffe
from benchmarks.side_by_side import interleaved, report

MODELS = Path(__file__).parent.parent / "models/bvlc_alexnet"
LENET = """
layer { name: 'conv1' type: 'Convolution' bottom: 'data' top: 'conv1'
  convolution_param { num_output: 20 kernel_size: 5 weight_filler { type: 'xavier' } } }
layer { name: 'pool1' type: 'Pooling' bottom: 'conv1' top: 'pool1'
  pooling_param { kernel_size: 2 stride: 2 } }
layer { name: 'conv2' type: 'Convolution' bottom: 'pool1' top: 'conv2'
  convolution_param { num_output: 50 kernel_size: 5 weight_filler { type: 'xavier' } } }
layer { name: 'pool2' type: 'Pooling' bottom: 'conv2' top: 'pool2'
  pooling_param { kernel_size: 2 stride: 2 } }
layer { name: 'ip1' type: 'InnerProduct' bottom: 'pool2' top: 'ip1'
  inner_product_param { num_output: 500 weight_filler { type: 'xavier' } } }
layer { name: 'relu1' type: 'ReLU' bottom: 'ip1' top: 'ip1' }
layer { name: 'ip2' type: 'InnerProduct' bottom: 'ip1' top: 'ip2'
  inner_product_param { num_output: 10 weight_filler { type: 'xavier' } } }
layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'ip2' bottom: 'label' top: 'loss' }
"""
DUMMY = """
layer {{ name: 'data' type: 'DummyData' top: 'data' top: 'label' dummy_data_param {{
  shape {{ {shape} }} shape {{ dim: {batch} }}
  data_filler {{ type: 'constant' value: 0.5 }} data_filler {{ type: 'constant' value: 3 }} }} }}
"""


def alexnet(batch: int) -> str:
    """bvlc_alexnet's train net on constants."""
    text = (MODELS / "train_val.prototxt").read_text()
    layers = text[text.index('layer {\n  name: "conv1"') :]
    return _dummy(batch, 3, 227) + layers


def _dummy(batch: int, channels: int, size: int) -> str:
    shape = " ".join(f"dim: {dim}" for dim in (batch, channels, size, size))
    return DUMMY.format(shape=shape, batch=batch)


def _forward(path: str, shape: tuple[int, ...], rounds: int) -> None:
    module = netspec.compile(path)
    net = caffe.Net(path, caffe.TEST)
    seen = caffe.Net(path, caffe.TEST)
    data = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for one in (net, seen):
        one.blobs["data"].data[...] = data
    for blob in seen.blobs.values():
        blob.data.sum()
    inputs = torch.from_numpy(data)

    def run_module() -> None:
        with torch.no_grad():
            module(inputs)

    variants: dict[str, Callable[[], object]] = {
        "module": run_module,
        "net": net.forward,
        "net, every blob seen": seen.forward,
    }
    seconds = interleaved(variants, rounds, 3)
    for name in ("net", "net, every blob seen"):
        report(f"{name}.forward() of {path}, shape {shape}", seconds, name, "module", bound=1.1)


def _step(name: str, text: str, folder: str, rounds: int, steps: int) -> None:
    net, solver = Path(folder, f"{name}.prototxt"), Path(folder, f"{name}_solver.prototxt")
    net.write_text(text)
    solver.write_text(
        f"net: '{net}' base_lr: 1e-4 lr_policy: 'fixed' momentum: 0.9 weight_decay: 5e-4 "
        "max_iter: 100000 random_seed: 1"
    )
    own, other = netspec.Solver(solver, device="cpu"), caffe.SGDSolver(str(solver))
    seconds = interleaved(
        {"netspec.Solver": lambda: own.step(steps), "caffe.SGDSolver": lambda: other.step(steps)},
        rounds,
        2,
    )
    title = f"solver.step({steps}) of {name}"
    report(title, seconds, "caffe.SGDSolver", "netspec.Solver", bound=1.05)


def main() -> None:
    torch.manual_seed(1)
    _forward(str(MODELS / "deploy.prototxt"), (10, 3, 227, 227), 15)
    with tempfile.TemporaryDirectory() as folder:
        _step("lenet", _dummy(64, 1, 28) + LENET, folder, 15, 10)
        _step("alexnet", alexnet(16), folder, 9, 1)
