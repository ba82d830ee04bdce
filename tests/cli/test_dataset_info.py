"""`netspec dataset info` as a user calls it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from netspec.cli import main
from netspec.schema.caffe_pb2 import Datum
from netspec.stores.lmdb_writer import LmdbWriter
from tests.conftest import REFERENCE

DATA = REFERENCE / "data"


def call(capsys, *arguments: object) -> tuple[int, str, str]:
    status = main(["dataset", "info", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, out, err


def database(path: Path, *values: bytes) -> Path:
    with LmdbWriter(path) as writer:
        for i, value in enumerate(values):
            writer.put(f"{i:04d}".encode(), value)
    return path


def record(label: int, height: int = 1) -> bytes:
    return Datum(
        channels=1, height=height, width=2, data=bytes(range(2 * height)), label=label
    ).SerializeToString()


def test_a_whole_database(capsys):
    status, out, err = call(capsys, DATA / "raw_lmdb")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        f"{DATA / 'raw_lmdb'}: LMDB, 12 records, 57,344 bytes on disk",
        "  keys    '00000000_im00.png' … '00000011_im11.png'",
        "  bytes   17,436 in the records, 1,453 on average",
        "  kinds   raw: 12",
        "  sizes   3×20×24: 12 (C×H×W)",
        "  labels  0 … 6, 6 classes",
        "          0: 2, 1: 1, 2: 1, 4: 1, 5: 2, 6: 5",
        "          no record has 3",
        "  values  7 … 246 (raw)",
        "  no broken records",
    ]


def test_images_that_were_not_decoded_are_owned_up_to(capsys):
    assert call(capsys, DATA / "png_lmdb")[1].splitlines()[-1] == "  no broken records"
    assert (
        call(capsys, DATA / "png_lmdb", "--no-decode")[1].splitlines()[-1]
        == "  no broken records; images were not decoded"
    )
    assert (
        call(capsys, DATA / "raw_lmdb", "--no-decode")[1].splitlines()[-1] == "  no broken records"
    )


def test_broken_records_are_listed_and_the_status_is_1(capsys, tmp_path):
    status, out, err = call(capsys, database(tmp_path / "db", record(3), *[b"\xff"] * 25))
    assert (status, err) == (1, "")
    lines = out.splitlines()
    at = lines.index("  broken  25:")
    assert lines[at + 1] == "    record 1 ('0001'): it is no Datum"
    assert lines[at + 21 :] == ["    … and 5 more"]
    assert "  labels  3, 1 class" in lines


def test_many_sizes_and_labels_are_cut_short(capsys, tmp_path):
    values = [record(label, height=1 + label % 12) for label in range(60) if label not in (7, 8)]
    lines = call(capsys, database(tmp_path / "db", *values, record(2)))[1].splitlines()
    sizes = next(line for line in lines if line.startswith("  sizes"))
    assert sizes.startswith("  sizes   1×1×2: 6, ")
    assert sizes.endswith(", … and 2 other sizes (C×H×W)")
    at = lines.index("  labels  0 … 59, 58 classes")
    assert lines[at + 1 : at + 3] == [
        "          1 (label 0) to 2 (label 2) records each",
        "          no record has 7, 8",
    ]


def test_json_has_it_all(capsys, tmp_path):
    status, out, _ = call(
        capsys, database(tmp_path / "db", record(3), record(-1, 2), b"\xff"), "--format", "json"
    )
    about = json.loads(out)
    assert status == 1
    assert (about["kind"], about["whole"], about["records"], about["records_by_header"]) == (
        "LMDB",
        False,
        3,
        3,
    )
    assert about["labels"] == {
        "min": -1,
        "max": 3,
        "classes": 2,
        "others": 0,
        "counts": {"-1": 1, "3": 1},
    }
    assert about["sizes"] == [{"shape": [1, 1, 2], "count": 1}, {"shape": [1, 2, 2], "count": 1}]
    assert about["values"] == {"raw": {"min": 0, "max": 3}}
    assert about["broken"] == {
        "count": 1,
        "first": [{"record": 2, "key": "0002", "reason": "it is no Datum"}],
    }


def test_a_cut_file_reports_how_much_is_left(capsys, tmp_path):
    (tmp_path / "data.mdb").write_bytes((DATA / "raw_lmdb" / "data.mdb").read_bytes()[:53000])
    status, out, _ = call(capsys, tmp_path)
    assert status == 1
    assert out.startswith(
        f"{tmp_path}: LMDB, 9 of 12 records could be read, 53,000 bytes on disk\n"
    )
    assert "it is cut off: 53,000 bytes, at least 57,344 expected" in out
    (tmp_path / "data.mdb").write_bytes((DATA / "raw_lmdb" / "data.mdb").read_bytes()[:5000])
    status, out, _ = call(capsys, tmp_path, "--format", "json")
    assert (status, json.loads(out)["records"]) == (1, 0)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            DATA / "mean.binaryproto",
            (
                "is not a database; it is a blob, such as a mean file\n"
                "  hint: transform_param.mean_file names it"
            ),
        ),
        (
            DATA / "list.txt",
            "is not a database; it is text\n  hint: `netspec dataset build LIST OUT`",
        ),
        (DATA / "raw.npz", "is not a database; it is a zip file"),
        (DATA / "images" / "im00.png", "is not a database; it is a PNG image"),
        (DATA / "raw.prototxt", "is not a database; it is a prototxt"),
        (
            DATA / "images",
            "is not a database: it holds neither data.mdb (LMDB) nor CURRENT (LevelDB)",
        ),
        (
            REFERENCE / "solvers" / "adam" / "init.caffemodel",
            "is not a database; it is a caffemodel",
        ),
        (
            REFERENCE / "solvers" / "adam" / "snap_iter_9.solverstate",
            "is not a database; it is a solverstate",
        ),
        ("none", "the database 'none' does not exist"),
    ],
)
def test_what_is_no_database_is_reported(capsys, path, message):
    status, out, err = call(capsys, path)
    assert (status, out) == (1, "")
    assert message in err


def test_raw_records_need_no_torch_and_no_pillow():
    code = f"""
import sys
from netspec.cli import main
assert main(["dataset", "info", {str(DATA / "raw_lmdb")!r}]) == 0
assert not {{"torch", "PIL", "lmdb", "h5py", "yaml"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("name", ["data.mdb", "CURRENT"])
def test_a_pipe_in_a_database_s_place_is_no_database(tmp_path, capsys, name):
    os.mkfifo(tmp_path / name)
    status, _, err = call(capsys, tmp_path)
    assert status == 1
    assert "is not a database: it holds neither data.mdb (LMDB) nor CURRENT (LevelDB)" in err
