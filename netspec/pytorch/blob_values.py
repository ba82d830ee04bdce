"""The values of every blob of a net in a forward pass."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from netspec.diagnostics import NetspecError
from netspec.graph import Net
from netspec.layers import find_spec
from netspec.pytorch.layer_values import forward_watched
from netspec.pytorch.module import NetModule


def blob_values(
    net: Net, module: NetModule, inputs: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """What each layer makes of these inputs, by `Net.value_name`, in file order.

    Raises: NetspecError where an input is missing or the net can't be run on them.
    """
    missing = [name for name in module.input_names if name not in inputs]
    if missing:
        raise NetspecError(f"the net '{net.name or net.path}' has an input '{missing[0]}' more")
    values: dict[str, np.ndarray] = {}

    def look(index: int, tops: list[Tensor]) -> None:
        layer = net.layers[index]
        spec = find_spec(layer.spec_name)
        if spec is not None and spec.is_source:
            return
        for blob, top in zip(layer.top_blobs, tops, strict=True):
            # a copy: a later layer may write over it
            values[net.value_name(blob)] = np.array(top.detach().cpu().numpy())

    device = next((value.device for value in module.state_dict().values()), torch.device("cpu"))
    tensors = [torch.from_numpy(inputs[name].copy()).to(device) for name in module.input_names]
    try:
        with torch.no_grad():
            forward_watched(module, tensors, look)
    except NetspecError:
        raise
    except Exception as error:  # a shape that the net does not take, memory that is not there
        reason = str(error).partition("\n")[0]
        raise NetspecError(
            f"the net '{net.name or net.path}' can't be run on these inputs: {reason}"
        ) from None
    return values


def values_at_end(net: Net, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What Caffe's blobs hold after the pass: where memory is shared, what was written last."""
    found = {}
    for name, blob in net.blobs.items():
        last = blob.overwritten_by(len(blob.memory.writes)) or blob
        if name in values and net.value_name(last) in values:
            found[name] = values[net.value_name(last)].reshape(values[name].shape)
    return found
