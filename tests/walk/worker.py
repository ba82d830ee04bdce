"""A process that tries files one after the other, in little memory.

`python -m tests.walk.worker`, see bounded.py.

Each line of its input is a case, each line of its output what became of it: "fine", "reported" (a \
NetspecError), or a traceback.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import resource
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

import netspec
from netspec.cli import main
from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.solver.solver_file import load_solver
from netspec.weights.files import read_weights
from netspec.weights.solverstate import read_solverstate

MEBIBYTES = 2048  # beyond what the process holds when torch is imported
MAX_FED = 2**24  # values of an input that a caller would still make


def try_net(path: Path) -> None:
    """Loads, compiles and runs a net, back where it has an objective."""
    net = netspec.load(path, phase="TRAIN", allow_python_layers=True)
    module = netspec.compile(net, seed=1)
    feed = _feed(net)
    if feed is None:
        return
    outputs = module(**feed)
    loss = module.loss(outputs)
    if loss.requires_grad:
        loss.backward()


def _feed(net: Net) -> dict[str, torch.Tensor] | None:
    """A batch of the data layers, and 0 and 1 in turn for Input layers.

    None where these are too large to make.
    """
    feed = {}
    if net.sources:
        with netspec.batches(net, prefetch=0) as stream:
            feed = {name: torch.from_numpy(array) for name, array in next(stream).items()}
    for name in net.inputs:
        blob = net.blobs[name] if net.blobs[name].version == 0 else net.layers[0].top_blobs[0]
        if blob.count > MAX_FED:
            return None
        feed[name] = (torch.arange(blob.count) % 2).float().reshape(blob.shape or ())
    return feed


def try_solver(path: Path) -> None:
    load_solver(path)


def try_check(path: Path) -> None:
    """`netspec check` ends with one of its exit statuses; an error is printed where it says 1."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(["check", str(path)])
    # a line that is shown is set off, and may hold the word
    is_reported = re.search(r"^(\S+: )?error: ", err.getvalue(), re.MULTILINE)
    if status not in (0, 1) or (status == 1) != bool(is_reported):
        raise AssertionError(f"check ended with {status}: {err.getvalue()}")


def try_training(path: Path) -> None:
    """Two iterations of a solver."""
    with contextlib.closing(netspec.Solver(path)) as solver:
        solver.step(2)


def try_weights(path: Path) -> None:
    if ".solverstate" in path.name:
        read_solverstate(path)
    else:
        read_weights(path)


ACTIONS: dict[str, Callable[[Path], None]] = {
    "net": try_net,
    "solver": try_solver,
    "check": try_check,
    "training": try_training,
    "weights": try_weights,
}


def outcome(case: dict[str, str], folder: Path) -> str:
    path = folder / case["file"]
    path.write_bytes(base64.b64decode(case["content"]))
    os.chdir(case.get("cwd", str(folder)))
    try:
        for action in case["actions"].split():
            ACTIONS[action](path)
    except NetspecError as error:
        return (
            "reported" if error.diagnostics and str(error) else "a NetspecError that says nothing"
        )
    except Exception as error:
        # torch's own word, with a note that names the layer
        if "DefaultCPUAllocator: can't allocate memory" in str(error):
            return "reported"
        return traceback.format_exc()
    return "fine"


def run() -> None:
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    held = (
        int(
            next(
                line
                for line in Path("/proc/self/status").read_text().splitlines()
                if line.startswith("VmData:")
            ).split()[1]
        )
        * 1024
    )
    resource.setrlimit(resource.RLIMIT_DATA, (held + MEBIBYTES * 2**20,) * 2)
    answers, sys.stdout = sys.stdout, sys.stderr
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            answers.write(json.dumps(outcome(json.loads(line), Path(folder))) + "\n")
            answers.flush()


if __name__ == "__main__":
    run()
