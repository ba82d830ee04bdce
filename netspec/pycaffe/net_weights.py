"""The weights of a running net: read from a file, shared with another net.

Source: Caffe's Net::CopyTrainedLayersFrom, ShareTrainedLayersWith.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from netspec.diagnostics import NetspecError
from netspec.graph import shape_text
from netspec.layers.blobs import same_shape
from netspec.pytorch.module import NetModule, arrays_for
from netspec.read_file import open_regular
from netspec.weights.caffemodel import read_caffemodel
from netspec.weights.files import read_weights

OTHER_FORMATS = (".safetensors", ".npy")


def require_file(path: str) -> None:
    """Raises: RuntimeError where a file can't be opened, as pycaffe does."""
    try:
        with open_regular(path):
            pass
    except (OSError, ValueError):
        raise RuntimeError(f"could not open file {path}") from None


def is_hdf5(path: str) -> bool:
    """Caffe looks into the file, and not at its name."""
    with open_regular(path) as file:
        return file.read(8) == b"\x89HDF\r\n\x1a\n"


def copy_weights(module: NetModule, path: str, hdf5: bool | None = None) -> None:
    """Copies the arrays of a file into the layers of the same names; others stay as they are.

    Raises: NetspecError where a layer has other blobs than the file, before anything is copied.
    """
    require_file(path)
    weights: Mapping[str, Sequence[np.ndarray | None]]
    if path.endswith(OTHER_FORMATS):
        weights = read_weights(path)
    elif is_hdf5(path) if hdf5 is None else hdf5:
        from netspec.weights.hdf5 import read_weights_hdf5  # h5py takes 0.3 s to import

        weights = read_weights_hdf5(path)
    else:
        weights = read_caffemodel(path)
    copies = [
        pair
        for name, target, blobs in _first_of_each_name(module)
        if name in weights
        for pair in _matched(module, path, name, target, blobs, weights[name])
    ]
    with torch.no_grad():
        for blob, array in copies:
            blob.copy_(torch.from_numpy(array).reshape(blob.shape))


def _first_of_each_name(module: NetModule) -> list[tuple[str, str, list[Tensor]]]:
    """Name, submodule and params of each layer; of two with one name Caffe finds the first."""
    found: dict[str, tuple[str, str, list[Tensor]]] = {}
    about = module.about
    for layer, target, blobs in zip(about.layers, about.order, module.layer_params, strict=True):
        found.setdefault(layer[0], (layer[0], target, blobs))
    return list(found.values())


def _matched(
    module: NetModule,
    path: str,
    name: str,
    target: str,
    blobs: list[Tensor],
    arrays: Sequence[np.ndarray | None],
) -> list[tuple[Tensor, np.ndarray]]:
    if target:
        arrays = arrays_for(module.get_submodule(target), list(arrays))
    if len(arrays) != len(blobs):
        raise NetspecError(
            f"layer '{name}' has {len(blobs)} blobs in the net, {len(arrays)} in '{path}'"
        )
    for i, (blob, array) in enumerate(zip(blobs, arrays, strict=True)):
        if array is not None and not same_shape(tuple(blob.shape), array.shape):
            raise NetspecError(
                f"blob {i} of layer '{name}' is {shape_text(tuple(blob.shape))} in the net, "
                f"{shape_text(array.shape)} in '{path}'",
                None,
                "give the layer another name where it is to keep its own weights",
            )
    pairs = zip(blobs, arrays, strict=True)
    return [(blob, array) for blob, array in pairs if array is not None]


def share_weights(module: NetModule, other: NetModule) -> None:
    """Makes the params of a net's layers those of another net's layers of their names.

    Gradients stay each net's own.

    Raises: NetspecError where one has another shape.
    """
    theirs = {name: blobs for name, _, blobs in _first_of_each_name(other)}
    for name, _, blobs in _first_of_each_name(module):
        sources = theirs.get(name)
        if sources is None:
            continue
        shapes = [[tuple(blob.shape) for blob in each] for each in (blobs, sources)]
        if shapes[0] != shapes[1]:
            here, there = (", ".join(map(shape_text, each)) or "none" for each in shapes)
            raise NetspecError(
                f"layer '{name}' can't share its params: they are {here}, the other net's {there}"
            )
        for blob, source in zip(blobs, sources, strict=True):
            blob.data = source.detach()
