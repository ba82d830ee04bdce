"""Which data sets `netspec dataset sample` makes, and where the nets in models/ look for them.

It needs no numpy, for hints name these sets, too.
"""

from __future__ import annotations

import os
from typing import NamedTuple


class SampleSet(NamedTuple):
    """The files that some nets name, and what their images are like."""

    nets: tuple[str, ...]
    train: str
    test: str
    side: int  # pixels
    channels: int
    mean: str = ""
    stands_for: str = ""
    by_default: bool = True
    scenes: tuple[int, int] | None = None  # of several digits with boxes: for training, testing


SAMPLE_SETS = (
    SampleSet(
        ("mnist_alexnet",),
        "examples/mnist/mnist_train_lmdb",
        "examples/mnist/mnist_test_lmdb",
        28,
        1,
        stands_for="MNIST",
    ),
    SampleSet(
        ("bvlc_alexnet", "tf_alexnet"),
        "examples/imagenet/ilsvrc12_train_lmdb",
        "examples/imagenet/ilsvrc12_val_lmdb",
        256,
        3,
        "data/ilsvrc12/imagenet_mean.binaryproto",
        "ImageNet",
    ),
    SampleSet(
        ("flowers17_alexnet",),
        "data/flowers17/train_lmdb",
        "data/flowers17/test_lmdb",
        256,
        3,
        "",
        "17 flowers",
        by_default=False,
    ),
    SampleSet(
        ("ssd_digits",),
        "examples/ssd_digits/train_lmdb",
        "examples/ssd_digits/test_lmdb",
        96,
        1,
        stands_for="images with boxes",
        by_default=False,
        scenes=(2400, 320),
    ),
)

HOW_TO_BUILD = (
    "`netspec dataset build LIST OUT` makes one from images, `netspec dataset import-idx FOLDER "
    "OUT` from MNIST's files"
)


def how_to_get(path: str) -> str:
    """A hint for a database that does not exist.

    It names a stand-in where a sample set has that path, else how to build the database.
    """
    sample = _how_to_sample(path)
    return f"{sample}; {HOW_TO_BUILD}" if sample else HOW_TO_BUILD


def how_to_get_mean(path: str) -> str:
    """The same for a mean file."""
    sample = _how_to_sample(path)
    return (
        f"`netspec dataset mean DB {path}` makes one from a "
        f"database{'; ' if sample else ''}{sample}"
    )


def _how_to_sample(path: str) -> str:
    for each in SAMPLE_SETS:
        if path and os.path.normpath(path) in (each.train, each.test, each.mean):
            return (
                f"`netspec dataset sample --only {each.nets[0]}` makes a small stand-in there, "
                "of handwritten digits"
            )
    return ""
