"""`netspec shapes` of AlexNet as a whole process, against a Python that does nothing."""

from __future__ import annotations

import compileall
import subprocess
import sys
from pathlib import Path

import netspec
from benchmarks.side_by_side import interleaved, report

NET = Path(__file__).parent.parent / "models/bvlc_alexnet/train_val.prototxt"


def main() -> None:
    # as pip does when it installs; PYTHONDONTWRITEBYTECODE leaves an editable install without
    compileall.compile_dir(str(Path(netspec.__file__).parent), quiet=1)
    command = str(Path(sys.executable).parent / "netspec")

    def process(*arguments: str) -> None:
        subprocess.run(arguments, check=True, capture_output=True)

    variants = {
        "netspec shapes": lambda: process(command, "shapes", str(NET)),
        "python -c pass": lambda: process(sys.executable, "-c", "pass"),
    }
    report(
        "start-up",
        interleaved(variants, rounds=25, warm_up=3),
        "netspec shapes",
        "python -c pass",
        bound=9,
    )
