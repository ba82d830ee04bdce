"""Weight files into and out of a compiled module, matched by layer name.

Source: Caffe's Net::CopyTrainedLayersFrom.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from netspec.diagnostics import NetspecError, counted
from netspec.graph import Shape, shape_text
from netspec.layers.blobs import same_shape
from netspec.pytorch.module import About, NetModule, arrays_for
from netspec.weights.caffemodel import write_caffemodel
from netspec.weights.files import HDF5_SUFFIXES, read_weights, write_weights


@dataclass(slots=True)
class LoadReport:
    """What became of each layer.

    Layer names, and for another shape what the net and the file hold.
    """

    path: str
    loaded: list[str] = field(default_factory=list)
    # layers of the net that the file lacks; they keep their values
    missing: list[str] = field(default_factory=list)
    # layer → what differs; left as they were
    mismatched: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)  # layers of the file that the net lacks

    def __str__(self) -> str:
        lines = [f"{self.path}: {counted(len(self.loaded), 'layer')} loaded"]
        if self.missing:
            lines.append(f"  not in the file, kept as they were: {', '.join(self.missing)}")
        if self.unused:
            lines.append(f"  not in the net, left out: {', '.join(self.unused)}")
        lines += [
            f"  of another shape, left out: {name}: {why}" for name, why in self.mismatched.items()
        ]
        return "\n".join(lines)

    def raise_mismatches(self) -> LoadReport:
        """Raises NetspecError where a layer has another shape, or no layer was found.

        Training on would lose its weights unnoticed.
        """
        if self.missing and not self.loaded and not self.mismatched:
            theirs, ours = (
                ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
                for names in (self.unused, self.missing)
            )
            message = (
                f"'{self.path}' has weights for no layer of the net: "
                f"it has {theirs or 'none'}, the net {ours}"
            )
            raise NetspecError(
                message, None, "layers are matched by name; is it the file of another net?"
            )
        if self.mismatched:
            faults = "; ".join(f"layer '{name}': {why}" for name, why in self.mismatched.items())
            hint = "to train a layer from scratch give it another name in the net"
            raise NetspecError(f"'{self.path}' does not fit the net: {faults}", None, hint)
        return self


def load_weights(module: NetModule, path: str | Path, strict: bool = False) -> LoadReport:
    """Copies the weights of a file into the module's layers of the same names.

    Layers that the file lacks, and those of another shape or number of params, stay as they are.

    Args: strict: raise, before anything is copied, where a layer does not fit or the file has no
        layer of the net.
    Raises: NetspecError where the file can't be read, or two layers with params share a name, so
        that it can't tell them apart.
    """
    report, copies = _matched(module, path)
    if strict:
        report.raise_mismatches()
    with torch.no_grad():
        for blob, array in copies:
            blob.copy_(torch.from_numpy(array).reshape(blob.shape))
    return report


def load_weight_files(
    module: NetModule, paths: Iterable[str | Path], strict: bool = True
) -> LoadReport:
    """Loads several files, a later one winning; the report covers all of them.

    Args: strict: raise where a file does not fit, or none of them has a layer of the net.
    Raises: NetspecError.
    """
    reports = [load_weights(module, path) for path in paths]
    if strict:
        for report in reports:
            if report.mismatched:
                report.raise_mismatches()
    report = _merged(reports)
    return report.raise_mismatches() if strict else report


def _merged(reports: list[LoadReport]) -> LoadReport:
    if len(reports) == 1:
        return reports[0]
    loaded = {name: None for report in reports for name in report.loaded}
    return LoadReport(
        ", ".join(report.path for report in reports),
        list(loaded),
        [name for name in reports[0].missing if all(name in report.missing for report in reports)],
        {
            name: f"'{report.path}': {why}"
            for report in reports
            for name, why in report.mismatched.items()
        },
        list({name: None for report in reports for name in report.unused}),
    )


def _matched(
    module: NetModule, path: str | Path
) -> tuple[LoadReport, list[tuple[torch.Tensor, np.ndarray]]]:
    """What a file has for the module's layers, and which array is to be copied to which param."""
    _require_module(module)
    _require_names(module)
    report = LoadReport(str(path))
    copies: list[tuple[torch.Tensor, np.ndarray]] = []
    layers = zip(module.about.layers, module.layer_params, strict=True)
    weights = read_weights(
        path, counts={layer[0]: [blob.numel() for blob in blobs] for layer, blobs in layers}
    )
    for (name, _, _, _), target, blobs, borrowed in zip(
        module.about.layers,
        module.about.order,
        module.layer_params,
        _borrowed(module),
        strict=True,
    ):
        arrays = weights.get(name, [])
        if target and arrays:
            arrays = arrays_for(module.get_submodule(target), arrays)
        if all(borrowed[len(arrays) :]):  # the owner brings them, as in Caffe's HDF5 files
            arrays = [*arrays, *[None] * (len(blobs) - len(arrays))]
        elif name not in weights:
            report.missing.append(name)
        if not blobs or not arrays:
            continue
        fault = _mismatch(
            [tuple(b.shape) for b in blobs], [None if a is None else a.shape for a in arrays]
        )
        if fault:
            report.mismatched[name] = fault
            continue
        copies += [
            (blob, array) for blob, array in zip(blobs, arrays, strict=True) if array is not None
        ]
        report.loaded.append(name)
    report.unused = [name for name in weights if name not in module.params]
    return report, copies


def _require_module(module: object) -> None:
    if not isinstance(getattr(module, "about", None), About):
        raise NetspecError(
            f"expected a compiled module, got {type(module).__name__}",
            None,
            "netspec.compile(net) makes one",
        )


def _require_names(module: NetModule) -> None:
    names = [
        name
        for (name, _, _, _), blobs in zip(module.about.layers, module.layer_params, strict=True)
        if blobs
    ]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        who = f"are named '{twice}'" if twice else "have no name"
        raise NetspecError(
            f"weights are matched by layer name, but two layers with params {who}",
            None,
            "give each layer a name of its own",
        )


def _mismatch(net: list[Shape], file: list[Shape | None]) -> str | None:
    if len(net) != len(file):
        return f"the net has {len(net)} params, the file {len(file)}"
    for i, (ours, theirs) in enumerate(zip(net, file, strict=True)):
        if theirs is not None and not same_shape(ours, theirs):
            return f"param {i} is {shape_text(ours)} in the net, {shape_text(theirs)} in the file"
    return None


def save_weights(
    module: NetModule,
    path: str | Path,
    diffs: Sequence[Sequence[np.ndarray]] | None = None,
    format: str | None = None,
) -> None:
    """Writes the module's weights; the format follows the suffix (.caffemodel, .h5, .safetensors).

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
        write = write_weights if format is None else write_caffemodel
        write(
            path,
            module.about.net_name,
            [(*layer, own) for layer, own in zip(layers, arrays, strict=True)],
            diffs,
        )
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
