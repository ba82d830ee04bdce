"""Weights and values as pictures of the page: numbers, histograms, filters, maps."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.graph import shape_text
from netspec.weights.summary import blob_summary

Floats = NDArray[np.float32]
BINS = 48
MAX_MAPS = 64  # channels of a layer
MAX_FILTERS = 256
_MAX_SIDE = 128  # pixels of a map
_TOP = 5  # classes


class Budget:
    """Bytes that a page's pictures may take, and which layers' did not find room.

    Args: size: in bytes.
    """

    def __init__(self, size: int) -> None:
        self.left = size
        self.left_out: list[str] = []

    def take(self, layer: str, figures: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The figures, without their images where there is no room for these."""
        size = sum(len(each.get("image", "")) for each in figures)
        if size <= self.left:
            self.left -= size
            return figures
        self.left_out.append(layer)
        return [{k: v for k, v in each.items() if k != "image"} for each in figures]


def add_weights(
    data: dict[str, Any], weights: Mapping[str, Sequence[Floats | None]], budget: Budget
) -> None:
    """Gives each layer of a page its params' numbers and histograms, the first one its filters."""
    has_filters = False
    for layer in data["layers"]:
        arrays = [array for array in weights.get(layer["name"], ()) if array is not None]
        figures = [_param(i, array) for i, array in enumerate(arrays)]
        if not has_filters and layer["type"] == "Convolution" and arrays and arrays[0].ndim == 4:
            has_filters = True
            figures.append(
                {
                    "caption": "The filters",
                    "alt": f"{len(arrays[0])} filters of {layer['name']}",
                    "image": png(_tiles(_filters(arrays[0]))),
                }
            )
        if figures:
            layer["weights"] = budget.take(layer["name"], figures)


def add_values(
    data: dict[str, Any],
    values: Mapping[str, Floats],
    budget: Budget,
    labels: Sequence[str] | None = None,
) -> None:
    """Gives each layer of a page what it makes of an image.

    Shapes: values by layer's name (C, H, W), (C,) or any other, of one item.
    """
    for layer in data["layers"]:
        if layer["name"] not in values:
            continue
        own = values[layer["name"]]
        if own.ndim == 3 and own.shape[1] * own.shape[2] > 1:
            figures = [_maps(own, layer["name"])]
        else:
            figures = [_histogram(own.reshape(-1)), *_classes(own, layer["type"], labels)]
        layer["maps"] = budget.take(layer["name"], figures)


def _param(index: int, array: Floats) -> dict[str, Any]:
    summary = blob_summary(array)
    caption = f"{index}: {shape_text(array.shape)}"
    if summary.mean is not None:
        caption += f", mean {summary.mean:.3g}, deviation {summary.deviation:.3g}"
    if array.size:
        caption += f", zeros {summary.zeros / array.size:.1%}"
    if summary.nans or summary.infs:
        caption += f", NaN {summary.nans}, infinite {summary.infs}"
    return {"caption": caption, **_histogram(array.reshape(-1))}


def _histogram(values: Floats) -> dict[str, Any]:
    """How often values lie in equal parts of their range. Empty where there are no finite ones."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return {"caption": "no finite values"}
    counts, edges = np.histogram(finite, BINS)
    return {"histogram": counts.tolist(), "low": f"{edges[0]:.4g}", "high": f"{edges[-1]:.4g}"}


def _classes(values: Floats, kind: str, labels: Sequence[str] | None) -> list[dict[str, Any]]:
    """The greatest values of a Softmax or Sigmoid, by class."""
    if kind not in ("Softmax", "Sigmoid"):
        return []
    scores = values.reshape(-1)
    order = np.argsort(-scores, kind="stable")[:_TOP]
    names = [labels[i] if labels and i < len(labels) else f"class {i}" for i in order]
    pairs = zip(names, scores[order], strict=True)
    return [{"caption": f"{name}: {score:.4f}"} for name, score in pairs]


def _maps(values: Floats, name: str) -> dict[str, Any]:
    shown = values[:MAX_MAPS]
    height, width = shown.shape[1:]
    step = ceil(max(height, width) / _MAX_SIDE)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    rest = f", the first {MAX_MAPS} of {len(values)} channels" if len(values) > MAX_MAPS else ""
    return {
        "caption": f"from {low:.3g} (dark) to {high:.3g}{rest}",
        "alt": f"the maps of {name}",
        "image": png(_tiles(_grey(shown[:, ::step, ::step], low, high)[..., None])),
    }


def _filters(weights: Floats) -> NDArray[np.uint8]:
    """Filters of three channels in colour (Caffe's are BGR), of others the first channel."""
    shown = weights[:MAX_FILTERS]
    shown = shown[:, ::-1] if shown.shape[1] == 3 else shown[:, :1]
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    return _grey(shown, low, high).transpose(0, 2, 3, 1)


def _grey(values: Floats, low: float, high: float) -> NDArray[np.uint8]:
    with np.errstate(invalid="ignore"):
        scaled = (values - low) / ((high - low) or 1.0)
    return (np.nan_to_num(scaled, nan=0.0).clip(0, 1) * 255).astype(np.uint8)


def _tiles(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pictures side by side, a pixel apart. Shapes: (N, H, W, C) → (rows·(H+1)+1, …, C)."""
    count, height, width, channels = pictures.shape
    columns = ceil(sqrt(count))
    rows = ceil(count / columns)
    sheet = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, channels), 128, np.uint8)
    for i, picture in enumerate(pictures):
        y, x = i // columns * (height + 1) + 1, i % columns * (width + 1) + 1
        sheet[y : y + height, x : x + width] = picture
    return sheet


def png(pixels: NDArray[np.uint8]) -> str:
    """A picture as a data URL. Shapes: (H, W, 1) or (H, W, 3)."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
