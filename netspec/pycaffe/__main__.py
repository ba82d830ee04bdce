"""`python -m netspec.pycaffe script.py args…`, `-m module args…`: caffe is netspec.pycaffe."""

from __future__ import annotations

import os
import runpy
import sys
from importlib.util import find_spec
from types import ModuleType

from netspec.pycaffe.alias import install

USAGE = """usage: python -m netspec.pycaffe [--cpu] SCRIPT [ARGUMENT …]
       python -m netspec.pycaffe [--cpu] -m MODULE [ARGUMENT …]
       python -m netspec.pycaffe [--cpu] -c CODE [ARGUMENT …]

Runs a script, module or code whose `import caffe` finds netspec's interface of pycaffe.

--cpu passes over set_mode_gpu and set_device, for scripts that ask for a GPU
without need."""


def main(arguments: list[str]) -> int:
    """Runs what the arguments name as Python itself would; returns the exit status."""
    if arguments[:1] in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    if arguments[:1] == ["--cpu"]:
        os.environ["NETSPEC_PYCAFFE_CPU"] = "1"
        arguments = arguments[1:]
    is_option = arguments and arguments[0] in ("-m", "-c")
    if (
        not arguments
        or (arguments[0][:1] == "-" and not is_option)
        or arguments in (["-m"], ["-c"])
    ):
        print(USAGE, file=sys.stderr)
        return 2
    install()
    # python -m has put the working directory first, where -m and -c look as well
    if arguments[0] == "-m":
        return _run_module(arguments[1:])
    if arguments[0] == "-c":
        sys.argv[:] = ["-c", *arguments[2:]]
        main_module = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(arguments[1], "<string>", "exec"), vars(main_module))  # noqa: S102
        return 0
    return _run_script(arguments)


def _run_module(arguments: list[str]) -> int:
    name = arguments[0]
    try:
        is_there = find_spec(name) is not None
    except (ImportError, ValueError):  # a package above it is missing, or the name is none
        is_there = False
    if not is_there:
        return _refuse(f"there is no module '{name}'")
    sys.argv[:] = arguments
    runpy.run_module(name, run_name="__main__", alter_sys=True)
    return 0


def _run_script(arguments: list[str]) -> int:
    script = arguments[0]
    if not os.path.exists(script):
        return _refuse(f"'{script}' does not exist")
    is_folder = os.path.isdir(script)
    if is_folder and not os.path.exists(os.path.join(script, "__main__.py")):
        return _refuse(f"the folder '{script}' has no __main__.py")
    sys.argv[:] = arguments
    sys.path[0] = os.path.abspath(script if is_folder else os.path.dirname(os.path.abspath(script)))
    runpy.run_path(script, run_name="__main__")
    return 0


def _refuse(message: str) -> int:
    print(f"python -m netspec.pycaffe: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
