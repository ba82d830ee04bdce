"""Which detections find a true box.

Source: weiliu89/caffe, DetectionEvaluateLayer and OutputBBox.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from netspec.diagnostics import NetspecError, os_reason
from netspec.files.paths import net_path, resolve_path
from netspec.graph import Layer
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.not_compiled import not_compiled
from netspec.pytorch.refuse_export import refuse_export
from netspec.read_file import read_file
from netspec.schema.forks import plain_values
from netspec.schema.forks_pb2 import ResizeParameter

if TYPE_CHECKING:
    from netspec.diagnostics import Span

Boxes = NDArray[np.float32]
_LARGEST = 2**28  # bytes of a list of sizes: some ten million lines


class DetectionEvaluate(LayerModule):
    """Marks detections as true or false positives.

    The first rows are one for each class but the background: [-1, class, true boxes, -1, -1]. Then
    comes a row for each detection: [image, label, score, is true, is false]; both are 0 where it
    finds a difficult box that does not count. With the sizes of the images boxes are compared in
    pixels; the place in the list moves on with each image, from one batch to the next.

    Shapes: detections (1, 1, M, 7), true boxes (1, 1, G, 8) → (1, 1, classes + detections, 5)
    """

    def __init__(
        self, param: Any, sizes: list[tuple[int, int]], label: str, span: Span | None = None
    ) -> None:
        super().__init__()
        self.classes, self.background = param.num_classes, param.background_label_id
        self.threshold = np.float32(param.overlap_threshold)
        self.counts_difficult = param.evaluate_difficult_gt
        self.sizes, self.place = sizes, 0
        self.resize = param.resize_param
        self.label, self.span = label, span

    def extra_repr(self) -> str:
        return f"num_classes={self.classes}, overlap_threshold={self.threshold:g}"

    def forward(self, detections: Tensor, truth: Tensor) -> Tensor:
        refuse_export(
            f"{self.label}: DetectionEvaluate can't be exported: its rows depend on the data",
            self.span,
        )
        return self._evaluate(detections, truth)

    @not_compiled
    @torch.no_grad()
    def _evaluate(self, detections: Tensor, truth: Tensor) -> Tensor:
        found = detections.detach().float().cpu().numpy().reshape(-1, 7)
        true = self._true_boxes(truth.detach().float().cpu().numpy().reshape(-1, 8))
        classes = [c for c in range(self.classes) if c != self.background]
        is_counted = np.ones(len(true), bool) if self.counts_difficult else true[:, 7] == 0
        counts = Counter(true[is_counted, 1].astype(int).tolist())
        top = np.zeros((len(classes) + int((found[:, 1] != -1).sum()), 5), np.float32)
        top[: len(classes)] = [[-1, c, counts[c], -1, -1] for c in classes]
        rows = self._rows(found, true)
        top[len(classes) : len(classes) + len(rows)] = rows
        dtype = torch.promote_types(detections.dtype, torch.float32)
        return torch.from_numpy(top).view(1, 1, -1, 5).to(detections.device, dtype)

    def _true_boxes(self, truth: Boxes) -> Boxes:
        """The true boxes, which end at the first row of image -1."""
        images = truth[:, 0].astype(int)
        ends = np.flatnonzero(images == -1)
        truth = truth[: ends[0]] if len(ends) else truth
        self._refuse_background(truth, "true box")
        return truth

    def _refuse_background(self, rows: Boxes, what: str) -> None:
        bad = np.flatnonzero(rows[:, 1].astype(int) == self.background)
        if len(bad):
            raise NetspecError(
                f"{self.label}: {what} {bad[0]} has label {self.background}, the background's",
                self.span,
            )

    def _rows(self, found: Boxes, true: Boxes) -> Boxes:
        """The rows of the detections, by image and label."""
        found = found[found[:, 0].astype(int) != -1]
        self._refuse_background(found, "detection")
        parts = [np.empty((0, 5), np.float32)]
        images, true_images = found[:, 0].astype(int), true[:, 0].astype(int)
        for image in np.unique(images):
            here, there = found[images == image], true[true_images == image]
            labels, true_labels = here[:, 1].astype(int), there[:, 1].astype(int)
            for label in np.unique(labels):
                if label != -1:  # what DetectionOutput gives for an image without a detection
                    parts.append(self._label(here[labels == label], there[true_labels == label]))
            if self.sizes:
                # Quirk: an image that has no row of detections does not move on in the list
                self.place = (self.place + 1) % len(self.sizes)
        return np.concatenate(parts)

    def _label(self, found: Boxes, true: Boxes) -> Boxes:
        """The rows of the detections of a label in an image."""
        rows = np.zeros((len(found), 5), np.float32)
        rows[:, :3], rows[:, 4] = found[:, :3].astype(int), 1
        rows[:, 2] = found[:, 2]
        if not len(true):
            return rows
        order = np.argsort(-found[:, 2], kind="stable")
        rows[:, 2] = found[order, 2]
        overlaps = self._overlaps(found[order, 3:7], true[:, 3:7])
        best = np.where(np.isnan(overlaps), -1, overlaps).argmax(1)
        is_visited = np.zeros(len(true), bool)
        for i in np.flatnonzero(overlaps[np.arange(len(best)), best] >= self.threshold):
            if true[best[i], 7] and not self.counts_difficult:
                rows[i, 4] = 0
            elif not is_visited[best[i]]:
                is_visited[best[i]], rows[i, 3], rows[i, 4] = True, 1, 0
        return rows

    def _overlaps(self, found: Boxes, true: Boxes) -> Boxes:
        """Intersection over union of each detection with each true box: (M, G)."""
        edge = np.float32(0)
        sizes = [_area(boxes, edge) for boxes in (found, true)]
        if self.sizes:
            edge = np.float32(1)  # Quirk: in pixels a box holds both of its edges
            found, sizes[0] = in_pixels(found, self.sizes[self.place], self.resize)
            true, sizes[1] = in_pixels(true, self.sizes[self.place], self.resize)
        a, b = found[:, None], true[None]
        low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
        # Quirk: apart, they share a box at 0, which in pixels is one pixel
        shared = np.where((low > high).any(-1, keepdims=True), 0, high - low) + edge
        inter = np.where((shared > 0).all(-1), shared.prod(-1), np.float32(0))
        with np.errstate(divide="ignore", invalid="ignore"):
            values: Boxes = inter / (sizes[0][:, None] + sizes[1][None] - inter)
        return np.where(inter > 0, values, np.float32(0))


def _area(boxes: Boxes, edge: float | np.float32) -> Boxes:
    sides = boxes[:, 2:] - boxes[:, :2]
    area: Boxes = np.where((sides < 0).any(1), np.float32(0), (sides + np.float32(edge)).prod(1))
    return area


def in_pixels(boxes: Boxes, size: tuple[int, int], resize: Any) -> tuple[Boxes, Boxes]:
    """Boxes in the pixels of their image, and their areas.

    Args:
        size: the image's height and width.
        resize: the values of the ResizeParameter by which the image was resized, or None.

    Shapes: (M, 4) → (M, 4), (M)
    """
    height, width = size
    scale = np.array([width, height, width, height], np.float32)
    mode = resize.resize_mode if resize is not None else ResizeParameter.WARP
    if mode == ResizeParameter.FIT_SMALL_SIZE and resize.height_scale and resize.width_scale:
        scaled = boxes * np.array([resize.width_scale, resize.height_scale] * 2, np.float32)
        cut = np.clip(scaled, 0, scale)
        return cut, _area(cut, 0)  # Quirk: here the areas leave the last pixel out
    if mode == ResizeParameter.FIT_LARGE_SIZE_AND_PAD:
        boxes = _without_padding(boxes, width / height, resize)
    cut = np.clip(boxes, 0, 1) * scale
    return cut, _area(cut, 1 if width > 1 or height > 1 else 0)


def _without_padding(boxes: Boxes, aspect: float, resize: Any) -> Boxes:
    """Boxes as parts of the image, from parts of the padded one. One in the padding stays."""
    rows, columns = float(resize.height), float(resize.width)
    x = y = 0.0
    if np.float32(aspect) > np.float32(columns / rows):
        y = (rows - columns / aspect) / 2 / rows
    else:
        x = (columns - rows * aspect) / 2 / columns
    inner = np.array([x, y, 1 - x, 1 - y], np.float32)
    start, span = np.tile(inner[:2], 2), np.tile(inner[2:] - inner[:2], 2)
    is_apart = (boxes[:, :2] >= inner[2:]) | (boxes[:, 2:] <= inner[:2])
    moved: Boxes = np.where(is_apart.any(1, keepdims=True), boxes, (boxes - start) / span)
    return moved


def read_sizes(path: str, label: str, span: Span | None) -> list[tuple[int, int]]:
    """The heights and widths of images that a file lists: NAME HEIGHT WIDTH in each line.

    Raises: NetspecError.
    """
    try:
        text = read_file(path, _LARGEST, "a list of sizes").decode("utf-8", "replace")
    except OSError as error:
        raise NetspecError(f"{label}: can't read '{path}': {os_reason(error)}", span) from None
    words = text.split()
    sizes = []
    for i in range(0, len(words) - 2, 3):
        height, width = words[i + 1 : i + 3]
        if not (height.isdecimal() and width.isdecimal() and int(height) and int(width)):
            raise NetspecError(
                f"{label}: '{path}' names image {i // 3 + 1} '{words[i]}' with '{height} {width}'; "
                "expected its height and width",
                span,
            )
        sizes.append((int(height), int(width)))
    return sizes


def build_detection_evaluate(layer: Layer) -> DetectionEvaluate:
    p = layer.field("detection_evaluate_param")
    sizes = []
    if p.HasField("name_size_file"):
        span = layer.spans.at("detection_evaluate_param", "name_size_file")
        path = resolve_path(p.name_size_file, net_path(layer))
        sizes = read_sizes(path, layer.label, span)
    return DetectionEvaluate(plain_values(p), sizes, layer.label, layer.spans.at("bottom", 0))
