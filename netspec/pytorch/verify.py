"""`netspec.verify`: a net's blobs compared with what another program makes of the same inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from netspec.diagnostics import NetspecError, counted
from netspec.exporters.differences import APART, difference
from netspec.files.suffixes import ARRAY_SUFFIXES
from netspec.graph import Layer, Net, Shape, shape_text
from netspec.hint import did_you_mean
from netspec.pytorch.blob_values import blob_values, values_at_end
from netspec.pytorch.compile import compile
from netspec.pytorch.export_subject import random_inputs
from netspec.pytorch.file_values import LOADERS, Arrays, Other
from netspec.pytorch.lower import net_of
from netspec.pytorch.module import NetModule
from netspec.weights.blob_arrays import read_blob_arrays

TOLERANCE = 1e-5  # the largest difference, relative to the largest value of a blob
_SEED = 1

Files = str | Path | Iterable[str | Path]


@dataclass(frozen=True, slots=True)
class BlobDifference:
    """How far a blob differs, the layer that makes it, and where that stands.

    `shapes` is the net's and the other's where they differ.
    """

    blob: str
    layer: str
    place: str
    absolute: float
    relative: float
    ulps: float
    shapes: tuple[Shape, Shape] | None = None


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of it: the blobs that both have, in the net's order.

    `left_out` are the net's blobs that the other side has not.
    """

    blobs: tuple[BlobDifference, ...]
    left_out: tuple[str, ...]
    tolerance: float

    @property
    def first(self) -> BlobDifference | None:
        """The first blob in the net's order that differs by more than the tolerance."""
        return next((each for each in self.blobs if not each.relative <= self.tolerance), None)

    @property
    def agrees(self) -> bool:
        """Whether no blob differs by more than the tolerance."""
        return self.first is None

    def __str__(self) -> str:
        worst = max(self.blobs, key=lambda each: each.relative)
        compared = (
            f"{counted(len(self.blobs), 'blob')} compared, "
            f"largest difference {worst.relative:.1e} of the largest value, in '{worst.blob}'"
        )
        if self.first is None:
            return f"{compared}: within {self.tolerance:g}"
        first = self.first
        why = ""
        if first.shapes:
            why = f": it is {shape_text(first.shapes[0])} here, {shape_text(first.shapes[1])} there"
        return (
            f"{compared}: above {self.tolerance:g}\n"
            f"the first layer where they differ is '{first.layer}' ({first.place}), "
            f"in blob '{first.blob}'{why}"
        )


def verify(
    net: NetModule | Net | str | Path,
    against: NetModule | Net | str | Path,
    weights: Files | None = None,
    against_weights: Files | None = None,
    tolerance: float = TOLERANCE,
    inputs: str | Path | Mapping[str, np.ndarray] | None = None,
    **options: Any,
) -> Verification:
    """Compares each blob of a net with the blob of that name of another program.

    Args:
        net: a compiled module, a loaded net, or the path of one.
        against: an ONNX model (all of its values by name), a `.pt2` (its outputs), a net, or a
            `.npz` or HDF5 file of blobs and inputs by name, as another program left them after its
            forward pass.
        weights: files of weights, for a net that is no module.
        against_weights: those of the other net; None is `weights`.
        tolerance: the largest difference, relative to the largest value of a blob.
        inputs: their values by name, or a `.npz` or HDF5 file of them. What is left out comes
            from `against` where that is such a file, and is random in [0, 1) elsewhere, the same
            in each call.
        options: those of `netspec.compile`, for the path of a net.

    Raises: NetspecError where a file or a net is wrong, or both sides have no blob in common.
    """
    if not tolerance >= 0:
        raise NetspecError(f"'tolerance' must be at least 0, got {tolerance:g}")
    module = _module(net, weights, options)
    graph = net_of(module)
    path = "" if isinstance(against, (NetModule, Net)) else str(against)
    suffix = Path(path).suffix
    stored = read_blob_arrays(path) if suffix in ARRAY_SUFFIXES else None
    values = _inputs(graph, module, inputs, against, stored)
    ours = blob_values(graph, module, values)
    if stored is not None:
        ours, theirs = values_at_end(graph, ours), stored
    elif suffix in LOADERS:
        theirs = LOADERS[suffix](Other(path, graph, module, values))
    else:
        is_module = isinstance(against, NetModule)
        same = None if is_module else weights
        other = _module(against, against_weights or same, {} if is_module else options)
        theirs = blob_values(net_of(other), other, values)
        ours = _without_other_chains(graph, net_of(other), ours)
    return _compared(graph, ours, theirs, tolerance, against)


def _module(
    net: NetModule | Net | str | Path, weights: Files | None, options: dict[str, Any]
) -> NetModule:
    """The module of a net with its weights. Raises: NetspecError where values are left open."""
    if isinstance(net, NetModule):
        if weights is not None:
            raise NetspecError("a module is taken as it is: 'weights' go to compile")
        return net
    module = compile(net, weights=weights, seed=_SEED, **options)
    report = module.load_report
    for layer, blobs in zip(net_of(module).layers, module.layer_params, strict=True):
        is_filled = report is None or layer.name in report.missing
        if blobs and is_filled and not layer.message.blobs:
            where = "no weights are given" if report is None else f"'{report.path}' lacks it"
            raise NetspecError(
                f"the params of {layer.label} have no values: {where}",
                layer.span,
                "give the file of the net's weights",
            )
    return module


def _inputs(
    net: Net,
    module: NetModule,
    given: str | Path | Mapping[str, np.ndarray] | None,
    against: NetModule | Net | str | Path,
    stored: Arrays | None,
) -> Arrays:
    """The values of every input."""
    if isinstance(given, (str, Path)):
        given = _of_file(given, module)
    found = {name: np.asarray(value, np.float32) for name, value in (given or {}).items()}
    unknown = [name for name in found if name not in module.input_names]
    if unknown:
        names = ", ".join(module.input_names)
        raise NetspecError(
            f"the net has no input '{unknown[0]}'",
            None,
            did_you_mean(unknown[0], module.input_names) or f"its inputs are {names}",
        )
    for name in module.input_names if stored is not None else ():
        if name not in found:
            _require_stored(net, name, stored or {}, against)
            found[name] = (stored or {})[name]
    for name, tensor in random_inputs(module).items():
        found.setdefault(name, tensor.numpy())
    for name, value in found.items():
        wanted = module.about.input_shapes.get(name, value.shape)
        if value.ndim != len(wanted) or value.shape[1:] != wanted[1:]:
            raise NetspecError(
                f"the input '{name}' is {shape_text(value.shape)}, "
                f"the net declares {shape_text(wanted)}"
            )
    return found


def _of_file(path: str | Path, module: NetModule) -> Arrays:
    """The inputs among a file's arrays. Raises: NetspecError where none is."""
    arrays = read_blob_arrays(path)
    found = {name: arrays[name] for name in module.input_names if name in arrays}
    if not found:
        inputs, names = ", ".join(map(repr, module.input_names)), ", ".join(map(repr, arrays))
        raise NetspecError(f"'{path}' has none of the net's inputs {inputs}: it has {names}")
    return found


def _require_stored(net: Net, name: str, stored: Arrays, path: object) -> None:
    if name not in stored:
        raise NetspecError(
            f"'{path}' has no array of the input '{name}'",
            None,
            "give the inputs' values in a file of their own",
        )
    blob = net.first_version(name)
    if blob.memory.writes:
        by = blob.memory.writes[0].producer
        raise NetspecError(
            f"the input '{name}' is overwritten in place by {by.label}: "
            f"what '{path}' has under its name is not what went in",
            by.span,
            "give the inputs' values in a file of their own",
        )


def _without_other_chains(net: Net, other: Net, values: Arrays) -> Arrays:
    """The values that mean the same in both nets.

    Of a blob that is written over in place that is the last version alone, unless the same layers
    write it.
    """
    chains = [_writers(net), _writers(other)]
    earlier = {
        net.value_name(blob)
        for layer in net.layers
        for blob in layer.top_blobs
        if net.blobs[blob.name] is not blob and chains[0][blob.name] != chains[1].get(blob.name)
    }
    return {name: value for name, value in values.items() if name not in earlier}


def _writers(net: Net) -> dict[str, list[str]]:
    """The names of the layers that write each blob."""
    found: dict[str, list[str]] = {}
    for layer in net.layers:
        for name in layer.tops:
            found.setdefault(name, []).append(layer.name)
    return found


def _compared(
    net: Net, ours: Arrays, theirs: Arrays, tolerance: float, against: object
) -> Verification:
    makers = {net.value_name(blob): layer for layer in net.layers for blob in layer.top_blobs}
    found = [
        _difference(name, makers[name], value, theirs[name])
        for name, value in ours.items()
        if name in theirs
    ]
    if not found:
        who = f"'{against}'" if isinstance(against, (str, Path)) else "the other net"
        have = ", ".join(map(repr, list(theirs)[:5])) or "none by these names"
        raise NetspecError(f"the net and {who} have no blob in common: the latter has {have}")
    left_out = [name for name in ours if name not in theirs and name in net.blobs]
    return Verification(tuple(found), tuple(left_out), tolerance)


def _difference(name: str, layer: Layer, ours: np.ndarray, theirs: np.ndarray) -> BlobDifference:
    place = str(layer.span)
    without = [[size for size in value.shape if size != 1] for value in (ours, theirs)]
    if without[0] != without[1]:
        shapes = (ours.shape, theirs.shape)
        return BlobDifference(
            name, layer.name, place, APART.absolute, APART.relative, APART.ulps, shapes
        )
    # old programs store four axes, the ones that are left over of length 1
    off = difference(theirs.reshape(ours.shape), ours)
    return BlobDifference(name, layer.name, place, off.absolute, off.relative, off.ulps)
