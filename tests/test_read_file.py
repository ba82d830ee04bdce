"""Inputs that are no regular files, or too large.

Each is refused with its path before anything waits for its end.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import netspec
from netspec.cli import main
from netspec.making.idx_files import read_idx
from netspec.read_file import open_regular, read_file
from netspec.weights.companion import read_companion
from netspec.weights.files import read_weights
from netspec.weights.solverstate import read_solverstate

NET = 'name: "piped" layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 } } }'
DATA = 'layer {{ name: "d" type: "{}" top: "d" {} {} }}'


@pytest.fixture
def endless(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Path]]:
    """Makes something whose reading would not end, of the kind of the test's parameter."""
    opened = []

    def make(name: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if request.param == "fifo":
            os.mkfifo(path)
        elif request.param == "device":
            path.symlink_to("/dev/zero")
        else:
            opened.append(socket.socket(socket.AF_UNIX))
            os.chdir(path.parent)  # a socket's path may have about a hundred characters
            opened[-1].bind(path.name)
        return path

    before = Path.cwd()
    yield make
    os.chdir(before)
    for each in opened:
        each.close()


def layer(folder: Path, kind: str, settings: str) -> object:
    (folder / "net.prototxt").write_text(
        DATA.format(kind, "" if kind == "HDF5Data" else 'top: "label"', settings)
    )
    net = netspec.load(folder / "net.prototxt", phase="TRAIN", inputs={"d": (1, 3, 8, 8)})
    return next(netspec.batches(net, prefetch=0))


def image(path: Path) -> object:
    (path.parent / "list").write_text(f"{path} 3\n")
    return layer(
        path.parent, "ImageData", f'image_data_param {{ source: "{path.parent / "list"}" }}'
    )


def hdf5_rows(path: Path) -> object:
    (path.parent / "list").write_text(f"{path}\n")
    return layer(
        path.parent,
        "HDF5Data",
        f'hdf5_data_param {{ source: "{path.parent / "list"}" batch_size: 1 }}',
    )


def mean_file(path: Path) -> object:
    return layer(
        path.parent,
        "Data",
        f'transform_param {{ mean_file: "{path}" }} data_param {{ source: "db" batch_size: 1 }}',
    )


ACTIONS: dict[str, Callable[[Path], object]] = {
    "net.prototxt": netspec.load,
    "net.yaml": netspec.load,
    "solver.prototxt": netspec.Solver,
    "w.caffemodel": read_weights,
    "w.h5": read_weights,
    "w.npy": read_weights,
    "w.safetensors": read_weights,
    "a.solverstate": read_solverstate,
    "a.solverstate.h5": read_solverstate,
    "b.solverstate.json": lambda path: read_companion(path.with_suffix("")),
    "mean.binaryproto": mean_file,
    "image.png": image,
    "images.txt": lambda path: layer(
        path.parent, "ImageData", f'image_data_param {{ source: "{path}" }}'
    ),
    "windows.txt": lambda path: layer(
        path.parent,
        "WindowData",
        f'transform_param {{ crop_size: 8 }} window_data_param {{ source: "{path}" '
        "batch_size: 1 }",
    ),
    "files.txt": lambda path: layer(
        path.parent, "HDF5Data", f'hdf5_data_param {{ source: "{path}" batch_size: 1 }}'
    ),
    "rows.h5": hdf5_rows,
    "train-images-idx3-ubyte": lambda path: read_idx(path, 3),
}


@pytest.mark.parametrize("endless", ["fifo", "device", "socket"], indirect=True)
@pytest.mark.parametrize("name", ACTIONS)
def test_what_does_not_end_is_refused(endless: Callable[[str], Path], name: str) -> None:
    path = endless(name)
    with pytest.raises(netspec.NetspecError, match="expected a regular file") as caught:
        ACTIONS[name](path)
    assert name in str(caught.value)


@pytest.mark.parametrize("endless", ["fifo", "device"], indirect=True)
def test_commands_refuse_it(endless: Callable[[str], Path], capsys: pytest.CaptureFixture) -> None:
    log = endless("run.log")
    for command in (
        ["shapes", str(log)],
        ["check", str(log)],
        ["log", "parse", str(log)],
        ["dataset", "build", str(log), str(log.parent / "db")],
    ):
        assert main(command) == 1
        assert "run.log' can't be read: it is a" in capsys.readouterr().err
    data = endless("db.mdb")
    assert main(["dataset", "info", str(data)]) == 1
    assert "db.mdb" in capsys.readouterr().err


@pytest.mark.parametrize("name", ACTIONS)
def test_a_folder_in_its_place(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(
        netspec.NetspecError, match=r"Is a directory|is a folder|does not exist"
    ) as caught:
        ACTIONS[name](tmp_path / name)
    assert name in str(caught.value)


def test_a_net_from_a_pipe_is_read() -> None:
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; from netspec.cli import main; "
        "sys.exit(main(['shapes', '/dev/stdin']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=NET, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "piped" in done.stdout


def test_a_pipe_has_a_bound() -> None:
    with subprocess.Popen(["cat", "/dev/zero"], stdout=subprocess.PIPE) as endless:
        assert endless.stdout is not None
        with pytest.raises(OSError, match="more than the 2 MiB that such a file may have"):
            read_file(f"/dev/fd/{endless.stdout.fileno()}", 2 << 20)
        endless.kill()


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("net.prototxt", "16 MiB"),
        ("w.caffemodel", "256 GiB"),
        ("w.npy", "256 GiB"),
        ("images.txt", "1 GiB"),
        ("image.png", "1 GiB"),
    ],
)
def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, name: str, most: str) -> None:
    path = tmp_path / name
    with path.open("wb") as file:
        file.write(b"x")
        file.truncate(1 << 40)  # sparse: it takes no room on the disk
    with pytest.raises(netspec.NetspecError, match=f"it has 1024 GiB, more than the {most}"):
        ACTIONS[name](path)


def test_a_file_larger_than_the_memory_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 43)
    with pytest.raises(OSError, match="it has 8192 GiB, more than this machine's memory of "):
        read_file(path, 1 << 44)


def test_what_takes_the_place_of_a_file_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    os.mkfifo(path)
    monkeypatch.setattr("netspec.read_file.require_regular", lambda _: None)
    with pytest.raises(OSError, match="a named pipe"):
        open_regular(path)
