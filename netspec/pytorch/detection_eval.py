"""Mean average precision of detections, over all batches of a test.

Source: weiliu89/caffe, branch ssd, Solver::TestDetection and ComputeAP of util/bbox_util.cpp.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from netspec.graph import Net
from netspec.layers import find_spec
from netspec.listener import Values
from netspec.solver.evaluation import Evaluation

Rows = NDArray[np.float32]  # image, label, score, true positive, false positive
_COLUMNS = 5
_EPSILON = 1e-6  # of recall


def evaluated_outputs(net: Net) -> list[str]:
    """The outputs of a net that list detections, whose average precision a test computes."""
    specs = {name: find_spec(net.blob(name).producer.spec_name) for name in net.outputs}
    return [name for name, spec in specs.items() if spec and spec.lists_detections]


def detection_rows(value: Tensor) -> Rows:
    """The rows of a DetectionEvaluate layer's top. Shapes: (1, 1, M, 5) to (M, 5)."""
    return value.detach().float().cpu().numpy().reshape(-1, _COLUMNS)


def mean_average_precision(name: str, batches: Iterable[Rows], how: Evaluation) -> Values:
    """The mean over the classes of an output's average precision, and each class's where asked.

    A class that nothing was detected of, or that has no true box, counts as 0 in the mean.
    """
    rows = np.concatenate([np.empty((0, _COLUMNS), np.float32), *batches])
    counts, found = rows[rows[:, 0] == -1], rows[rows[:, 0] != -1]
    # a detection of a difficult box that is not evaluated is neither true nor false
    found = found[(found[:, 3] != 0) | (found[:, 4] != 0)]
    precision: dict[int, float] = {}
    for label in np.unique(counts[:, 1]):
        positives = int(counts[counts[:, 1] == label, 2].sum())
        own = found[found[:, 1] == label]
        precision[int(label)] = average_precision(own[:, 2], own[:, 3], positives, how.ap_version)
    values = {name: [sum(precision.values()) / len(precision) if precision else 0.0]}
    if how.per_class:
        values |= {f"{name}/class{label}": [value] for label, value in precision.items()}
    return values


def average_precision(scores: Rows, is_true: Rows, positives: int, version: str) -> float:
    """The average precision of one class's detections.

    Args:
        is_true: 1 for a detection that is a true positive, else 0.
        positives: the true boxes.
        version: "11point" takes the mean of the best precision at recalls of at least 0, 0.1, … 1
            (VOC 2007), "MaxIntegral" the area under the best precision at or beyond each recall
            (VOC 2012), "Integral" the area under the precision itself.
    """
    if not len(scores) or not positives:
        return 0.0
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(is_true[order] > 0)
    precision = (hits / np.arange(1, len(hits) + 1)).astype(np.float32)
    recall = (hits / positives).astype(np.float32)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    if version == "11point":
        at = np.searchsorted(recall.astype(np.float64), np.arange(11) / 10)
        return float(np.where(at < len(best), best[np.minimum(at, len(best) - 1)], 0).sum() / 11)
    steps = np.diff(recall, prepend=np.float32(0))
    # Quirk: MaxIntegral's step from one recall to the next has the best precision from its start on
    height = np.concatenate([best[:1], best[:-1]]) if version == "MaxIntegral" else precision
    return float((height * np.where(steps > _EPSILON, steps, 0)).sum())
