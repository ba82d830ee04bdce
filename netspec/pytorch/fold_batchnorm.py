"""A module whose BatchNorm, Scale and Bias layers are folded into the layers of weights."""

from __future__ import annotations

from collections import Counter

import torch

from netspec.diagnostics import counted
from netspec.exporters.folded_params import folded_params
from netspec.passes.fold_batchnorm import Fold, fold_batchnorm
from netspec.pytorch.lower import lower, net_of
from netspec.pytorch.module import NetModule


def fold_module(module: NetModule) -> tuple[NetModule, list[Fold]]:
    """The module of the folded net, with the same outputs, and what was folded.

    Without anything to fold it is the module itself.
    """
    net = net_of(module)
    outputs = None if module.output_names == net.outputs else module.output_names
    built = [layer for layer, name in zip(net.layers, module.about.order, strict=True) if name]
    made, folds = fold_batchnorm(net, module.output_names, built)
    if not folds:
        return module, []
    params = [[blob.detach().cpu().numpy() for blob in blobs] for blobs in module.layer_params]
    folded = lower(made, outputs)
    values = folded_params(net, folds, params)
    with torch.no_grad():
        for blobs, arrays in zip(folded.layer_params, values, strict=True):
            for blob, array in zip(blobs, arrays, strict=True):
                blob.copy_(torch.from_numpy(array))
    folded.train(module.training)
    return folded, folds


def folds_text(folds: list[Fold]) -> str:
    """What was folded, for people: folded 12 layers (6 BatchNorm, 6 Scale) into 6."""
    kinds = Counter(layer.type for fold in folds for layer in fold.layers)
    if not kinds:
        return "folded no layer: none stands alone before or behind one with weights"
    parts = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    return f"folded {counted(sum(kinds.values()), 'layer')} ({parts}) into {len(folds)}"
