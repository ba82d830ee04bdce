"""`netspec.detect`: the boxes that a trained SSD finds in pictures.

Source: weiliu89/caffe, branch ssd, examples/ssd/ssd_detect.cpp.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.diagnostics import NetspecError, counted
from netspec.files.suffixes import PROTOTXT_SUFFIXES
from netspec.graph import Layer, Net
from netspec.making.label_map import labels_of, read_label_map
from netspec.pipeline import load
from netspec.pytorch.picture_net import Outputs, Picture, PictureNet, Seen
from netspec.readers.image_list import read_list

_TYPE = "DetectionOutput"
_COLUMNS = 7  # image, label, score, xmin, ymin, xmax, ymax
THRESHOLD = 0.5  # the least score of a box that is shown, where nothing else is said


@dataclass(frozen=True, slots=True)
class Box:
    """A box that a net finds: label, its name where there are labels, score, edges in pixels."""

    label: int
    name: str | None
    score: float
    xmin: float
    ymin: float
    xmax: float
    ymax: float

    @property
    def text(self) -> str:
        """The label for people."""
        return str(self.label) if self.name is None else self.name


@dataclass(frozen=True, slots=True)
class Detected:
    """The boxes of a picture, the surest first; or what is wrong with the picture."""

    name: str
    height: int
    width: int
    boxes: tuple[Box, ...]
    fault: NetspecError | None = None

    def rows(self) -> list[dict[str, Any]]:
        """The boxes as JSON has them."""
        return [asdict(box) for box in self.boxes]


class Detector:
    """A net with a DetectionOutput layer.

    Args:
        path, weights, options: those of PictureNet.
        labels: a label map (.prototxt), or a file with a name a line, the background's or the first
            label's first.
        threshold: the least score of a box.

    Raises: NetspecError.
    """

    def __init__(
        self,
        path: str | Path,
        weights: str | Path | Iterable[str | Path],
        labels: str | Path | None = None,
        threshold: float = THRESHOLD,
        **options: Any,
    ) -> None:
        layer = _detection_layer(path, options)
        self.output, self.threshold = layer.tops[0], threshold
        param = layer.field("detection_output_param")
        self.labels = {} if labels is None else _labels(str(labels), param)
        self.pictures = PictureNet(path, weights, [self.output], **options)
        self.assumed = self.pictures.plan.assumed

    def rows(self, outputs: Outputs, items: int) -> list[NDArray[np.float32]]:
        """The rows of each item of a batch, those without a label left out."""
        rows = outputs[self.output].reshape(-1, _COLUMNS)
        return [rows[(rows[:, 0] == item) & (rows[:, 1] >= 0)] for item in range(items)]

    def boxes(self, seen: Seen, threshold: float | None = None) -> Detected:
        """The boxes of a picture that has run through the net.

        Args: threshold: the least score, in place of the detector's.
        """
        if seen.fault is not None:
            return Detected(seen.name, 0, 0, (), seen.fault)
        (rows,) = seen.items
        if not np.isfinite(rows).all():
            fault = NetspecError(f"'{seen.name}': the net's boxes are non-finite")
            return Detected(seen.name, *seen.size, (), fault)
        rows = rows[rows[:, 2] >= (self.threshold if threshold is None else threshold)]
        rows = rows[np.argsort(-rows[:, 2], kind="stable")]
        edges = self.pictures.plan.to_picture(rows[:, 3:], seen.size).tolist()
        boxes = (
            Box(int(label), self.labels.get(int(label)), float(score), *each)
            for (label, score), each in zip(rows[:, 1:3], edges, strict=True)
        )
        return Detected(seen.name, *seen.size, tuple(boxes))

    def detect(self, pictures: Iterable[Picture]) -> Iterator[Detected]:
        """The boxes of pictures, in their order; one that can't be read has its fault."""
        return (self.boxes(seen) for seen in self.pictures.see(pictures, self.rows))


def detect(
    pictures: Picture | Iterable[Picture],
    path: str | Path,
    weights: str | Path | Iterable[str | Path],
    labels: str | Path | None = None,
    threshold: float = THRESHOLD,
    **options: Any,
) -> list[Detected]:
    """The boxes that a trained SSD finds in pictures, in pixels of each picture.

    Args:
        pictures: paths, the bytes of files, or pixels (uint8, C×H×W, in the order B, G, R); one or
            several.
        path: the deploy net, which has a DetectionOutput layer.
        weights: one or more files of weights.
        labels: a label map (.prototxt), or a file with a name a line.
        threshold: the least score of a box.
        options: those of `netspec.classify`, without the crops.

    Raises: NetspecError, also where a picture can't be read.
    """
    if isinstance(pictures, (str, Path, bytes, np.ndarray)):
        pictures = [pictures]
    found = list(Detector(path, weights, labels, threshold, **options).detect(pictures))
    faults = [each for one in found if one.fault for each in one.fault.diagnostics]
    if faults:
        raise NetspecError(faults)
    return found


def finds_boxes(net: Net) -> bool:
    """Whether a net has a layer that lists detections."""
    return any(layer.type == _TYPE for layer in net.layers)


def _detection_layer(path: str | Path, options: dict[str, Any]) -> Layer:
    """The net's DetectionOutput layer. Raises: NetspecError where it has none, or several."""
    own = ("level", "stages", "inputs", "allow_python_layers", "plugins", "dialect")
    net = load(path, "TEST", **{name: options[name] for name in own if name in options})
    found = [layer for layer in net.layers if layer.type == _TYPE]
    if len(found) != 1:
        message = f"the net '{net.name}' has {counted(len(found), f'{_TYPE} layer')}, expected 1"
        hint = None if found else "`netspec classify` is for nets that give a score for each class"
        raise NetspecError(message, found[1].span if found else None, hint)
    return found[0]


def _labels(path: str, param: Any) -> dict[int, str]:
    """The name of each label. Raises: NetspecError where a file has not as many as the net."""
    if path.endswith(PROTOTXT_SUFFIXES):
        return labels_of(read_label_map(path), path)[1]
    names = [line.strip() for line in read_list(path)]
    background = param.background_label_id
    if len(names) == param.num_classes:
        return dict(enumerate(names))
    if background >= 0 and len(names) == param.num_classes - 1:
        return dict(zip((i for i in range(len(names) + 1) if i != background), names, strict=True))
    raise NetspecError(
        f"'{path}' has {counted(len(names), 'label')}, but the net has {param.num_classes} classes"
    )
