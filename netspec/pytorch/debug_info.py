"""The lines of `debug_info`: the mean absolute value of each blob, param and gradient.

Source: Caffe's Net::…DebugInfo.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from torch import Tensor

from netspec.graph import Net
from netspec.pytorch.layer_values import forward_watched
from netspec.pytorch.module import NetModule


class DebugInfo:
    """Collects the lines of one forward and backward pass, in Caffe's words and order.

    Args: scale: of the loss, which the gradients are shown without.
    """

    def __init__(self, net: Net, module: NetModule, scale: float = 1.0) -> None:
        self.net, self.module, self.scale = net, module, scale
        self.lines: list[str] = []
        self.backward: dict[int, dict[int, float]] = {}

    def forward(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """The outputs of a watched forward pass."""
        return forward_watched(self.module, inputs, self._look, self._look_back)

    def _look(self, index: int, tops: list[Tensor]) -> None:
        layer = self.net.layers[index]
        for name, top in zip(layer.tops, tops, strict=True):
            self.lines.append(
                f"    [Forward] Layer {layer.name}, top blob {name} data: {mean_magnitude(top):g}"
            )
        for i, blob in enumerate(self.module.layer_params[index]):
            name = layer.params[i].name or str(i)
            self.lines.append(
                f"    [Forward] Layer {layer.name}, param blob {name} data: "
                f"{mean_magnitude(blob):g}"
            )

    def _look_back(self, index: int, bottom: int, grad: Tensor) -> None:
        self.backward.setdefault(index, {})[bottom] = mean_magnitude(grad) / self.scale

    def add_backward(self) -> None:
        """Adds what the backward pass has left.

        Gradients of bottoms and params, last layer first, and the sums over all params.
        """
        params = self.module.layer_params
        for index in reversed(range(len(self.net.layers))):
            layer = self.net.layers[index]
            for bottom, magnitude in sorted(self.backward.get(index, {}).items()):
                self.lines.append(
                    f"    [Backward] Layer {layer.name}, bottom blob {layer.bottoms[bottom]} "
                    f"diff: {magnitude:g}"
                )
            for i, blob in enumerate(params[index]):
                if blob.grad is not None:
                    self.lines.append(
                        f"    [Backward] Layer {layer.name}, param blob {i} diff: "
                        f"{mean_magnitude(blob.grad) / self.scale:g}"
                    )
        owned = [
            blob
            for layer, blobs in zip(self.net.layers, params, strict=True)
            for param, blob in zip(layer.params, blobs, strict=True)
            if param.owner is None
        ]
        self.lines.append(norms_line(owned, self.scale))


def mean_magnitude(tensor: Tensor) -> float:
    """The mean of the absolute values."""
    return float(tensor.detach().abs().double().mean()) if tensor.numel() else 0.0


def norms_line(params: Sequence[Tensor], scale: float = 1.0) -> str:
    """The line of the norms over all params and their gradients, these without their scale."""
    data = _norms(params)
    diffs = [norm / scale for norm in _norms([p.grad for p in params if p.grad is not None])]
    l1, l2 = (f"({a:g}, {b:g})" for a, b in zip(data, diffs, strict=True))
    return f"    [Backward] All net params (data, diff): L1 norm = {l1}; L2 norm = {l2}"


def _norms(tensors: Sequence[Tensor]) -> tuple[float, float]:
    """L1 and L2 norm of all values together."""
    magnitudes = [tensor.detach().double() for tensor in tensors]
    return float(sum(t.abs().sum() for t in magnitudes)), sqrt(
        float(sum((t * t).sum() for t in magnitudes))
    )
