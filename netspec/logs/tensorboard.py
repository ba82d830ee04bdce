"""A run's curves for TensorBoard."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.diagnostics import NetspecError, os_reason
from netspec.extras import missing_package
from netspec.listener import Listener, RunInfo, Values
from netspec.logs.throughput import Throughput

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from tensorboardX.record_writer import RecordWriter

FLUSH_INTERVAL = 5.0  # seconds between two writings to the disk; TensorBoard looks every 30
MAX_ELEMENTS = 100  # an output with more is no bundle of curves


class TensorBoardLog(Listener):
    """Writes scalars for TensorBoard.

    They are train/loss, train/lr, train/images_per_second, train/OUTPUT, test0/OUTPUT, test0/loss
    and so on. An output whose name one of these has already is OUTPUT_output. Of an output with
    several elements each is a scalar, OUTPUT/0 and so on; one with more than MAX_ELEMENTS is left
    out.

    Raises: NetspecError where tensorboardX is missing or the folder can't be written to. A disk
        that is full later is
    reported once on stderr; nothing more is written then, for TensorBoard reads no further than a
    broken record.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            # Not SummaryWriter: it writes from a thread, whose end at a full disk would leave the
            # training waiting for it.
            from tensorboardX.proto.event_pb2 import Event
            from tensorboardX.record_writer import RecordWriter
        except ImportError:
            raise missing_package("tensorboardX", "a log for TensorBoard") from None
        self.folder = str(folder)
        self._throughput = Throughput(0)
        self._last_flush = 0.0
        self._records: RecordWriter | None = None
        # TensorBoard looks for the words in front
        name = f"events.out.tfevents.{time.time():.0f}.{platform.node()}.{os.getpid()}"
        try:
            os.makedirs(folder, exist_ok=True)
            self._records = RecordWriter(os.path.join(self.folder, name))
        except (OSError, ValueError) as error:
            raise NetspecError(
                f"the TensorBoard folder '{folder}' can't be written to: {os_reason(error)}"
            ) from None
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def started(self, run: RunInfo) -> None:
        self._throughput = Throughput(run.images_per_iteration)
        if run.start_iter:
            self._write_start(run.start_iter)

    def displayed(self, iteration: int, loss: float, outputs: Values, rate: float) -> None:
        own = {"loss": loss, "lr": rate}
        speed = self._throughput.since_last(iteration)
        if speed is not None:
            own["images_per_second"] = speed
        self._write_scalars(iteration, "train", own, outputs)

    def testing(self, iteration: int, index: int, batch: int, batches: int) -> None:
        if batch == 0:
            self._throughput.test_begins()

    def tested(self, iteration: int, index: int, means: Values, loss: float | None) -> None:
        self._throughput.test_ends()
        self._write_scalars(
            iteration, f"test{index}", {} if loss is None else {"loss": loss}, means
        )

    def finished(self, iteration: int, loss: float | None) -> None:
        if loss is not None:
            self._write_scalars(iteration, "train", {"loss": loss}, {})

    def close(self) -> None:
        records, self._records = self._records, None
        if records is not None:
            try:
                records.close()
            except OSError as error:
                self._warn(error)

    def _write_start(self, iteration: int) -> None:
        """Records that the run is resumed: what TensorBoard has of later iterations is void."""
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._write(
            Event(
                wall_time=time.time(),
                step=iteration,
                session_log=SessionLog(status=SessionLog.START),
            )
        )

    def _write_scalars(
        self, iteration: int, group: str, own: dict[str, float], outputs: Values
    ) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        scalars = dict(own)
        for name, values in outputs.items():
            tag = f"{name}_output" if name in own else name
            if len(values) == 1:
                scalars[tag] = values[0]
            elif len(values) <= MAX_ELEMENTS:
                scalars.update({f"{tag}/{i}": value for i, value in enumerate(values)})
        values_ = [
            Summary.Value(tag=f"{group}/{_valid(name)}", simple_value=value)
            for name, value in scalars.items()
        ]
        self._write(Event(wall_time=time.time(), step=iteration, summary=Summary(value=values_)))

    def _write(self, event: Message) -> None:
        if self._records is None:
            return
        try:
            self._records.write(event.SerializeToString())
            if time.monotonic() - self._last_flush >= FLUSH_INTERVAL:
                self._records.flush()
                self._last_flush = time.monotonic()
        except OSError as error:
            self._warn(error)
            with contextlib.suppress(OSError):
                self._records.close()
            self._records = None

    def _warn(self, error: OSError) -> None:
        reason = error.strerror or error
        print(
            f"warning: the TensorBoard folder '{self.folder}' can't be written to: {reason}; "
            "the training goes on without it",
            file=sys.stderr,
        )


def _valid(name: str) -> str:
    return name.encode(errors="backslashreplace").decode()  # protobuf refuses what is no UTF-8
