"""A module that computes in half precision where its layers can."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from torch import nn

from netspec.exporters.half_layers import half_layers
from netspec.exporters.not_exported import out_of_half
from netspec.graph import Layer
from netspec.pytorch.layer_nodes import insert_casts
from netspec.pytorch.layers.normalization import BatchNorm
from netspec.pytorch.lower import lower, net_of
from netspec.pytorch.module import NetModule
from netspec.pytorch.weights import state_keys
from netspec.weights.files import write_weights


def half_module(module: NetModule, halves: Collection[Layer] | None = None) -> NetModule:
    """The module in half precision, with inputs and outputs in single.

    Args:
        halves: the layers that compute in it; None is `half_layers`.

    Raises: NetspecError where a value of a param is out of range.
    """
    net = net_of(module)
    made = lower(net, None if module.output_names == net.outputs else module.output_names)
    made.load_state_dict(module.state_dict())
    made.train(module.training)
    halves = half_layers(net) if halves is None else halves
    for layer, target in zip(net.layers, made.about.order, strict=True):
        if target and layer in halves:
            _halve(made.get_submodule(target), layer)
    insert_casts(made, net, halves, torch.float16)
    made.recompile()
    return made


def _halve(submodule: nn.Module, layer: Layer) -> None:
    if isinstance(submodule, BatchNorm):
        return
    for name, value in submodule.state_dict().items():
        if not torch.equal(value.half().isfinite(), value.isfinite()):
            raise out_of_half(layer, name)
    submodule.half()


def save_half(module: NetModule, path: str | Path) -> None:
    """Writes the params of a half module to a .safetensors file, each in its precision.

    Raises: NetspecError where the file can't be written.
    """
    layers = [
        (*about, [blob.detach().cpu().contiguous().numpy() for blob in blobs])
        for about, blobs in zip(module.about.layers, module.layer_params, strict=True)
    ]
    write_weights(path, module.about.net_name, layers, keys=state_keys(module))
