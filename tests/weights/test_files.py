"""Weight files by their suffix."""

import contextlib
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from safetensors.numpy import save_file

from netspec.diagnostics import NetspecError
from netspec.files.suffixes import WRITABLE_WEIGHTS
from netspec.weights.files import read_weights, write_weights

rng = np.random.default_rng(0)
LAYERS = [
    ("data", "Data", [], ["data"], []),
    (
        "inception/1x1",
        "Convolution",
        ["data"],
        ["a"],
        [rng.random((4, 3, 1, 1), np.float32), rng.random(4, np.float32)],
    ),
    ("prelu", "PReLU", ["a"], ["a"], [np.float32(0.25)]),
    ("fc", "InnerProduct", ["a"], ["b"], [rng.random((12, 5), np.float32).T]),
]


@pytest.mark.parametrize("suffix", WRITABLE_WEIGHTS)
def test_round_trip(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    write_weights(path, "Net", LAYERS)
    weights = read_weights(path)
    assert sorted(weights) == ["fc", "inception/1x1", "prelu"]
    for name, _, _, _, arrays in LAYERS[1:]:
        for read, written in zip(weights[name], arrays, strict=True):
            np.testing.assert_array_equal(read, written)
            assert read.shape == np.shape(written)
            assert read.dtype == np.float32
            assert read.flags.writeable


@pytest.mark.parametrize("suffix", WRITABLE_WEIGHTS)
def test_a_file_that_is_cut_is_reported(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    write_weights(path, "Net", LAYERS)
    whole = path.read_bytes()
    for end in range(0, len(whole), 37):
        path.write_bytes(whole[:end])
        with contextlib.suppress(NetspecError):
            read_weights(path)


@pytest.mark.parametrize("suffix", WRITABLE_WEIGHTS)
def test_damaged_files_are_read_or_reported(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    write_weights(path, "Net", LAYERS)
    whole = path.read_bytes()
    damage = np.random.default_rng(1)
    for _ in range(200):
        content = bytearray(whole)
        for at in damage.integers(0, len(whole), 3):
            content[at] = damage.integers(0, 256)
        path.write_bytes(bytes(content))
        with contextlib.suppress(NetspecError):
            read_weights(path)


@pytest.mark.parametrize("suffix", WRITABLE_WEIGHTS)
def test_skipped_layers(tmp_path, suffix):
    path = tmp_path / f"net{suffix}"
    write_weights(path, "Net", LAYERS)
    assert "fc" not in read_weights(path, skip_layers=["fc"])
    with pytest.raises(NetspecError, match="no layer 'fd'"):
        read_weights(path, skip_layers=["fd"])


def test_unknown_suffixes_name_the_known_ones(tmp_path):
    with pytest.raises(NetspecError, match=r"'a.pkl' is of no known kind(.|\n)*\.caffemodel"):
        read_weights("a.pkl")
    with pytest.raises(NetspecError, match=r"a\.npy(.|\n)*\.caffemodel"):
        write_weights(tmp_path / "a.npy", "Net", LAYERS)


def test_a_file_of_another_kind_is_named(tmp_path):
    (tmp_path / "net.prototxt").write_text('layer { name: "a" }')
    for path, what in (
        (tmp_path / "net.prototxt", "it is a prototxt"),
        (tmp_path, "it is a folder"),
        (tmp_path / "none", "it does not exist"),
    ):
        with pytest.raises(
            NetspecError,
            match=f"is of no known kind of weight file\n  hint: {what}; known are .caffemodel",
        ):
            read_weights(path)


def test_an_hdf5_file_under_the_name_of_a_caffemodel(tmp_path):
    write_weights(tmp_path / "a.h5", "Net", LAYERS)
    (tmp_path / "a.h5").rename(tmp_path / "a.caffemodel")
    assert "fc" in read_weights(tmp_path / "a.caffemodel")


def test_caffes_hdf5_layout(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_group("data/relu1")  # Caffe makes a group for each layer
        file["data/conv1/0"] = np.ones((2, 1, 3, 3), np.float32)
        file["data/conv1/1"] = np.zeros(2, np.float64)
        file["data/shares/1"] = np.ones(2, np.float32)  # its first blob is another layer's
    weights = read_weights(path)
    assert {
        name: [None if a is None else a.shape for a in arrays] for name, arrays in weights.items()
    } == {
        "conv1": [(2, 1, 3, 3), (2,)],
        "shares": [None, (2,)],
    }
    write_weights(tmp_path / "b.h5", "Net", LAYERS)
    with h5py.File(tmp_path / "b.h5") as file:
        assert file["data/inception/1x1/0"].shape == (4, 3, 1, 1)
        assert list(file["data/data"]) == []


@pytest.mark.parametrize(
    ("fill", "message"),
    [
        (lambda f: f.create_group("model_weights"), "no group 'data'"),
        (lambda f: f.create_dataset("data", data=[1]), "no group 'data'"),
        (lambda f: f.create_dataset("data/conv1/kernel", data=[1]), "not named <layer>/<index>"),
        (lambda f: f.create_dataset("data/0", data=[1]), "not named <layer>/<index>"),
        (lambda f: f.create_dataset("data/conv1/0", data=["text"]), "holds no numbers"),
    ],
)
def test_hdf5_of_another_layout(tmp_path, fill, message):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        fill(file)
    with pytest.raises(NetspecError, match=message):
        read_weights(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"conv1/1": np.ones(2)}, "no tensor 'conv1/0'"),
        ({"conv1/0": np.ones(2, bool)}, "holds no numbers"),
    ],
)
def test_safetensors_of_another_layout(tmp_path, tensors, message):
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(NetspecError, match=message):
        read_weights(tmp_path / "a.safetensors")


@pytest.mark.parametrize(("suffix", "package"), [(".h5", "h5py"), (".safetensors", "safetensors")])
def test_a_missing_package_is_named(tmp_path, monkeypatch, suffix, package):
    module = f"netspec.weights.{'hdf5' if package == 'h5py' else package}"
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(NetspecError, match=rf"{package}(.|\n)*pip install 'netspec\["):
        read_weights(tmp_path / f"a{suffix}")


def test_nothing_here_imports_torch_or_pickle():
    for path in (Path(__file__).parents[2] / "netspec" / "weights").glob("*.py"):
        assert not {"import torch", "import pickle", "from torch", "from pickle"} & set(
            path.read_text().split("\n")
        ), path


def test_diffs_lie_beside_the_data_in_caffes_hdf5_layout(tmp_path):
    from netspec.weights.hdf5 import write_weights_hdf5

    diffs = [
        [np.full(np.shape(array), i, np.float32) for i, array in enumerate(arrays)]
        for *_, arrays in LAYERS
    ]
    write_weights(tmp_path / "a.h5", "Net", LAYERS, diffs)
    write_weights(tmp_path / "plain.h5", "Net", LAYERS)
    with h5py.File(tmp_path / "a.h5") as file, h5py.File(tmp_path / "plain.h5") as plain:
        assert (list(file), list(plain)) == (["data", "diff"], ["data"])
        assert file["diff/inception/1x1/1"][()].tolist() == [1, 1, 1, 1]
        assert list(file["diff/data"]) == []
    assert {name: len(arrays) for name, arrays in read_weights(tmp_path / "a.h5").items()} == {
        "inception/1x1": 2,
        "prelu": 1,
        "fc": 1,
    }
    # a shared blob has its data with its owner, but its diff with every layer that has it
    write_weights_hdf5(tmp_path / "b.h5", [("shares", [None])], [[np.ones(2, np.float32)]])
    with h5py.File(tmp_path / "b.h5") as file:
        assert (list(file["data/shares"]), list(file["diff/shares"])) == ([], ["0"])


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_diffs_have_no_place_beside_a_state_dict(tmp_path, suffix):
    with pytest.raises(
        NetspecError,
        match=(
            rf"a{suffix}' can't be written: {suffix[1:]} files have no place for "
            r"diffs(.|\n)*\.caffemodel"
        ),
    ):
        write_weights(
            tmp_path / f"a{suffix}",
            "Net",
            LAYERS,
            [[None] * len(arrays) for *_, arrays in LAYERS],
        )
    assert not (tmp_path / f"a{suffix}").exists()
