"""HDF5 files that refer to other files, or claim more than they hold.

Weights, solver states and data are refused alike.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.readers.hdf5 import Hdf5Reader
from netspec.weights.files import read_weights
from netspec.weights.hdf5 import read_weights_hdf5
from netspec.weights.solverstate import read_solverstate
from tests.nets import input_text

h5py = pytest.importorskip("h5py")

SECRET = np.arange(8, dtype=np.float32)
Group = Any  # h5py.Group
Put = Callable[[Group, str, Path], object]


def external_storage(group: Group, name: str, secret: Path) -> None:
    group.create_dataset(name, (8,), np.float32, external=[(str(secret), 0, 32)])


def external_link(group: Group, name: str, secret: Path) -> None:
    group[name] = h5py.ExternalLink(str(secret), "/values")


def soft_link_out(group: Group, name: str, secret: Path) -> None:
    group.file["elsewhere"] = h5py.ExternalLink(str(secret), "/values")
    group[name] = h5py.SoftLink("/elsewhere")


def virtual(group: Group, name: str, secret: Path) -> None:
    layout = h5py.VirtualLayout((8,), np.float32)
    layout[:] = h5py.VirtualSource(str(secret), "values", (8,))
    group.create_virtual_dataset(name, layout)


def never_written(group: Group, name: str, _: Path) -> None:
    group.create_dataset(name, (1 << 20, 1 << 20), np.float32, chunks=(1 << 10, 1 << 10))


def huge_chunk(group: Group, name: str, _: Path) -> None:
    group.create_dataset(
        name, (8,), np.float32, maxshape=(None,), chunks=(1 << 29,), compression="gzip"
    )


PUTS: dict[str, tuple[Put, str]] = {
    "external storage": (
        external_storage,
        "keeps its values in another file, '{secret}', which is not read",
    ),
    "external link": (
        external_link,
        "is a link to another file, '{secret}', which is not followed",
    ),
    "soft link to an external one": (
        soft_link_out,
        "'/elsewhere' is a link to another file, '{secret}', which is not followed",
    ),
    "virtual dataset": (
        virtual,
        "is virtual: its values lie in other datasets or files, which is not read",
    ),
    "never written": (
        never_written,
        "claims 4,398,046,511,104 bytes (1048576×1048576), of which the file holds 0",
    ),
    "chunk": (huge_chunk, "claims 2,147,483,648 bytes (8), of which the file holds 0"),
}


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["values"] = SECRET
    return path


def refused(action: Callable[[], object], message: str, path: Path, secret: Path) -> None:
    with pytest.raises(netspec.NetspecError) as caught:
        action()
    assert message.format(secret=secret) in str(caught.value)
    assert f"'{path}'" in str(caught.value)
    assert "\n  hint: " in str(caught.value)


@pytest.mark.parametrize(("put", "message"), PUTS.values(), ids=PUTS)
def test_weights(tmp_path: Path, secret: Path, put: Put, message: str) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        put(file.create_group("data/ip"), "0", secret)
    refused(lambda: read_weights(path), message, path, secret)


@pytest.mark.parametrize(
    ("put", "message"), [PUTS["external link"], PUTS["soft link to an external one"]]
)
def test_whole_groups(tmp_path: Path, secret: Path, put: Put, message: str) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        put(file, "data", secret)
    refused(lambda: read_weights(path), message, path, secret)


@pytest.mark.parametrize(("put", "message"), PUTS.values(), ids=PUTS)
@pytest.mark.parametrize("name", ["0", "learned_net", "iter"])
def test_solver_states(tmp_path: Path, secret: Path, put: Put, message: str, name: str) -> None:
    path = tmp_path / "a.solverstate.h5"
    with h5py.File(path, "w") as file:
        file["iter"], file["learned_net"], file["current_step"] = 1, b"a", 0
        group = file.create_group("history")
        if name != "0":
            del file[name]
        put(group if name == "0" else file, name, secret)
    refused(lambda: read_solverstate(path), message, path, secret)


@pytest.mark.parametrize(("put", "message"), PUTS.values(), ids=PUTS)
def test_data(tmp_path: Path, secret: Path, put: Put, message: str) -> None:
    path = tmp_path / "rows.h5"
    with h5py.File(path, "w") as file:
        put(file, "data", secret)
    (tmp_path / "list.txt").write_text(f"{path}\n")
    net = tmp_path / "net.prototxt"
    net.write_text(
        'layer { name: "h" type: "HDF5Data" top: "data" '
        f'hdf5_data_param {{ source: "{tmp_path / "list.txt"}" batch_size: 2 }} }}'
    )
    refused(lambda: next(netspec.batches(netspec.load(net), prefetch=0)), message, path, secret)
    refused(
        lambda: Hdf5Reader(netspec.load(net).layers[0], 0, netspec.readers.reader.WHOLE).read(0),
        message,
        path,
        secret,
    )


def test_links_within_the_file_are_followed(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file["data/a/0"] = SECRET
        file["data/b"] = h5py.SoftLink("a")
        file["data/c/0"] = h5py.SoftLink("/data/a/0")
        file["data/d"] = h5py.SoftLink("/nowhere")
        file["data/e"] = h5py.SoftLink("e")
    weights = read_weights(path)
    assert weights.keys() - {"a", "b"} == {"c"}
    assert len(weights) == 2, "a group is gone through once"
    for arrays in weights.values():
        np.testing.assert_array_equal(arrays[0], SECRET)


def test_a_dataset_that_many_names_share_is_not_read_without_end(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file["data/l0/0"] = np.zeros(1 << 20, np.float32)
        for i in range(1, 40):
            file[f"data/l{i}/0"] = file["data/l0/0"]
    with pytest.raises(
        netspec.NetspecError, match=r"claims 4,194,304 bytes \(1048576\), of which the file holds"
    ):
        read_weights(path)


def test_what_no_param_of_the_net_fits_is_not_read(tmp_path: Path) -> None:
    """A net that takes over only some layers of a file reads only those.

    It learns the shapes of the others.
    """
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file["data/ip/0"] = SECRET.reshape(2, 4)
        never_written(file, "data/ip/1", path)
        never_written(file, "data/other/0", path)
    weights = read_weights_hdf5(path, {"ip": [8, 2]})
    np.testing.assert_array_equal(weights["ip"][0], SECRET.reshape(2, 4))
    assert [array.shape for array in (weights["ip"][1], weights["other"][0])] == [
        (1 << 20, 1 << 20)
    ] * 2


def test_a_param_of_any_claimed_size_is_reported(tmp_path: Path) -> None:
    path, net = tmp_path / "w.h5", tmp_path / "net.prototxt"
    net.write_text(
        input_text("x", (1, 4)) + 'layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip" '
        "inner_product_param { num_output: 2 bias_term: false } }"
    )
    with h5py.File(path, "w") as file:
        never_written(file, "data/ip/0", path)
    report = netspec.load_weights(netspec.compile(net), path)
    assert report.mismatched == {"ip": "param 0 is 2×4 in the net, 1048576×1048576 in the file"}


def test_packed_data_and_what_was_never_filled_within_reason_are_read(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "data/zeros/0",
            data=np.zeros(1 << 24, np.float32),
            compression="gzip",
            compression_opts=9,
        )
        file.create_dataset("data/empty/0", (1 << 20,), np.float32)
    weights = read_weights(path)
    assert not weights["zeros"][0].any()
    assert weights["empty"][0].shape == (1 << 20,)
