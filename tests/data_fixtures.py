"""Nets made by hand, so that tests need no known layer type, and databases."""

from pathlib import Path

import lmdb
import numpy as np
import pytest

from netspec.diagnostics import Report, Source
from netspec.graph import Blob, Layer, Net
from netspec.schema.caffe_pb2 import BlobProto, Datum, NetParameter
from netspec.syntax.read import bind_source


@pytest.fixture
def make_net(tmp_path):
    """make_net(text, phase, path) → a net whose layers are those of the text."""

    def make(text, phase="TEST", path=tmp_path / "net.prototxt"):
        message, report = NetParameter(), Report()
        spans = bind_source(Source(str(path), text), message, report)
        report.raise_errors()
        net = Net(message.name, phase, path=str(path))
        for i, layer in enumerate(message.layer):
            place = spans.find("layer", i)
            made = Layer(layer.name, layer.type, layer, place, place.whole(), phase)
            made.top_blobs = [Blob(top, 0, made, k, None) for k, top in enumerate(layer.top)]
            net.layers.append(made)
        return net

    return make


@pytest.fixture
def data_net(make_net):
    """data_net(source, transform_param, data_param) → a net of one Data layer with two tops."""

    def make(
        source,
        transform="",
        data="batch_size: 4 backend: LMDB",
        phase="TEST",
        tops='top: "data" top: "label"',
    ):
        text = (
            f'layer {{ name: "data" type: "Data" {tops} transform_param {{ {transform} }} '
            f'data_param {{ source: "{source}" {data} }} }}'
        )
        return make_net(text, phase)

    return make


@pytest.fixture
def write_lmdb(tmp_path):
    """write_lmdb(name, values or {key: value}) → the path of a new LMDB. Datums are serialized."""

    def write(name, records):
        path = tmp_path / name
        if not isinstance(records, dict):
            records = {b"%08d" % i: record for i, record in enumerate(records)}
        env = lmdb.open(str(path), map_size=1 << 26, sync=False)
        with env.begin(write=True) as transaction:
            for key, value in records.items():
                transaction.put(
                    key, value.SerializeToString() if isinstance(value, Datum) else value
                )
        env.close()
        return str(path)

    return write


@pytest.fixture
def write_mean(tmp_path):
    """write_mean(array) → the path of a mean file with the old sizes, as Caffe wrote them."""

    def write(mean, name="mean.binaryproto"):
        sizes = dict(zip(("num", "channels", "height", "width"), (1, *mean.shape), strict=True))
        path = tmp_path / name
        path.write_bytes(BlobProto(**sizes, data=np.ravel(mean).tolist()).SerializeToString())
        return str(path)

    return write


@pytest.fixture(scope="session")
def reference():
    return Path(__file__).parent / "reference" / "data"


@pytest.fixture(scope="session")
def images():
    """Twelve images of noise, C×H×W = 3×10×12, no two alike."""
    return np.random.default_rng(0).integers(0, 256, (12, 3, 10, 12), dtype=np.uint8)


@pytest.fixture(scope="session")
def datums(images):
    return [datum(image, label) for label, image in enumerate(images)]


def datum(image, label=0):
    channels, height, width = image.shape
    return Datum(channels=channels, height=height, width=width, data=image.tobytes(), label=label)
