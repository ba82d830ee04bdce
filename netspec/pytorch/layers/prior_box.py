"""The boxes that SSD lays over a feature map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from netspec.graph import Layer
from netspec.layers.prior_box import CellBox, DefaultBoxes, PriorBoxClustered, stated_pair
from netspec.layers.prior_box import PriorBox as PriorBoxSpec
from netspec.pytorch.layers.builder import Builder, always
from netspec.pytorch.layers.layer_module import LayerModule


class PriorBox(LayerModule):
    """The boxes of each cell of a feature map and their variances.

    `image` and `step` are (height, width) in pixels; None takes the image's own size, and that
    over the number of cells.

    Shapes: (N, C, H, W) and an image (N, C, h, w) → (1, 2, H·W·boxes·4)
    """

    def __init__(
        self,
        boxes: Sequence[CellBox],
        variances: Sequence[float],
        image: tuple[int, int] | None,
        step: tuple[float, float] | None,
        clip: bool,
        is_bounded: bool,
    ) -> None:
        super().__init__()
        # numbers, not buffers: half precision would move the boxes
        self.boxes, self.variances = tuple(boxes), tuple(variances)
        self.image, self.step, self.clip, self.is_bounded = image, step, clip, is_bounded

    def extra_repr(self) -> str:
        return f"{len(self.boxes)} a cell, image={self.image}, step={self.step}, clip={self.clip}"

    @torch.no_grad()
    def forward(self, x: Tensor, image: Tensor) -> Tensor:
        # Quirk: sizes are summed and divided in 64 bits, the centres between kept in 32
        widths, heights, *places = x.new_tensor(self.boxes, dtype=torch.float64).unbind(1)
        height, width = self.image or image.shape[2:]
        down, across = self.step or (height / x.shape[2], width / x.shape[3])
        rows = _centres(x.shape[2], down, places[1], places[3]).unsqueeze(1)
        columns = _centres(x.shape[3], across, places[0], places[2])
        corners = [
            (columns - widths / 2) / width,
            (rows - heights / 2) / height,
            (columns + widths / 2) / width,
            (rows + heights / 2) / height,
        ]
        if self.is_bounded:
            corners = [c.clamp(min=0) for c in corners[:2]] + [c.clamp(max=1) for c in corners[2:]]
        boxes = torch.stack(torch.broadcast_tensors(*corners), -1).float()
        boxes = boxes.clamp(0, 1) if self.clip else boxes
        top = torch.stack((boxes, boxes.new_tensor(self.variances).expand_as(boxes)))
        return top.reshape(1, 2, -1).to(torch.promote_types(x.dtype, torch.float32))


def _centres(cells: int, step: float, offsets: Tensor, shifts: Tensor) -> Tensor:
    """The boxes' centres along an axis in pixels.

    Shapes: (boxes), (boxes) → (cells, boxes)
    """
    places = torch.arange(cells, dtype=torch.float32, device=offsets.device).unsqueeze(1)
    return ((places + offsets.float()) * step + shifts).float().double()


def _builder(spec: DefaultBoxes) -> Builder:
    def build(layer: Layer) -> PriorBox:
        p = layer.field("prior_box_param")
        variances = list(p.variance) or [0.1]
        return PriorBox(
            spec.cell_boxes(p),
            variances * (4 // len(variances)),
            stated_pair(p, "img_size", "img_h", "img_w"),
            stated_pair(p, "step", "step_h", "step_w"),
            p.clip,
            bool(p.fixed_size),
        )

    return Builder(build, leaves_top=always)


BUILDERS = {spec.name: _builder(spec) for spec in (PriorBoxSpec(), PriorBoxClustered())}
