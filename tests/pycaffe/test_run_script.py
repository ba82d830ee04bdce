"""python -m netspec.pycaffe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import netspec
from netspec.pycaffe.__main__ import main

SCRIPT = """
import sys
import caffe
import caffe.proto.caffe_pb2
import netspec.pycaffe
from caffe.proto import caffe_pb2
from helper import NAME
assert caffe is netspec.pycaffe and caffe.Net is netspec.pycaffe.Net
assert caffe_pb2 is sys.modules['netspec.pycaffe.proto.caffe_pb2'] is caffe.proto.caffe_pb2
print(__name__, NAME, sys.argv)
"""


def run(cwd, *arguments):
    command = [sys.executable, "-m", "netspec.pycaffe", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "helper.py").write_text("NAME = 'helper'\n")
    return tmp_path


def test_a_script_finds_caffe_and_its_own_modules(folder):
    done = run("/", str(folder / "script.py"), "a", "-b")
    assert done.stderr == ""
    assert done.stdout == f"__main__ helper {[str(folder / 'script.py'), 'a', '-b']}\n"


def test_a_module_finds_caffe(folder):
    done = run(folder, "-m", "script", "a")
    assert done.stderr == ""
    assert done.stdout == f"__main__ helper {[str(folder / 'script.py'), 'a']}\n"


def test_usage(capsys):
    for arguments in ([], ["-m"], ["-x"]):
        assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: python -m netspec.pycaffe SCRIPT")
    assert main(["none.py"]) == 2
    assert "'none.py' does not exist" in capsys.readouterr().err
    assert main(["--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: ")


def test_a_script_that_writes_nets_loads_no_torch(tmp_path):
    (tmp_path / "s.py").write_text(
        "import sys\nfrom caffe import layers as L\nimport caffe\n"
        "print(caffe.to_proto(L.Input()).layer[0].name, 'torch' in sys.modules)\n"
        "raise SystemExit(3)\n"
    )
    done = run(tmp_path, "s.py")
    assert (done.stdout, done.returncode) == ("Input1 False\n", 3)


def test_the_extra_package_makes_caffe_known_everywhere(folder):
    root = Path(netspec.__file__).parents[1]
    path = os.pathsep.join([str(root / "netspec-caffe"), str(root)])
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout == "__main__ helper ['script.py']\n"
