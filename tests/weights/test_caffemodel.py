"""caffemodel files: what the original wrote is read, what is written the schema reads.

Damage is an error.
"""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.diagnostics import NetspecError
from netspec.schema.caffe_pb2 import BlobProto, NetParameter
from netspec.weights import caffemodel
from netspec.weights.caffemodel import LayerWeights, read_caffemodel, write_caffemodel

SOLVERS = Path(__file__).parents[1] / "reference" / "solvers"
SHAPES = {"conv1": [(4, 2, 3, 3), (4,)], "fc1": [(6, 36), (6,)], "fc2": [(5, 6), (5,)]}


@pytest.mark.parametrize(
    "path", sorted(SOLVERS.glob("*/*.caffemodel")), ids=lambda p: f"{p.parent.name}/{p.stem}"
)
def test_reads_what_caffe_wrote(path):
    weights = read_caffemodel(path)
    net = NetParameter.FromString(path.read_bytes())
    shapes = {
        layer.name: [tuple(blob.shape.dim) for blob in layer.blobs]
        for layer in net.layer
        if layer.blobs
    }
    assert {name: [a.shape for a in arrays] for name, arrays in weights.items()} == shapes
    assert shapes == SHAPES or path.parent.name == "sgd_shared"
    for layer in net.layer:
        for array, blob in zip(weights.get(layer.name, []), layer.blobs, strict=True):
            assert array.dtype == np.float32
            assert array.ravel().tolist() == list(blob.data)


def layers():
    rng = np.random.default_rng(0)
    return [
        LayerWeights("data", "Data", [], ["data", "label"], []),
        LayerWeights(
            "conv1/3x3",
            "Convolution",
            ["data"],
            ["conv1"],
            [rng.random((4, 3, 2, 2), np.float32), rng.random(4, np.float32)],
        ),
        # a blob without axes
        LayerWeights("prelu", "PReLU", ["conv1"], ["conv1"], [np.float32(0.25)]),
        LayerWeights(
            "größe",
            "InnerProduct",
            ["conv1"],
            ["fc"],
            [rng.random((3, 5))[:, ::2].astype(np.float32), np.zeros((0, 2), np.float32)],
        ),
    ]


def test_round_trip(tmp_path):
    path = tmp_path / "net.caffemodel"
    write_caffemodel(path, "Net", layers())
    net = NetParameter.FromString(path.read_bytes())
    assert net.name == "Net"
    assert [
        (entry.name, entry.type, list(entry.bottom), list(entry.top), len(entry.blobs))
        for entry in net.layer
    ] == [
        (name, kind, list(bottoms), list(tops), len(arrays))
        for name, kind, bottoms, tops, arrays in layers()
    ]
    # our own wire writing is protobuf's, byte for byte
    assert net.SerializeToString() == path.read_bytes()
    weights = read_caffemodel(path)
    assert list(weights) == ["conv1/3x3", "prelu", "größe"]
    for name, _, _, _, arrays in layers()[1:]:
        for read, written in zip(weights[name], arrays, strict=True):
            np.testing.assert_array_equal(read, written)
            assert read.shape == np.shape(written)


def read_text(tmp_path, text):
    from google.protobuf import text_format

    path = tmp_path / "net.caffemodel"
    path.write_bytes(text_format.Parse(text, NetParameter()).SerializeToString())
    return read_caffemodel(path)


def test_reads_old_forms(tmp_path):
    weights = read_text(
        tmp_path,
        """
        layers { name: "ip" type: INNER_PRODUCT
          blobs { num: 1 channels: 1 height: 2 width: 3 data: [1, 2, 3, 4, 5, 6] }
          blobs { num: 1 channels: 1 height: 1 width: 2 double_data: [7, 1e300] } }
        layers { layer { name: "oldest" type: "conv"
          blobs { num: 2 channels: 1 height: 1 width: 1 data: [8, 9] } } }
        layers { name: "relu" type: RELU }
        """,
    )
    assert [a.shape for a in weights["ip"]] == [(1, 1, 2, 3), (1, 1, 1, 2)]
    assert weights["ip"][0].ravel().tolist() == [1, 2, 3, 4, 5, 6]
    assert weights["ip"][1].ravel().tolist() == [7, np.inf]
    assert weights["oldest"][0].shape == (2, 1, 1, 1)
    assert "relu" not in weights


def test_keeps_layers_that_nobody_knows(tmp_path):
    assert list(
        read_text(
            tmp_path, 'layer { name: "x" type: "NoSuchType" blobs { shape { dim: 1 } data: 3 } }'
        )
    ) == ["x"]


@pytest.mark.parametrize(
    ("blob", "message"),
    [
        (
            "shape { dim: [2, 3] } data: [1, 2]",
            r"blob 0 of layer 'fc' has the shape 2×3, 6 values, but holds 2",
        ),
        ("num: 2 channels: 3 data: 1", "2×3×0×0"),
        ("shape { dim: [-1, -1] } data: 1", "which no blob can have"),
        ("shape { dim: [4611686018427387904, 4611686018427387904] } data: 1", "but holds 1"),
        ("data: [1, 2]", "scalar, 1 value, but holds 2"),
        (f"shape {{ dim: {[1] * 33} }} data: 1", "which no blob can have"),
    ],
)
def test_shapes_that_do_not_fit_name_the_layer(tmp_path, blob, message):
    with pytest.raises(NetspecError, match=message) as caught:
        read_text(tmp_path, f'layer {{ name: "fc" blobs {{ {blob} }} }}')
    assert "'fc'" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no layers"),
        (b"<html>404</html>", "it is text, such as a page that a download left behind"),
        (b'name: "AlexNet"\nlayer {\n', "it is a prototxt"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "it is an HDF5 file"),
        (b"PK\x03\x04" + bytes(100), "PyTorch"),
        (bytes(1000), "zeros"),
    ],
)
def test_foreign_files_are_reported(tmp_path, content, message):
    path = tmp_path / "a.caffemodel"
    path.write_bytes(content)
    with pytest.raises(NetspecError, match=message):
        read_caffemodel(path)


@pytest.mark.parametrize("name", ["missing.caffemodel", "", "nul\0"])
def test_files_that_cannot_be_read(tmp_path, name):
    with pytest.raises(NetspecError, match=r"can't be read|does not exist"):
        read_caffemodel(f"{tmp_path}/{name}")


def reads_or_reports(path, content):
    path.write_bytes(content)
    with contextlib.suppress(NetspecError):
        read_caffemodel(path)


def test_a_file_that_is_cut_anywhere_is_read_or_reported(tmp_path):
    whole = (SOLVERS / "adam" / "init.caffemodel").read_bytes()
    for end in range(0, len(whole), 3):
        reads_or_reports(tmp_path / "a", whole[:end])


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_reported(tmp_path_factory, data):
    content = bytearray((SOLVERS / "adam" / "init.caffemodel").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    reads_or_reports(tmp_path_factory.getbasetemp() / "damaged", bytes(content))


def test_more_than_protobuf_holds_is_reported_before_anything_is_written(tmp_path, monkeypatch):
    path = tmp_path / "a.caffemodel"
    path.write_bytes(b"old")
    monkeypatch.setattr(caffemodel, "PROTOBUF_LIMIT", 100)
    with pytest.raises(NetspecError, match=r"2 GiB(.|\n)*\.safetensors"):
        write_caffemodel(path, "Net", layers())
    assert path.read_bytes() == b"old"


def test_the_blob_message_is_what_protobuf_itself_writes():
    from netspec.weights.blob_proto import wire_blob

    array = np.arange(300, dtype=np.float32).reshape(3, 100, 1)
    blob = BlobProto(data=array.ravel().tolist())
    blob.shape.dim.extend(array.shape)
    assert b"".join(wire_blob(array)) == blob.SerializeToString()


def test_diffs_are_what_protobuf_itself_writes(tmp_path):
    path = tmp_path / "net.caffemodel"
    rng = np.random.default_rng(1)
    diffs = [
        [rng.random(np.shape(array), np.float32) for array in layer.arrays] for layer in layers()
    ]
    diffs[1][1] = None
    write_caffemodel(path, "Net", layers(), diffs)
    net = NetParameter.FromString(path.read_bytes())
    assert net.SerializeToString() == path.read_bytes()
    for layer, layer_diffs in zip(net.layer, diffs, strict=True):
        for blob, diff in zip(layer.blobs, layer_diffs, strict=True):
            assert list(blob.diff) == ([] if diff is None else diff.ravel().tolist())
    weights = read_caffemodel(path)
    for layer in layers()[1:]:
        for read, written in zip(weights[layer.name], layer.arrays, strict=True):
            np.testing.assert_array_equal(read, written)


def test_a_diff_of_another_shape_is_reported(tmp_path):
    with pytest.raises(
        NetspecError, match="a blob of the shape 2×3 can't have a diff of the shape 3×2"
    ):
        write_caffemodel(
            tmp_path / "a", "Net", [("fc", "", [], [], [np.ones((2, 3))])], [[np.ones((3, 2))]]
        )


def test_a_cut_file_names_its_last_whole_layer(tmp_path):
    path = tmp_path / "a.caffemodel"
    write_caffemodel(path, "Net", layers())
    whole = path.read_bytes()
    path.write_bytes(whole[:-4])
    with pytest.raises(
        NetspecError,
        match=(
            rf"is cut short: {len(whole) - 4} bytes, at least {len(whole)} expected(.|\n)*the last "
            r"layer that is whole in it is 'prelu'"
        ),
    ):
        read_caffemodel(path)
