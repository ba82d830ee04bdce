"""Layers that only arrange values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, fx, nn

from netspec.graph import Layer
from netspec.layers.axes import offsets_of, replaced_axes, reshaped, slice_sizes
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule

if TYPE_CHECKING:
    pass


class Concat(LayerModule):
    """Joins its bottoms along an axis."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def extra_repr(self) -> str:
        return f"axis={self.axis}"

    def forward(self, *bottoms: Tensor) -> Tensor:
        return torch.cat(bottoms, self.axis)


class Slice(LayerModule):
    """Cuts an axis into parts, at the points given or into equal ones."""

    def __init__(self, axis: int, tops: int, points: Sequence[int]) -> None:
        super().__init__()
        self.axis, self.tops, self.points = axis, tops, tuple(points)

    def extra_repr(self) -> str:
        return (
            f"axis={self.axis}, points={self.points}"
            if self.points
            else f"axis={self.axis}, tops={self.tops}"
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return torch.split(x, slice_sizes(x.shape[self.axis], self.tops, self.points), self.axis)


class Reshape(LayerModule):
    """The same values in another shape; what it copies and leaves open follows the input."""

    def __init__(self, dims: Sequence[int], start: int, end: int) -> None:
        super().__init__()
        self.dims, self.start, self.end = tuple(dims), start, end

    def extra_repr(self) -> str:
        return f"dims={self.dims}, axes={self.start} to {self.end}"

    def forward(self, x: Tensor) -> Tensor:
        if -1 in self.dims and not x.numel():  # torch can't tell what is left of nothing
            return x.reshape(reshaped(x.shape, self.dims, self.start, self.end))
        shape = list(x.shape)
        dims = [dim or shape[i] for i, dim in enumerate(self.dims, self.start)]
        shape[self.start : self.end] = dims
        return x.reshape(shape)


class Tile(LayerModule):
    """Repeats its input along an axis."""

    def __init__(self, axis: int, tiles: int) -> None:
        super().__init__()
        self.axis, self.tiles = axis, tiles

    def extra_repr(self) -> str:
        return f"axis={self.axis}, tiles={self.tiles}"

    def forward(self, x: Tensor) -> Tensor:
        times = [1] * x.dim()
        times[self.axis] = self.tiles
        return x.repeat(times)


class Crop(LayerModule):
    """Cuts its first input to the second one's size from an axis on."""

    def __init__(self, axis: int, offsets: Sequence[int]) -> None:
        super().__init__()
        self.axis, self.offsets = axis, tuple(offsets)

    def extra_repr(self) -> str:
        return f"axis={self.axis}, offsets={self.offsets}"

    def forward(self, x: Tensor, size: Tensor) -> Tensor:
        for axis, offset in enumerate(self.offsets, self.axis):
            x = x.narrow(axis, offset, size.shape[axis])
        return x


class Parameter(LayerModule):
    """A learnt array.

    Its gradient is what the layers that read it write; Caffe leaves it at 0 where none does
    (`is_read` false).
    """

    def __init__(self, shape: Sequence[int], is_read: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(tuple(shape)))
        self.is_read = is_read

    def extra_repr(self) -> str:
        return f"{tuple(self.weight.shape)}"

    def forward(self) -> Tensor:
        return self.weight if self.is_read else self.weight.detach()


def build_concat(layer: Layer) -> nn.Module:
    p = layer.message.concat_param
    return Concat(p.concat_dim if p.HasField("concat_dim") else p.axis)


def build_flatten(layer: Layer) -> nn.Module:
    p, axes = layer.message.flatten_param, len(layer.bottom_blobs[0].shape or ())
    start, end = p.axis % axes, p.end_axis % axes
    return Reshape((1,), start, start) if end < start else nn.Flatten(p.axis, p.end_axis)


def build_slice(layer: Layer) -> nn.Module | None:
    """A single top is the whole bottom."""
    p, tops = layer.message.slice_param, len(layer.top_blobs)
    return (
        Slice(p.slice_dim if p.HasField("slice_dim") else p.axis, tops, p.slice_point)
        if tops > 1
        else None
    )


def build_reshape(layer: Layer) -> nn.Module:
    p = layer.message.reshape_param
    return Reshape(
        p.shape.dim, *replaced_axes(len(layer.bottom_blobs[0].shape or ()), p.axis, p.num_axes)
    )


def build_tile(layer: Layer) -> nn.Module:
    p = layer.message.tile_param
    return Tile(p.axis, p.tiles)


def build_crop(layer: Layer) -> nn.Module:
    p, axes = layer.message.crop_param, len(layer.bottom_blobs[0].shape or ())
    axis = p.axis % axes
    return Crop(axis, offsets_of(p.offset, axes - axis))


def build_parameter(layer: Layer) -> nn.Module:
    return Parameter(layer.params[0].shape, bool(layer.top_blobs[0].consumers))


def emit_split(graph: fx.Graph, layer: Layer, target: str, bottoms: list[fx.Node]) -> list[fx.Node]:
    """Autograd sums the tops' gradients by itself."""
    return bottoms * len(layer.top_blobs)


BUILDERS = {
    "Concat": Builder(build_concat),
    "Slice": Builder(build_slice),
    "Flatten": Builder(build_flatten),
    "Reshape": Builder(build_reshape),
    "Split": Builder(lambda layer: None, emit_split),
    "Tile": Builder(build_tile),
    "Crop": Builder(build_crop),
    "Parameter": Builder(build_parameter),
}
