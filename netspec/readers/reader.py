"""What all readers of data layers share: one class a layer type gives the batch of any index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from netspec.diagnostics import NetspecError
from netspec.readers.crew import Crew

Batch = dict[str, Any]  # an array a top, or `ByteImages` where these were asked for


@dataclass(frozen=True, slots=True)
class Shard:
    """What one of several processes reads.

    It reads those of the stream's records whose number modulo `processes` is its rank.

    So the processes together read in each batch what a single one with `processes` times the
    batch_size would.

    Raises: NetspecError where the rank is none of the processes'.
    Source: the Skip of the Data and HDF5Data layers. In Caffe ImageData and WindowData deal nothing
        out.
    """

    rank: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        if self.processes < 1:
            raise NetspecError(
                f"the data can't be dealt out to {self.processes} processes, expected 1 or more"
            )
        if not 0 <= self.rank < self.processes:
            raise NetspecError(
                f"there is no rank {self.rank} among {self.processes} processes, "
                f"expected 0 to {self.processes - 1}"
            )

    @property
    def own(self) -> slice:
        """This process's part of anything that has one element a record of all processes' batch."""
        return slice(self.rank, None, self.processes)

    def numbers(self, batch_index: int, batch_size: int) -> range:
        """The numbers, in the endless stream, of this process's records in a batch."""
        whole = batch_size * self.processes
        return range(batch_index * whole, (batch_index + 1) * whole)[self.own]


WHOLE = Shard()  # the only process reads all


class Reader(Protocol):
    """Reads what a data layer feeds.

    `read` is a function of the seed, the shard and the index alone. A reader takes a checked layer:
    what the layer's spec reports of its settings is not looked at again.
    """

    crew: Crew  # who decodes and transforms the records of a batch, where that is work

    @property
    def size(self) -> int | None:
        """The number of records in one pass over the data.

        It is None where there is no such number or it would take long to find.
        """
        ...

    def read(self, batch_index: int) -> Batch: ...
    def record(self, batch_index: int, item: int) -> str | None:
        """What a message calls the record that is an item of a batch.

        Returns None where items are no records.
        """
        ...

    def close(self) -> None: ...


def record_text(number: int, size: int | None, name: str) -> str:
    """How a message calls a record: record 6 (from 0) of its 8, row 2 of 'b.h5'."""
    return f"record {number}" + (f" (from 0) of its {size:,}" if size else "") + f", {name}"
