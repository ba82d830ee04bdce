"""The shapes of the data layers of segmentation."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError
from netspec.graph import Net, Shape
from netspec.layers.image_pairs import SPECS

Load = Callable[..., Net]


def pairs(type_name: str, fields: str, transform: str = "", tops: int = 2) -> str:
    param = "dense_image_data_param" if type_name == "DenseImageData" else "image_data_param"
    names = " ".join(f'top: "{name}"' for name in ("data", "label", "size")[:tops])
    return (
        f'layer {{ name: "l" type: "{type_name}" {names} {transform} '
        f'{param} {{ source: "list.txt" {fields} }} }}'
    )


@pytest.mark.parametrize(
    ("text", "data", "label"),
    [
        (
            pairs("DenseImageData", "batch_size: 4 new_height: 36 new_width: 48"),
            (4, 3, 36, 48),
            (4, 1, 36, 48),
        ),
        (
            pairs("DenseImageData", "batch_size: 2 crop_height: 5 crop_width: 6 is_color: false"),
            (2, 1, 5, 6),
            (2, 1, 5, 6),
        ),
        (
            pairs(
                "ImageSegData",
                "batch_size: 2 label_type: PIXEL",
                "transform_param { crop_height: 7 crop_width: 9 }",
            ),
            (2, 3, 7, 9),
            (2, 1, 7, 9),
        ),
        (
            pairs("ImageSegData", "batch_size: 2", "transform_param { crop_size: 7 }"),
            (2, 3, 7, 7),
            (2, 1, 1, 1),
        ),
        (
            pairs("WindowSegData", "batch_size: 8", "transform_param { crop_size: 224 }"),
            (8, 3, 224, 224),
            (8, 1, 224, 224),
        ),
    ],
)
def test_shapes(text: str, data: Shape, label: Shape, load_text: Load) -> None:
    net = load_text(text)
    assert net.sources == ["data", "label"]
    assert net.blobs["data"].shape == data
    assert net.blobs["label"].shape == label


def test_a_third_top_holds_the_sizes(load_text: Load) -> None:
    text = pairs("ImageSegData", "batch_size: 3", "transform_param { crop_size: 7 }", tops=3)
    assert load_text(text).blobs["size"].shape == (3, 1, 1, 2)


@pytest.mark.parametrize("type_name", [spec.type for spec in SPECS])
def test_an_unknown_size_is_reported_or_given(type_name: str, load_text: Load) -> None:
    text = pairs(type_name, "batch_size: 2")
    with pytest.raises(NetspecError, match="the size of its data is unknown") as caught:
        load_text(text)
    hints = " ".join(str(fault.hint or "") for fault in caught.value.diagnostics)
    assert "--input data=2,3,473,473" in hints
    assert load_text(text, require_shapes=False).blobs["data"].shape is None
    net = load_text(text, inputs={"data": (1, 3, 4, 5)})
    assert net.blobs["label"].shape in ((1, 1, 4, 5), (1, 1, 1, 1))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("new_height: 3 new_width: 3", "'batch_size' must be given"),
        ("batch_size: 1 new_height: 3", "'new_height' stands here without 'new_width'"),
        ("batch_size: 1 crop_width: 3", "'crop_width' stands here without 'crop_height'"),
    ],
)
def test_faults(fields: str, message: str, load_text: Load) -> None:
    with pytest.raises(NetspecError, match=message):
        load_text(pairs("DenseImageData", fields))


def test_the_caller_feeds_them(load_text: Load) -> None:
    text = pairs("DenseImageData", "batch_size: 1 new_height: 2 new_width: 2") + (
        'layer { name: "r" type: "ReLU" bottom: "data" top: "y" }'
        'layer { name: "s" type: "Silence" bottom: "label" }'
    )
    module = netspec.compile(load_text(text))
    assert torch.equal(
        module(-torch.ones(1, 3, 2, 2), torch.ones(1, 1, 2, 2))["y"], torch.zeros(1, 3, 2, 2)
    )
