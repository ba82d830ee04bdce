"""How far two files of weights lie apart, whatever their formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netspec.diff.compare_weights import BlobName, WeightChanges, compare_arrays, compare_weights
from netspec.weights.files import write_weights

W = np.arange(6, dtype=np.float32).reshape(2, 3)


def write(path: Path, **layers: list[np.ndarray]) -> Path:
    write_weights(path, "net", [(name, "", [], [], arrays) for name, arrays in layers.items()])
    return path


def compared(tmp_path: Path, old: dict, new: dict) -> WeightChanges:
    return compare_weights(
        write(tmp_path / "old.caffemodel", **old), write(tmp_path / "new.caffemodel", **new)
    )


@pytest.mark.parametrize("suffix", [".caffemodel", ".h5", ".safetensors"])
def test_the_same_in_any_format(tmp_path: Path, suffix: str) -> None:
    layers = {"fc": [W, W[0]], "conv": [W]}
    old, new = tmp_path / "old.caffemodel", tmp_path / f"new{suffix}"
    changes = compare_weights(write(old, **layers), write(new, **layers))
    assert not changes
    assert changes.equal == 3


def test_differences(tmp_path: Path) -> None:
    other = W.copy()
    other[0, 1] += 3
    other[1, 2] -= 0.5
    changes = compared(tmp_path, {"fc": [W, W[0]]}, {"fc": [other, W[0]]})
    (change,) = changes.changed
    assert (change.name, change.shape) == (BlobName("fc", 0), (2, 3))
    assert (change.max_difference, change.differing) == (3, 2)
    assert change.mean_difference == pytest.approx(3.5 / 6)
    assert changes.equal == 1


def test_shapes_and_blobs_that_one_file_has(tmp_path: Path) -> None:
    changes = compared(tmp_path, {"fc": [W, W[0]], "a": [W]}, {"fc": [W.T], "b": [W]})
    assert changes.reshaped == [(BlobName("fc", 0), (2, 3), (3, 2))]
    assert changes.removed == [(BlobName("fc", 1), (3,)), (BlobName("a", 0), (2, 3))]
    assert changes.added == [(BlobName("b", 0), (2, 3))]


def test_old_files_write_four_axes(tmp_path: Path) -> None:
    assert not compared(tmp_path, {"fc": [W]}, {"fc": [W.reshape(1, 1, 2, 3)]})
    assert not compared(tmp_path, {"fc": [W.reshape(1, 1, 2, 3)]}, {"fc": [W]})


def test_an_array_that_a_layer_shares_in_hdf5(tmp_path: Path) -> None:
    full = write(tmp_path / "full.caffemodel", a=[W], b=[W, W[0]])
    write_weights(
        tmp_path / "shared.h5",
        "net",
        [("a", "", [], [], [W]), ("b", "", [], [], [None, W[0]])],  # type: ignore[list-item]
    )
    assert not compare_weights(full, tmp_path / "shared.h5")
    other = write(tmp_path / "other.caffemodel", a=[W], b=[W + 1, W[0]])
    assert compare_weights(other, tmp_path / "shared.h5").removed == [(BlobName("b", 0), (2, 3))]


def test_nan_and_infinity() -> None:
    name, nan, inf = BlobName("a", 0), np.float32("nan"), np.float32("inf")
    special = np.array([nan, inf, -inf, 1], np.float32)
    assert compare_arrays(name, special, special.copy()) is None
    change = compare_arrays(name, special, np.array([1, inf, -inf, 1], np.float32))
    assert change is not None
    assert np.isnan(change.max_difference)
    change = compare_arrays(name, special, np.array([nan, 2, -inf, 1], np.float32))
    assert change is not None
    assert change.max_difference == inf
