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


def test_code_and_folders(tmp_path):
    code = "import sys, caffe; print(caffe.TEST, sys.argv, sys.modules['__main__'].caffe.TEST)"
    assert run(tmp_path, "-c", code, "a").stdout == "1 ['-c', 'a'] 1\n"
    (tmp_path / "tool").mkdir()
    done = run(tmp_path, "tool")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    (tmp_path / "tool" / "__main__.py").write_text("import caffe, other; print(other.X)")
    (tmp_path / "tool" / "other.py").write_text("X = 1")
    assert run(tmp_path, "tool").stdout == "1\n"


def test_a_script_for_a_gpu_runs_on_the_cpu(tmp_path):
    code = "import caffe; caffe.set_device(0); caffe.set_mode_gpu(); print(caffe.TEST)"
    done = run(tmp_path, "--cpu", "-c", code)
    assert (done.stdout, done.returncode) == ("1\n", 0)
    assert "set_mode_gpu is passed over: NETSPEC_PYCAFFE_CPU is set" in done.stderr


TESTS = """
import unittest, caffe
class Test(unittest.TestCase):
    def test_it(self):
        self.assertIn('Data', caffe.layer_type_list())
if __name__ == '__main__':
    unittest.main()
"""


def test_tests_of_pycaffe_are_discovered(tmp_path):
    (tmp_path / "own_tests").mkdir()
    (tmp_path / "own_tests" / "test_caffe_things.py").write_text(TESTS)
    for arguments in (
        ["-m", "unittest", "discover", "-s", "own_tests"],
        ["-m", "unittest", "own_tests.test_caffe_things"],
        ["own_tests/test_caffe_things.py"],
    ):
        done = run(tmp_path, *arguments)
        assert "Ran 1 test" in done.stderr
        assert done.returncode == 0
    assert "1 passed" in run(tmp_path, "-m", "pytest", "-q", "own_tests").stdout


def test_a_script_beside_an_original_caffe(folder):
    """sys.path has caffe_root + 'python' in most notebooks; what is there is not imported."""
    (folder / "python" / "caffe").mkdir(parents=True)
    (folder / "python" / "caffe" / "__init__.py").write_text("raise ImportError('not this one')")
    (folder / "s.py").write_text(
        "import sys\nsys.path.insert(0, './python')\nimport caffe\nprint(caffe.__version__)\n"
    )
    assert run(folder, "s.py").stdout == "1.0.0\n"


def test_usage(capsys):
    for arguments in ([], ["-m"], ["-c"], ["-x"]):
        assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: python -m netspec.pycaffe [--cpu] SCRIPT")
    assert main(["none.py"]) == 2
    assert "'none.py' does not exist" in capsys.readouterr().err
    assert main(["-m", "no_such.module"]) == 2
    assert "there is no module 'no_such.module'" in capsys.readouterr().err
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
