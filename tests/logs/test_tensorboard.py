"""What TensorBoard finds in the folder: the event files are read back, record by record."""

from __future__ import annotations

import builtins
import os
import struct
from math import isnan, nan
from pathlib import Path

import pytest

from netspec.diagnostics import NetspecError
from netspec.logs import tensorboard
from netspec.logs.tensorboard import TensorBoardLog
from tests.logs.reported_run import LOSSES, report_resumed, report_run

pytest.importorskip("tensorboardX")


def events(folder: Path) -> list:
    """Each record is its length (8 bytes), a checksum (4), the event, a checksum (4)."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])
            found.append(Event.FromString(content[12 : 12 + length]))
            content = content[16 + length :]
    return found


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    curves: dict[str, list[tuple[int, float]]] = {}
    for event in events(folder):
        for value in event.summary.value:
            curves.setdefault(value.tag, []).append((event.step, value.simple_value))
    return curves


def test_the_curves_of_a_run(tmp_path: Path) -> None:
    report_run(TensorBoardLog(tmp_path / "runs" / "a"))
    curves = scalars(tmp_path / "runs" / "a")
    assert events(tmp_path / "runs" / "a")[0].file_version == "brain.Event:2"
    (speed,) = curves.pop("train/images_per_second")
    assert speed[0] == 20
    expected = {
        "train/loss": [*LOSSES.items(), (40, 0.0625)],
        "train/lr": [(0, 0.01), (20, 0.001)],
        "train/aux": [(0, 0.5), (20, 0.5)],
        "train/loss_output": [(iteration, loss - 0.125) for iteration, loss in LOSSES.items()],
        "test0/accuracy": [(0, 0.1), (40, 0.9875)],
        "test0/loss": [(0, 0.75), (40, 0.75)],
        "test1/loss": [(0, 3.5), (40, 3.5)],
        **{
            f"test1/per_class/{i}": [(0, value), (40, value)]
            for i, value in enumerate((0.5, 0.25, 1.0))
        },
    }
    assert curves.keys() == expected.keys()
    for tag, points in expected.items():
        assert [step for step, _ in curves[tag]] == [step for step, _ in points]
        assert [value for _, value in curves[tag]] == pytest.approx(
            [value for _, value in points], rel=1e-6
        )


def test_names_and_numbers_of_all_kinds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorboard, "FLUSH_INTERVAL", 0)
    log = TensorBoardLog(tmp_path)
    log.displayed(5, nan, {"prob": [0.5] * 1000, "\udcff": [1.0]}, 0.5)
    curves = scalars(tmp_path)
    assert isnan(curves.pop("train/loss")[0][1])
    assert curves == {"train/lr": [(5, 0.5)], "train/\\udcff": [(5, 1.0)]}
    log.close()


def test_a_resumed_run_voids_what_comes_again(tmp_path: Path) -> None:
    from tensorboardX.proto.event_pb2 import SessionLog

    report_resumed(TensorBoardLog(tmp_path), 20, {20: 1.0})
    starts = [
        event.step
        for event in events(tmp_path)
        if event.HasField("session_log") and event.session_log.status == SessionLog.START
    ]
    assert starts == [20]


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("tensorboardX"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(NetspecError, match=r"hint: pip install 'netspec\[tensorboard\]'"):
        TensorBoardLog(tmp_path)


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(
        NetspecError, match=r"the TensorBoard folder '.*runs' can't be written to: File exists"
    ):
        TensorBoardLog(tmp_path / "runs")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk_is_reported_once_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    log = TensorBoardLog(tmp_path)
    monkeypatch.setattr(tensorboard, "FLUSH_INTERVAL", 0)
    os.dup2(os.open("/dev/full", os.O_WRONLY), log._records._writer.fileno())
    report_run(log)
    assert capsys.readouterr().err == (
        f"warning: the TensorBoard folder '{tmp_path}' can't be written to: "
        "No space left on device; the training goes on without it\n"
    )
