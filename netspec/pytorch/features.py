"""The values of blobs for each record: of pictures, or of the net's own data layers.

Source: caffe/tools/extract_features.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError
from netspec.graph import Net, shape_text
from netspec.making.feature_files import Chunk
from netspec.pytorch.device import faults_reported
from netspec.pytorch.feed import Feed
from netspec.pytorch.module import NetModule
from netspec.pytorch.picture_net import Outputs, Picture, PictureNet
from netspec.pytorch.run_test import SEED

_TOGETHER = 256  # pictures of a chunk


def picture_features(
    net: PictureNet,
    blobs: list[str],
    pictures: Iterable[Picture],
    on_fault: Callable[[Any], object],
) -> Iterator[Chunk]:
    """The blobs' values for each picture, in the pictures' order.

    Args: on_fault: called with the fault of each picture that can't be read.
    Raises: NetspecError where a blob has not one row per picture.
    """

    def split(outputs: Outputs, items: int) -> list[dict[str, NDArray[np.float32]]]:
        for name in blobs:
            if outputs[name].ndim == 0 or len(outputs[name]) < items:
                message = (
                    f"blob '{name}' is {shape_text(outputs[name].shape)} for a batch of {items}, "
                    "expected one row per picture"
                )
                raise NetspecError(message, net.net.blob(name).span)
        return [{name: outputs[name][i] for name in blobs} for i in range(items)]

    seen = net.see(pictures, split)
    while some := list(islice(seen, _TOGETHER)):
        for one in some:
            if one.fault is not None:
                on_fault(one.fault)
        good = [one for one in some if one.fault is None]
        if good:
            values = {name: np.stack([one.items[0][name] for one in good]) for name in blobs}
            yield Chunk(values, [one.name for one in good])


def data_features(
    net: Net, module: NetModule, blobs: list[str], iterations: int, device: str
) -> Iterator[Chunk]:
    """The blobs' values in batches of the net's data layers, from the first record on.

    Raises: NetspecError where data are missing or wrong, or a blob has no axis for records.
    """
    feed = Feed(net, module.to(device), torch.device(device), SEED)
    try:
        for _ in range(iterations):
            hint = "try a smaller batch_size in the net's data layer"
            with faults_reported(device, net.batch_size, hint), torch.no_grad():
                outputs = feed.forward()
                found = {name: outputs[name].detach().float().cpu().numpy() for name in blobs}
            for name, value in found.items():
                if value.ndim == 0:
                    message = f"blob '{name}' is one value for the whole batch"
                    raise NetspecError(message, net.blob(name).span)
            yield Chunk(found, [])
    finally:
        feed.close()
