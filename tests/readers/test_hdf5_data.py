"""HDF5Data: rows of HDF5 files."""

from itertools import islice, pairwise

import numpy as np
import pytest

from netspec.diagnostics import NetspecError
from netspec.readers.batches import batches, dataset_size

h5py = pytest.importorskip("h5py")


def write(path, first, rows, width=3, **more):
    """Rows whose values all are their number, counted over the files."""
    numbers = np.arange(first, first + rows)
    with h5py.File(path, "w") as file:
        file["data"] = np.repeat(numbers, width).reshape(rows, width).astype(np.float64)
        file["label"] = numbers[:, None]
        for name, value in more.items():
            file[name] = value


@pytest.fixture
def folder(tmp_path):
    for i, (first, rows) in enumerate([(0, 4), (4, 1), (5, 6)]):
        write(tmp_path / f"{i}.h5", first, rows)
    (tmp_path / "list.txt").write_text("0.h5 1.h5\n2.h5\n")
    return tmp_path


@pytest.fixture
def net(make_net, folder):
    def make(param="batch_size: 4", more="", tops='top: "data" top: "label"'):
        return make_net(
            f'layer {{ name: "h" type: "HDF5Data" {tops} {more} '
            f'hdf5_data_param {{ source: "list.txt" {param} }} }}'
        )

    return make


def rows(net, count, **more):
    with batches(net, **more) as stream:
        got = list(islice(stream, count))
    for batch in got:
        assert batch["data"].dtype == batch["label"].dtype == np.float32
        np.testing.assert_array_equal(batch["data"], np.repeat(batch["label"], 3, axis=1))
    return np.concatenate([batch["label"][:, 0] for batch in got]).astype(int).tolist()


def test_reads_file_after_file_and_over_the_end(net):
    assert rows(net("batch_size: 4"), 7) == [i % 11 for i in range(28)]
    assert rows(net("batch_size: 25"), 1) == [i % 11 for i in range(25)]
    assert dataset_size(net()) == 11


def test_shuffle_mixes_files_and_the_rows_within_each(net):
    got = rows(net("batch_size: 4 shuffle: true"), 44, seed=1)
    passes = [got[i : i + 11] for i in range(0, 176, 11)]
    orders = set()
    for each in passes:
        assert sorted(each) == list(range(11))
        files = [0 if row < 4 else 1 if row < 5 else 2 for row in each]
        assert sum(a != b for a, b in pairwise(files)) == 2  # a file's rows stay together
        orders.add(tuple(dict.fromkeys(files)))
    assert len(orders) > 3
    assert len({tuple(each) for each in passes}) == len(passes)
    assert rows(net("batch_size: 4 shuffle: true"), 10, seed=1, start=20) == got[80:120]


def test_each_top_is_the_dataset_of_its_name(net, folder):
    for i in range(3):
        with h5py.File(folder / f"{i}.h5", "a") as file:
            file["weights"] = np.ones((len(file["data"]), 2, 2), np.int8)
    with batches(net(tops='top: "weights" top: "data"')) as stream:
        assert {top: array.shape for top, array in next(stream).items()} == {
            "weights": (4, 2, 2),
            "data": (4, 3),
        }


def test_faults_are_reported(net, folder):
    def reported(message, **how):
        with pytest.raises(NetspecError, match=message) as caught:
            batches(net(**how))
        assert str(caught.value).startswith(str(folder / "net.prototxt"))

    reported(
        "'.*0.h5' has no dataset 'x'\n(.*\n"
        ")*  hint: a top is filled from the dataset of its name; the file has 'data', 'label'",
        tops='top: "x"',
    )
    write(folder / "2.h5", 0, 5, width=4)
    reported("the rows of 'data' in '.*2.h5' are 4, those in '.*0.h5' 3")
    write(folder / "2.h5", 0, 5, extra=np.ones(6))
    reported("'.*0.h5' has no dataset 'extra'", tops='top: "data" top: "extra"')
    for i in range(3):
        write(folder / f"{i}.h5", 0, 5, extra=np.ones(6))
    reported(
        "in '.*0.h5' the dataset 'extra' has 6 rows, 'data' has 5", tops='top: "data" top: "extra"'
    )
    write(folder / "0.h5", 0, 5, extra=np.array(1.0))
    reported("the dataset 'extra' of '.*0.h5' is not an array of numbers", tops='top: "extra"')
    write(folder / "0.h5", 0, 0)
    reported("layer 'h': '.*0.h5' has no rows")
    (folder / "1.h5").write_bytes((folder / "2.h5").read_bytes()[:1000])
    reported("the HDF5 file '.*1.h5' can't be read")
    (folder / "1.h5").unlink()
    reported("the HDF5 file '1.h5' does not exist")
    (folder / "list.txt").write_text("\n")
    reported("the list '.*list.txt' names no HDF5 file")
    (folder / "list.txt").unlink()
    reported("the list 'list.txt' can't be read")
