"""One run in several processes: real ones, on this machine and on two that the test makes of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netspec.cli import main
from tests.pytorch import real_runs
from tests.pytorch.real_runs import (
    ENVIRONMENT,
    TORCHRUN,
    assert_close,
    assert_same_bits,
    changed,
    displayed,
    logged,
    run,
    train,
)

pair_folder = real_runs.pair_folder  # a fixture


# Trains as one of two processes, then prints what its weights and history are: `torchrun` gives it
# its place.
MEMBER = """
import hashlib, sys, torch
from netspec.pytorch.processes import join
from netspec.pytorch.train import Solver
processes = join(torch.device("cpu"))
solver = Solver(sys.argv[1], device="cpu", processes=processes)
solver.step(7)
learned = [blob for blob in solver.updater.blobs if isinstance(blob, torch.nn.Parameter)]
data = b"".join(tensor.detach().numpy().tobytes() for tensor in [*learned, *solver.updater.history])
open(f"{sys.argv[2]}/rank_{processes.rank}.txt", "w").write(hashlib.sha256(data).hexdigest())
solver.close()
processes.leave()
"""


def test_two_processes_with_a_batch_of_4_train_as_one_with_8(pair_folder: Path) -> None:
    prefix, log = str(pair_folder / "two"), pair_folder / "two.jsonl"
    out = train(pair_folder, "--nproc", "2", "--snapshot-prefix", prefix, "--log", str(log)).stdout
    assert "batch 4 × 2 processes = 8, 8 images an iteration, 11 records, on cpu" in out
    net = (pair_folder / "net.prototxt").read_text()
    (pair_folder / "net.prototxt").write_text(net.replace("batch_size: 4", "batch_size: 8"))
    one = pair_folder / "one.jsonl"
    assert (
        main(
            [
                "train",
                str(pair_folder / "solver.prototxt"),
                "--snapshot-prefix",
                str(pair_folder / "one"),
                "--log",
                str(one),
            ]
        )
        == 0
    )
    assert_close(pair_folder, "one_iter_12", "two_iter_12")
    rows = [(logged(one, event), logged(log, event)) for event in ("train", "test")]
    assert (len(rows[0][0]), len(rows[1][0])) == (12, 3)
    for singles, pairs in rows:
        for single, pair in zip(singles, pairs, strict=True):
            assert single["iter"] == pair["iter"]
            assert single["outputs"] == {
                name: pytest.approx(value, rel=1e-4, abs=1e-5)
                for name, value in pair["outputs"].items()
            }
    starts = logged(log, "start")[0]
    assert (starts["processes"], starts["effective_batch"], starts["images_per_iteration"]) == (
        2,
        8,
        8,
    )


@pytest.mark.slow
def test_global_batch_and_iter_size_and_a_resumed_pair(pair_folder: Path) -> None:
    text = (pair_folder / "solver.prototxt").read_text()
    (pair_folder / "solver.prototxt").write_text(text + " iter_size: 2 clip_gradients: 0.5 ")
    assert (
        main(
            [
                "train",
                str(pair_folder / "solver.prototxt"),
                "--snapshot-prefix",
                str(pair_folder / "one"),
            ]
        )
        == 0
    )
    pair = ["--nproc", "2", "--global-batch", "--snapshot-prefix"]
    out = train(pair_folder, *pair, str(pair_folder / "two")).stdout
    assert "batch 2 × 2 processes = 4, iter_size 2, 8 images an iteration" in out
    assert_close(pair_folder, "one_iter_12", "two_iter_12")
    train(pair_folder, *pair, str(pair_folder / "cut"), "--max-iter", "6")
    train(pair_folder, *pair, str(pair_folder / "cut"), "--resume")
    for name in ("solverstate", "caffemodel"):
        halves, whole = (pair_folder / f"{run}_iter_12.{name}" for run in ("cut", "two"))
        assert halves.read_bytes().replace(b"/cut_iter", b"/two_iter") == whole.read_bytes(), (
            "bit for bit"
        )
    assert (
        "3 processes can't share a batch_size of 4"
        in train(pair_folder, "--nproc", "3", "--global-batch", status=1).stderr
    )


@pytest.mark.slow
def test_a_resumed_pair_shows_the_same_smoothed_losses(run_folder: Path) -> None:
    changed(run_folder, average_loss="4", display="1")
    for name, *options in [
        ("all", "--max-iter", "12"),
        ("cut", "--max-iter", "6"),
        ("cut", "--resume"),
    ]:
        train(
            run_folder,
            "--nproc",
            "2",
            "--snapshot-prefix",
            str(run_folder / name),
            "--log",
            str(run_folder / f"{name}.jsonl"),
            *options,
        )
    assert len(displayed(run_folder / "all.jsonl")) == 12
    assert displayed(run_folder / "cut.jsonl") == displayed(run_folder / "all.jsonl")
    assert_same_bits(run_folder, "cut", "all", 12)


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes(pair_folder: Path) -> None:
    changed(pair_folder, average_loss="4", lr_policy='"fixed"')
    net = (pair_folder / "net.prototxt").read_text()

    def part(processes: int, name: str, *options: str) -> None:
        (pair_folder / "net.prototxt").write_text(
            net.replace("batch_size: 4", f"batch_size: {6 // processes}")
        )
        paths = [
            "--snapshot-prefix",
            str(pair_folder / name),
            "--log",
            str(pair_folder / f"{name}.jsonl"),
        ]
        train(pair_folder, "--nproc", str(processes), *paths, *options)

    part(1, "one")
    for first, then in [(2, 1), (1, 2), (2, 3)]:
        part(first, f"of_{first}_{then}", "--max-iter", "6")
        part(then, f"of_{first}_{then}", "--resume")
        assert displayed(pair_folder / f"of_{first}_{then}.jsonl") == pytest.approx(
            displayed(pair_folder / "one.jsonl"), rel=1e-4
        )
        assert_close(pair_folder, "one_iter_12", f"of_{first}_{then}_iter_12")


@pytest.mark.slow
def test_the_ranks_have_the_same_weights_though_not_every_param_is_reached(
    run_folder: Path,
) -> None:
    net = (run_folder / "net.prototxt").read_text()  # a branch whose gradient is held back
    side = (
        'layer { name: "side" type: "InnerProduct" bottom: "bn" top: "side" '
        "inner_product_param { num_output: 3 } }\n"
    )
    ends = (
        'layer { name: "sum" type: "Eltwise" bottom: "ip" bottom: "side" top: "sum" '
        "propagate_down: true propagate_down: false }\n"
    )
    at = net.index('layer { name: "loss"')
    (run_folder / "net.prototxt").write_text(
        net[:at] + side + ends + net[at:].replace('bottom: "ip"', 'bottom: "sum"')
    )
    (run_folder / "member.py").write_text(MEMBER)
    command = [
        sys.executable,
        *TORCHRUN,
        str(run_folder / "member.py"),
        str(run_folder / "solver.prototxt"),
        str(run_folder),
    ]
    done = run(command)
    assert done.returncode == 0, done.stderr
    assert (run_folder / "rank_0.txt").read_text() == (run_folder / "rank_1.txt").read_text()


TWO_MACHINES = """
set -e
mount -t tmpfs tmpfs /run
ip netns add a; ip netns add b
ip link add va netns a type veth peer name vb netns b
for n in a b; do ip -n $n link set lo up; ip -n $n link set v$n up; done
ip -n a addr add 10.77.0.1/24 dev va; ip -n b addr add 10.77.0.2/24 dev vb
run() {
  ip netns exec $1 env GLOO_SOCKET_IFNAME=v$1 "$PYTHON" -m torch.distributed.run \
    --nnodes 2 --nproc-per-node 1 --node-rank $2 \
    --master-addr 10.77.0.1 --master-port 29511 -m netspec train "$SOLVER" --cpu
}
run b 1 > "$OUT" 2>&1 &
run a 0
wait
"""


def may_make_machines() -> bool:
    if not shutil.which("ip") or not shutil.which("unshare"):
        return False
    trial = (
        "mount -t tmpfs tmpfs /run && ip netns add a && ip link add va "
        "netns a type veth peer name vb"
    )
    return (
        subprocess.run(
            ["unshare", "-Urnm", "bash", "-c", trial], capture_output=True, check=False
        ).returncode
        == 0
    )


@pytest.mark.slow
def test_torchrun_on_two_machines_of_one_process_each(pair_folder: Path) -> None:
    if not may_make_machines():
        pytest.skip(
            "no network namespaces here: they need iproute2 and a kernel that lets users make them"
        )
    environment = {
        **ENVIRONMENT,
        "PYTHON": sys.executable,
        "SOLVER": str(pair_folder / "solver.prototxt"),
        "OUT": str(pair_folder / "b.txt"),
    }
    command = ["unshare", "-Urnm", "bash", "-c", TWO_MACHINES]
    done = run(command, environment)
    assert done.returncode == 0, done.stdout + done.stderr + (pair_folder / "b.txt").read_text()
    assert "batch 4 × 2 processes = 8" in done.stdout
    assert "done" in done.stdout.splitlines()
    assert "iteration" not in (pair_folder / "b.txt").read_text(), "rank 0 alone tells"
    net = (pair_folder / "net.prototxt").read_text()
    (pair_folder / "net.prototxt").write_text(net.replace("batch_size: 4", "batch_size: 8"))
    assert (
        main(
            [
                "train",
                str(pair_folder / "solver.prototxt"),
                "--snapshot-prefix",
                str(pair_folder / "one"),
            ]
        )
        == 0
    )
    assert_close(pair_folder, "one_iter_12", "snap_iter_12")
