"""Mean, scale and mirror on the device give the bits that the CPU's threads give."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import netspec
from netspec.graph import Net
from netspec.pytorch.feed import Feed
from netspec.pytorch.optimize import lay_channels_last
from netspec.readers.batches import batches
from netspec.readers.byte_images import ByteImages
from netspec.readers.reader import Shard
from netspec.schema.caffe_pb2 import Datum
from tests.data_fixtures import datum

NET = """
layer {{ name: "data" type: "{type}" top: "data" top: "label" transform_param {{ {transform} }}
  {param} {{ source: "{source}" batch_size: 5 {settings} }} }}
layer {{ name: "flat" type: "Flatten" bottom: "data" top: "flat" }}
layer {{ name: "quiet" type: "Silence" bottom: "label" }}
"""


def load(text: str, phase: str) -> Net:
    return netspec.loads(text, phase=phase)


def fed(
    net: Net, finishes: bool | None, count: int = 4, **settings: object
) -> list[list[torch.Tensor]]:
    feed = Feed(
        net,
        netspec.compile(net, seed=0),
        torch.device("cpu"),
        seed=3,
        finishes=finishes,
        **settings,  # type: ignore[arg-type]
    )
    try:
        found = []
        for _ in range(count):
            feed.forward(lambda inputs: {})
            found.append([each.clone() for each in feed.inputs])
        return found
    finally:
        feed.close()


def assert_same(one: list[list[torch.Tensor]], two: list[list[torch.Tensor]]) -> None:
    assert len(one) == len(two) > 0
    for first, second in zip(one, two, strict=True):
        for a, b in zip(first, second, strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            assert torch.equal(a, b)


@pytest.fixture
def data_net(write_lmdb):
    """A net on an LMDB of records."""

    def make(records: list[Datum], transform: str, phase: str = "TRAIN") -> Net:
        source, settings = write_lmdb("lmdb", records), "backend: LMDB"
        values = {"type": "Data", "param": "data_param", "source": source, "settings": settings}
        return load(NET.format(transform=transform, **values), phase)

    return make


def as_bytes(net: Net, count: int = 4) -> list[bool]:
    """Whether each batch's images come as bytes where the device finishes them."""
    with batches(net, seed=3, as_bytes=True) as stream:
        return [isinstance(batch["data"], ByteImages) for batch in islice(stream, count)]


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
@pytest.mark.parametrize(
    "transform",
    [
        "",
        "scale: 0.017",
        "mirror: true",
        "crop_size: 7",
        "crop_size: 7 mirror: true scale: 0.017 mean_value: 104.3",
        "crop_size: 7 mirror: true mean_value: 104.3 mean_value: 116.7 mean_value: 122.7",
        "crop_size: 7 mirror: true scale: 0.017 mean_file: 'MEAN'",
        "crop_size: 10 mirror: true mean_file: 'MEAN'",
        "mirror: true mean_file: 'MEAN'",
    ],
)
def test_bit_for_bit(data_net, datums, write_mean, transform: str, phase: str) -> None:
    mean = np.random.default_rng(1).uniform(90, 130, (3, 10, 12)).astype(np.float32)
    net = data_net(datums, transform.replace("MEAN", write_mean(mean)), phase)
    assert as_bytes(net) == [True] * 4
    assert_same(fed(net, True), fed(net, False))


def test_records_of_several_sizes(data_net) -> None:
    rng = np.random.default_rng(2)
    sizes = [(8, 9), (12, 8), (10, 10), (20, 9)]
    records = [datum(rng.integers(0, 256, (3, *sizes[i % 4]), dtype=np.uint8)) for i in range(12)]
    net = data_net(records, "crop_size: 8 mirror: true mean_value: 100")
    assert as_bytes(net) == [True] * 4
    assert_same(fed(net, True), fed(net, False))


def test_ten_crops(data_net, datums, write_mean) -> None:
    mean = np.random.default_rng(1).uniform(90, 130, (3, 10, 12)).astype(np.float32)
    net = data_net(datums, f"crop_size: 7 scale: 0.5 mean_file: '{write_mean(mean)}'", "TEST")
    settings = {"oversample": True}
    assert_same(fed(net, True, 2, **settings), fed(net, False, 2, **settings))
    assert len(fed(net, True, 1, **settings)[0][0]) == 50


def test_each_process_reads_its_part(data_net, datums) -> None:
    net = data_net(datums, "crop_size: 7 mirror: true")
    for rank in range(2):
        settings = {"shard": Shard(rank, 2)}
        assert_same(fed(net, True, **settings), fed(net, False, **settings))


@pytest.mark.parametrize("place", [0, 2, 7])
def test_a_record_of_floats_is_finished_on_the_cpu(data_net, datums, place: int) -> None:
    records = [Datum.FromString(each.SerializeToString()) for each in datums]
    values = np.frombuffer(records[place].data, np.uint8) / 3
    records[place].ClearField("data")
    records[place].float_data.extend(values.tolist())
    net = data_net(records, "crop_size: 7 mirror: true scale: 0.5")
    assert not all(as_bytes(net))
    assert_same(fed(net, True, 6), fed(net, False, 6))


def test_what_changes_levels_stays_with_the_cpu(data_net, datums) -> None:
    net = data_net(
        datums, "crop_size: 7 distort_param { brightness_prob: 0.5 brightness_delta: 32 }"
    )
    assert as_bytes(net) == [False] * 4
    assert_same(fed(net, True), fed(net, False))


def test_images_of_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images) -> None:
    monkeypatch.chdir(tmp_path)
    for i, image in enumerate(images):
        Image.fromarray(image.transpose(1, 2, 0)).save(f"{i}.png")
    Path("list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(len(images))))
    values = {"type": "ImageData", "param": "image_data_param", "source": "list.txt"}
    transform = "crop_size: 7 mirror: true mean_value: 100 scale: 0.5"
    net = load(NET.format(transform=transform, settings="shuffle: true", **values), "TRAIN")
    assert as_bytes(net) == [True] * 4
    assert_same(fed(net, True), fed(net, False))


def test_on_the_cpu_the_threads_do_it(data_net, datums, monkeypatch) -> None:
    net = data_net(datums, "crop_size: 7")
    monkeypatch.setattr(
        "netspec.pytorch.feed.ImageFinisher.__call__",
        lambda *_: pytest.fail("mean and scale are taken on the training thread"),
    )
    assert_same(fed(net, None), fed(net, False))


@pytest.mark.parametrize("finishes", [False, True])
def test_images_come_as_a_convolution_reads_them(write_lmdb, datums, finishes: bool) -> None:
    values = {"type": "Data", "param": "data_param", "settings": "backend: LMDB"}
    convolution = """
    layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
      convolution_param { num_output: 4 kernel_size: 3 } }
    """
    source = write_lmdb("lmdb", datums)
    text = NET.format(transform="crop_size: 7 mirror: true", source=source, **values)
    net = load(text + convolution, "TRAIN")
    module = netspec.compile(net, seed=0)
    lay_channels_last(module, "cpu")
    feed = Feed(net, module, torch.device("cpu"), seed=3, finishes=finishes)
    feed.forward(lambda inputs: {})
    images, labels = feed.inputs
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert not images.is_contiguous()
    assert_same([[images, labels]], fed(net, False, 1))
    feed.close()
