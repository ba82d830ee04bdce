"""Which layers of a file belong to the net of one phase, level and set of stages.

Source: Caffe's Net::FilterNet and StateMeetsRule.
"""

from __future__ import annotations

from collections.abc import Sequence

from netspec.diagnostics import Report, note
from netspec.schema import caffe_pb2
from netspec.schema.forks import stated_word
from netspec.syntax.bind import Spans

RULES = ("include", "exclude")
Placed = Sequence[tuple[caffe_pb2.LayerParameter, Spans]]


def filter_state(
    net: caffe_pb2.NetParameter, spans: Spans, state: caffe_pb2.NetState, report: Report
) -> Placed:
    """The layers that the state keeps, in file order, each with its spans."""
    kept = []
    for layer, place in zip(net.layer, spans.fields.get("layer", []), strict=True):
        if layer.include and layer.exclude:
            other = note("'include' stands here", place.at("include"))
            report.error(
                f"layer '{layer.name}' has both 'include' and 'exclude'",
                place.at("exclude"),
                "keep one of them",
                [other],
            )
            place.is_faulty = True
        rules = layer.include or layer.exclude
        # where the rules themselves hold a fault, the layer stays: what reads it has none of its
        # own
        doubtful = (layer.include and layer.exclude) or any(
            rule.is_faulty for name in RULES for rule in place.fields.get(name, ())
        )
        if doubtful or any(meets_rule(state, rule) for rule in rules) == bool(layer.include):
            kept.append((layer, place))
    return kept


def left_out(net: caffe_pb2.NetParameter, spans: Spans, kept: Placed) -> Placed:
    """The layers of a file that `filter_state` did not keep."""
    places = {id(place) for _, place in kept}
    return [
        (layer, place)
        for layer, place in zip(net.layer, spans.fields.get("layer", []), strict=True)
        if id(place) not in places
    ]


def meets_rule(state: caffe_pb2.NetState, rule: caffe_pb2.NetStateRule) -> bool:
    """Whether a state meets every condition that the rule states; an empty rule is always met."""
    stages = set(state.stage)
    if stated_word(rule, "phase"):
        return False  # a fork's phase, such as RUN of Digits' deploy nets: no net of ours has it
    return (
        (not rule.HasField("phase") or rule.phase == state.phase)
        and (not rule.HasField("min_level") or state.level >= rule.min_level)
        and (not rule.HasField("max_level") or state.level <= rule.max_level)
        and all(stage in stages for stage in rule.stage)
        and not any(stage in stages for stage in rule.not_stage)
    )
