"""The embedded data set.

Scikit-learn's 1,797 handwritten digits, at the paths that the nets in models/ name.

They are real images, 8×8 with 17 greys, which NIST collected from 13 people. Enlarged they stand in
for MNIST, ImageNet and flowers, so that every net trains on a fresh machine. A fifth is kept for
testing; the same people wrote both parts.

Source: sklearn.datasets.load_digits, the test part of UCI's "Optical Recognition of Handwritten
    Digits".
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from netspec.diagnostics import NetspecError
from netspec.extras import missing_package
from netspec.files.sample_sets import SAMPLE_SETS, SampleSet
from netspec.hint import did_you_mean
from netspec.making.annotated_datum import LABEL_MAP_FILE, label_map
from netspec.making.encode_datum import encode_image, encoded_datum, raw_datum
from netspec.making.enlarge import enlarge
from netspec.making.mean_image import mean_of_database, write_mean
from netspec.making.sample_scenes import scene_records
from netspec.stores.lmdb_writer import LmdbWriter
from netspec.stores.records import open_records

_GREYS = 16  # the brightest value of the digits
_SEED = 0  # of the order of the training records: Data layers read in the order of keys
_MARK = b"_digit"  # in our keys: tells our databases from others at the same paths


class Made(NamedTuple):
    """A file of a sample set, and whether this run made it or found it."""

    path: str
    what: str
    is_new: bool


def sample_sets(only: str | None = None) -> list[SampleSet]:
    """The sets that are made by default, or the one that a net reads.

    Raises: NetspecError where no set has that net.
    """
    if only is None:
        return [s for s in SAMPLE_SETS if s.by_default]
    nets = [net for s in SAMPLE_SETS for net in s.nets]
    if only not in nets:
        raise NetspecError(
            f"there are no sample data for a net '{only}'",
            hint=did_you_mean(only, nets) or f"there are for {', '.join(nets)}",
        )
    return [s for s in SAMPLE_SETS if only in s.nets]


def sample_digits(
    sets: list[SampleSet],
    root: str | Path = ".",
    progress: Callable[[int, int], object] | None = None,
) -> list[Made]:
    """Makes the LMDBs and mean files of the sets below a folder.

    What is there already is kept as it is.

    Raises: NetspecError where scikit-learn is missing, a path is taken by something else, or a file
        can't be written.
    """
    made = []
    for sample in sets:
        train, test = Path(root, sample.train), Path(root, sample.test)
        _refuse_mixture(train, test)
        for path, part in ((train, 0), (test, 1)):
            is_new = not os.path.lexists(path)
            if is_new:
                images, labels, indices = split_digits()[part]
                if sample.scenes:
                    count = sample.scenes[part]
                    _write_scenes(path, sample, images, labels, count, progress)
                else:
                    _write(path, sample, images, labels, indices, progress)
            made.append(Made(str(path), _describe(path), is_new))
        if sample.mean:
            path = Path(root, sample.mean)
            is_new = not path.exists()
            if is_new:
                _make_folder(path.parent)
                write_mean(path, mean_of_database(train))
            made.append(Made(str(path), "mean image of the training records", is_new))
    return made


def split_digits() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The training and the test digits.

    Each are images (N, 8, 8) uint8, labels (N,), and places in scikit-learn's order (N,).

    Every fifth digit, counted through all the zeros, then all the ones and so on, is for testing.
    The training part is in an order drawn once.

    Raises: NetspecError where scikit-learn is missing.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise missing_package("scikit-learn", "the sample of digits") from None
    digits = load_digits()
    images = np.rint(digits.images * (255 / _GREYS)).astype(np.uint8)
    by_label = np.argsort(digits.target, kind="stable")
    test = np.sort(by_label[::5])
    train = np.setdiff1d(by_label, test)
    # RandomState: its numbers stay the same in every numpy
    train = np.random.RandomState(_SEED).permutation(train)
    return [(images[part], digits.target[part], part) for part in (train, test)]


def _write(
    path: Path,
    sample: SampleSet,
    images: np.ndarray,
    labels: np.ndarray,
    indices: np.ndarray,
    progress: Callable[[int, int], object] | None,
) -> None:
    with LmdbWriter(path) as writer:
        for i, (image, label, index) in enumerate(zip(images, labels, indices, strict=True)):
            large = enlarge(image, sample.side)
            if sample.channels == 1:
                value = raw_datum(large[None], int(label))
            else:
                # JPEG, as ImageNet's own files: 16 MB and 0.3 ms an image to decode. PNG: 44 MB and
                # 0.8 ms; values: 353 MB
                value = encoded_datum(
                    encode_image(np.stack([large] * sample.channels), "jpg"), int(label)
                )
            writer.put(f"{i:08d}".encode() + _MARK + f"{index:04d}".encode(), value)
            if progress:
                progress(i + 1, len(images))


def _write_scenes(
    path: Path,
    sample: SampleSet,
    images: np.ndarray,
    labels: np.ndarray,
    count: int,
    progress: Callable[[int, int], object] | None,
) -> None:
    with LmdbWriter(path) as writer:
        for i, value in enumerate(scene_records(images, labels, count, sample.side)):
            writer.put(f"{i:08d}".encode() + _MARK, value)
            if progress:
                progress(i + 1, count)
        writer.put_file(LABEL_MAP_FILE, label_map((str(digit), str(digit)) for digit in range(10)))


def _refuse_mixture(train: Path, test: Path) -> None:
    """Digits for testing beside someone's own training records would be worth nothing.

    So would they be the other way round.
    """
    for there, other in ((train, test), (test, train)):
        if os.path.lexists(there) and not os.path.lexists(other) and not _holds_digits(there):
            raise NetspecError(
                f"'{there}' already exists with other records than the digits, "
                f"but '{other}' is not: nothing was made"
            )


def _holds_digits(path: Path) -> bool:
    records = open_records(str(path))
    try:
        return _MARK in records.read(0)[0]
    finally:
        records.close()


def _describe(path: Path) -> str:
    records = open_records(str(path))
    try:
        key, datum = records.read(0)
        scenes = not datum.data  # an AnnotatedDatum
        kind = "scenes of digits" if scenes else "digits"
        kind = kind if _MARK in key else "records, not the digits"
        return f"{records.count:,} {kind}"
    finally:
        records.close()


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NetspecError(f"the folder '{path}' can't be made: {error.strerror}") from None
