"""For which phases a net's file is meant.

It is meant for those that it has data for, a deploy net for TEST alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from netspec.diagnostics import WARNING, Diagnostic, Span, note
from netspec.hint import Hint
from netspec.layers import find_spec
from netspec.passes.filter_state import RULES, Placed
from netspec.schema import caffe_pb2
from netspec.syntax.bind import Spans


def sources_of(layers: Placed) -> set[str]:
    """The blobs that layers without bottoms make, except those of Parameter layers.

    These are no data.
    """
    return {
        top
        for layer, _ in layers
        if not layer.bottom and layer.type != "Parameter"
        for top in layer.top
    }


def meant_phases(
    net: caffe_pb2.NetParameter, spans: Spans, kept: Mapping[str, Placed]
) -> tuple[list[str], list[Diagnostic]]:
    """Which of the phases are meant, and a warning where a rule asks for one that has no data.

    Args: kept: the layers of each phase to check.
    """
    phases = list(kept)
    with_data = [phase for phase in phases if sources_of(kept[phase])]
    rules = _rules_of_phases(net, spans)
    if len(phases) == 1 or not with_data:
        return phases, []
    if len(with_data) < len(phases):
        (other,) = set(phases) - set(with_data)
        if other not in rules:
            return with_data, []
        return with_data, [
            _without_data(
                other, with_data[0], kept[with_data[0]], rules[other], _stage_with_data(net, other)
            )
        ]
    if not rules and all(_is_deploy(kept[phase]) for phase in phases):
        return ["TEST"], []
    return phases, []


def _is_deploy(layers: Placed) -> bool:
    feeding = {layer.type for layer, _ in layers if not layer.bottom and layer.top}
    has_loss = any(
        layer.loss_weight or getattr(find_spec(layer.type), "is_loss", False) for layer, _ in layers
    )
    return feeding <= {"Input", "Parameter"} and not has_loss


def _rules_of_phases(net: caffe_pb2.NetParameter, spans: Spans) -> dict[str, Span | None]:
    """For each phase that a rule asks for, where the first such rule stands.

    A rule asks for a phase by including it, or by excluding the other.
    """
    found: dict[str, Span | None] = {}
    for layer, place in zip(net.layer, spans.fields.get("layer", []), strict=True):
        for name in RULES:
            for i, rule in enumerate(getattr(layer, name)):
                if rule.HasField("phase"):
                    is_train = (rule.phase == caffe_pb2.TRAIN) == (name == "include")
                    found.setdefault("TRAIN" if is_train else "TEST", place.at(name, i))
    return found


def _stage_with_data(net: caffe_pb2.NetParameter, phase: str) -> str | None:
    """A stage that a data layer of the phase asks for."""
    rules = (rule for layer in net.layer if not layer.bottom for rule in layer.include)
    return next(
        (
            rule.stage[0]
            for rule in rules
            if rule.stage
            and (not rule.HasField("phase") or caffe_pb2.Phase.Name(rule.phase) == phase)
        ),
        None,
    )


def _without_data(
    phase: str, other: str, layers: Placed, rule: Span | None, stage: str | None
) -> Diagnostic:
    place = next(
        place
        for layer, place in layers
        if not layer.bottom and layer.top and layer.type != "Parameter"
    )
    message = f"no layer makes data in phase {phase}, so that only the {other} net is checked"
    span = place.at(next((name for name in RULES if name in place.fields), "type"))
    hint = (
        f"its data ask for a stage: --stage {stage}"
        if stage
        else f"give phase {phase} a data layer; --phase {phase} reports what reads it"
    )
    return Diagnostic(
        WARNING, message, span, Hint(hint), [note(f"this rule asks for phase {phase}", rule)]
    )
