"""What a weight file takes of memory: its arrays once, and of any size.

The files are sparse: mostly zeros that take no room on the disk.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from math import prod
from pathlib import Path

import pytest

from netspec.schema.caffe_pb2 import BlobProto, BlobShape, LayerParameter
from netspec.weights.blob_proto import wire_tag

MIB = 1 << 20
ALLOWED = 1.3  # of the file's size


def sparse_caffemodel(path: Path, shapes: list[tuple[int, ...]]) -> int:
    """A caffemodel with a layer of each shape, whose last value is 1. Returns its size."""
    with path.open("wb") as file:
        for i, shape in enumerate(shapes):
            size = 4 * prod(shape)
            head = BlobProto(shape=BlobShape(dim=shape)).SerializeToString() + wire_tag(5, size)
            name = LayerParameter(name=f"layer{i}", type="InnerProduct").SerializeToString()
            blob = wire_tag(7, len(head) + size)
            file.write(wire_tag(100, len(name) + len(blob) + len(head) + size) + name + blob + head)
            file.seek(size - 4, 1)
            file.write(b"\0\0\x80?")
        return file.tell()


def growth(code: str) -> dict[str, float]:
    """What a fresh process prints, and by how many bytes its memory has grown meanwhile."""
    program = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "import resource, json\n"
        "from netspec.weights.files import read_weights\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "before = peak()\n"
        f"{code}\n"
        "print(json.dumps({'grown': peak() - before, 'told': told}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert not done.stderr, done.stderr
    return json.loads(done.stdout)


def check(path: Path, shapes: list[tuple[int, ...]]) -> float:
    size = sparse_caffemodel(path, shapes)
    found = growth(
        f"w = read_weights({str(path)!r})\n"
        "told = [[*a.shape, float(a.flat[-1]), float(a.flat[0])] for a, in w.values()]"
    )
    assert found["told"] == [[*shape, 1, 0] for shape in shapes]
    assert found["grown"] < ALLOWED * size + 10 * MIB
    return found["grown"] / size


def test_a_caffemodel_is_held_once(tmp_path: Path) -> None:
    check(tmp_path / "net.caffemodel", [(4096, 4096), (1000, 4096), (96, 3, 11, 11)])


@pytest.mark.slow
def test_a_caffemodel_of_more_than_2_gib(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 6 << 30:
        pytest.skip("less than 6 GiB are free on the disk")
    path = tmp_path / "net.caffemodel"
    try:
        check(path, [(32768, 16384), (8192, 4096), (10, 3)])
    finally:
        path.unlink()
