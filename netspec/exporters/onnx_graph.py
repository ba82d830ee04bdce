"""An ONNX graph while it is written: nodes and constants, each value by its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netspec.graph import Layer, Net

OPSET = 24  # the newest that onnxruntime 1.32 runs


class OnnxGraph:
    """Nodes and constants. A blob's value is named as `Net.value_name` says."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.nodes: list[Any] = []
        self.constants: dict[str, np.ndarray] = {}
        # the layer whose nodes are written, its params' values, its bottoms' and tops' names
        self.layer: Layer = net.layers[0]
        self.params: Sequence[np.ndarray] = ()
        self.bottoms: Sequence[str] = ()
        self.tops: Sequence[str] = ()
        self.stem = ""  # of the names of an inner graph's values
        self._names: dict[str, int] = {}

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

    def constant(self, value: Any, what: str, dtype: Any = np.float32) -> str:
        """Adds a constant named after the layer and what it is; returns its name."""
        name = self._unused(f"{self.layer.name}/{what}", "")
        self.constants[name] = np.ascontiguousarray(value, dtype)
        return name

    def sizes(self, *dims: int) -> str:
        """A constant of sizes: what Reshape, Tile and Slice take."""
        return self.constant(dims, "sizes", np.int64)

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
