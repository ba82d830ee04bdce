"""What starting a run does not pay for."""

from __future__ import annotations

import subprocess
import sys

import torch

import netspec

NET = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 } }
layer { name: "up" type: "Deconvolution" bottom: "conv" top: "up"
  convolution_param { num_output: 2 kernel_size: 3 } }
layer { name: "ip" type: "InnerProduct" bottom: "up" top: "ip"
  inner_product_param { num_output: 4 } }
"""


def test_training_does_not_import_torchs_compiler() -> None:
    code = "import sys, netspec.pytorch.run; sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_params_are_filled_once(monkeypatch) -> None:
    def twice(*args: object, **kwargs: object) -> None:
        raise AssertionError("torch fills what the net's fillers fill")

    monkeypatch.setattr(torch.nn.init, "kaiming_uniform_", twice)
    module = netspec.compile(netspec.loads(NET))
    kinds = [type(each) for each in module.children()]
    assert kinds == [torch.nn.Conv2d, torch.nn.ConvTranspose2d, torch.nn.Linear]
    assert all(not blob.any() for blobs in module.params.values() for blob in blobs)
