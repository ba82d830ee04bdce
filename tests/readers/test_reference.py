"""What the original's data layers fed, batch for batch (tests/reference/data)."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from netspec.readers.batches import batches, dataset_size
from netspec.readers.images import datum_pixels, read_image
from netspec.stores.records import open_records

CASES = sorted((Path(__file__).parents[1] / "reference" / "data").glob("*.prototxt"))


def net_of(path, make_net):
    return make_net(path.read_text(), "TEST", path)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_feeds_what_caffe_fed(path, make_net, monkeypatch):
    monkeypatch.chdir(path.parent)
    want = np.load(path.with_suffix(".npz"))
    with batches(net_of(path, make_net)) as stream:
        for k, batch in enumerate(islice(stream, 4)):
            for top in ("data", "label"):
                assert batch[top].dtype == np.float32
                assert batch[top].shape == want[f"{top}/{k}"].shape
                np.testing.assert_allclose(batch[top], want[f"{top}/{k}"], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_paths_hold_from_any_folder(path, make_net, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    net = net_of(path, make_net)
    assert dataset_size(net) == 12
    with batches(net, prefetch=0) as stream:
        np.testing.assert_array_equal(
            next(stream)["label"], np.load(path.with_suffix(".npz"))["label/0"]
        )


def test_a_mean_is_taken_at_the_uncropped_place(reference):
    """So the case crop_mean would fail with the mean's own corner, for its mean is not flat."""
    mean = np.load(reference / "mean.npy")
    assert np.abs(mean[..., 3:16, 5:18] - mean[..., :13, :13]).max() > 1


def test_resizes_as_convert_imageset_did(reference):
    records = open_records(str(reference / "resized_lmdb"))
    for i in range(records.count):
        key, datum = records.read(i)
        image = read_image(str(reference / "images" / key.decode().split("_")[1]), True, 16, 18)
        np.testing.assert_array_equal(datum_pixels(datum), image)
    records.close()
