"""What is reported of losses without torch.

Shapes, faults with their lines, labels that Caffe would not take.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from netspec.diagnostics import NetspecError, Report, Source
from netspec.graph import Net
from netspec.pipeline import assemble, read_net
from netspec.schema.caffe_pb2 import NetState, Phase
from tests.layers.cases import LOSS, Case
from tests.nets import net_text

Load = Callable[..., Net]


@pytest.mark.parametrize("case", LOSS, ids=str)
def test_a_loss_is_a_scalar_of_weight_1_that_needs_no_name(load_text: Load, case: Case) -> None:
    layer = load_text(case.text.replace(' top: "y"', "")).layer("l")
    assert [blob.shape for blob in layer.top_blobs] == [()]
    assert layer.loss_weights == [1]


WRONG = [
    ('type: "InfogainLoss"', {"x": (2, 3), "t": (2,)}, "its matrix is missing", 0),
    (
        'type: "InfogainLoss"\nloss_param { normalize: true }',
        {"x": (2, 3), "t": (2,), "h": (3, 3)},
        "InfogainLoss does not take the older 'normalize'",
        1,
    ),
    (
        'type: "InfogainLoss"',
        {"x": (2, 3), "t": (2,), "h": (3, 2)},
        "the matrix 'h' (3×2) must hold 3×3 values",
        0,
    ),
    (
        'type: "InfogainLoss"\ninfogain_loss_param { axis: 2 }',
        {"x": (2, 3), "t": (2,), "h": (3, 3)},
        "axis 2 is out of range for a blob of 2 axes",
        1,
    ),
    ('type: "HingeLoss"', {"x": (2, 3), "t": (2, 3)}, "'x' has 2 items, 't' (2×3) 6 labels", 0),
    (
        'type: "MultinomialLogisticLoss"',
        {"x": (2, 3), "t": (2, 2)},
        "'x' has 2 items, 't' (2×2) 4 labels",
        0,
    ),
    (
        'type: "HingeLoss"',
        {"x": (2, 3), "t": (3,)},
        "the two bottoms hold 2 and 3 items, which must be the same number",
        0,
    ),
    (
        'type: "SigmoidCrossEntropyLoss"',
        {"x": (2, 3), "t": (2, 4)},
        "'x' (2×3) and 't' (2×4) must hold as many values",
        0,
    ),
    (
        'type: "EuclideanLoss"',
        {"x": (2, 3), "t": (2, 4)},
        "the items of 'x' (2×3) and 't' (2×4) must hold as many values",
        0,
    ),
    ('type: "EuclideanLoss"', {"x": (), "t": ()}, "a scalar holds no items", 0),
    (
        'type: "ContrastiveLoss"',
        {"x": (2, 3, 2), "t": (2, 3, 2), "s": (2,)},
        "'x' must be N×C, got 2×3×2",
        0,
    ),
    (
        'type: "ContrastiveLoss"',
        {"x": (2, 3), "t": (2, 4), "s": (2,)},
        "'x' has 3 channels, 't' 4",
        0,
    ),
    (
        'type: "ContrastiveLoss"',
        {"x": (2, 3), "t": (2, 3), "s": (1,)},
        "'s' (1) must hold one flag for each of the 2 pairs",
        0,
    ),
    (
        'type: "ContrastiveLoss"',
        {"x": (2, 3), "t": (2, 3), "s": (2, 2)},
        "'s' (2×2) must hold one flag for each of the 2 pairs",
        0,
    ),
]


@pytest.mark.parametrize(("layer", "shapes", "message", "line"), WRONG)
def test_faults_stand_where_they_are(
    load_text: Load, layer: str, shapes: dict, message: str, line: int
) -> None:
    with pytest.raises(NetspecError) as raised:
        load_text(net_text(layer, **shapes))
    (fault,) = raised.value.diagnostics
    assert fault.message == f"layer 'l': {message}"
    assert fault.span.line == len(shapes) + 1 + line


@pytest.mark.parametrize(
    ("kind", "extra", "warned"),
    [
        ("SoftmaxWithLoss", "", "t"),
        ("SoftmaxWithLoss", "propagate_down: true propagate_down: false", ""),
        ("SoftmaxWithLoss", "phase: TEST", ""),
        ("EuclideanLoss", "", ""),
        ("InfogainLoss", 'bottom: "h"', "th"),
    ],
)
def test_warns_of_labels_that_are_learned(kind: str, extra: str, warned: str) -> None:
    labels = (2, 3) if kind == "EuclideanLoss" else (2, 1)
    text = net_text(f'type: "{kind}" {extra}', x=(2, 3), t=labels)
    learned = (
        'layer { name: "h" type: "Parameter" top: "h" '
        "parameter_param { shape { dim: 3 dim: 3 } } }\n"
    )
    learned += 'layer { name: "scale" type: "Scale" bottom: "t" top: "t" }\n'
    place = text.index('layer { name: "l"')
    report = Report()
    message, spans = read_net(Source("net.prototxt", text[:place] + learned + text[place:]), report)
    assemble(message, spans, NetState(phase=Phase.Value("TRAIN")), report)
    assert [d.message for d in report.diagnostics] == [
        (
            f"layer 'l': '{name}' follows from learned params, but {kind} sends no gradient to it; "
            "Caffe stops here"
        )
        for name in warned
    ]


ODD = [
    (
        'type: "Accuracy" top: "y" accuracy_param { top_k: 0 }',
        {"x": (2, 3), "t": (2,)},
        "with 'top_k' 0 the accuracy is always 0",
    ),
    (
        'type: "ContrastiveLoss" top: "y"',
        {"x": (2, 3), "t": (2, 3), "s": (5, 1)},
        "'s' holds 5 flags for 2 pairs; the first 2 count",
    ),
    (
        'type: "SoftmaxWithLoss" top: "y" top: "p"',
        {"x": (2, 3), "t": (2,)},
        "Caffe can't build SoftmaxWithLoss with a second top",
    ),
    (
        'type: "InfogainLoss" top: "y" top: "p"',
        {"x": (2, 3), "t": (2,), "h": (3, 3)},
        "Caffe can't build InfogainLoss with a second top that has no loss_weight",
    ),
    (
        'type: "InfogainLoss" top: "y" top: "p" loss_weight: 1 loss_weight: 0',
        {"x": (2, 3), "t": (2,), "h": (3, 3)},
        None,
    ),
]


@pytest.mark.parametrize(("layer", "shapes", "warning"), ODD)
def test_what_is_clear_is_taken(layer: str, shapes: dict, warning: str | None) -> None:
    report = Report()
    message, spans = read_net(Source("net.prototxt", net_text(layer, **shapes)), report)
    assemble(message, spans, NetState(phase=Phase.Value("TEST")), report)
    assert [(d.severity, d.message) for d in report.diagnostics] == (
        [("warning", f"layer 'l': {warning}")] if warning else []
    )
