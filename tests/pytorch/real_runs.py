"""Runs in several real processes, for the tests.

Starting them, finding and killing them, comparing what they have written.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from netspec.weights.files import read_weights

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
PAIR = ("--nproc", "2")
MARKS: dict[int, bytes] = {}  # by process id
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.fixture
def pair_folder(run_folder: Path) -> Path:
    """A run without what each process has of its own: BatchNorm's statistics and dropout."""
    net = (run_folder / "net.prototxt").read_text()
    lines = [
        line for line in net.splitlines() if 'name: "bn"' not in line and 'name: "drop"' not in line
    ]
    (run_folder / "net.prototxt").write_text("\n".join(lines).replace('"bn"', '"conv"'))
    text = (
        (run_folder / "solver.prototxt")
        .read_text()
        .replace("base_lr: 0.05", "base_lr: 0.005")
        .replace("display: 4", "display: 1")
    )
    (run_folder / "solver.prototxt").write_text(text)
    return run_folder


def begin(command: list[str], env: dict[str, str] = ENVIRONMENT) -> subprocess.Popen:
    """Starts a command and marks all that it starts.

    Torchrun gives its processes sessions of their own.
    """
    mark = f"NETSPEC_TEST={uuid4().hex}"
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**env, **dict([mark.split("=")])},
    )
    MARKS[process.pid] = mark.encode()
    return process


def kill_all(process: subprocess.Popen) -> None:
    """Kills what is left of a command and of all that it has started."""
    for environment in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if MARKS[process.pid] in environment.read_bytes():
                os.kill(int(environment.parent.name), signal.SIGKILL)
    process.communicate()


def run(command: list[str], env: dict[str, str] = ENVIRONMENT) -> subprocess.CompletedProcess:
    """Runs a command to its end, or kills all that it has started after far too long a time."""
    process = begin(command, env)
    try:
        out, err = process.communicate(timeout=240)
    finally:
        kill_all(process)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def train(folder: Path, *options: str, status: int = 0) -> subprocess.CompletedProcess:
    done = run(
        [sys.executable, "-m", "netspec", "train", str(folder / "solver.prototxt"), *options]
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts an endless run; whatever the test comes to, none of its processes outlives it."""
    started: list[subprocess.Popen] = []

    def begin_run(
        folder: Path,
        *options: str,
        launcher: Sequence[str] = (),
        ends: str = "1000000",
        **variables: str,
    ) -> subprocess.Popen:
        command = [
            sys.executable,
            *launcher,
            "-m",
            "netspec",
            "train",
            str(folder / "solver.prototxt"),
            "--max-iter",
            ends,
            *options,
        ]
        started.append(begin(command, {**ENVIRONMENT, **variables}))
        return started[-1]

    yield begin_run
    for process in started:
        kill_all(process)


def wait_for(process: subprocess.Popen, word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if word in line:
            return
    _, err = process.communicate()
    pytest.fail(f"the run ended without '{word}': {err}")


def members(process: subprocess.Popen) -> list[int]:
    """The processes of a run, by rank."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    ranks = {}
    for child in children:
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
            ranks[int(child)] = len(ranks)
    return list(ranks)


def members_of_torchrun(process: subprocess.Popen) -> list[int]:
    """By rank, which torchrun gives each of them."""
    ranks = {}
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        found = re.search(rb"(?:^|\0)RANK=(\d+)\0", Path(f"/proc/{child}/environ").read_bytes())
        if found:
            ranks[int(found[1])] = int(child)
    return [ranks[rank] for rank in sorted(ranks)]


def logged(path: Path, event: str) -> list[dict]:
    return [
        found
        for line in path.read_text().splitlines()
        if (found := json.loads(line))["event"] == event
    ]


def displayed(path: Path) -> dict[int, float]:
    """The smoothed losses; of an iteration that was done twice the later one."""
    return {row["iter"]: row["loss"] for row in logged(path, "train")}


def changed(folder: Path, **values: str) -> None:
    """Gives fields of the solver file other values."""
    text = (folder / "solver.prototxt").read_text()
    for name, value in values.items():
        text = re.sub(rf'\b{name}: (".*?"|\S+)', f"{name}: {value}", text)
    (folder / "solver.prototxt").write_text(text)


def assert_close(folder: Path, one: str, two: str) -> None:
    a, b = read_weights(folder / f"{one}.caffemodel"), read_weights(folder / f"{two}.caffemodel")
    for name, arrays in a.items():
        for x, y in zip(arrays, b[name], strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6, err_msg=name)


def assert_same_bits(folder: Path, cut: str, whole: str, iteration: int) -> None:
    """Of two runs whose names are of one length."""
    for name in ("solverstate", "caffemodel"):
        a, b = ((folder / f"{run}_iter_{iteration}.{name}").read_bytes() for run in (cut, whole))
        assert a.replace(f"/{cut}_iter".encode(), f"/{whole}_iter".encode()) == b, name
