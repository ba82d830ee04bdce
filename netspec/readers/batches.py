"""batches(): what a net's data layers feed, in order, for ever.

It is read ahead while the caller computes.
"""

from __future__ import annotations

import secrets
import weakref
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from itertools import count
from queue import Empty, Queue
from threading import Event, Thread, current_thread
from typing import TYPE_CHECKING

from netspec.diagnostics import NetspecError
from netspec.extras import REQUIREMENTS, missing_package
from netspec.graph import Layer, Net
from netspec.layers import find_spec
from netspec.layers.spec import Spec
from netspec.readers.crew import WORKER, Crew, default_workers
from netspec.readers.reader import WHOLE, Batch, Reader, Shard

if TYPE_CHECKING:
    from netspec.readers.transform import Transformer

_READ_AHEAD = "netspec-batches"  # the thread's name


def batches(
    net: Net,
    start: int = 0,
    seed: int | None = None,
    prefetch: int = 2,
    shard: Shard = WHOLE,
    every: int = 1,
    oversample: bool = False,
    workers: int | None = None,
    as_bytes: bool = False,
) -> Batches:
    """What the net's data layers feed, batch after batch, without an end.

    A batch is a function of the seed and its index alone: a run that goes on at `start` reads
    exactly what the interrupted one would have read. Every batch has arrays of its own, but for
    DummyData's constants.

    Args:
        start: index of the first batch.
        seed: of all crops, flips, shuffles and fillers; None draws one, as Caffe does without
            random_seed.
        prefetch: batches to read ahead in the background; 0 reads each when it is asked for.
        shard: this process's part of the records, where several train one net; batch_size is each
            process's own. In Caffe only train data are dealt out.
        every: the batches are those of index start, start + every, start + 2 × every, …
        oversample: ten crops of each record, crop after crop, of layers that crop.
        workers: threads that decode and transform a batch's records between them; the batches are
            the same for any number. None takes one for each core that this process may use, 8 at
            most; 0 starts no thread at all, as prefetch 0 and one worker.
        as_bytes: images that are only cropped, mirrored and scaled come as `ByteImages`.

    Returns:
        an iterator of {top: array}, float32; `close()`, leaving its `with` block or dropping it
        ends the threads.
    Raises: NetspecError where data is missing or settings contradict each other; faults of later
        records when their batch is asked for.
    """
    if every < 1:
        raise NetspecError(f"every is {every}, expected 1 or more")
    if workers is not None and workers < 0:
        raise NetspecError(f"workers is {workers}, expected 0 or more")
    if seed is None:
        if shard.processes > 1:
            raise NetspecError(
                f"{shard.processes} processes that share their data need one seed, got None",
                hint="pass all of them the same seed",
            )
        seed = secrets.randbits(63)
    readers = open_readers(net, seed, shard)
    if oversample or as_bytes:
        for transformer in _transformers(readers):
            transformer.oversamples, transformer.gives_bytes = oversample, as_bytes
    workers = default_workers(shard.processes) if workers is None else workers
    return Batches(readers, start, prefetch if workers else 0, every, workers)


def _transformers(readers: list[Reader]) -> Iterator[Transformer]:
    from netspec.readers.transform import Transformer

    for reader in readers:
        transformer = getattr(reader, "transformer", None)
        if isinstance(transformer, Transformer):  # others read no images, or none that are cropped
            yield transformer


def dataset_size(net: Net) -> int | None:
    """The number of records in one pass over the net's first data layer.

    Returns None where that has no end or counting takes long.

    Raises: NetspecError where its data is missing.
    """
    layer = next((layer for layer in net.layers if reader_of(layer)), None)
    if layer is None:
        return None
    reader = open_reader(layer, 0)
    try:
        return reader.size
    finally:
        reader.close()


def open_readers(net: Net, seed: int, shard: Shard = WHOLE) -> list[Reader]:
    """A reader for each data layer, in file order. Raises: NetspecError."""
    readers: list[Reader] = []
    try:
        for layer in net.layers:
            spec = find_spec(layer.spec_name)
            if spec is not None and spec.is_source and not spec.is_input:
                readers.append(open_reader(layer, seed, shard))
    except BaseException:
        for reader in readers:
            reader.close()
        raise
    return readers


def reader_of(layer: Layer) -> str:
    """The module and class that reads a data layer's data.

    Returns "" where the caller feeds it or it is no data layer.
    """
    spec = find_spec(layer.spec_name)
    return spec.reader if spec is not None else ""


def open_reader(layer: Layer, seed: int, shard: Shard = WHOLE) -> Reader:
    """The reader of a data layer. Raises: NetspecError."""
    if layer.not_computed:
        raise NetspecError(layer.not_computed)
    module, _, name = reader_of(layer).partition(":")
    if not module:
        call = f"module({', '.join(f'{top}=…' for top in layer.tops)})"
        spec = find_spec(layer.spec_name)
        reason = spec.no_reader if spec is not None else Spec.no_reader
        message = f"{layer.label} is of type {layer.type}: {reason}"
        raise NetspecError(
            message, layer.spans.at("type"), f"feed its tops to the compiled module: {call}"
        )
    try:  # imported when a net has such a layer, for h5py and Pillow are heavy
        reader: Reader = getattr(import_module(module), name)(layer, seed, shard)
    except ModuleNotFoundError as error:
        if error.name not in REQUIREMENTS:
            raise
        raise missing_package(error.name, layer.label, layer.spans.at("type")) from None
    return reader


class Batches(Iterator[Batch]):
    """The stream of `batches()`."""

    def __init__(
        self,
        readers: list[Reader],
        start: int,
        prefetch: int,
        every: int = 1,
        workers: int = 1,
    ) -> None:
        crew = Crew(workers)
        for reader in readers:
            reader.crew = crew
        self._source = _read_all(readers, count(start, every))
        self._queue: Queue[Batch | BaseException] | None = Queue(prefetch) if prefetch > 0 else None
        thread = None
        stop = Event()
        if self._queue is not None:
            thread = Thread(
                target=_read_ahead,
                args=(self._source, self._queue, stop),
                name=_READ_AHEAD,
                daemon=True,
            )
            thread.start()
        # also runs when the stream is dropped and when the interpreter ends, so the threads never
        # outlive them
        self._end = weakref.finalize(self, _end, readers, thread, self._queue, stop, crew)

    def __next__(self) -> Batch:
        """The next batch.

        Raises: what its reader raised, once; StopIteration after that or after close().
        """
        if not self._end.alive:
            raise StopIteration
        if self._queue is None:
            return next(self._source)
        item = self._queue.get()
        if isinstance(item, BaseException):
            self.close()
            raise item
        return item

    def close(self) -> None:
        """Ends the reading and closes the data. More than once does no harm."""
        self._end()

    def __enter__(self) -> Batches:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _read_all(readers: list[Reader], indices: Iterator[int]) -> Iterator[Batch]:
    for index in indices:
        batch: Batch = {}
        for reader in readers:
            try:
                batch.update(reader.read(index))
            except MemoryError:
                raise NetspecError(
                    "the memory does not suffice for a batch of the data",
                    hint="a smaller batch_size takes less",
                ) from None
        yield batch


def _read_ahead(source: Iterator[Batch], queue: Queue[Batch | BaseException], stop: Event) -> None:
    """The thread: fills the queue until `stop` is set.

    It holds no reference to the stream, which may be dropped.
    """
    try:
        while not stop.is_set():
            queue.put(next(source))
    except BaseException as error:
        queue.put(error)


def _end(
    readers: list[Reader],
    thread: Thread | None,
    queue: Queue[Batch | BaseException] | None,
    stop: Event,
    crew: Crew,
) -> None:
    stop.set()
    if current_thread().name.startswith((_READ_AHEAD, WORKER)):
        # the garbage collector, which runs in any thread, has found a stream that was dropped:
        # what waits for these threads can't be one of them
        with suppress(RuntimeError):  # no more threads: the interpreter ends
            Thread(target=_end, args=(readers, thread, queue, stop, crew)).start()
        return
    if thread is not None and queue is not None:
        with suppress(Empty):
            while True:  # make room: the thread may be waiting to put, and puts once more at most
                queue.get_nowait()
        thread.join()
    crew.close()
    for reader in readers:
        reader.close()
