"""A convolution with what follows it as one of oneDNN's kernels, for inference on a CPU.

That is a ReLU, a leaky one or a ReLU6, or a sum with another blob and a ReLU behind it, if any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from netspec.pytorch.layer_nodes import calls_plain
from netspec.pytorch.layers.arithmetic import EltwiseSum
from netspec.pytorch.layers.convolution import Conv2d, pad_behind
from netspec.pytorch.module import NetModule

# by oneDNN's names, which torch.ops.mkldnn takes
_ACTIVATIONS: dict[str, Callable[..., Tensor]] = {
    "none": lambda x: x,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "hardtanh": F.hardtanh,
}


class _Packed(NamedTuple):
    """Weights as the kernel wants them, and of which weights, in which state, these were made.

    While those are kept, no others can come to lie at their address.
    """

    state: tuple[int, int]
    weight: Tensor
    laid_out: Tensor


class Fused(nn.Conv2d):
    """Convolves, adds what else it is given, and then does what `activation` says."""

    activation = "none"
    scalars: tuple[float, ...] = ()
    frozen = False
    _packed: _Packed | None = None

    def extra_repr(self) -> str:
        then = ", ".join([self.activation, *map("{:g}".format, self.scalars)])
        return f"{super().extra_repr()}, then {then}"

    def forward(self, x: Tensor, *summand: Tensor) -> Tensor:
        x = self.padded(x)
        if _takes(x):
            blobs = (self._packed_for(x) if self.frozen else self.weight, self.bias)
            settings = (self.padding, self.stride, self.dilation)
            kernel = torch.ops.mkldnn._convolution_pointwise
            then: tuple[str | None, tuple[float, ...], str]
            then = (self.activation, self.scalars, "")
            if not summand:
                return kernel(x, *blobs, *settings, self.groups, *then)
            if self.activation == "none":
                then = (None, (), "")
            return kernel.binary(x, *summand, *blobs, *settings, self.groups, "add", 1.0, *then)
        top = self._conv_forward(x, self.weight, self.bias)
        return _ACTIVATIONS[self.activation](sum(summand, top), *self.scalars)

    def padded(self, x: Tensor) -> Tensor:
        return x

    def _packed_for(self, x: Tensor) -> Tensor:
        """The weights as the kernel wants them for the first x, laid out so once."""
        weight = self.weight
        if weight.is_inference():  # which counts no writes
            return weight
        state, found = (weight.data_ptr(), weight._version), self._packed
        if found is None or found.state != state:
            settings = (self.padding, self.stride, self.dilation, self.groups)
            reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
            laid_out = reorder(weight.detach().to_mkldnn(), *settings, [*x.shape])
            found = self._packed = _Packed(state, weight.detach(), laid_out)
        return found.laid_out

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_packed"}


class FusedConv2d(Fused):
    """A convolution, and what follows it."""


class FusedStridedConv2d(Fused, Conv2d):
    """The same with strides."""

    def padded(self, x: Tensor) -> Tensor:
        return pad_behind(x, self.window, 2)


def _takes(x: Tensor) -> bool:
    """Whether oneDNN's kernel computes this: in 32 bits, without a gradient."""
    is_plain = not torch.is_grad_enabled() and not torch.compiler.is_compiling()
    return is_plain and x.numel() > 0 and x.dtype == torch.float32 and x.device.type == "cpu"


_KINDS: dict[type[nn.Module], type[Fused]] = {
    nn.Conv2d: FusedConv2d,
    Conv2d: FusedStridedConv2d,
}


def fuse_convolutions(module: NetModule, freezes: bool = False) -> int:
    """Computes with each convolution what alone reads its top; returns the number of these layers.

    The tops between are then computed no more. The params stay where they are.

    Args:
        freezes: brings the weights of every convolution to the kernels' own layout once, instead of
            in each pass; writes to a weight's `.data` are then not seen.
    """
    mkldnn = torch.ops.mkldnn
    if not (torch.backends.mkldnn.is_available() and hasattr(mkldnn, "_convolution_pointwise")):
        return 0
    fusing = _Fusing(module)
    for node in [*module.graph.nodes]:
        if calls_plain(module, node, EltwiseSum):
            fusing.fuse_sum(node)
        elif calls_plain(module, node, nn.ReLU, nn.LeakyReLU, nn.ReLU6):
            fusing.fuse_activation(node)
    for node in module.graph.nodes if freezes else ():
        if calls_plain(module, node, *_KINDS, *_KINDS.values()):
            fusing.fused(node).frozen = True
    if fusing.count:
        module.recompile()
    return fusing.count


class _Fusing:
    def __init__(self, module: NetModule) -> None:
        self.module, self.count = module, 0
        nodes = [*module.graph.nodes]
        # a Convolution of many bottoms is called for each of them
        self.calls = Counter(node.target for node in nodes if node.op == "call_module")
        self.makers = dict[str, list[int]]()  # of a node's name the layers whose top it computes
        for layer, tops in enumerate(module.about.tops):
            for name in tops:
                self.makers.setdefault(name, []).append(layer)
        self.place = {node: i for i, node in enumerate(nodes)}

    def fuse_activation(self, node: fx.Node) -> None:
        """Computes an activation with the convolution before it."""
        before = node.args[0]
        if not isinstance(before, fx.Node) or not self._is_open(before):
            return
        kind, scalars = _epilogue(self.module.get_submodule(str(node.target)))
        if _sums(before) and kind != "relu":  # oneDNN's sums take no other
            return
        self.fused(before).activation, self.fused(before).scalars = kind, scalars
        self._replace(node, before, before)

    def fuse_sum(self, node: fx.Node) -> None:
        """Computes the sum of two blobs with the later of the convolutions that make them."""
        layer = self.module.get_submodule(str(node.target))
        bottoms = node.all_input_nodes
        made = [each for each in bottoms if self._is_open(each) and not _sums(each)]
        if layer.coefficients or len(node.args) != 2 or len(bottoms) != 2 or not made:
            return
        convolution = max(made, key=self.place.__getitem__)
        (other,) = (each for each in bottoms if each is not convolution)
        self.fused(convolution)
        with self.module.graph.inserting_before(node):
            read = (*convolution.args, other)
            both = self.module.graph.call_module(str(convolution.target), read)
        self.place[both] = self.place[node]
        self._replace(node, convolution, both)
        self.module.graph.erase_node(convolution)

    def _is_open(self, node: fx.Node) -> bool:
        """Whether it calls a convolution whose top one layer reads, and that does no more yet."""
        if not calls_plain(self.module, node, *_KINDS, *_KINDS.values()) or len(node.users) != 1:
            return False
        layer = self.module.get_submodule(str(node.target))
        return self.calls[node.target] == 1 and getattr(layer, "activation", "none") == "none"

    def fused(self, node: fx.Node) -> Fused:
        """The convolution that a node calls, as one that can do more."""
        layer = self.module.get_submodule(str(node.target))
        if not isinstance(layer, Fused):
            layer.__class__ = _KINDS[type(layer)]
        assert isinstance(layer, Fused)
        return layer

    def _replace(self, node: fx.Node, convolution: fx.Node, by: fx.Node) -> None:
        """Lets `by` compute a node's top; that of the convolution is computed no more."""
        tops = self.module.about.tops
        node.replace_all_uses_with(by)
        self.module.graph.erase_node(node)
        for layer in self.makers.pop(convolution.name, []):
            tops[layer] = []
        self.makers[by.name] = self.makers.pop(node.name, [])
        for layer in self.makers[by.name]:
            tops[layer] = [by.name]
        self.count += 1


def _sums(convolution: fx.Node) -> bool:
    """Whether its call adds another blob already."""
    return len(convolution.args) > 1


def _epilogue(activation: nn.Module) -> tuple[str, tuple[float, ...]]:
    if isinstance(activation, nn.LeakyReLU):
        return "leaky_relu", (activation.negative_slope,)
    if isinstance(activation, nn.ReLU6):
        return "hardtanh", (0.0, 6.0)
    return "relu", ()
