"""`python -m netspec.pycaffe script.py args…` and `-m module args…`: caffe is netspec.pycaffe."""

from __future__ import annotations

import os
import runpy
import sys

from netspec.pycaffe.alias import install

USAGE = """usage: python -m netspec.pycaffe SCRIPT [ARGUMENT …]
       python -m netspec.pycaffe -m MODULE [ARGUMENT …]

Runs a script or module whose `import caffe` finds netspec's interface of pycaffe."""


def main(arguments: list[str]) -> int:
    """Runs what the arguments name as Python itself would; returns the exit status."""
    if arguments[:1] in (["-h"], ["--help"]):
        print(USAGE)
        return 0
    if not arguments or arguments == ["-m"] or (arguments[0][:1] == "-" and arguments[0] != "-m"):
        print(USAGE, file=sys.stderr)
        return 2
    if arguments[0] == "-m":
        install()
        # python -m has put the working directory first, where the module is looked for as well
        sys.argv[:] = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return 0
    script = arguments[0]
    if not os.path.exists(script):
        print(f"python -m netspec.pycaffe: '{script}' does not exist", file=sys.stderr)
        return 2
    install()
    sys.argv[:] = arguments
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    runpy.run_path(script, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
