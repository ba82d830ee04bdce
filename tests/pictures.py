"""A small trained net and pictures for it, which tests of classify, features and serve share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import netspec
from netspec.schema.caffe_pb2 import BlobProto
from tests.conftest import ROOT

SSD = ROOT / "models/ssd_digits/deploy.prototxt"

DATA = """\
{record}
layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape {{ dim: {batch} dim: {channels} dim: 12 dim: 10 }} }} }}
"""
BODY = """\
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
RECORD = "# netspec: preprocess { mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.02 }"


def small_net(folder: Path, record: str = RECORD, batch: int = 4, channels: int = 3) -> list[str]:
    """Writes a deploy net and weights; returns the options that name them."""
    net = folder / "deploy.prototxt"
    net.write_text(DATA.format(record=record, batch=batch, channels=channels) + BODY)
    weights = folder / "net.caffemodel"
    netspec.save_weights(netspec.compile(net, seed=3), weights)
    return ["--model", str(net), "--weights", str(weights)]


def untrained_ssd(path: Path) -> None:
    """Weights for SSD whose boxes lie where chance wills, but always at the same places."""
    module = netspec.compile(SSD, seed=2)
    for name, blobs in module.params.items():
        if name.endswith("_bn"):  # statistics of 0 would make all values infinite
            blobs[1].fill_(1)
            blobs[2].fill_(1)
        elif name.endswith("_loc"):
            blobs[0].data *= 0.05  # boxes of a usual size
    netspec.save_weights(module, path)


def picture(path: Path, height: int = 33, width: int = 29, seed: int = 0) -> Path:
    """A PNG of blocks of colour, with no two pictures of different seeds alike."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC).save(path)
    return path


def write_mean(path: Path, mean: np.ndarray) -> None:
    """A mean image as a .binaryproto."""
    blob = BlobProto(num=1, channels=mean.shape[0], height=mean.shape[1], width=mean.shape[2])
    blob.data.extend(mean.ravel().tolist())
    path.write_bytes(blob.SerializeToString())
