"""Memory that is used again, and never while somebody holds it."""

import gc

import numpy as np
import pytest

from netspec.readers.array_pool import ArrayPool
from netspec.readers.batches import batches
from netspec.schema.caffe_pb2 import Datum

SHAPE = (2, 3, 400, 500)  # more than the allocator itself keeps


def address(array):
    return array.__array_interface__["data"][0]


def test_an_array_is_an_ordinary_one():
    for shape in (SHAPE, (3,)):
        array = ArrayPool().empty(shape, np.float32)
        assert (array.shape, array.dtype) == (shape, np.float32)
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert array.flags.aligned


def test_memory_comes_back_when_the_array_is_gone():
    pool = ArrayPool()
    array = pool.empty(SHAPE, np.float32)
    place = address(array)
    del array
    assert address(pool.empty(SHAPE, np.float32)) == place


@pytest.mark.parametrize(
    "hold",
    [
        lambda array: array[0],
        lambda array: array[:, ::-1].T[3:],
        lambda array: memoryview(array),
        lambda array: pytest.importorskip("torch").from_numpy(array)[1].view(-1),
        lambda array: pytest.importorskip("torch").from_dlpack(array),
    ],
)
def test_memory_stays_while_anything_shows_it(hold):
    pool = ArrayPool()
    array = pool.empty(SHAPE, np.float32)
    place = address(array)
    held = hold(array)
    del array
    gc.collect()
    other = pool.empty(SHAPE, np.float32)
    assert address(other) != place
    del held, other
    assert place in [address(each) for each in [pool.empty(SHAPE, np.float32) for _ in range(2)]]


def test_memory_of_another_size_is_given_back():
    pool = ArrayPool()
    pool.empty(SHAPE, np.float32)
    assert len(pool._spare) == 1
    other = pool.empty((1, *SHAPE), np.float32)
    wide = pool.empty((2, *SHAPE), np.float32)
    assert len(pool._spare) == 0
    assert (other.shape, wide.shape) == ((1, *SHAPE), (2, *SHAPE))


def test_an_array_outlives_its_pool():
    pool = ArrayPool()
    array = pool.empty(SHAPE, np.float32)
    array[...] = 7
    del pool
    gc.collect()
    assert (array == 7).all()


def test_batches_that_are_kept_stay_as_they_were(data_net, write_lmdb):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3, 300, 300), np.uint8)
    path = write_lmdb(
        "db", [Datum(channels=3, height=300, width=300, data=each.tobytes()) for each in pixels]
    )
    with batches(data_net(path, data="batch_size: 2"), workers=2) as stream:
        kept = [next(stream)["data"] for _ in range(6)]
    for i, batch in enumerate(kept):
        first = 2 * i % 6
        np.testing.assert_array_equal(batch, pixels[first : first + 2])
