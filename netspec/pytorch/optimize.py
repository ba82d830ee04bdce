"""Nets made faster: what they compute is the same but for rounding."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from netspec.graph import Layer, Net
from netspec.layers import find_spec
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
    takes_it = all(_takes_it(layer) for each in (net, *sharing) for layer in each.layers)
    is_wrapped = any(isinstance(each, (KeepsOverwritten, Overwritten)) for each in module.modules())
    if torch.device(device).type != "cpu" or not takes_it or is_wrapped:
        return
    for layer, target in zip(net.layers, module.about.order, strict=True):
        is_own = all(param.owner is None for param in layer.params)
        submodule = module.get_submodule(target) if target else None
        if isinstance(submodule, nn.Conv2d) and is_own:
            weight = submodule.weight
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        elif type(submodule) is nn.Dropout:
            submodule.__class__ = OrderedDropout


def _takes_it(layer: Layer) -> bool:
    """Whether a layer gives the same values in either format.

    netspec's own do. What a user's code does with a blob is not known.
    """
    spec = find_spec(layer.spec_name)
    if spec is None or spec.has_side_effects:
        return False
    return spec.is_source or not layer.top_blobs or is_built_here(layer)
