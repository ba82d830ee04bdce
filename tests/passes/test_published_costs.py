"""The costs of well-known nets are those that were published."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import netspec
from netspec.graph import Net
from netspec.layers.reach import Reach
from netspec.passes.receptive_field import receptive_field
from tests.conftest import ROOT
from tests.published_nets import caffenet, googlenet, resnet50, vgg16


def alexnet() -> Net:
    path = ROOT / "models/bvlc_alexnet/deploy.prototxt"
    return netspec.load(path, inputs={"data": (1, 3, 227, 227)})


NETS: dict[str, Callable[[], Net]] = {
    "AlexNet": alexnet,
    "CaffeNet": lambda: netspec.loads(caffenet()),
    "GoogLeNet": lambda: netspec.loads(googlenet()),
    "VGG-16": lambda: netspec.loads(vgg16()),
    "ResNet-50": lambda: netspec.loads(resnet50()),
}


def weighted_macs(net: Net) -> int:
    """Multiply-adds of convolutions and dense layers, which the publications count."""
    return sum(layer.macs for layer in net.layers if layer.type in ("Convolution", "InnerProduct"))


@pytest.mark.parametrize(
    ("name", "params"),
    [
        # Krizhevsky et al. 2012, section 1: "60 million"; to the last one from its section 3.5
        ("AlexNet", 60_965_224),
        ("CaffeNet", 60_965_224),
        # HewlettPackard/dlcookbook-dlbs, models/README.md, which counts the authors' files
        ("GoogLeNet", 6_998_552),
        ("VGG-16", 138_357_544),
        ("ResNet-50", 25_610_269),
    ],
)
def test_params(name: str, params: int) -> None:
    assert NETS[name]().param_count == params


def test_learned_params_of_resnet_50() -> None:
    """25557032 in torchvision's ResNet50_Weights; the authors' file has a bias in conv1, too."""
    net = NETS["ResNet-50"]()
    learned = sum(p.count for layer in net.layers for p in layer.params if p.learned)
    assert learned == 25_557_032 + 64


@pytest.mark.parametrize(
    ("name", "published", "unit"),
    [
        # Sze, Chen, Yang and Emer, Efficient Processing of Deep Neural Networks, 2017, table II
        ("AlexNet", 724, 10**6),
        ("VGG-16", 15.5, 10**9),
        ("ResNet-50", 3.9, 10**9),
        # albanie/convnet-burden, README.md, which counts a multiply-add as one
        ("CaffeNet", 724, 10**6),
        # torchvision's VGG16_Weights, whose _ops are 15.47
        ("VGG-16", 15.47, 10**9),
    ],
)
def test_multiply_adds(name: str, published: float, unit: int) -> None:
    digits = len(str(published).partition(".")[2])
    assert round(weighted_macs(NETS[name]()) / unit, digits) == published


def test_multiply_adds_of_googlenets_modules() -> None:
    """In millions, from table 1 of Szegedy et al. 2015.

    Left out are the rows that its own filters contradict: the two convolutions in front (34 and
    360 there, 118 and 363 by their filters), 4a (73, 73.6) and 5a (54, 51).
    """
    published = {"3a": 128, "3b": 304, "4b": 88, "4c": 100, "4d": 119, "4e": 170, "5b": 71}
    net = NETS["GoogLeNet"]()
    found = {
        name: round(
            sum(layer.macs for layer in net.layers if layer.name.startswith(f"inception_{name}/"))
            / 10**6
        )
        for name in published
    }
    assert found == published


@pytest.mark.parametrize(
    ("name", "blob", "size", "stride", "padding"),
    [
        # google-research/receptive_field, README.md: size, effective stride, effective padding
        ("AlexNet", "pool5", 195, 32, 64),
        ("VGG-16", "pool5", 212, 32, 90),
        ("ResNet-50", "res5c", 483, 32, 239),
    ],
)
def test_receptive_fields(name: str, blob: str, size: int, stride: int, padding: int) -> None:
    net = NETS[name]()
    offset = (size - 1) / 2 - padding
    expected = Reach((size, size), (stride, stride), (offset, offset))
    assert receptive_field(net)[net.blobs[blob]] == expected
