"""Damaged files as a user meets them: databases, mean files, weights and states.

Each message names the file, says what is
wrong with which record or layer, and how to mend it.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import netspec
from netspec.cli import main
from netspec.pytorch.module import NetModule
from netspec.schema.caffe_pb2 import BlobProto, Datum, NetParameter, SolverState
from netspec.stores.lmdb_writer import LmdbWriter
from netspec.weights.files import read_weights, write_weights
from netspec.weights.solverstate import SolverSnapshot, read_solverstate, write_solverstate
from tests.conftest import REFERENCE

RECORDS = 12
NET = """
layer {{ name: "data" type: "Data" top: "data" top: "label" transform_param {{ {transform} }}
  data_param {{ source: "{source}" backend: LMDB batch_size: 4 }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv" \
convolution_param {{ num_output: 2 kernel_size: 3 }} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" \
inner_product_param {{ num_output: 3 }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }}
"""
SOLVER = (
    'net: "{net}" base_lr: 0.01 lr_policy: "fixed" momentum: 0.9 max_iter: 9 solver_mode: '
    'CPU type: "{type}" snapshot_prefix: "{prefix}"'
)
PIXELS = np.random.default_rng(0).integers(0, 256, (RECORDS, 3, 20, 24), np.uint8)


def raw(pixels: np.ndarray, label: int = 1) -> bytes:
    channels, height, width = pixels.shape
    return Datum(
        channels=channels, height=height, width=width, data=pixels.tobytes(), label=label
    ).SerializeToString()


def encoded(kind: str, keep: float) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS[0].transpose(1, 2, 0)).save(file, kind)
    return Datum(encoded=True, data=file.getvalue()[: int(keep * file.tell())]).SerializeToString()


def write_database(path: Path, broken: bytes | None = None) -> Path:
    """Twelve records; the sixth is the broken one."""
    with LmdbWriter(path) as writer:
        for i, pixels in enumerate(PIXELS):
            writer.put(
                f"{i:08d}".encode(), raw(pixels, i % 3) if broken is None or i != 5 else broken
            )
    return path


def write_net(folder: Path, source: Path, transform: str = "") -> Path:
    path = folder / "net.prototxt"
    path.write_text(NET.format(source=source, transform=transform))
    return path


def read_through(net: Path) -> None:
    with netspec.batches(netspec.load(net, phase="TRAIN"), prefetch=0) as stream:
        for _ in range(RECORDS // 4):
            next(stream)


def reported(action: Callable[[], object], *words: str | Path) -> str:
    """The message of the fault that an action ends with; it has the words, and a hint."""
    with pytest.raises(netspec.NetspecError) as caught:
        action()
    message = str(caught.value)
    for word in words:
        assert str(word) in message
    assert "\n  hint: " in message, message
    return message


BROKEN_RECORDS = {
    "no Datum": (b"\xff\xff no datum", "is no Datum"),
    "empty": (b"", "has no size: channels, height and width are 0, 0 and 0"),
    "JPEG cut short": (encoded("JPEG", 0.5), "does not decode as an image: it is cut short"),
    "PNG cut short": (encoded("PNG", 0.5), "does not decode as an image: it is cut short"),
    "image of no format": (
        Datum(encoded=True, data=b"no image").SerializeToString(),
        "does not decode as an image: its format is unknown",
    ),
    "too few values": (
        Datum(channels=3, height=20, width=24, data=bytes(1439)).SerializeToString(),
        "holds 1439 values, but says that it is 3×20×24",
    ),
    "another size": (
        raw(np.zeros((3, 19, 24), np.uint8)),
        "is 3×19×24, but the first of its batch is 3×20×24",
    ),
    "other channels": (
        raw(np.zeros((1, 20, 24), np.uint8)),
        "is 1×20×24, but the first of its batch is 3×20×24",
    ),
}


@pytest.mark.parametrize(("broken", "message"), BROKEN_RECORDS.values(), ids=BROKEN_RECORDS)
def test_a_broken_record_is_named_by_its_key(tmp_path: Path, broken: bytes, message: str) -> None:
    source = write_database(tmp_path / "db", broken)
    reported(
        lambda: read_through(write_net(tmp_path, source)),
        f"record 5 ('00000005') of '{source}' {message}",
        "net.prototxt:",
    )


@pytest.mark.parametrize(("label", "record"), [(3, 5), (-1, 5)])
def test_a_label_that_is_no_class_names_its_record(tmp_path: Path, label: int, record: int) -> None:
    source = write_database(tmp_path / "db", raw(PIXELS[5], label))
    with pytest.raises(netspec.NetspecError) as caught:
        make_solver(tmp_path, source).step(3)
    assert f"label {label}" in str(caught.value)
    assert f"record {record} (from 0) of its 12" in str(caught.value)


@pytest.mark.parametrize("size", [0, 100, 4096, 8192, 12288, 20000, 40000, 57343])
def test_a_cut_lmdb(tmp_path: Path, size: int) -> None:
    path = tmp_path / "db"
    path.mkdir()
    (path / "data.mdb").write_bytes(
        (REFERENCE / "data" / "raw_lmdb" / "data.mdb").read_bytes()[:size]
    )
    reported(
        lambda: read_through(write_net(tmp_path, path)),
        path,
        f"it is cut off: {size:,} bytes, at least ",
    )


LEVELDB_CUTS = {
    "table": ("000005.ldb", 0.5, "its table 000005.ldb is damaged: it is cut off"),
    "end of the table": ("000005.ldb", 0.999, "its table 000005.ldb is damaged: it is cut off"),
    "empty table": ("000005.ldb", 0, "its table 000005.ldb is damaged: it is cut off"),
    "no table": (
        "000005.ldb",
        None,
        "its table 000005.ldb can't be read: No such file or directory",
    ),
    "manifest": ("MANIFEST-000004", 0.9, "its MANIFEST-000004 is cut off or damaged"),
    "empty manifest": ("MANIFEST-000004", 0, "its MANIFEST-000004 is cut off or damaged"),
    "no manifest": ("MANIFEST-000004", None, "MANIFEST-000004: No such file or directory"),
    "CURRENT": ("CURRENT", 0.3, "its CURRENT names no manifest"),
}


@pytest.mark.parametrize(("file", "keep", "message"), LEVELDB_CUTS.values(), ids=LEVELDB_CUTS)
def test_a_cut_leveldb(tmp_path: Path, file: str, keep: float | None, message: str) -> None:
    path = tmp_path / "db"
    shutil.copytree(REFERENCE / "data" / "raw_leveldb", path)
    whole = (path / file).read_bytes()
    (path / file).unlink()
    if keep is not None:
        (path / file).write_bytes(whole[: int(keep * len(whole))])
    reported(lambda: read_through(write_net(tmp_path, path)), f"the database '{path}'", message)


@pytest.mark.parametrize("name", ["raw_lmdb/data.mdb", "raw_leveldb/000005.ldb"])
def test_flipped_bytes_are_reported_or_only_change_values(tmp_path: Path, name: str) -> None:
    """Neither LMDB nor Caffe's reading of LevelDB has checksums.

    A change within an image can't be noticed.
    """
    folder, file = name.split("/")
    net = write_net(tmp_path, tmp_path / "db")
    shutil.copytree(REFERENCE / "data" / folder, tmp_path / "db")
    whole = (tmp_path / "db" / file).read_bytes()
    rng, faults = np.random.default_rng(0), []
    for _ in range(60):
        content = bytearray(whole)
        for at in rng.integers(0, len(whole), 60):
            content[at] ^= 1 << int(rng.integers(8))
        (tmp_path / "db" / file).write_bytes(content)
        try:
            read_through(net)
        except netspec.NetspecError as error:
            faults.append(str(error))
    assert len(faults) > 10
    assert all(str(tmp_path / "db") in fault for fault in faults)


def mean(shape: tuple[int, ...]) -> bytes:
    sizes = dict(zip(("num", "channels", "height", "width"), shape, strict=True))
    return BlobProto(**sizes, data=[1.0] * int(np.prod(shape))).SerializeToString()


MEANS: dict[str, tuple[Callable[[], bytes], str]] = {
    "another size": (lambda: mean((1, 3, 19, 24)), "but the mean"),
    "cut short": (
        lambda: mean((1, 3, 20, 24))[:3000],
        "is cut short: 3,000 bytes, at least 5,771 expected",
    ),
    "empty": (lambda: b"", "it is an empty file"),
    "two values too few": (
        lambda: BlobProto(channels=3, height=2, width=2, num=1, data=[0] * 10).SerializeToString(),
        "holds 10 values of size 1×3×2×2",
    ),
    "a caffemodel": (
        lambda: (REFERENCE / "solvers" / "adam" / "init.caffemodel").read_bytes(),
        "it is a caffemodel",
    ),
    "a database's file": (
        lambda: (REFERENCE / "data" / "raw_lmdb" / "data.mdb").read_bytes(),
        "it is the data file of an LMDB",
    ),
    "text": (lambda: b"<html>404</html>", "it is text, such as a page that a download left behind"),
}


@pytest.mark.parametrize(("content", "message"), MEANS.values(), ids=MEANS)
def test_a_mean_file_that_does_not_fit(
    tmp_path: Path, content: Callable[[], bytes], message: str
) -> None:
    path = tmp_path / "mean.binaryproto"
    path.write_bytes(content())
    net = write_net(tmp_path, write_database(tmp_path / "db"), f'mean_file: "{path}"')
    reported(lambda: read_through(net), path, message, "net.prototxt:2:")


def test_a_mean_file_that_is_a_database(tmp_path: Path) -> None:
    source = write_database(tmp_path / "db")
    reported(
        lambda: read_through(write_net(tmp_path, source, f'mean_file: "{source}"')),
        f"the mean file '{source}' can't be read",
        "it is an LMDB",
    )


@pytest.fixture
def module(tmp_path: Path) -> NetModule:
    return netspec.compile(
        write_net(tmp_path, write_database(tmp_path / "db")), phase="TRAIN", seed=1
    )


def test_a_caffemodel_that_is_cut_within_a_layer(tmp_path: Path, module: NetModule) -> None:
    path = tmp_path / "w.caffemodel"
    netspec.save_weights(module, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    reported(
        lambda: netspec.load_weights(module, path),
        f"'{path}' is cut short: {len(whole) - 20:,} bytes, at least ",
        "the last layer that is whole in it is ",
    )
    path.write_bytes(whole[:50])
    reported(
        lambda: netspec.load_weights(module, path), f"'{path}' is cut short: 50 bytes, at least "
    )


def test_a_caffemodel_that_is_cut_between_layers_reports_which_are_missing(
    tmp_path: Path, module: NetModule
) -> None:
    path = tmp_path / "w.caffemodel"
    netspec.save_weights(module, path)
    net = NetParameter.FromString(path.read_bytes())
    at = next(i for i, layer in enumerate(net.layer) if layer.name == "ip")
    del net.layer[at:]
    path.write_bytes(net.SerializeToString())
    report = netspec.load_weights(module, path)
    assert (report.loaded, report.missing) == (["conv"], ["ip"])
    assert "not in the file, kept as they were: ip" in str(report)


def test_a_blob_with_too_few_values_names_its_layer(tmp_path: Path, module: NetModule) -> None:
    path = tmp_path / "w.caffemodel"
    netspec.save_weights(module, path)
    net = NetParameter.FromString(path.read_bytes())
    del next(layer for layer in net.layer if layer.name == "ip").blobs[1].data[2:]
    path.write_bytes(net.SerializeToString())
    reported(
        lambda: netspec.load_weights(module, path),
        f"'{path}': blob 1 of layer 'ip' has the shape 3, 3 values, but holds 2",
    )


@pytest.mark.parametrize("suffix", [".h5", ".safetensors"])
@pytest.mark.parametrize("keep", [0, 0.5, 0.99])
def test_other_weight_files_that_are_cut_short(
    tmp_path: Path, module: NetModule, suffix: str, keep: float
) -> None:
    path = tmp_path / f"w{suffix}"
    netspec.save_weights(module, path)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    reported(lambda: netspec.load_weights(module, path), path)


def test_a_cut_hdf5_file_reports_its_sizes(tmp_path: Path, module: NetModule) -> None:
    path = tmp_path / "w.h5"
    netspec.save_weights(module, path)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-500])
    reported(lambda: read_weights(path), f"'{path}' is cut short: {size - 500:,} of {size:,} bytes")


def make_solver(folder: Path, source: Path, kind: str = "SGD") -> netspec.Solver:
    path = folder / f"{kind}.prototxt"
    path.write_text(SOLVER.format(net=write_net(folder, source), type=kind, prefix=folder / "snap"))
    return netspec.Solver(path)


def state_file(path: Path) -> Path:
    write_solverstate(
        path,
        SolverSnapshot(
            7, "a_iter_7.caffemodel", [np.ones((40, 3), np.float32), np.ones(30, np.float32)], 2
        ),
    )
    return path


@pytest.mark.parametrize("suffix", ["", ".h5"])
@pytest.mark.parametrize("keep", [0, 0.5, 0.98])
def test_a_state_that_is_cut_short(tmp_path: Path, suffix: str, keep: float) -> None:
    path = state_file(tmp_path / f"a.solverstate{suffix}")
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    reported(lambda: read_solverstate(path), path)


def test_a_state_that_is_cut_between_its_blobs_is_of_no_solver(tmp_path: Path) -> None:
    solver = make_solver(tmp_path, write_database(tmp_path / "db"))
    state = SolverState.FromString(solver.snapshot().read_bytes())
    del state.history[2:]
    path = tmp_path / "cut.solverstate"
    path.write_bytes(state.SerializeToString())
    reported(lambda: solver.restore(path), path, "2 history blobs")


def test_a_state_of_another_solver_or_net(tmp_path: Path) -> None:
    source = write_database(tmp_path / "db")
    solver = make_solver(tmp_path, source)
    reported(
        lambda: make_solver(tmp_path, source, "Adam").restore(solver.snapshot()),
        "it has 4 history blobs",
        "keeps 8",
    )
    state = read_solverstate(solver.snapshot())
    state.history[1] = np.ones(5, np.float32)
    path = tmp_path / "other.solverstate"
    write_solverstate(path, state)
    with pytest.raises(
        netspec.NetspecError,
        match=f"'{path}' is the state of another net: history blob 1 is 5, here 2",
    ):
        solver.restore(path)


def test_weights_and_state_taken_for_one_another(tmp_path: Path, module: NetModule) -> None:
    state = state_file(tmp_path / "a.solverstate")
    reported(
        lambda: read_solverstate(save(module, tmp_path / "w.caffemodel")),
        "w.caffemodel' is not a solverstate",
        "it is a caffemodel",
    )
    reported(
        lambda: read_solverstate(save(module, tmp_path / "w.h5")),
        "w.h5' is not a solver state",
        "it holds weights",
    )
    shutil.copy(state, tmp_path / "s.caffemodel")
    reported(
        lambda: netspec.load_weights(module, tmp_path / "s.caffemodel"),
        "s.caffemodel' is not a caffemodel",
        "it is a solverstate",
    )
    reported(
        lambda: read_weights(state_file(tmp_path / "a.solverstate.h5")),
        "has no group 'data'",
        "it is a solver state",
    )


def save(module: NetModule, path: Path) -> Path:
    netspec.save_weights(module, path)
    return path


@pytest.mark.parametrize("suffix", [".caffemodel", ".h5"])
def test_stored_diffs_do_not_disturb_loading(
    tmp_path: Path, module: NetModule, suffix: str
) -> None:
    path = tmp_path / f"w{suffix}"
    layers = [
        (name, "", [], [], [blob.detach().numpy() for blob in blobs])
        for name, blobs in module.params.items()
    ]
    write_weights(
        path, "Net", layers, [[np.ones_like(array) for array in arrays] for *_, arrays in layers]
    )
    assert netspec.load_weights(module, path).loaded == ["conv", "ip"]


SIZES = {
    "huge": Datum(channels=2**31 - 1, height=2**31 - 1, width=2**31 - 1, data=bytes(9)),
    "negative": Datum(channels=-3, height=20, width=-24, data=bytes(1440)),
    "larger than its values": Datum(channels=3, height=20, width=25, data=bytes(1440)),
    "of too many floats": Datum(channels=3, height=20, width=24, float_data=[1.0] * 1441),
}


@pytest.mark.parametrize("datum", SIZES.values(), ids=SIZES)
def test_a_size_that_the_first_record_does_not_hold_is_reported_before_the_net_is_made(
    tmp_path: Path, datum: Datum
) -> None:
    with LmdbWriter(tmp_path / "db") as writer:
        writer.put(b"0", datum.SerializeToString())
    with pytest.raises(
        netspec.NetspecError,
        match=(
            r"net.prototxt:3:\d+: error: .*record 0 \('0'\) of '.*db' (holds \d+ values, "
            r"but says|has no size)"
        ),
    ):
        netspec.load(write_net(tmp_path, tmp_path / "db"), phase="TRAIN")


@pytest.mark.parametrize("at", [0.05, 0.4, 0.8, 0.99])
def test_a_flipped_bit_of_a_state_is_reported_and_resume_takes_the_one_before(
    tmp_path: Path, at: float, capsys: pytest.CaptureFixture
) -> None:
    solver = make_solver(tmp_path, write_database(tmp_path / "db"))
    states = []
    for _ in range(2):
        solver.step(1)
        states.append(solver.snapshot())
    solver.close()
    content = bytearray(states[1].read_bytes())
    content[int(at * len(content))] ^= 4
    states[1].write_bytes(content)
    reported(
        lambda: solver.restore(states[1]),
        f"'{states[1]}' is damaged: it is not what was written (its digest differs)",
        "copy or download it again",
    )
    assert main(["train", str(tmp_path / "SGD.prototxt"), "--resume", "--max-iter", "2"]) == 0
    output = capsys.readouterr()
    assert (
        f"warning: the snapshot '{states[1]}' is passed over: '{states[1]}' is damaged"
        in output.err
    )
    assert "resuming at iteration 1 from " in output.out


def test_a_state_whose_weights_are_no_file(tmp_path: Path) -> None:
    """Also where the name is too long to be one."""
    solver = make_solver(tmp_path, write_database(tmp_path / "db"))
    state = read_solverstate(solver.snapshot())
    for learned_net in (
        "x" * 300 + ".caffemodel",
        str(tmp_path / "folder.caffemodel"),
        "nul\0.caffemodel",
    ):
        (tmp_path / "folder.caffemodel").mkdir(exist_ok=True)
        state.learned_net = learned_net
        path = tmp_path / "other.solverstate"
        write_solverstate(path, state)
        with pytest.raises(netspec.NetspecError, match="can't be read"):
            solver.restore(path)
    solver.close()


def test_a_pickle_that_refers_to_one_array_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "w.npy"
    np.save(
        path,
        np.array({"ip": [np.zeros((1000, 1000), np.float32)] * 100_000}, object),
        allow_pickle=True,
    )
    assert path.stat().st_size < 10_000_000
    reported(lambda: read_weights(path), f"'{path}' claims 400,000,000,000 bytes of weights")
