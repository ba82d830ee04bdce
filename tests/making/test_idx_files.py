"""`netspec dataset import-idx`: the files of MNIST's family."""

import argparse
import gzip
import os

import numpy as np
import pytest

from netspec.cli import dataset
from netspec.diagnostics import NetspecError
from netspec.making.idx_files import import_idx, read_idx
from netspec.stores.records import open_records

RNG = np.random.default_rng(0)
IMAGES = {
    "train": RNG.integers(0, 256, (7, 4, 5), np.uint8),
    "t10k": RNG.integers(0, 256, (3, 4, 5), np.uint8),
}
LABELS = {"train": RNG.integers(0, 10, 7, np.uint8), "t10k": RNG.integers(0, 10, 3, np.uint8)}


def idx(array, kind=8):
    return (
        bytes([0, 0, kind, array.ndim])
        + b"".join(n.to_bytes(4, "big") for n in array.shape)
        + array.tobytes()
    )


@pytest.fixture
def folder(tmp_path):
    """The four files; the test part gzipped."""
    (tmp_path / "idx").mkdir()
    for word in ("train", "t10k"):
        for name, array in (("images-idx3", IMAGES[word]), ("labels-idx1", LABELS[word])):
            content = idx(array)
            if word == "t10k":
                (tmp_path / "idx" / f"{word}-{name}-ubyte.gz").write_bytes(gzip.compress(content))
            else:
                (tmp_path / "idx" / f"{word}-{name}-ubyte").write_bytes(content)
    return tmp_path / "idx"


def command(*arguments):
    parser = argparse.ArgumentParser()
    dataset.configure(parser)
    return dataset.run(parser.parse_args(["import-idx", *map(str, arguments)]))


def test_makes_the_databases_that_the_nets_name(folder, tmp_path, capsys):
    out = tmp_path / "examples" / "mnist"
    assert command(folder, out) == 0
    assert (
        capsys.readouterr().out
        == f"{out}/mnist_train_lmdb: 7 records\n{out}/mnist_test_lmdb: 3 records\n"
    )
    for word, name in (("train", "mnist_train_lmdb"), ("t10k", "mnist_test_lmdb")):
        records = open_records(str(out / name))
        assert records.count == len(IMAGES[word])
        for i, (image, label) in enumerate(zip(IMAGES[word], LABELS[word], strict=True)):
            key, datum = records.read(i)
            assert (key, datum.channels, datum.height, datum.width, datum.label) == (
                b"%08d" % i,
                1,
                4,
                5,
                label,
            )
            assert datum.data == image.tobytes()
        records.close()


def test_existing_databases_are_replaced_only_when_asked(folder, tmp_path):
    import_idx(folder, tmp_path)
    with pytest.raises(
        NetspecError, match=r"mnist_train_lmdb' already exists\n  hint: --overwrite"
    ):
        command(folder, tmp_path)
    (folder / "train-images-idx3-ubyte").write_bytes(idx(IMAGES["train"][:2]))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(LABELS["train"][:2]))
    assert command(folder, tmp_path, "--overwrite") == command(folder, tmp_path, "--replace") == 0
    records = open_records(str(tmp_path / "mnist_train_lmdb"))
    assert records.count == 2
    records.close()


def test_names_with_a_dot(folder, tmp_path):
    os.rename(folder / "train-images-idx3-ubyte", folder / "train-images.idx3-ubyte")
    assert list(import_idx(folder, tmp_path).values()) == [7, 3]


GOOD = idx(IMAGES["train"])
# with the time of day in it, the workers of pytest -n would collect different cases
PACKED = gzip.compress(GOOD, mtime=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (b"\x89PNG....", "not an IDX file"),
        (idx(IMAGES["train"], kind=13), "type 0x0d"),
        (idx(LABELS["train"]), "with 1 axes"),
        (GOOD[:10], "but 0 follow"),
        (GOOD[:-1], "7×4×5 = 140 bytes, but 139 follow"),
        (GOOD + b"x", "but 141 follow"),
        (b"\0\0\x08\x03" + b"\xff" * 12, "but 0 follow"),
        (PACKED[:-9], "cut short"),
        (
            PACKED[:20] + b"\xff\xff\xff" + PACKED[23:],
            "damaged|can't be read|cut short",
        ),
        (PACKED[:-5] + b"xxxxx", "can't be read"),
        (idx(IMAGES["train"][:6]), "has 6 images, but .* has 7 labels"),
        (idx(np.zeros((7, 0, 5), np.uint8)), "holds no images"),
    ],
)
def test_damaged_files_name_the_file_and_make_nothing(folder, tmp_path, content, message):
    (folder / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(NetspecError, match=message) as caught:
        import_idx(folder, tmp_path / "out")
    assert "train-images-idx3-ubyte" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_cut_and_changed_anywhere(tmp_path):
    path = tmp_path / "a"
    for whole in (GOOD, PACKED):
        for end in range(len(whole)):
            path.write_bytes(whole[:end])
            with pytest.raises(NetspecError):
                read_idx(path, 3)


def test_missing_files(folder, tmp_path):
    os.remove(folder / "t10k-labels-idx1-ubyte.gz")
    with pytest.raises(
        NetspecError, match=r"no file 't10k-labels-idx1-ubyte' or 't10k-labels-idx1-ubyte\.gz'"
    ):
        import_idx(folder, tmp_path)
    with pytest.raises(NetspecError, match="does not exist"):
        import_idx(tmp_path / "none", tmp_path)


FASHION = "/usr/share/datasets/fashion-mnist"


@pytest.mark.skipif(
    not os.path.isdir(FASHION), reason="Debian's package dataset-fashion-mnist is not installed"
)
def test_fashion_mnist(tmp_path):
    assert list(import_idx(FASHION, tmp_path).values()) == [60_000, 10_000]
    records = open_records(str(tmp_path / "mnist_test_lmdb"))
    labels = [records.read(i)[1].label for i in range(records.count)]
    records.close()
    assert np.bincount(labels).tolist() == [1000] * 10
