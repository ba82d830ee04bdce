"""A convolution and the ReLU behind it as one of oneDNN's kernels, for inference on a CPU."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor, fx, nn

from netspec.pytorch.layers.convolution import Conv2d
from netspec.pytorch.module import NetModule


class _Rectified(nn.Module):
    """Takes torch's convolution and max(0, x) in one pass."""

    def _conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        takes_it = not torch.is_grad_enabled() and not torch.compiler.is_compiling()
        if not takes_it or not x.numel() or x.dtype != torch.float32 or x.device.type != "cpu":
            return super()._conv_forward(x, weight, bias).relu()  # type: ignore[misc]
        settings = (self.padding, self.stride, self.dilation, self.groups)
        return torch.ops.mkldnn._convolution_pointwise(x, weight, bias, *settings, "relu", [], "")


class RectifiedConv2d(_Rectified, nn.Conv2d):
    """A convolution whose top is rectified."""


class RectifiedStridedConv2d(_Rectified, Conv2d):
    """The same with strides."""


_KINDS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: RectifiedConv2d,
    Conv2d: RectifiedStridedConv2d,
}


def join_relus(module: NetModule) -> int:
    """Computes each ReLU that alone reads a convolution's top with it; returns their number.

    The convolution's own top is then computed no more. Its params stay where they are.
    """
    mkldnn = torch.ops.mkldnn
    if not (torch.backends.mkldnn.is_available() and hasattr(mkldnn, "_convolution_pointwise")):
        return 0
    about, joined = module.about, 0
    # a Convolution of many bottoms is called for each of them
    calls = Counter(node.target for node in module.graph.nodes if node.op == "call_module")
    layer_of = {target: layer for layer, target in enumerate(about.order)}
    for node in [*module.graph.nodes]:
        convolution = _rectified_by(module, node)
        if convolution is None or calls[convolution.target] > 1:
            continue
        submodule = module.get_submodule(str(convolution.target))
        submodule.__class__ = _KINDS[type(submodule)]
        node.replace_all_uses_with(convolution)
        module.graph.erase_node(node)
        # the node is now ReLU's top, and the convolution has none
        about.tops[layer_of[str(node.target)]] = [convolution.name]
        about.tops[layer_of[str(convolution.target)]] = []
        joined += 1
    if joined:
        module.recompile()
    return joined


def _rectified_by(module: NetModule, node: fx.Node) -> fx.Node | None:
    """The convolution whose top a node rectifies, where one kernel can do both."""
    if node.op != "call_module" or type(module.get_submodule(str(node.target))) is not nn.ReLU:
        return None
    before = node.args[0]
    if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
        return None
    return before if type(module.get_submodule(str(before.target))) in _KINDS else None
