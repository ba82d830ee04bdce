"""The stream of batches: its order, resuming, reading ahead and how it ends."""

import gc
import subprocess
import sys
import threading
import time
from itertools import islice

import numpy as np
import pytest

from netspec.diagnostics import NetspecError
from netspec.readers.batches import Batches, batches, dataset_size
from netspec.readers.crew import Crew
from netspec.schema.caffe_pb2 import Datum

RANDOM = "crop_size: 6 mirror: true"


@pytest.fixture
def path(write_lmdb, datums):
    return write_lmdb("db", datums)  # 12 records with the labels 0 to 11


def reading_threads():
    return [thread for thread in threading.enumerate() if thread.name == "netspec-batches"]


@pytest.fixture(autouse=True)
def no_thread_stays():
    yield
    gc.collect()
    assert reading_threads() == []


def assert_same(first, second):
    assert first.keys() == second.keys()
    for top in first:
        np.testing.assert_array_equal(first[top], second[top])


def test_records_come_in_key_order_and_wrap_inside_a_batch(data_net, path, images):
    with batches(data_net(path, data="batch_size: 5")) as stream:
        got = list(islice(stream, 5))
    labels = np.concatenate([batch["label"] for batch in got])
    np.testing.assert_array_equal(labels, np.arange(25) % 12)
    assert labels.dtype == np.float32
    for batch in got:
        assert batch["data"].shape == (5, 3, 10, 12)
        np.testing.assert_array_equal(batch["data"], images[batch["label"].astype(int)])


def test_a_batch_may_hold_the_whole_data_more_than_once(data_net, path):
    with batches(data_net(path, data="batch_size: 30")) as stream:
        np.testing.assert_array_equal(next(stream)["label"], np.arange(30) % 12)


def test_one_top_gives_no_labels(data_net, path):
    with batches(data_net(path, tops='top: "pixels"')) as stream:
        assert list(next(stream)) == ["pixels"]


@pytest.mark.parametrize("prefetch", [0, 1, 2, 7])
@pytest.mark.parametrize("start", [1, 5, 40])
def test_a_resumed_stream_goes_on_as_the_first_would(data_net, path, start, prefetch):
    net = data_net(path, RANDOM, phase="TRAIN")
    with batches(net, seed=3, prefetch=0) as stream:
        want = list(islice(stream, start, start + 4))
    with batches(net, start=start, seed=3, prefetch=prefetch) as stream:
        for expected, got in zip(want, stream, strict=False):
            assert_same(expected, got)


def test_seeds_phases_and_layers_have_numbers_of_their_own(make_net, path):
    layer = (
        'layer {{ name: "{0}" type: "Data" top: "{0}" transform_param {{ mirror: true }} '
        'data_param {{ source: "{1}" batch_size: 64 }} }}'
    )
    net = make_net(layer.format("a", path) + layer.format("b", path), "TRAIN")
    with (
        batches(net, seed=1) as stream,
        batches(net, seed=2) as other,
        batches(make_net(layer.format("a", path)), seed=1) as test,
    ):
        first, second = next(stream), next(stream)
        assert not np.array_equal(first["a"], first["b"])
        assert not np.array_equal(first["a"], next(other)["a"])
        assert not np.array_equal(first["a"], next(test)["a"])
        assert not np.array_equal(first["a"][12:24], second["a"][8:20])


def test_without_a_seed_each_stream_is_another(data_net, path):
    net = data_net(path, RANDOM, "batch_size: 64", "TRAIN")
    with batches(net) as first, batches(net) as second:
        assert not np.array_equal(next(first)["data"], next(second)["data"])


def test_sizes_may_change_from_batch_to_batch(data_net, write_lmdb, images):
    records = [
        Datum(channels=3, height=h, width=12, data=images[0][:, :h].tobytes())
        for h in (10, 10, 8, 8)
    ]
    with batches(data_net(write_lmdb("db", records), data="batch_size: 2")) as stream:
        assert [next(stream)["data"].shape[2] for _ in range(3)] == [10, 8, 10]


def test_reads_ahead_as_far_as_set(data_net, path):
    stream = batches(data_net(path), prefetch=3)
    assert len(reading_threads()) == 1
    queue = stream._queue
    for _ in range(200):
        if queue.full():
            break
        time.sleep(0.01)
    assert queue.qsize() == 3
    stream.close()


def test_closing_ends_the_thread_and_the_stream(data_net, path):
    stream = batches(data_net(path))
    next(stream)
    stream.close()
    assert reading_threads() == []
    assert next(stream, None) is None
    stream.close()


def test_dropping_the_stream_ends_the_thread(data_net, path):
    stream = batches(data_net(path))
    next(stream)
    del stream
    gc.collect()
    assert reading_threads() == []


@pytest.mark.parametrize("workers", [1, 3])
def test_the_interpreter_ends_with_a_stream_open(path, workers):
    text = f"""
from netspec.readers.batches import Batches
from netspec.stores.records import open_records
class Slow:
    records = open_records({path!r})
    def read(self, index):
        done = []
        self.crew.each(done.append, range(9))
        return {{"label": self.records.read(index)[1].label + sum(done) - 36}}
    def close(self):
        print("closed")
stream = Batches([Slow()], 0, 2, workers={workers})
print(next(stream))
"""
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "{'label': 0}\nclosed\n", "")


@pytest.mark.parametrize("where", ["netspec-batches", "netspec-worker"])
def test_a_stream_in_a_circle_ends_where_the_collector_finds_it(where):
    """The collector may run in a thread of the stream, which can't wait for itself."""
    dropped, closed = threading.Event(), threading.Event()

    class Collecting:
        crew: Crew

        def read(self, index):
            self.crew.each(self.work, range(20))
            return {}

        def work(self, item):
            if threading.current_thread().name.startswith(where):
                dropped.wait(10)
                gc.collect()
            else:
                time.sleep(0.01)  # leaves items for the other thread

        def close(self):
            closed.set()

    gc.freeze()  # what other tests have left would take seconds to look through
    circle = [Batches([Collecting()], 0, 2, workers=2)]
    circle.append(circle)
    gc.disable()
    try:
        del circle
        dropped.set()
        assert closed.wait(10)
    finally:
        gc.enable()
        gc.unfreeze()


@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_fault_comes_where_its_batch_would(data_net, write_lmdb, datums, prefetch):
    path = write_lmdb(
        "db", {b"a": datums[0], b"b": datums[1], b"c": datums[2], b"d": b"\xff\xff\xff"}
    )
    stream = batches(data_net(path, data="batch_size: 2"), prefetch=prefetch)
    assert next(stream)["label"].tolist() == [0, 1]
    with pytest.raises(NetspecError, match=r"record 3 \('d'\) of '.*' is no Datum") as caught:
        next(stream)
    assert str(caught.value).startswith(str(path).replace("db", "net.prototxt") + ":1:")
    assert next(stream, None) is None


@pytest.mark.parametrize("prefetch", [0, 2])
def test_an_exception_arrives_as_it_was(prefetch):
    class Broken:
        closed = False
        fault = KeyboardInterrupt("as it was")

        def read(self, index):
            raise self.fault

        def close(self):
            self.closed = True

    reader = Broken()
    stream = Batches([reader], 0, prefetch)
    with pytest.raises(KeyboardInterrupt) as caught:
        next(stream)
    assert caught.value is reader.fault
    stream.close()
    assert reader.closed


@pytest.mark.parametrize(
    ("transform", "data", "message"),
    [
        (
            "crop_size: 11",
            "batch_size: 1",
            r"record 0 \('00000000'\) of '.*db' is 3×10×12, smaller than crop_size 11",
        ),
        ('mean_file: "none"', "batch_size: 1", "the mean file 'none' does not exist"),
    ],
)
def test_faults_are_reported(data_net, path, transform, data, message):
    with pytest.raises(NetspecError, match=message):
        next(batches(data_net(path, transform, data)))


def test_a_missing_database_is_reported_before_the_first_batch(data_net):
    with pytest.raises(
        NetspecError, match=r"net.prototxt:1:.*the database 'none_lmdb' does not exist"
    ):
        batches(data_net("none_lmdb"))


def test_data_that_the_caller_feeds_are_not_read(make_net):
    with pytest.raises(
        NetspecError,
        match="layer 'm' is of type MemoryData: its data come from the caller, not from files",
    ):
        batches(make_net('layer { name: "m" type: "MemoryData" top: "x" }'))


def test_a_net_without_data_layers_feeds_nothing(make_net):
    net = make_net('layer { name: "in" type: "Input" top: "x" }')
    with batches(net) as stream:
        assert next(stream) == {}
    assert dataset_size(net) is None


@pytest.mark.parametrize("source", ["raw_lmdb", "raw_leveldb"])
def test_the_size_of_the_data(data_net, reference, source):
    assert dataset_size(data_net(reference / source)) == 12


def test_encoded_records_are_forced_to_color_or_grey(data_net, reference):
    source = reference / "png_lmdb"
    for transform, channels in (("", 3), ("force_gray: true", 1), ("force_color: true", 3)):
        with batches(data_net(source, transform)) as stream:
            assert next(stream)["data"].shape == (4, channels, 20, 24)


@pytest.mark.parametrize(
    ("package", "module", "layer"),
    [
        (
            "h5py",
            "netspec.readers.hdf5",
            'type: "HDF5Data" hdf5_data_param { source: "list.txt" batch_size: 1 }',
        ),
        (
            "cramjam",
            "netspec.stores.leveldb_table",
            'type: "Data" data_param { source: "raw_leveldb" batch_size: 1 }',
        ),
    ],
)
def test_a_missing_package_is_reported(
    make_net, reference, monkeypatch, tmp_path, package, module, layer
):
    (tmp_path / "list.txt").write_text(str(tmp_path / "list.txt"))
    monkeypatch.setitem(sys.modules, package, None)
    for name in (module, "netspec.stores.leveldb_reader"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    net = make_net(
        f'layer {{ name: "data" top: "data" {layer} }}',
        path=(reference if package == "cramjam" else tmp_path) / "net.prototxt",
    )
    extra = "leveldb" if package == "cramjam" else "hdf5"
    with pytest.raises(NetspecError, match=rf"package {package}(.|\n)*netspec\[{extra}\]"):
        batches(net)
