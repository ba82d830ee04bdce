"""The layers of a weight file with all that it says of them, to be written to another one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from netspec.diagnostics import NetspecError, counted
from netspec.files.suffixes import HDF5_SUFFIXES
from netspec.weights.files import (
    is_caffemodel,
    read_weights,
    require_layers,
    write_weights,
)
from netspec.weights.open_caffemodel import open_caffemodel
from netspec.weights.state_keys import TensorNames
from netspec.weights.stored_layers import is_transposed


@dataclass(frozen=True, slots=True)
class FileLayer:
    """A layer of a weight file.

    Args:
        type, bottoms, tops: empty where the format does not say them.
        arrays: in Caffe's order; None for one that another layer has.
        is_transposed: whether its matrix is inputs × outputs, as an InnerProduct can have it.
    """

    name: str
    type: str = ""
    bottoms: list[str] = field(default_factory=list)
    tops: list[str] = field(default_factory=list)
    arrays: list[np.ndarray | None] = field(default_factory=list)
    is_transposed: bool = False


def read_layers(
    path: str | Path,
    skip_layers: Collection[str] = (),
    flattened: Mapping[str, tuple[int, int, int]] | None = None,
    names: TensorNames | None = None,
) -> dict[str, FileLayer]:
    """The layers that have arrays, by name, in file order.

    Args: skip_layers, flattened, names: as of `read_weights`.
    Raises: NetspecError, as `read_weights`.
    """
    if is_caffemodel(path) and not (names and names.theirs):
        with open_caffemodel(path) as model:
            stored = {layer.name: layer for layer in model.layers if layer.blobs}
            require_layers(path, skip_layers, stored)
            return {
                name: FileLayer(
                    name,
                    layer.type,
                    layer.bottoms,
                    layer.tops,
                    [blob.array() for blob in layer.blobs],
                    is_transposed(model.wire, layer),
                )
                for name, layer in stored.items()
                if name not in skip_layers
            }
    weights = read_weights(path, skip_layers, flattened, names=names)
    return {name: FileLayer(name, arrays=arrays) for name, arrays in weights.items()}


def write_layers(path: str | Path, net_name: str, layers: Iterable[FileLayer]) -> None:
    """Writes layers to a weight file, whose suffix says the format.

    Raises: NetspecError where the suffix is not known, the file can't be written, or its format
        can't say that a layer shares an array of another one.
    """
    if str(path).endswith(HDF5_SUFFIXES):
        from netspec.weights.hdf5 import write_weights_hdf5

        write_weights_hdf5(path, [(layer.name, layer.arrays) for layer in layers])
        return
    write_weights(
        path,
        net_name,
        [(each.name, each.type, each.bottoms, each.tops, _own(path, each)) for each in layers],
    )


def written_text(layers: Collection[FileLayer]) -> str:
    """How much that is: 8 layers, 60,965,224 values."""
    values = sum(a.size for layer in layers for a in layer.arrays if a is not None)
    return f"{counted(len(layers), 'layer')}, {values:,} value{'' if values == 1 else 's'}"


def _own(path: str | Path, layer: FileLayer) -> list[np.ndarray]:
    own = [array for array in layer.arrays if array is not None]
    if len(own) < len(layer.arrays):
        raise NetspecError(
            f"'{path}': layer '{layer.name}' shares an array of another layer, "
            "which this format can't say"
        )
    return own
