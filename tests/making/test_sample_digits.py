"""`netspec dataset sample`: the embedded data set."""

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netspec.cli import dataset
from netspec.diagnostics import NetspecError
from netspec.files.sample_sets import SAMPLE_SETS
from netspec.making.encode_datum import raw_datum
from netspec.making.mean_image import mean_of_database
from netspec.making.sample_digits import sample_digits, sample_sets, split_digits
from netspec.readers.images import datum_pixels
from netspec.schema.caffe_pb2 import BlobProto
from netspec.stores.lmdb_writer import LmdbWriter
from netspec.stores.records import open_records

pytest.importorskip("sklearn")
MODELS = Path(__file__).parents[2] / "models"


def command(*arguments):
    parser = argparse.ArgumentParser()
    dataset.configure(parser)
    return dataset.run(parser.parse_args(["sample", *map(str, arguments)]))


def read_all(path):
    records = open_records(str(path))
    content = [records.read(i) for i in range(records.count)]
    records.close()
    return content


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("sample")
    sample_digits(sample_sets(), root)
    return root


def test_the_paths_are_those_that_the_nets_name():
    for sample in SAMPLE_SETS:
        for net in sample.nets:
            text = next((MODELS / net).glob("train_val.*")).read_text()
            assert sample.train in text
            assert sample.test in text
        assert any(
            sample.mean in next((MODELS / net).glob("train_val.*")).read_text()
            for net in sample.nets
        )


@pytest.mark.parametrize("sample", sample_sets(), ids=lambda s: s.nets[0])
def test_records(made, sample):
    train, test = read_all(made / sample.train), read_all(made / sample.test)
    assert (len(train), len(test)) == (1437, 360)
    digits = [int(key[-4:]) for key, _ in train + test]
    # each digit once: never both for training and for testing
    assert sorted(digits) == list(range(1797))
    assert digits[:1437] != sorted(digits[:1437])
    for part in (train, test):  # a fifth of each class
        assert min(np.bincount([datum.label for _, datum in part]) / len(part)) > 0.095
        assert {datum_pixels(datum).shape for _, datum in part[:20]} == {
            (sample.channels, sample.side, sample.side)
        }
        # mixed: Data layers read in this order
        assert len({datum.label for _, datum in part[:40]}) == 10


def test_an_image_is_its_digit_enlarged(made):
    from sklearn.datasets import load_digits

    digits = load_digits()
    for sample in sample_sets():
        for key, datum in read_all(made / sample.train)[:5]:
            small = digits.images[int(key[-4:])]
            large = Image.fromarray(datum_pixels(datum)[0])
            blocks = np.asarray(large.resize((8, 8), Image.Resampling.BOX), float)
            assert np.corrcoef(small.ravel(), blocks.ravel())[0, 1] > 0.9
            assert datum.label == digits.target[int(key[-4:])]


def test_the_mean_file_is_that_of_the_training_records(made):
    sample = sample_sets("bvlc_alexnet")[0]
    blob = BlobProto.FromString((made / sample.mean).read_bytes())
    assert (blob.num, blob.channels, blob.height, blob.width) == (1, 3, 256, 256)
    np.testing.assert_array_equal(
        np.array(blob.data, np.float32).reshape(3, 256, 256), mean_of_database(made / sample.train)
    )


def test_the_split_is_always_the_same():
    (_, labels, train), (_, _, test) = split_digits()
    assert train[:8].tolist() == TRAIN_BEGINS
    assert test[:8].tolist() == TEST_BEGINS
    assert labels.dtype.kind == "i"


TRAIN_BEGINS = [65, 43, 1236, 1668, 649, 294, 611, 1592]
TEST_BEGINS = [0, 2, 4, 17, 21, 26, 28, 31]


def test_what_is_there_is_kept_and_reported(made, capsys):
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*.*")}
    assert command("--root", made) == 0
    out = capsys.readouterr().out
    assert out.count("already exists, kept") == 5
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*.*")} == before


def test_only_one_net_and_plain_words(tmp_path, capsys):
    assert command("--root", tmp_path, "--only", "mnist_alexnet") == 0
    out = capsys.readouterr().out
    assert "1,437 digits" in out
    assert "stand in for MNIST" in out
    assert not (tmp_path / "examples" / "imagenet").exists()
    with pytest.raises(NetspecError, match="did you mean 'mnist_alexnet'"):
        command("--root", tmp_path, "--only", "mnist_alexnett")


def test_someones_own_records_are_not_mixed_with_digits(tmp_path, capsys):
    sample = sample_sets("mnist_alexnet")[0]
    with LmdbWriter(tmp_path / sample.train) as writer:
        writer.put(b"00000000", raw_datum(np.zeros((1, 28, 28), np.uint8), 0))
    with pytest.raises(NetspecError, match="nothing was made"):
        command("--root", tmp_path, "--only", "mnist_alexnet")
    assert not (tmp_path / sample.test).exists()
    with LmdbWriter(tmp_path / sample.test) as writer:
        writer.put(b"00000000", raw_datum(np.zeros((1, 28, 28), np.uint8), 0))
    assert command("--root", tmp_path, "--only", "mnist_alexnet") == 0
    assert "1 records, not the digits (already exists, kept)" in capsys.readouterr().out


def test_a_run_that_stopped_between_goes_on(tmp_path):
    sample = sample_sets("mnist_alexnet")
    sample_digits(sample, tmp_path)
    before = read_all(tmp_path / sample[0].test)
    for file in (tmp_path / sample[0].test).iterdir():
        file.unlink()
    (tmp_path / sample[0].test).rmdir()
    made = sample_digits(sample, tmp_path)
    assert [m.is_new for m in made] == [False, True]
    assert read_all(tmp_path / sample[0].test) == before


def test_what_is_no_database_at_the_path_is_reported(tmp_path):
    sample = sample_sets("mnist_alexnet")[0]
    (tmp_path / sample.train).mkdir(parents=True)
    with pytest.raises(NetspecError, match="not a database"):
        sample_digits([sample], tmp_path)


def test_missing_scikit_learn_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(NetspecError, match=r"pip install 'netspec\[demo\]'"):
        sample_digits(sample_sets("mnist_alexnet"), tmp_path)
