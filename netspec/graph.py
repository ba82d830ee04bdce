"""The IR: a net as layers joined by blobs, each with its place in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from netspec.diagnostics import Diagnostic, Span
from netspec.schema.extensions import find_field, value_of
from netspec.text_table import text_table

if TYPE_CHECKING:
    from netspec.schema.caffe_pb2 import FillerParameter, LayerParameter
    from netspec.syntax.bind import Spans

Shape = tuple[int, ...]
_AXES = {1: "N", 2: "N×C", 3: "N×C×L", 4: "N×C×H×W", 5: "N×C×D×H×W"}


def sizes_text(sizes: Iterable[object]) -> str:
    """Sizes along the axes: 3×1."""
    return "×".join(map(str, sizes))


def shape_text(shape: Shape | None) -> str:
    """A shape for people: 64×96×55×55; a scalar's is 'scalar'."""
    if shape is None:
        return "unknown"
    return sizes_text(shape) or "scalar"


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


class Memory:
    """An array that blobs of several names may share, as a Flatten's bottom and top do in Caffe."""

    __slots__ = ("writes",)

    def __init__(self) -> None:
        self.writes: list[Blob] = []  # the blobs written over it in place, in file order


@dataclass(slots=True, eq=False)
class Blob:
    """What a layer writes to a top. A write in place makes a new version with the same name.

    `memory` holds its values; `writes_before` in-place writes came before this blob was made.
    """

    name: str
    version: int
    producer: Layer
    top_index: int
    span: Span | None
    shape: Shape | None = None
    consumers: list[tuple[Layer, int]] = field(default_factory=list)  # (layer, index of its bottom)
    memory: Memory = field(default_factory=Memory)
    writes_before: int = 0

    def __repr__(self) -> str:
        return f"<Blob '{self.name}' {shape_text(self.shape)}>"

    @property
    def count(self) -> int:
        return prod(self.shape or ())

    @property
    def split_name(self) -> str:
        """The name of the first top of the Split layer that Caffe inserts below it."""
        return f"{self.name}_{self.producer.name}_{self.top_index}_split_0"

    def overwritten_by(self, writes: int) -> Blob | None:
        """The blob whose in-place write stands in this one's memory after that many writes."""
        return self.memory.writes[writes - 1] if writes > self.writes_before else None


@dataclass(slots=True, eq=False)
class Layer:
    """A layer of the net.

    It holds its message, where its fields stand, and the versions of the blobs it joins.
    """

    name: str
    type: str
    message: LayerParameter
    spans: Spans
    span: Span | None
    phase: str
    bottom_blobs: list[Blob] = field(default_factory=list)
    top_blobs: list[Blob] = field(default_factory=list)
    # in-place writes that each bottom's memory had seen when it was read
    bottom_writes: list[int] = field(default_factory=list)
    params: list[Param] = field(default_factory=list)
    loss_weights: list[float] = field(default_factory=list)  # one for each top
    macs: int = 0  # multiply-adds of one forward pass over the whole batch
    spec_name: str = ""  # of its Spec: its type, and of a type with several rules which one it is
    other_rules: list[str] = field(default_factory=list)  # the specs that it may mean as well
    # why its values can't be computed: what compile and train raise, and check only warns of
    not_computed: list[Diagnostic] = field(default_factory=list)
    # what its spec made while it inferred the shapes, for lowering to take over (a Python layer's
    # object)
    prepared: Any = None

    def __repr__(self) -> str:
        return (
            f"<Layer '{self.name}' {self.type}: {', '.join(self.bottoms)} → {', '.join(self.tops)}>"
        )

    def __post_init__(self) -> None:
        self.spec_name = self.spec_name or self.type

    def field(self, name: str) -> Any:
        """The value of a field of its message, also of one that a fork or a plugin adds.

        Raises: KeyError.
        """
        return value_of(self.message, find_field(self.message.DESCRIPTOR, name))

    @property
    def bottoms(self) -> list[str]:
        return [blob.name for blob in self.bottom_blobs]

    @property
    def tops(self) -> list[str]:
        return [blob.name for blob in self.top_blobs]

    @property
    def param_count(self) -> int:
        """The number of values in its params, also in those that it shares."""
        return sum(param.count for param in self.params)

    @property
    def label(self) -> str:
        return (
            f"layer '{self.name}'"
            if self.name
            else " ".join(filter(None, ("this", self.type, "layer")))
        )


@dataclass(slots=True, eq=False)
class Net:
    """A net for one phase, checked and with every shape known.

    `blobs` maps a name to its last version. `inputs` are the tops of Input layers, `sources` those
    of data layers, both in file order; `outputs` the blobs that no layer reads, in byte order as in
    Caffe. A blob with a loss_weight that layers read as well is an output under the name of Caffe's
    Split layer: `split_outputs` has these. `value_names` is for a net that was made of another one,
    whose names its values keep.
    """

    name: str
    phase: str
    layers: list[Layer] = field(default_factory=list)
    blobs: dict[str, Blob] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    split_outputs: dict[str, Blob] = field(default_factory=dict)
    force_backward: bool = False
    debug_info: bool = False  # nets of pycaffe log each pass
    path: str = ""
    value_names: dict[Blob, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        layers = "1 layer" if len(self.layers) == 1 else f"{len(self.layers)} layers"
        return f"<Net '{self.name}', phase {self.phase}: {layers}, {self.param_count:,} parameters>"

    def __str__(self) -> str:
        """The table of `netspec shapes`."""
        return net_table(self)

    @property
    def param_count(self) -> int:
        """The number of values in all params; a shared one counts once."""
        return sum(
            param.count for layer in self.layers for param in layer.params if param.owner is None
        )

    @property
    def loss_weights(self) -> dict[str, float]:
        """The weight of each top that counts in the objective, by the name of its output."""
        weights = {}
        for layer in self.layers:
            weights.update(
                {
                    self.output_name(b): w
                    for b, w in zip(layer.top_blobs, layer.loss_weights, strict=True)
                    if w
                }
            )
        return weights

    def output_name(self, blob: Blob) -> str:
        """The name by which a blob is an output: its own, or that of Caffe's Split layer."""
        return blob.split_name if self.split_outputs.get(blob.split_name) is blob else blob.name

    def blob(self, name: str) -> Blob:
        """The last version of the blob of that name, or the blob that is the output of that name.

        Raises: KeyError.
        """
        return self.split_outputs[name] if name in self.split_outputs else self.blobs[name]

    def value_name(self, blob: Blob) -> str:
        """A name of its own for the value of each version of a blob.

        The last version has the blob's name, an earlier one that of its layer added: conv1/conv1.
        """
        if blob in self.value_names:
            return self.value_names[blob]
        if self.blobs.get(blob.name) is blob:
            return blob.name
        return f"{blob.name}/{blob.producer.name}"

    @property
    def batch_size(self) -> int | None:
        """The items in one forward pass: the first axis of the first blob of the data that has one.

        It is None where no blob has one.
        """
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


# What the table says of a layer, by the names that `netspec shapes --columns` takes.
COLUMNS: dict[str, Callable[[Layer], Any]] = {
    "layer": lambda layer: layer.name,
    "type": lambda layer: layer.type,
    "bottoms": lambda layer: layer.bottoms,
    "tops": lambda layer: layer.tops,
    "output": lambda layer: [blob.shape for blob in layer.top_blobs],
    "params": lambda layer: [param.shape for param in layer.params],
    "count": lambda layer: layer.param_count,
    "macs": lambda layer: layer.macs,
}
HEADINGS = {
    "macs": "multiply-adds",
    "receptive_field": "receptive field",
    "param_bytes": "bytes of params",
    "blob_bytes": "bytes of blobs",
}  # where a column's is not its name


def cell_text(value: Any) -> str:
    """A cell for people: names or shapes with commas between them, a number unless it is 0."""
    if isinstance(value, list):
        return ", ".join(part if isinstance(part, str) else shape_text(part) for part in value)
    if isinstance(value, str):
        return value
    return f"{value:,}" if value else ""


def net_table(net: Net) -> str:
    """A net for people: a line a layer, and the totals."""
    rows = [[value(layer) for value in COLUMNS.values()] for layer in net.layers]
    return "\n".join([title(net), "", aligned(list(COLUMNS), rows), "", totals(net)])


def title(net: Net) -> str:
    """The net's name and phase."""
    return f"{net.name or net.path}, phase {net.phase}"


def aligned(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows of values as text in columns; numbers stand to the right."""
    values = list(rows)
    texts = [
        [HEADINGS.get(column, column) for column in columns],
        *([cell_text(value) for value in row] for row in values),
    ]
    left = [
        i
        for i in range(len(columns))
        if not values or any(isinstance(row[i], (str, list)) for row in values)
    ]
    return "\n".join(text_table(texts, left))


def totals(net: Net) -> str:
    """The sums over the net's layers."""
    macs = sum(layer.macs for layer in net.layers)
    values = sum(
        blob.count for layer in net.layers for blob in layer.top_blobs if blob.shape is not None
    )
    counts = [
        f"{len(net.layers)} layers",
        f"{net.param_count:,} parameters",
        f"{macs:,} multiply-adds",
        f"{values * 4 / 2**20:,.1f} MiB of blobs",
    ]
    shapes = [net.blobs[name].shape for name in [*net.inputs, *net.sources]]
    batch = shapes[0][0] if shapes and shapes[0] else 1
    if batch > 1:
        counts[2] += f" for a batch of {batch} ({macs // batch:,} an item)"
    return ", ".join(counts)
