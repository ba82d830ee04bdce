"""What every layer of a trained deploy net makes of a picture."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netspec.pytorch.layer_values import forward_watched
from netspec.pytorch.picture_net import PictureNet

Floats = NDArray[np.float32]


def layer_values_of(
    path: str | Path, weights: str | Path | Iterable[str | Path], image: str, **options: Any
) -> dict[str, Floats]:
    """The first top of each layer for a picture, by the layer's name.

    Args: path, weights, options: those of PictureNet.
    Shapes: a value is its blob's without the batch's axis.
    Raises: NetspecError where the net takes no pictures, or the picture can't be read.
    """
    net = PictureNet(path, weights, batch=1, **options)
    _, items = net.windows(image, f"the image '{image}'")
    found: dict[str, Floats] = {}

    def look(layer: int, tops: list[Tensor]) -> None:
        if tops and tops[0].dim():
            name = net.module.about.layers[layer][0]
            found[name] = tops[0][0].detach().float().cpu().numpy().copy()

    with torch.no_grad():
        forward_watched(net.module, [torch.from_numpy(items).to(net.device)], look)
    return found
