"""The forward pass as statements: a line a layer, values named after the blobs."""

from __future__ import annotations

import keyword
import operator
import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from netspec.diagnostics import NetspecError
from netspec.graph import Layer, Net
from netspec.pytorch.fused_convolution import Fused
from netspec.pytorch.layers.convolution import Conv1d, Conv2d, Conv3d
from netspec.pytorch.module import NetModule
from netspec.pytorch.standalone.constructor import quoted, value_text
from netspec.pytorch.standalone.definitions import Definitions
from netspec.pytorch.standalone.expressions import expression, fused_text
from netspec.pytorch.standalone.layout import WIDTH, wrapped

_INDENT = " " * 8
_LONGEST_STEP = 60  # of an expression within another one
_RESERVED = {"self", "torch", "nn", "F", "Tensor", "math", "annotations"}


class ForwardText:
    """The statements of a module's forward pass, and the submodules that they call.

    Args: names: what the file defines, which no value may be called.
    """

    def __init__(self, module: NetModule, net: Net, definitions: Definitions) -> None:
        self.module, self.net, self.definitions = module, net, definitions
        # submodules that stand in __init__, in order
        self.called: dict[str, None] = {}
        self.lines: list[str] = []
        self.nodes = list(module.graph.nodes)
        self.last_use = self._last_uses()
        self.values: dict[fx.Node, str] = {}  # a name, or an expression that is used once
        self.names: dict[str, fx.Node] = {}  # which node a name holds now
        self.blobs = self._blobs()
        self.layers = dict(zip(module.about.order, net.layers, strict=True))
        self.inputs = [node for node in self.nodes if node.op == "placeholder"]
        (end,) = (node for node in self.nodes if node.op == "output")
        self.outputs: dict[str, fx.Node] = dict(end.args[0])

    def write(self) -> None:
        """Fills `lines` and `called`."""
        for place, node in enumerate(self.nodes):
            if node.op == "placeholder":
                self.values[node] = self._name(node, str(node.target), place)
            elif node.op == "output":
                self._write_output()
            elif node.op == "call_function" and node.target is operator.getitem:
                assert node in self.values  # named by the statement that makes all parts
            else:
                self._write_node(node, place)

    def _last_uses(self) -> dict[fx.Node, int]:
        """The place of the last node that reads each node, by way of its parts as well."""
        places = {node: i for i, node in enumerate(self.nodes)}
        return {
            node: max((places[user] for user in node.users), default=places[node])
            for node in self.nodes
        }

    def _blobs(self) -> dict[str, tuple[Layer, int]]:
        """The layer and top that each of the graph's nodes is."""
        found: dict[str, tuple[Layer, int]] = {}
        for layer, names in zip(self.net.layers, self.module.about.tops, strict=True):
            if len(names) == len(layer.top_blobs):
                for i, name in enumerate(names):
                    found.setdefault(name, (layer, i))
        return found

    def _name(self, node: fx.Node, wanted: str, place: int) -> str:
        """A name for a node's value: a blob's, as long as no other value of it is still read."""
        base = re.sub(r"\W", "_", wanted)
        base = f"_{base}" if not base or base[0].isdigit() else base
        base = f"{base}_" if keyword.iskeyword(base) else base
        name, count = base, 1
        while name in _RESERVED or self.definitions.has(name) or self._is_held(name, place):
            name, count = f"{base}_{count}", count + 1
        self.names[name] = node
        return name

    def _is_held(self, name: str, place: int) -> bool:
        holder = self.names.get(name)
        return holder is not None and self.last_use[holder] > place

    def _write_node(self, node: fx.Node, place: int) -> None:
        parts, text = self._parts(node), self._expression(node)
        if parts:
            names = [self._part_name(part, i, node, place) for i, part in enumerate(parts)]
            self._write(f"{', '.join(names)} = {text}", parts[0])
            for part, name in zip(parts, names, strict=True):
                if part is not None:
                    self.values[part] = name
        elif self._is_step(node, place) and len(text) <= _LONGEST_STEP:
            self.values[node] = text
        else:
            layer, top = self.blobs.get(node.name, (None, 0))
            wanted = layer.top_blobs[top].name if layer is not None else node.name
            name = self.values[node] = self._name(node, wanted, place)
            self._write(f"{name} = {text}", node)

    def _is_step(self, node: fx.Node, place: int) -> bool:
        """Whether a value may stand within its reader's call.

        One that is no blob, such as torch.flatten's, or that the next layer writes over in place.
        """
        if len(node.users) != 1:
            return False
        (reader,) = node.users
        if node.name not in self.blobs:
            return True
        found = self.blobs.get(reader.name)
        layer, top = self.blobs[node.name]
        if found is None or reader is not self.nodes[place + 1]:
            return False
        return found[0].top_blobs[found[1]].name == layer.top_blobs[top].name

    def _write(self, statement: str, node: fx.Node | None) -> None:
        place = self.blobs.get(node.name) if node is not None else None
        shape = place[0].top_blobs[place[1]].shape if place is not None else None
        note = f"  # {_axes(shape)}" if shape else ""
        line = f"{_INDENT}{statement}"
        self.lines += [line + note] if len(line + note) <= WIDTH else wrapped(line)

    def _expression(self, node: fx.Node) -> str:
        args = [self._argument(arg) for arg in node.args]
        if node.op == "call_module":
            return self._call_module(str(node.target), args, node)
        if node.op == "call_method":
            return f"{args[0]}.{node.target}({', '.join(args[1:])})"
        if node.op == "call_function":
            function: Any = node.target
            name: str = function.__name__
            if function.__module__.startswith("netspec."):
                return f"{self.definitions.add(function)}({', '.join(args)})"
            if getattr(torch, name, None) is function:
                self.definitions.use("import torch")
                return f"torch.{name}({', '.join(args)})"
        raise NetspecError(f"'{node}' of the graph has no text")

    def _call_module(self, target: str, args: list[str], node: fx.Node) -> str:
        submodule = self.module.get_submodule(target)
        text = None if submodule._forward_hooks else expression(submodule, args)
        if text is not None:
            self.definitions.use("import torch")
            if "F." in text:
                self.definitions.use("import torch.nn.functional as F")
            return text
        self.called[target] = None
        if isinstance(submodule, (Conv1d, Conv2d, Conv3d)):
            args[0] = self._padded(submodule, args[0], node)
        if isinstance(submodule, Fused):
            self.definitions.use("import torch.nn.functional as F")
            return fused_text(submodule, f"self.{target}({args[0]})", args[1:])
        return f"self.{target}({', '.join(args)})"

    def _padded(self, module: Any, bottom: str, node: fx.Node) -> str:
        """A convolution's bottom with the zeros that Caffe's rule of sizes reads behind it."""
        layer = self.layers[str(node.target)]
        maker, top = self.blobs[node.name]  # another layer where that is computed with it
        sizes = (layer.bottom_blobs[top if maker is layer else 0].shape or ())[2:]
        behind = [module.window.overhang(size, i) for i, size in enumerate(sizes)]
        if not any(behind):
            return bottom
        self.definitions.use("import torch.nn.functional as F")
        margins = [margin for each in reversed(behind) for margin in (0, each)]
        return f"F.pad({bottom}, {tuple(margins)})"

    def _argument(self, arg: Any) -> str:
        return self.values[arg] if isinstance(arg, fx.Node) else value_text(arg, self.definitions)

    def _parts(self, node: fx.Node) -> list[fx.Node | None]:
        """The nodes that take a result apart, where it is one of many; None for one unread."""
        takers = {
            user.args[1]: user
            for user in node.users
            if user.op == "call_function" and user.target is operator.getitem
        }
        if not takers:
            return []
        layers = [place for place in map(self._place_of_part, takers.values()) if place is not None]
        count = len(layers[0].top_blobs) if layers else max(map(int, takers)) + 1  # type: ignore[arg-type]
        return [takers.get(i) for i in range(count)]

    def _place_of_part(self, part: fx.Node) -> Layer | None:
        found = self.blobs.get(part.name)
        return found[0] if found is not None else None

    def _part_name(self, part: fx.Node | None, i: int, node: fx.Node, place: int) -> str:
        if part is None:
            return "_"
        layer, top = self.blobs.get(part.name, (None, 0))
        wanted = layer.top_blobs[top].name if layer is not None else f"{node.name}_{i}"
        return self._name(part, wanted, place)

    def _write_output(self) -> None:
        values = [self.values[node] for node in self.outputs.values()]
        if len(values) == 1:
            self.lines.append(f"{_INDENT}return {values[0]}")
            return
        items = [f"{quoted(n)}: {value}" for n, value in zip(self.outputs, values, strict=True)]
        self.lines += wrapped(f"{_INDENT}return {{{', '.join(items)}}}")


def _axes(shape: Sequence[int]) -> str:
    """A shape with N in place of the batch: (N, 96, 55, 55)."""
    rest = ", ".join(map(str, shape[1:]))
    return f"(N, {rest})" if rest else "(N,)"
