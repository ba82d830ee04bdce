"""An ONNX graph while it is written: nodes and constants, each value by its name."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from netspec.exporters.not_exported import out_of_half
from netspec.graph import Layer, Net

FLOAT, UINT8, FLOAT16 = 1, 2, 10  # TensorProto.DataType
OPSET = 24  # the newest that onnxruntime 1.32 runs


class OnnxGraph:
    """Nodes and constants. A blob's value is named as `Net.value_name` says."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        self.opset = OPSET
        # the layer whose nodes are written, its params' values, its bottoms' and tops' names
        self.layer: Layer = net.layers[0]
        self.params: Sequence[np.ndarray] = ()
        self.bottoms: Sequence[str] = ()
        self.tops: Sequence[str] = ()
        self.stem = ""  # of the names of an inner graph's values
        self._names: dict[str, int] = {}
        # the sizes of values whose shape is not that of their blob: it depends on the data
        self.dims: dict[str, Sequence[int | str]] = {}
        self.is_half = False  # whether the layer computes in half precision
        self._halves: set[str] = set()  # the values in half precision
        self._casts: dict[tuple[str, bool], str] = {}

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: Sequence[str] | str | None = None,
        **attributes: Any,
    ) -> str:
        """Adds a node and returns the name of its first output, made where none is given."""
        from onnx import helper

        name = self._unused(self.layer.name, op)
        if outputs is None:
            outputs = f"{name}/out"
        names = [outputs] if isinstance(outputs, str) else list(outputs)
        self.nodes.append(helper.make_node(op, list(inputs), names, name=name, **attributes))
        return names[0]

    def constant(
        self, value: Any, what: str, dtype: Any = np.float32, is_statistic: bool = False
    ) -> str:
        """Adds a constant named after the layer and what it is; returns its name.

        Numbers follow the layer's precision, save those of a statistic.
        """
        name = self._unused(f"{self.layer.name}/{what}", "")
        made = np.ascontiguousarray(value, dtype)
        if self.is_half and dtype is np.float32 and not is_statistic:
            with np.errstate(over="ignore"):
                half = made.astype(np.float16)
            if not np.array_equal(np.isfinite(half), np.isfinite(made)):
                raise out_of_half(self.layer, what)
            made = half
        self.constants[name] = made
        return name

    def read(self, name: str) -> str:
        """A value in the precision of the layer."""
        if (name in self._halves) == self.is_half:
            return name
        if (name, self.is_half) not in self._casts:
            kind = FLOAT16 if self.is_half else FLOAT
            made = f"{name}/half" if self.is_half else f"{name}/single"
            self._casts[name, self.is_half] = self.node("Cast", [name], made, to=kind)
        return self._casts[name, self.is_half]

    def write(self, names: Sequence[str], outputs: Collection[str]) -> list[str]:
        """The names under which the layer makes its tops: those of outputs are in single."""
        if not self.is_half:
            return list(names)
        made = [f"{name}/half" if name in outputs else name for name in names]
        self._halves.update(made)
        self._casts.update(
            {(name, True): half for name, half in zip(names, made, strict=True) if name != half}
        )
        return made

    def sizes(self, *dims: int) -> str:
        """A constant of sizes: what Reshape, Tile and Slice take."""
        return self.constant(dims, "sizes", np.int64)

    def pick(self, x: str, indices: int | Sequence[int], axis: int) -> str:
        """Some places of an axis, which stays also where it is one."""
        places = [indices] if isinstance(indices, int) else list(indices)
        return self.node("Gather", [x, self.sizes(*places)], axis=axis)

    def inner(self) -> OnnxGraph:
        """A graph inside this one: the body of a loop, which sees this one's values."""
        graph = OnnxGraph(self.net)
        graph.layer, graph.constants, graph._names = self.layer, self.constants, self._names
        graph.stem = self._unused(f"{self.layer.name}/step", "")
        return graph

    def body(self, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
        """This graph as a loop's body; the shapes of its ends are left open."""
        from onnx import TensorProto, helper

        ends = {
            name: helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            for name in (*inputs, *outputs)
        }
        return helper.make_graph(
            self.nodes, self.stem, [ends[name] for name in inputs], [ends[name] for name in outputs]
        )

    def _unused(self, stem: str, op: str) -> str:
        """A name that no other node has: the layer's for its first node, then with the operator."""
        stem = stem if stem not in self._names or not op else f"{stem}/{op}"
        count = self._names[stem] = self._names.get(stem, 0) + 1
        return stem if count == 1 else f"{stem}_{count}"
