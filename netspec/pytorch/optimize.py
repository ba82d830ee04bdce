"""Nets made faster: what they compute is the same but for rounding."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from netspec.graph import Net
from netspec.layers import is_source
from netspec.passes.channels_last import channels_last, laid_last
from netspec.pytorch.allocator import keep_freed_memory
from netspec.pytorch.fold_batchnorm import fold_module
from netspec.pytorch.fused_convolution import fuse_convolutions
from netspec.pytorch.layers import is_built_here
from netspec.pytorch.layers.neuron import OrderedDropout
from netspec.pytorch.lower import net_of
from netspec.pytorch.module import NetModule
from netspec.pytorch.overwritten import KeepsOverwritten, Overwritten


def optimized(
    module: NetModule,
    device: torch.device | str,
    precision: str = "fp32",
    freezes: bool = False,
) -> NetModule:
    """The module for inference on a device; the given one is no longer to be used.

    BatchNorm, Scale and Bias are folded into the layers of weights beside them, and the blobs lie
    channels last where that gains. On the CPU sums and ReLU layers are computed with the
    convolution before them, and the process keeps the memory that tensors free.

    Args:
        precision: the one that it is brought to then.
        freezes: as in fuse_convolutions: the weights will not change any more.
    """
    keep_freed_memory(device)
    module, _ = fold_module(module)
    lay_channels_last(module, device)
    if torch.device(device).type == "cpu" and precision == "fp32":
        fuse_convolutions(module, freezes)
    return module


def lay_channels_last(
    module: NetModule, device: torch.device | str, sharing: Iterable[Net] = ()
) -> None:
    """Lays the weights of planar convolutions channels last, where that gains and every net can.

    On the CPU oneDNN's kernels then need no reorders. A convolution's top follows its weights, and
    the layers behind follow that, so the graph stays as it is.

    Args:
        sharing: further nets that read the weights.
    """
    net = net_of(module)
    nets = (net, *sharing)
    takes_it = channels_last(nets) and all(map(_is_built_here, nets))
    is_wrapped = any(isinstance(each, (KeepsOverwritten, Overwritten)) for each in module.modules())
    if torch.device(device).type != "cpu" or not takes_it or is_wrapped:
        return
    blobs_of = dict(zip(net.layers, module.layer_params, strict=True))
    for weights, *_ in (blobs_of[layer] for layer in laid_last(net) if blobs_of[layer]):
        weights.data = weights.data.contiguous(memory_format=torch.channels_last)
    for submodule in module.modules():
        if type(submodule) is nn.Dropout:
            submodule.__class__ = OrderedDropout


def _is_built_here(net: Net) -> bool:
    """Whether netspec's own modules compute a net: others may stand in their places."""
    return all(
        not layer.not_computed and is_built_here(layer)
        for layer in net.layers
        if layer.top_blobs and not is_source(layer)
    )
