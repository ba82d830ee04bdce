"""HDF5Output: the one data layer that computes in the module. The others are its inputs."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from netspec.diagnostics import NetspecError, Span
from netspec.extras import missing_package
from netspec.files.overwrite import HDF5_ROWS, require_own_kind
from netspec.graph import Layer, shape_text
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule


class Hdf5Output(LayerModule):
    """Adds the rows of its inputs to the datasets "data" and "label" of a file; it has no tops.

    The file is opened and closed in each pass, so that it is whole whenever the process ends. The
    first pass begins it anew: a module that is compiled and never run leaves an older file alone.

    A module that writes can't be exported, and torch.compile breaks its graph here.
    """

    breaks_graph = True
    _is_impure = True  # torch.fx keeps the call, though nothing uses its value

    def __init__(self, path: str, label: str, span: Span | None = None) -> None:
        super().__init__()
        self.path, self.label, self.span = path, label, span
        self.rows = 0

    def extra_repr(self) -> str:
        return repr(self.path)

    def forward(self, data: Tensor, label: Tensor) -> None:
        if len(data) != len(label):
            raise NetspecError(
                f"{self.label}: its bottoms hold {len(data)} and {len(label)} items in this pass",
                self.span,
            )
        try:
            import h5py  # an extra
        except ModuleNotFoundError:
            raise missing_package("h5py", self.label, self.span) from None
        if not self.rows:
            try:
                require_own_kind(self.path, HDF5_ROWS, hint="or remove it")
            except NetspecError as error:
                raise error.restated(f"{self.label}: ", self.span) from None
        try:
            with h5py.File(self.path, "r+" if self.rows else "w") as file:
                for name, value in (("data", data), ("label", label)):
                    self._add(file, name, _four_axes(value))
        except OSError as error:
            raise NetspecError(
                f"{self.label}: '{self.path}' can't be written: {error.strerror or str(error)}",
                self.span,
            ) from None
        self.rows += len(data)

    def _add(self, file: Any, name: str, rows: NDArray[Any]) -> None:
        if name not in file:
            file.create_dataset(name, data=rows, maxshape=(None, *rows.shape[1:]))
            return
        dataset = file[name]
        if dataset.shape[1:] != rows.shape[1:]:
            shapes = (
                f"{shape_text(rows.shape[1:])} in this pass, {shape_text(dataset.shape[1:])} "
                f"in '{self.path}'"
            )
            raise NetspecError(f"{self.label}: a row of '{name}' is {shapes}", self.span)
        dataset.resize(len(dataset) + len(rows), axis=0)
        dataset[len(dataset) - len(rows) :] = rows


def _four_axes(value: Tensor) -> NDArray[Any]:
    array = value.detach().to("cpu", torch.float32).numpy()
    return array.reshape(*array.shape, *[1] * (4 - array.ndim))


def build_hdf5_output(layer: Layer) -> nn.Module:
    return Hdf5Output(
        layer.message.hdf5_output_param.file_name,
        layer.label,
        layer.spans.at("hdf5_output_param", "file_name"),
    )


BUILDERS = {"HDF5Output": Builder(build_hdf5_output)}
