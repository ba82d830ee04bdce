"""Which layers a state keeps. The rules are Caffe's Net::FilterNet and StateMeetsRule."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netspec.diagnostics import Report, Source
from netspec.graph import Net
from netspec.passes.filter_state import filter_state
from netspec.pipeline import read_net
from netspec.schema import caffe_pb2

TRAIN, TEST = caffe_pb2.TRAIN, caffe_pb2.TEST


def kept(text: str, phase: int = TEST, level: int = 0, stages: tuple[str, ...] = ()) -> list[str]:
    report = Report()
    message, spans = read_net(Source("net.prototxt", text), report)
    placed = filter_state(
        message, spans, caffe_pb2.NetState(phase=phase, level=level, stage=stages), report
    )
    report.raise_errors()
    for layer, place in placed:
        span = place.at("name")
        assert span is not None
        assert span.text == f'"{layer.name}"'
    return [layer.name for layer, _ in placed]


# Rules of one layer; the states (phase, level, stages) that keep it, and those that do not.
RULES = {
    "none": ("", [(TRAIN, 0, ()), (TEST, 9, ("a",))], []),
    "empty include": ("include { }", [(TRAIN, 0, ()), (TEST, -3, ("a", "b"))], []),
    "empty exclude": ("exclude { }", [], [(TRAIN, 0, ()), (TEST, 0, ("a",))]),
    "include TRAIN": ("include { phase: TRAIN }", [(TRAIN, 0, ())], [(TEST, 0, ())]),
    "include TEST": ("include { phase: TEST }", [(TEST, 0, ())], [(TRAIN, 0, ())]),
    "exclude TRAIN": ("exclude { phase: TRAIN }", [(TEST, 0, ())], [(TRAIN, 0, ())]),
    "no phase is any phase": ("include { min_level: 0 }", [(TRAIN, 0, ()), (TEST, 0, ())], []),
    "min_level": (
        "include { min_level: 2 }",
        [(TEST, 2, ()), (TEST, 3, ())],
        [(TEST, 1, ()), (TEST, -2, ())],
    ),
    "max_level": ("include { max_level: 2 }", [(TEST, 2, ()), (TEST, -5, ())], [(TEST, 3, ())]),
    "both levels": (
        "include { min_level: -1 max_level: 1 }",
        [(TEST, -1, ()), (TEST, 1, ())],
        [(TEST, -2, ()), (TEST, 2, ())],
    ),
    "a level of 0 counts": ("include { max_level: 0 }", [(TEST, 0, ())], [(TEST, 1, ())]),
    "stage": (
        'include { stage: "a" }',
        [(TEST, 0, ("a",)), (TEST, 0, ("b", "a"))],
        [(TEST, 0, ()), (TEST, 0, ("b",))],
    ),
    "all stages": (
        'include { stage: "a" stage: "b" }',
        [(TEST, 0, ("b", "c", "a"))],
        [(TEST, 0, ("a",)), (TEST, 0, ("b",))],
    ),
    "not_stage": (
        'include { not_stage: "a" }',
        [(TEST, 0, ()), (TEST, 0, ("b",))],
        [(TEST, 0, ("a",)), (TEST, 0, ("b", "a"))],
    ),
    "none of not_stage": (
        'include { not_stage: ["a", "b"] }',
        [(TEST, 0, ("c",))],
        [(TEST, 0, ("a",)), (TEST, 0, ("c", "b"))],
    ),
    "stage and not_stage": (
        'include { stage: "a" not_stage: "b" }',
        [(TEST, 0, ("a",))],
        [(TEST, 0, ()), (TEST, 0, ("a", "b"))],
    ),
    "stages and phase": (
        'include { phase: TRAIN stage: "a" }',
        [(TRAIN, 0, ("a",))],
        [(TRAIN, 0, ()), (TEST, 0, ("a",))],
    ),
    "any include": (
        'include { phase: TRAIN } include { stage: "a" }',
        [(TRAIN, 0, ()), (TEST, 0, ("a",))],
        [(TEST, 0, ())],
    ),
    "any exclude": (
        'exclude { phase: TRAIN } exclude { stage: "a" }',
        [(TEST, 0, ())],
        [(TRAIN, 0, ()), (TEST, 0, ("a",))],
    ),
    "the case of a stage": ('include { stage: "A" }', [(TEST, 0, ("A",))], [(TEST, 0, ("a",))]),
}


@pytest.mark.parametrize(("rules", "keep", "drop"), RULES.values(), ids=RULES)
def test_rules(
    rules: str,
    keep: list[tuple[int, int, tuple[str, ...]]],
    drop: list[tuple[int, int, tuple[str, ...]]],
) -> None:
    text = f'layer {{ name: "before" }} layer {{ name: "it" {rules} }} layer {{ name: "behind" }}'
    for state in keep:
        assert kept(text, *state) == ["before", "it", "behind"]
    for state in drop:
        assert kept(text, *state) == ["before", "behind"]


def test_both_kinds_of_rules() -> None:
    report = Report()
    message, spans = read_net(
        Source(
            "net.prototxt", 'layer { name: "a" include { phase: TEST }\nexclude { stage: "s" } }'
        ),
        report,
    )
    placed = filter_state(message, spans, caffe_pb2.NetState(phase=TEST), report)
    (fault,) = report.diagnostics
    assert fault.render() == (
        "net.prototxt:2:1: error: layer 'a' has both 'include' and 'exclude'\n"
        '  exclude { stage: "s" } }\n  ^^^^^^^\n'
        "  hint: keep one of them\nnet.prototxt:1:19: note: 'include' stands here"
    )
    assert len(placed) == 1  # what reads it has no fault of its own


def test_rules_of_v1_layers() -> None:
    text = (
        'layers { name: "a" include { phase: TRAIN } } layers { name: "b" exclude { stage: "s" } }'
    )
    assert kept(text, TRAIN) == ["a", "b"]
    assert kept(text, TEST) == ["b"]
    assert kept(text, TRAIN, 0, ("s",)) == ["a"]


STATED = """state { stage: "own" level: 3 phase: TRAIN }
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 } } }
layer { name: "own" type: "ReLU" bottom: "data" top: "own" include { stage: "own" } }
layer { name: "both" type: "ReLU" bottom: "data" top: "both" \
include { stage: "own" stage: "given" } }
layer { name: "level" type: "ReLU" bottom: "data" top: "level" include { min_level: 3 } }
layer { name: "train" type: "ReLU" bottom: "data" top: "train" include { phase: TRAIN } }
"""


def test_stages_add_to_the_nets_own_state(load_text: Callable[..., Net]) -> None:
    """The stages add up; phase and level are the caller's, as in Caffe's Net constructor."""
    assert load_text(STATED).outputs == ["own"]
    assert load_text(STATED, stages=["given"], level=3).outputs == ["both", "level", "own"]
    assert load_text(STATED, phase="TRAIN").outputs == ["own", "train"]


def test_a_layers_own_phase_is_no_rule(load_text: Callable[..., Net]) -> None:
    text = (
        STATED.splitlines()[1]
        + '\nlayer { name: "drop" type: "Dropout" bottom: "data" top: "drop" phase: TEST }'
    )
    net = load_text(text, phase="TRAIN")
    assert [(layer.name, layer.phase) for layer in net.layers] == [
        ("data", "TRAIN"),
        ("drop", "TEST"),
    ]
