"""The IR: a net as layers joined by blobs, each with its place in the file."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from netspec.diagnostics import Span

if TYPE_CHECKING:
    from netspec.schema.caffe_pb2 import FillerParameter, LayerParameter
    from netspec.syntax.bind import Spans

Shape = tuple[int, ...]
_AXES = {1: "N", 2: "N×C", 3: "N×C×L", 4: "N×C×H×W", 5: "N×C×D×H×W"}


def shape_text(shape: Shape | None) -> str:
    """A shape for people: 64×96×55×55; a scalar's is 'scalar'."""
    if shape is None:
        return "unknown"
    return "×".join(map(str, shape)) or "scalar"


def shape_with_axes(shape: Shape | None) -> str:
    """A shape and what its axes are called: 64×96×55×55 (N×C×H×W)."""
    if not shape or len(shape) not in _AXES:
        return shape_text(shape)
    return f"{shape_text(shape)} ({_AXES[len(shape)]})"


@dataclass(slots=True, eq=False)
class Param:
    """A learnable array of a layer (Caffe's 'blob' of a layer), in Caffe's order and layout.

    `owner` is (layer name, index) of the param that holds the values where this one shares them.
    `learned` is false for what the layer itself keeps up to date (BatchNorm's statistics).
    """

    shape: Shape
    name: str = ""
    lr_mult: float = 1.0
    decay_mult: float = 1.0
    filler: FillerParameter | None = None
    owner: tuple[str, int] | None = None
    learned: bool = True

    @property
    def count(self) -> int:
        return prod(self.shape)


@dataclass(slots=True, eq=False)
class Blob:
    """What a layer writes to a top. A write in place makes a new version with the same name."""

    name: str
    version: int
    producer: Layer
    top_index: int
    span: Span | None
    shape: Shape | None = None
    consumers: list[tuple[Layer, int]] = field(default_factory=list)  # (layer, index of its bottom)

    @property
    def count(self) -> int:
        return prod(self.shape or ())


@dataclass(slots=True, eq=False)
class Layer:
    """A layer of the net: its message, where its fields stand, and the versions of the blobs it joins."""

    name: str
    type: str
    message: LayerParameter
    spans: Spans
    span: Span | None
    phase: str
    bottom_blobs: list[Blob] = field(default_factory=list)
    top_blobs: list[Blob] = field(default_factory=list)
    params: list[Param] = field(default_factory=list)
    loss_weights: list[float] = field(default_factory=list)  # one for each top
    macs: int = 0  # multiply-adds of one forward pass over the whole batch
    prepared: Any = None  # what its spec made while it inferred the shapes, for lowering to take over (a Python layer's object)

    @property
    def bottoms(self) -> list[str]:
        return [blob.name for blob in self.bottom_blobs]

    @property
    def tops(self) -> list[str]:
        return [blob.name for blob in self.top_blobs]

    @property
    def label(self) -> str:
        return f"layer '{self.name}'" if self.name else " ".join(filter(None, ("this", self.type, "layer")))


@dataclass(slots=True, eq=False)
class Net:
    """A net for one phase, checked and with every shape known.

    `blobs` maps a name to its last version. `inputs` are the tops of Input layers, `sources` those of
    data layers, both in file order; `outputs` the blobs that no layer reads, in byte order as in Caffe.
    """

    name: str
    phase: str
    layers: list[Layer] = field(default_factory=list)
    blobs: dict[str, Blob] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    force_backward: bool = False
    path: str = ""

    @property
    def loss_weights(self) -> dict[str, float]:
        """The weight of each top that counts in the objective."""
        weights = {}
        for layer in self.layers:
            weights.update({b.name: w for b, w in zip(layer.top_blobs, layer.loss_weights, strict=True) if w})
        return weights

    @property
    def batch_size(self) -> int | None:
        """Items in one forward pass: the first axis of the first blob of the data that has one; None where none has."""
        shapes = (self.blobs[name].shape for name in (*self.sources, *self.inputs))
        return next((shape[0] for shape in shapes if shape), None)

    def first_version(self, name: str) -> Blob:
        """A blob as its first layer makes it, before any in-place write. Raises: KeyError."""
        for layer in self.layers:
            for blob in layer.top_blobs:
                if blob.name == name:
                    return blob
        raise KeyError(name)

    def layer(self, name: str) -> Layer:
        """The layer of that name. Raises: KeyError."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)
