"""Weight files into and out of a compiled module, matched by layer name.

Source: Caffe's Net::CopyTrainedLayersFrom.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
import torch

from netspec.diagnostics import NetspecError
from netspec.files.suffixes import HDF5_SUFFIXES
from netspec.pytorch.module import About, NetModule, arrays_for
from netspec.weights.caffemodel import write_caffemodel
from netspec.weights.choice import WeightChoice
from netspec.weights.files import read_weights, write_weights
from netspec.weights.match import LoadReport as LoadReport
from netspec.weights.match import Wanted, match, require_names


def load_weights(
    module: NetModule, path: str | Path, strict: bool = False, choice: WeightChoice | None = None
) -> LoadReport:
    """Copies the weights of a file into the module's layers of the same names.

    Layers that the file lacks, and those of another shape or number of params, stay as they are.

    Args: strict: raise, before anything is copied, where a layer does not fit or the file has no
        layer of the net. choice: which layers of the file are taken, and for which of the net.
    Raises: NetspecError where the file can't be read, two layers with params share a name, so that
        it can't distinguish them, or the choice fits neither the file nor the net.
    """
    choice = choice or WeightChoice()
    report, copies = _matched(module, path, choice)
    require_choice(choice, module, [report])
    if strict:
        report.raise_mismatches()
    _copy(copies)
    return report


def load_part(module: NetModule, path: str | Path, choice: WeightChoice) -> LoadReport:
    """`load_weights` of a file among several, which need not have all that the choice names.

    `require_choice` looks at what all of them have.

    Raises: NetspecError.
    """
    report, copies = _matched(module, path, choice)
    _copy(copies)
    return report


def require_choice(choice: WeightChoice, module: NetModule, reports: Sequence[LoadReport]) -> None:
    """Raises NetspecError where files that were loaded, or the net, are not what a choice expects.

    Args: reports: of all files.
    """
    names = [name for report in reports for name in report.names]
    choice.require_names([report.path for report in reports], names)
    choice.require_targets(module.params, module.about.net_name)
    choice.require_all(merged(reports))


def _copy(copies: Sequence[tuple[torch.Tensor, np.ndarray]]) -> None:
    with torch.no_grad():
        for blob, array in copies:
            blob.copy_(torch.from_numpy(array).reshape(blob.shape))


def load_weight_files(
    module: NetModule,
    paths: Iterable[str | Path],
    strict: bool = True,
    choice: WeightChoice | None = None,
) -> LoadReport:
    """Loads several files, a later one winning; the report covers all of them.

    Args: strict: raise where a file does not fit, or none of them has a layer of the net. choice:
        which layers of the files are taken; at least one of them has each that it names.
    Raises: NetspecError.
    """
    choice = choice or WeightChoice()
    reports = [load_part(module, path, choice) for path in paths]
    require_choice(choice, module, reports)
    if strict:
        for report in reports:
            if report.mismatched:
                report.raise_mismatches()
    report = merged(reports)
    return report.raise_mismatches() if strict else report


def merged(reports: Sequence[LoadReport]) -> LoadReport:
    """The report of several files that were loaded one after the other."""
    if len(reports) == 1:
        return reports[0]
    loaded = {name: None for report in reports for name in report.loaded}
    missing = frozenset.intersection(*(frozenset(report.missing) for report in reports))
    return LoadReport(
        ", ".join(report.path for report in reports),
        list(loaded),
        [name for name in reports[0].missing if name in missing],
        {
            name: f"'{report.path}': {why}"
            for report in reports
            for name, why in report.mismatched.items()
        },
        list({name: None for report in reports for name in report.unused}),
    )


def _matched(
    module: NetModule, path: str | Path, choice: WeightChoice
) -> tuple[LoadReport, list[tuple[torch.Tensor, np.ndarray]]]:
    """What a file has for the module's layers, and which array is to be copied to which param."""
    _require_module(module)
    wanted, params = _wanted(module), module.layer_params
    require_names(wanted)
    counts = {layer.name: [prod(shape) for shape in layer.shapes] for layer in wanted}
    counts |= {old: counts[new] for old, new in choice.rename.items() if new in counts}
    weights = read_weights(path, counts=counts, names=choice.tensor_names(keys_of(module)))
    report, found, _ = match(str(path), wanted, choice.taken(path, weights))
    report.names = list(weights)
    copies = [
        (blob, array)
        for i, arrays in found.items()
        for blob, array in zip(params[i], arrays, strict=True)
        if array is not None
    ]
    return report, copies


def keys_of(module: NetModule) -> dict[str, list[str | None]]:
    """The keys in the state_dict of each layer's params, by the layer's name."""
    names = [layer[0] for layer in module.about.layers]
    return {name: keys for name, keys in zip(names, state_keys(module), strict=True) if keys}


def state_keys(module: NetModule) -> list[list[str | None]]:
    """Of each layer's params the key in the state_dict; None for a view of another layer's."""
    found = []
    for target, blobs in zip(module.about.order, module.layer_params, strict=True):
        own = module.get_submodule(target).state_dict(keep_vars=True) if blobs else {}
        keys = [next((key for key, value in own.items() if value is blob), None) for blob in blobs]
        found.append([None if key is None else f"{target}.{key}" for key in keys])
    return found


def _wanted(module: NetModule) -> list[Wanted]:
    about = module.about
    return [
        Wanted(
            layer[0],
            [tuple(blob.shape) for blob in blobs],
            borrowed,
            partial(arrays_for, module.get_submodule(target)) if target else None,
        )
        for layer, target, blobs, borrowed in zip(
            about.layers, about.order, module.layer_params, _borrowed(module), strict=True
        )
    ]


def _require_module(module: object) -> None:
    if not isinstance(getattr(module, "about", None), About):
        raise NetspecError(
            f"expected a compiled module, got {type(module).__name__}",
            None,
            "netspec.compile(net) makes one",
        )


def save_weights(
    module: NetModule,
    path: str | Path,
    diffs: Sequence[Sequence[np.ndarray]] | None = None,
    format: str | None = None,
) -> None:
    """Writes the module's weights; the format follows the suffix.

    .caffemodel and .h5 are Caffe's; .safetensors and .npz have the keys of the module's state_dict.

    Args:
        diffs: of each layer's params what the file is to hold as their diff.
        format: "caffemodel" or "hdf5", whatever the suffix is.

    Raises: NetspecError where the suffix is not known or the file can't be written.
    """
    _require_module(module)
    arrays = [
        [blob.detach().to("cpu", torch.float32).contiguous().numpy() for blob in blobs]
        for blobs in module.layer_params
    ]
    layers = module.about.layers
    is_hdf5 = str(path).endswith(HDF5_SUFFIXES) if format is None else format == "hdf5"
    if not is_hdf5:
        named = [(*layer, own) for layer, own in zip(layers, arrays, strict=True)]
        if format is None:
            write_weights(path, module.about.net_name, named, diffs, state_keys(module))
        else:
            write_caffemodel(path, module.about.net_name, named, diffs)
        return
    from netspec.weights.hdf5 import write_weights_hdf5  # h5py takes 0.3 s to import

    owned = [
        # there Caffe writes a shared param once
        [None if is_borrowed else array for array, is_borrowed in zip(own, borrowed, strict=True)]
        for own, borrowed in zip(arrays, _borrowed(module), strict=True)
    ]
    write_weights_hdf5(
        path, [(layer[0], own) for layer, own in zip(layers, owned, strict=True)], diffs
    )


def _borrowed(module: NetModule) -> list[list[bool]]:
    """Of each layer's params, whether it is that of an earlier layer."""
    seen: set[int] = set()
    borrowed = []
    for blobs in module.layer_params:
        memories = [blob.untyped_storage().data_ptr() for blob in blobs]
        borrowed.append([memory in seen for memory in memories])
        seen.update(memories)
    return borrowed
