"""Every blob of the nets in models/, and that each lowers and runs."""

from __future__ import annotations

from math import prod

import pytest
import torch

import netspec
from netspec.graph import Net
from netspec.passes.count_cost import param_count
from tests.conftest import ROOT

MODELS = ROOT / "models"
ALEXNET = {
    "data": (3, 227, 227), "conv1": (96, 55, 55), "norm1": (96, 55, 55), "pool1": (96, 27, 27),
    "conv2": (256, 27, 27), "norm2": (256, 27, 27), "pool2": (256, 13, 13), "conv3": (384, 13, 13),
    "conv4": (384, 13, 13), "conv5": (256, 13, 13), "pool5": (256, 6, 6), "fc6": (4096,),
    "fc7": (4096,), "fc8": (1000,),
}  # fmt: skip
MNIST = {
    "data": (1, 28, 28), "conv1": (64, 28, 28), "pool1": (64, 14, 14), "norm1": (64, 14, 14),
    "drop1": (64, 14, 14), "conv2": (128, 14, 14), "pool2": (128, 7, 7), "norm2": (128, 7, 7),
    "drop2": (128, 7, 7), "conv3": (256, 7, 7), "pool3": (256, 4, 4), "norm3": (256, 4, 4),
    "drop3": (256, 4, 4), "fc4": (1024,), "fc5": (1024,), "fc6": (10,),
}  # fmt: skip
FLOWERS = {
    "data": (3, 224, 224), "conv1": (96, 54, 54), "pool1": (96, 27, 27), "bn1": (96, 27, 27),
    "conv2": (256, 17, 17), "pool2": (256, 8, 8), "bn2": (256, 8, 8), "conv3": (384, 6, 6),
    "bn3": (384, 6, 6), "conv4": (384, 4, 4), "bn4": (384, 4, 4), "conv5": (256, 2, 2),
    "pool5": (256, 1, 1), "bn5": (256, 1, 1), "fc6": (4096,), "bn6": (4096,), "fc7": (4096,),
    "bn7": (4096,), "fc8": (1000,), "bn8": (1000,), "fc9": (17,),
}  # fmt: skip
LOSS, SCORED = {"loss": ()}, {"loss": (), "accuracy": ()}
# file, phase, batch, the blobs without their batch axis, blobs without any, parameters
CASES = [
    ("bvlc_alexnet/train_val.prototxt", "TRAIN", 256, ALEXNET | {"label": ()}, LOSS, 60_965_224),
    ("bvlc_alexnet/train_val.prototxt", "TEST", 50, ALEXNET | {"label": ()}, SCORED, 60_965_224),
    ("bvlc_alexnet/deploy.prototxt", "TEST", 10, ALEXNET | {"prob": (1000,)}, {}, 60_965_224),
    ("tf_alexnet/train_val.prototxt", "TRAIN", 128, ALEXNET | {"label": ()}, LOSS, 60_965_224),
    ("tf_alexnet/deploy.prototxt", "TEST", 10, ALEXNET | {"prob": (1000,)}, {}, 60_965_224),
    ("mnist_alexnet/train_val.prototxt", "TRAIN", 64, MNIST | {"label": ()}, LOSS, 5_624_842),
    ("mnist_alexnet/train_val.prototxt", "TEST", 60, MNIST | {"label": ()}, SCORED, 5_624_842),
    ("flowers17_alexnet/train_val.yaml", "TRAIN", 64, FLOWERS | {"label": ()}, LOSS, 28_096_777),
    ("flowers17_alexnet/train_val.yaml", "TEST", 64, FLOWERS | {"label": ()}, SCORED, 28_096_777),
    ("flowers17_alexnet/deploy.yaml", "TEST", None, FLOWERS | {"prob": (17,)}, {}, 28_096_777),
    ("mnist_alexnet/deploy.prototxt", "TEST", None, MNIST | {"prob": (10,)}, {}, 5_624_842),
]


@pytest.mark.parametrize(
    ("name", "phase", "batch", "items", "whole", "parameters"), CASES, ids=lambda v: str(v)[:40]
)
def test_every_blob_has_its_shape(
    name: str, phase: str, batch: int | None, items: dict, whole: dict, parameters: int
) -> None:
    net = netspec.load(
        MODELS / name,
        phase,
        inputs=None if batch is None or "deploy" in name else {"data": (batch, *items["data"])},
    )
    batch = batch or net.blobs["data"].shape[0]
    shapes = {blob: blob_.shape for blob, blob_ in net.blobs.items()}
    assert shapes == {blob: (batch, *shape) for blob, shape in items.items()} | whole
    assert param_count(net) == parameters


def test_public_weights_fit_by_name() -> None:
    net = netspec.load(MODELS / "bvlc_alexnet/deploy.prototxt")
    shapes = {
        layer.name: [param.shape for param in layer.params] for layer in net.layers if layer.params
    }
    assert shapes == {
        "conv1": [(96, 3, 11, 11), (96,)],
        "conv2": [(256, 48, 5, 5), (256,)],
        "conv3": [(384, 256, 3, 3), (384,)],
        "conv4": [(384, 192, 3, 3), (384,)],
        "conv5": [(256, 192, 3, 3), (256,)],
        "fc6": [(4096, 9216), (4096,)],
        "fc7": [(4096, 4096), (4096,)],
        "fc8": [(1000, 4096), (1000,)],
    }


def settings(net: Net, layer: str, field: str) -> dict[str, float]:
    param = getattr(net.layer(layer).message, field)
    return {descriptor.name: value for descriptor, value in param.ListFields()}


def test_lrn_settings_are_those_of_each_variant() -> None:
    bvlc = netspec.load(MODELS / "bvlc_alexnet/deploy.prototxt")
    tensorflow = netspec.load(MODELS / "tf_alexnet/deploy.prototxt")
    mnist = netspec.load(MODELS / "mnist_alexnet/deploy.prototxt")
    assert settings(bvlc, "norm1", "lrn_param") == pytest.approx(
        {"local_size": 5, "alpha": 1e-4, "beta": 0.75}
    )
    assert settings(tensorflow, "norm1", "lrn_param") == pytest.approx(
        {"local_size": 5, "alpha": 5e-4, "beta": 0.75}
    )
    assert settings(mnist, "norm1", "lrn_param") == pytest.approx(
        {"local_size": 9, "alpha": 1e-3, "beta": 0.75}
    )


@pytest.mark.parametrize(
    "name",
    [
        "bvlc_alexnet/deploy.prototxt",
        "mnist_alexnet/deploy.prototxt",
        "flowers17_alexnet/deploy.yaml",
    ],
)
def test_deploy_net_gives_probabilities(name: str) -> None:
    path = MODELS / name
    shape = netspec.load(path).blobs["data"].shape
    module = netspec.compile(path, seed=1)
    outputs = module(data=torch.rand(2, *shape[1:]))
    assert list(outputs) == ["prob"]
    assert torch.allclose(outputs["prob"].sum(1), torch.ones(2))
    assert sum(
        prod(blob.shape) for blobs in module.params.values() for blob in blobs
    ) == param_count(netspec.load(path))
