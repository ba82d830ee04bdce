"""A net that only infers, made faster: what it computes is the same but for rounding."""

from __future__ import annotations

import torch

from netspec.graph import Net
from netspec.pytorch.fold_batchnorm import fold_module
from netspec.pytorch.lower import net_of
from netspec.pytorch.module import NetModule

# Types whose modules take any memory format, and keep it or reshape by copies.
_ANY_FORMAT = frozenset(
    {
        "Accuracy",
        "BatchNorm",
        "Concat",
        "Convolution",
        "Data",
        "Dropout",
        "Eltwise",
        "Flatten",
        "ImageData",
        "InnerProduct",
        "Input",
        "LRN",
        "MemoryData",
        "Pooling",
        "ReLU",
        "Scale",
        "Softmax",
        "SoftmaxWithLoss",
        "Split",
    }
)


def optimized(module: NetModule, device: torch.device | str) -> NetModule:
    """The module for inference on a device; the given one is no longer to be used.

    BatchNorm, Scale and Bias are folded into the layers of weights beside them. On the CPU the
    blobs lie channels last from the first convolution on, which oneDNN's kernels need not reorder,
    where every layer of the net takes that.
    """
    module, _ = fold_module(module)
    net = net_of(module)
    if torch.device(device).type == "cpu" and _takes_channels_last(net):
        _lay_channels_last(net, module)
    return module


def _takes_channels_last(net: Net) -> bool:
    return all(layer.spec_name in _ANY_FORMAT for layer in net.layers)


def _lay_channels_last(net: Net, module: NetModule) -> None:
    """Lays the weights of planar convolutions so; a convolution's top follows its weights."""
    for layer, blobs in zip(net.layers, module.layer_params, strict=True):
        is_own = all(param.owner is None for param in layer.params)
        if layer.type == "Convolution" and is_own and blobs[0].dim() == 4:
            blobs[0].data = blobs[0].data.contiguous(memory_format=torch.channels_last)
