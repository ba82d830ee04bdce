"""A forward pass that looks at every layer's tops and, on the way back, at its bottoms' gradients.

The tops are looked at as they are computed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, fx

from netspec.pytorch.module import NetModule

Look = Callable[[int, list[Tensor]], None]  # index of the layer in the net's file order, its tops
# index of the layer, index of the bottom, the gradient that arrives there
LookBack = Callable[[int, int, Tensor], None]


def forward_watched(
    module: NetModule, inputs: Sequence[Tensor], look: Look, look_back: LookBack | None = None
) -> dict[str, Tensor]:
    """The module's outputs.

    `look` receives each layer's tops before a later layer may write over them.

    Args: look_back: is told the gradient at each bottom in the backward pass that follows, last
        layer first.
    """
    outputs: dict[str, Tensor] = _Watched(module, look, look_back).run(*inputs)
    return module.shown(outputs)


class _Watched(fx.Interpreter):
    def __init__(self, module: NetModule, look: Look, look_back: LookBack | None) -> None:
        super().__init__(module)
        self.look, self.look_back = look, look_back
        self.tops = module.about.tops
        # Split's tops are its bottom's node
        self.layers_of_node: dict[str, list[int]] = defaultdict(list)
        for layer, names in enumerate(self.tops):
            for name in dict.fromkeys(names):
                self.layers_of_node[name].append(layer)
        self.layer_of_target = {
            target: layer for layer, target in enumerate(module.about.order) if target
        }
        self.values: dict[str, Tensor] = {}
        # a Convolution with many bottoms is called once for each
        self.bottoms_seen: Counter[int] = Counter()

    def run_node(self, node: fx.Node) -> Any:
        value = super().run_node(node)
        if isinstance(value, Tensor) and node.name in self.layers_of_node:
            self.values[node.name] = value
            for layer in self.layers_of_node[node.name]:
                if all(name in self.values for name in self.tops[layer]):
                    self.look(layer, [self.values[name] for name in self.tops[layer]])
        return value

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        layer = self.layer_of_target.get(str(target))
        if self.look_back is None or layer is None:
            return super().call_module(target, args, kwargs)
        first = self.bottoms_seen[layer]
        self.bottoms_seen[layer] += len(args)
        in_place = getattr(self.module.get_submodule(str(target)), "inplace", False)
        hooked = tuple(
            _hooked(arg, self.look_back, layer, first + i, in_place) for i, arg in enumerate(args)
        )
        return super().call_module(target, hooked, kwargs)


def _hooked(bottom: Any, look_back: LookBack, layer: int, index: int, in_place: bool) -> Any:
    if not (isinstance(bottom, Tensor) and bottom.requires_grad):
        return bottom
    # a blob that several layers read has a gradient from each of them; torch forgets the hook of a
    # view that is written over
    alias = bottom.clone() if in_place else bottom.view_as(bottom)
    alias.register_hook(lambda grad: look_back(layer, index, grad))
    return alias
