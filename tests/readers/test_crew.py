"""Threads that share a batch: what is done, which fault comes out, and that none stays."""

import gc
import os
import threading
import time
import warnings

import numpy as np
import pytest

from netspec.diagnostics import NetspecError
from netspec.readers.batches import batches
from netspec.readers.crew import ALONE, Crew, default_workers
from netspec.schema.caffe_pb2 import Datum


def threads():
    return [each for each in threading.enumerate() if each.name.startswith("netspec")]


@pytest.fixture(autouse=True)
def no_thread_stays():
    yield
    gc.collect()
    assert threads() == []


@pytest.fixture
def crew():
    made = Crew(4)
    yield made
    made.close()


def test_each_item_is_done_once(crew):
    for hands in (crew, ALONE):
        done = []
        hands.each(done.append, iter(range(1000)))
        assert sorted(done) == list(range(1000))


def test_the_threads_work_at_the_same_time(crew):
    meet = threading.Barrier(4, timeout=30)  # which four have to reach
    crew.each(lambda _: meet.wait(), range(8))


def test_one_thread_at_a_time_takes_an_item(crew):
    inside = []

    def items():
        for item in range(200):
            inside.append(item)
            time.sleep(0)
            assert inside == [item]
            yield item
            inside.clear()

    crew.each(lambda _: None, items())


def test_the_first_fault_counts_however_long_it_takes(crew):
    begun = threading.Barrier(2, timeout=30)

    def work(item):
        if item in (5, 6):
            begun.wait()  # both are under way before either fails
            time.sleep(0.05 if item == 5 else 0)
            raise ValueError(item)

    with pytest.raises(ValueError, match=r"^5$"):
        crew.each(work, range(100))
    done = []
    crew.each(done.append, range(3))  # the threads are still there
    assert sorted(done) == [0, 1, 2]


def test_a_fault_of_the_items_comes_after_those_before_it(crew):
    def items():
        yield from range(7)
        raise ValueError("of item 7")

    done = []
    with pytest.raises(ValueError, match="of item 7"):
        crew.each(done.append, items())
    assert sorted(done) == list(range(7))


def test_a_closed_crew_has_no_threads():
    crew = Crew(3)
    assert threads() == []  # they start with the first work
    crew.each(lambda _: None, range(9))
    assert threads()
    crew.close()
    crew.close()
    assert threads() == []


def test_where_no_thread_can_start_the_caller_does_it_all(crew, monkeypatch):
    def refused(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    done = []
    crew.each(done.append, range(9))
    assert done == list(range(9))


def test_processes_share_the_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    assert [default_workers(processes) for processes in (1, 2, 4, 12)] == [6, 3, 1, 1]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert default_workers() == 8
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert default_workers() == 1


SIDE = 80  # large enough for threads


def records(count, faulty=()):
    rng = np.random.default_rng(0)
    return [
        Datum(channels=3, height=4, width=4, data=bytes(48), label=i)
        if i in faulty
        else Datum(channels=3, height=SIDE, width=SIDE, data=rng.bytes(3 * SIDE**2), label=i)
        for i in range(count)
    ]


def test_a_fault_comes_once_at_its_batch_and_ends_the_threads(data_net, write_lmdb):
    path = write_lmdb("db", records(16, faulty=(11, 13, 14)))
    stream = batches(data_net(path, "crop_size: 70", "batch_size: 8"), workers=4)
    assert next(stream)["label"].tolist() == list(range(8))
    with pytest.raises(NetspecError, match=r"record 11 \('00000011'\) of '.*' is 3×4×4"):
        next(stream)
    assert threads() == []
    assert next(stream, None) is None


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("end", ["close", "drop"])
def test_no_thread_outlives_the_stream(data_net, write_lmdb, prefetch, end):
    path = write_lmdb("db", records(8))
    stream = batches(data_net(path, data="batch_size: 8"), workers=3, prefetch=prefetch)
    next(stream)
    assert any(each.name.startswith("netspec-worker") for each in threads())
    if end == "close":
        stream.close()
    else:
        del stream
        gc.collect()
    assert threads() == []


def test_without_workers_no_thread_starts(data_net, write_lmdb):
    path = write_lmdb("db", records(8))
    with batches(data_net(path, data="batch_size: 8"), workers=0) as stream:
        next(stream)
        assert threads() == []


def test_small_records_are_one_threads_work(data_net, write_lmdb, datums):
    with batches(data_net(write_lmdb("db", datums)), workers=4) as stream:
        next(stream)
        assert [each.name for each in threads()] == ["netspec-batches"]


def test_infinity_is_as_silent_in_every_thread(data_net, write_lmdb):
    path = write_lmdb("db", records(16))
    net = data_net(path, "scale: 3e38", "batch_size: 16")
    with warnings.catch_warnings(), batches(net, workers=4) as stream:
        warnings.simplefilter("error")
        assert np.isinf(next(stream)["data"]).any()
