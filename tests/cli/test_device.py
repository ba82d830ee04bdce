"""--gpu and --cpu, as `train`, `test` and `time` share them."""

from __future__ import annotations

import argparse

import pytest
import torch

from netspec.cli.device import chosen_device, chosen_devices, configure_device
from netspec.diagnostics import NetspecError
from netspec.pytorch import device

FULL = "the memory of cuda:0 does not suffice for a batch of 8, in layer 'ip'"


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    configure_device(parser)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    ("words", "devices"),
    [
        ([], None),
        (["--cpu"], ["cpu"]),
        (["--gpu", "2"], ["cuda:2"]),
        (["-gpu", "1,0"], ["cuda:1", "cuda:0"]),
        (["-gpu=all"], ["cuda:0", "cuda:1", "cuda:2"]),
    ],
)
def test_names_devices(
    words: list[str], devices: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "gpu_count", lambda: 3)
    assert chosen_devices(parsed(*words)) == devices
    assert chosen_device(parsed(*words)) == (devices[0] if devices else None)


@pytest.mark.parametrize(
    ("text", "count", "said"),
    [
        ("3", 3, "there is no GPU 3; this machine shows 3 GPUs\n  hint: they are counted from 0"),
        (
            "0",
            0,
            "there is no GPU 0; this machine shows 0 GPUs\n  hint: --cpu computes without one",
        ),
        ("all", 0, "--gpu all: this machine shows 0 GPUs\n  hint: --cpu computes without one"),
        ("0,0", 1, "--gpu 0,0 names GPU 0 twice"),
        (
            "cuda",
            1,
            "--gpu takes the number of a GPU, several with commas between them, or all; got 'cuda'",
        ),
        (
            "0,",
            1,
            "--gpu takes the number of a GPU, several with commas between them, or all; got '0,'",
        ),
        (
            "-1",
            1,
            "--gpu takes the number of a GPU, several with commas between them, or all; got '-1'",
        ),
        (
            "",
            1,
            "--gpu takes the number of a GPU, several with commas between them, or all; got ''",
        ),
    ],
)
def test_refuses_what_is_not_there(
    text: str, count: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "gpu_count", lambda: count)
    with pytest.raises(NetspecError) as caught:
        chosen_devices(parsed(f"--gpu={text}"))
    assert str(caught.value) == f"error: {said}"


def test_gpu_and_cpu_exclude_each_other(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        parsed("--gpu", "0", "--cpu")
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"),
            f"{FULL}\n  hint: smaller",
        ),
        (RuntimeError("CUDA error: out of memory\nCompile with …"), FULL),
        (MemoryError("Unable to allocate 8.00 PiB"), FULL.replace("cuda:0", "this machine")),
        (
            RuntimeError("CUDA error: device-side assert triggered"),
            "cuda:0 has stopped: a label or an index lies outside what it counts, in layer 'ip'",
        ),
    ],
)
def test_a_devices_faults_are_reported(fault: Exception, said: str) -> None:
    fault.add_note("in layer 'ip'")
    with (
        pytest.raises(NetspecError, match=f"error: {said}"),
        device.faults_reported("cuda:0", 8, "smaller"),
    ):
        raise fault


def test_the_hosts_own_allocator_is_understood() -> None:
    with (
        pytest.raises(NetspecError, match="the memory of cpu does not suffice for this net"),
        device.faults_reported("cpu", None, ""),
    ):
        torch.empty(2**50)


@pytest.mark.parametrize(
    "text",
    [
        "mat1 and mat2 shapes cannot be multiplied",
        "unsupported operation: more than one element refers to a single memory location",
    ],
)
def test_another_fault_of_torch_stays_what_it_is(text: str) -> None:
    with pytest.raises(RuntimeError, match=text), device.faults_reported("cpu", None, ""):
        raise RuntimeError(text)
