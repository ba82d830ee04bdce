"""SSD's default boxes, which follow from shapes alone: a constant."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.exporters.onnx_graph import OnnxGraph
from netspec.layers import find_spec
from netspec.layers.prior_box import CellBox, DefaultBoxes, stated_pair


def emit_prior_box(graph: OnnxGraph) -> None:
    spec, p = find_spec(graph.layer.spec_name), graph.layer.field("prior_box_param")
    assert isinstance(spec, DefaultBoxes)
    cells, size = ((blob.shape or ())[2:] for blob in graph.layer.bottom_blobs)
    image = stated_pair(p, "img_size", "img_h", "img_w") or (size[0], size[1])
    boxes = _boxes(p, spec.cell_boxes(p), (cells[0], cells[1]), image)
    variances = list(p.variance) or [0.1]
    row = np.array(variances * (4 // len(variances)), np.float32)
    values = np.stack((boxes, np.broadcast_to(row, boxes.shape)))
    graph.dims[graph.tops[0]] = graph.layer.top_blobs[0].shape or ()
    graph.node("Identity", [graph.constant(values.reshape(1, 2, -1), "boxes")], graph.tops[0])


def _boxes(
    p: Any, boxes: list[CellBox], cells: tuple[int, int], image: tuple[float, float]
) -> NDArray[np.float32]:
    """The boxes of each cell, row by row.

    Quirk: sizes are summed and divided in 64 bits, the centres between kept in 32.

    Shapes: (H, W, boxes, 4)
    """
    widths, heights, *places = np.array(boxes, np.float64).T
    height, width = image
    down, across = stated_pair(p, "step", "step_h", "step_w") or (
        height / cells[0],
        width / cells[1],
    )
    rows = _centres(cells[0], down, places[1], places[3])[:, None]
    columns = _centres(cells[1], across, places[0], places[2])
    corners = [
        (columns - widths / 2) / width,
        (rows - heights / 2) / height,
        (columns + widths / 2) / width,
        (rows + heights / 2) / height,
    ]
    if p.fixed_size:
        corners = [np.maximum(c, 0) for c in corners[:2]] + [np.minimum(c, 1) for c in corners[2:]]
    made = np.stack(np.broadcast_arrays(*corners), -1).astype(np.float32)
    return made.clip(0, 1) if p.clip else made


def _centres(
    cells: int, step: float, offsets: NDArray[np.float64], shifts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The boxes' centres along an axis in pixels.

    Shapes: (boxes), (boxes) → (cells, boxes)
    """
    places = np.arange(cells, dtype=np.float32)[:, None] + offsets.astype(np.float32)
    return (places * np.float32(step) + shifts).astype(np.float32).astype(np.float64)


EMITTERS = {"PriorBox": emit_prior_box, "PriorBoxClustered": emit_prior_box}
