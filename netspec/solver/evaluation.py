"""How a run's tests are evaluated: by means over batches, or as SSD evaluates detections."""

from __future__ import annotations

from typing import Any, NamedTuple

from netspec.hint import did_you_mean
from netspec.schema.forks import stated
from netspec.solver.solver_fields import SolverFields

CLASSIFICATION, DETECTION = "classification", "detection"
AP_VERSIONS = ("Integral", "MaxIntegral", "11point")


class Evaluation(NamedTuple):
    """What a solver says of its tests with eval_type detection.

    Args: ap_version: which rule gives the average precision. per_class: whether each class's is
        told beside the mean.
    """

    ap_version: str = AP_VERSIONS[0]
    per_class: bool = False


def evaluation_of(message: Any) -> Evaluation | None:
    """How the solver's tests evaluate detections; None where they take means over batches."""
    if stated(message, "eval_type") != DETECTION:
        return None
    return Evaluation(
        stated(message, "ap_version") or AP_VERSIONS[0],
        bool(stated(message, "show_per_class_result")),
    )


def check_evaluation(fields: SolverFields) -> None:
    """Reports unknown words of eval_type and ap_version."""
    for name, known in (
        ("eval_type", (CLASSIFICATION, DETECTION)),
        ("ap_version", AP_VERSIONS),
    ):
        word = stated(fields.p, name)
        if word is not None and word not in known:
            hint = did_you_mean(word, known) or f"one of {', '.join(known)}"
            fields.error(f"there is no {name} '{word}'", name, hint)
