"""Every command that writes a file.

One of the same kind is written over, any other stands unless --overwrite is given.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import netspec
from netspec.cli import main
from netspec.making.mean_image import write_mean
from netspec.schema.caffe_pb2 import Datum
from netspec.stores.lmdb_writer import LmdbWriter
from netspec.weights.files import write_weights
from netspec.weights.solverstate import SolverSnapshot, write_solverstate

h5py = pytest.importorskip("h5py")

NET = 'name: "n"\nlayer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 } } }\n'
LOG = (
    '{"event": "start", "iter": 0}\n{"event": "train", "iter": 5, "loss": 1.0, "lr": 0.1, '
    '"outputs": {"loss": 1.0}, "seconds": 1}\n'
)


def weights(path: Path) -> None:
    write_weights(path, "n", [("ip", "InnerProduct", [], [], [np.ones((2, 3), np.float32)])])


def rows(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["data"] = np.ones((3, 2))


def zip_file(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.txt", "mine")


CONTENTS: dict[str, Callable[[Path], object]] = {
    "net": lambda path: path.write_text(NET),
    "net after a long comment": lambda path: path.write_text("# a licence\n" * 500 + NET),
    "YAML": lambda path: path.write_text("name: n\nlayer:\n- {name: in, type: Input, top: x}\n"),
    "solver": lambda path: path.write_text('type: "SGD"\nmax_iter: 5\n'),
    "list": lambda path: path.write_text("a.png 1\nb.png 2\n"),
    "label map": lambda path: path.write_text('item { name: "cat" label: 1 }\n'),
    "script": lambda path: path.write_text("import os\nprint(os)\n"),
    "mean": lambda path: write_mean(path, np.ones((3, 2, 2), np.float32)),
    "caffemodel": lambda path: (
        weights(path.with_suffix(".caffemodel")) or path.with_suffix(".caffemodel").rename(path)
    ),
    "state": lambda path: write_solverstate(path, SolverSnapshot(5, "a", [np.ones(3, np.float32)])),
    "HDF5 weights": lambda path: (
        weights(path.with_suffix(".h5")) or path.with_suffix(".h5").rename(path)
    ),
    "HDF5 rows": rows,
    "safetensors": lambda path: (
        weights(path.with_suffix(".safetensors")) or path.with_suffix(".safetensors").rename(path)
    ),
    "NumPy archive": lambda path: (
        weights(path.with_suffix(".npz")) or path.with_suffix(".npz").rename(path)
    ),
    "zip": zip_file,
    "PNG": lambda path: Image.new("RGB", (2, 2)).save(path, "PNG"),
    "PDF": lambda path: path.write_bytes(b"%PDF-1.7\n"),
    "table": lambda path: path.write_text("NumIters,Seconds,LearningRate,loss\n"),
    "empty": lambda path: path.write_bytes(b""),
}
# what to run, the file that it writes, and what may be written over
COMMANDS: dict[str, tuple[str, str, set[str]]] = {
    "mean": ("dataset mean db out.binaryproto", "out.binaryproto", {"mean"}),
    "mean to a net's path": ("dataset mean db out.prototxt", "out.prototxt", {"mean"}),
    "prototxt": (
        "convert in.prototxt out.prototxt",
        "out.prototxt",
        {"net", "net after a long comment", "solver"},
    ),
    "yaml": ("convert in.prototxt out.yaml", "out.yaml", {"YAML", "net", "solver"}),
    "caffemodel": (
        "convert in.h5 out.caffemodel",
        "out.caffemodel",
        {"caffemodel", "HDF5 weights"},
    ),
    "h5": ("convert in.h5 out.h5", "out.h5", {"HDF5 weights"}),
    "safetensors": ("convert in.h5 out.safetensors", "out.safetensors", {"safetensors"}),
    "npz": ("convert in.h5 out.npz", "out.npz", {"NumPy archive"}),
    "draw": ("draw in.prototxt out.png", "out.png", {"PNG"}),
    "plot": ("log plot in.log -o out.pdf", "out.pdf", {"PDF"}),
    "schedule": ("solver schedule solver.prototxt -o out.png", "out.png", {"PNG"}),
    "parse": ("log parse in.log", "in.log.train", {"table"}),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.prototxt").write_text(NET)
    (tmp_path / "in.log").write_text(LOG)
    (tmp_path / "solver.prototxt").write_text(
        'net: "in.prototxt"\nbase_lr: 0.1\nlr_policy: "fixed"\nmax_iter: 5\n'
    )
    weights(tmp_path / "in.h5")
    with LmdbWriter(tmp_path / "db") as writer:
        writer.put(b"0", Datum(channels=1, height=2, width=2, data=bytes(4)).SerializeToString())
    return tmp_path


@pytest.mark.parametrize(("command", "name", "own"), COMMANDS.values(), ids=COMMANDS)
def test_only_the_same_kind_is_written_over(
    folder: Path, command: str, name: str, own: set[str], capsys: pytest.CaptureFixture
) -> None:
    path = folder / name
    for content, make in CONTENTS.items():
        path.unlink(missing_ok=True)
        make(path)
        before = path.read_bytes()
        status = main(command.split())
        err = capsys.readouterr().err
        if content in own | {"empty"}:
            assert status == 0, (content, err)
        else:
            assert status == 1, content
            assert f"'{name}' already exists and is " in err.replace("./", ""), content
            assert "hint: name another file; --overwrite writes over it" in err
            assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("command", "name"), [(command, name) for command, name, _ in COMMANDS.values()], ids=COMMANDS
)
def test_overwrite_writes_over_it(folder: Path, command: str, name: str) -> None:
    rows(folder / name)
    assert main([*command.split(), "--overwrite"]) == 0
    assert (folder / name).read_bytes()[:8] != b"\x89HDF\r\n\x1a\n" or name == "out.h5"


def test_a_mean_image_never_costs_a_net(folder: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["dataset", "mean", "db", "in.prototxt"]) == 1
    assert (
        "error: 'in.prototxt' already exists and is a net or solver, not a mean file"
        in capsys.readouterr().err
    )
    assert (folder / "in.prototxt").read_text() == NET


def test_tables_are_written_all_or_none(folder: Path, capsys: pytest.CaptureFixture) -> None:
    (folder / "in.log").write_text(
        LOG
        + (
            '{"event": "test", "iter": 5, "net": 0, "loss": 1.0, '
            '"outputs": {"loss": 1.0}, "seconds": 1}\n'
        )
    )
    (folder / "in.log.test").write_text(NET)
    assert main(["log", "parse", "in.log"]) == 1
    assert "in.log.test' already exists and is a net or solver" in capsys.readouterr().err
    assert not (folder / "in.log.train").exists()


def test_databases_are_replaced_where_nothing_else_lies_in_their_folder(
    folder: Path, capsys: pytest.CaptureFixture
) -> None:
    Image.new("RGB", (2, 2)).save(folder / "a.png")
    (folder / "list.txt").write_text("a.png 1\na.png 2\n")
    assert main(["dataset", "build", "list.txt", "db"]) == 1
    assert (
        capsys.readouterr().err
        == "error: 'db' already exists\n  hint: --overwrite puts the new one in its place\n"
    )
    assert main(["dataset", "build", "list.txt", "db", "--overwrite"]) == 0
    assert capsys.readouterr().out == "db: 2 records\n"
    (folder / "db" / "mine.txt").write_text("keep")
    assert main(["dataset", "build", "list.txt", "db", "--overwrite"]) == 1
    assert "'db' already exists, and is no LMDB" in capsys.readouterr().err
    assert (folder / "db" / "mine.txt").read_text() == "keep"


def test_hdf5_output_writes_over_its_own_only(folder: Path) -> None:
    text = NET + 'layer { name: "y" type: "Input" top: "y" input_param { shape { dim: 2 } } }'
    path = folder / "net.prototxt"
    path.write_text(
        text
        + (
            'layer { name: "o" type: "HDF5Output" bottom: "x" bottom: "y" '
            'hdf5_output_param { file_name: "rows.h5" } }'
        )
    )
    import torch

    def run() -> None:
        netspec.compile(path)(x=torch.zeros(2), y=torch.ones(2))

    run()
    run()
    for content in ("net", "HDF5 weights", "mean"):
        (folder / "rows.h5").unlink()
        CONTENTS[content](folder / "rows.h5")
        before = (folder / "rows.h5").read_bytes()
        with pytest.raises(
            netspec.NetspecError,
            match=r"layer 'o': 'rows.h5' already exists and is .*, not an HDF5 file of data",
        ):
            run()
        assert (folder / "rows.h5").read_bytes() == before


@pytest.mark.parametrize(
    ("tool", "arguments", "name"),
    [
        ("draw_net", "in.prototxt out.png", "out.png"),
        ("parse_log", "in.log .", "in.log.train"),
        ("upgrade_net_proto_text", "in.prototxt out.prototxt", "out.prototxt"),
        ("upgrade_solver_proto_text", "solver.prototxt out.prototxt", "out.prototxt"),
        ("upgrade_net_proto_binary", "in.caffemodel out.caffemodel", "out.caffemodel"),
    ],
)
def test_the_tools_take_the_option_that_their_messages_name(
    folder: Path, tool: str, arguments: str, name: str
) -> None:
    weights(folder / "in.caffemodel")
    rows(folder / name)
    command = [sys.executable, Path(__file__).parents[2] / f"tools/{tool}.py", *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, "--overwrite writes over it" in done.stderr) == (1, True)
    subprocess.run([*command, "--overwrite"], check=True, capture_output=True)
    assert (folder / name).read_bytes()[:8] != b"\x89HDF\r\n\x1a\n"
