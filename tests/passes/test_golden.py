"""A golden file a pass: what it makes of the nets in golden/, as text.

`python -m tests.passes.test_golden` writes the files anew, where a pass is meant to change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

import netspec
from netspec.diagnostics import Report
from netspec.graph import Layer, Net, shape_text
from netspec.passes.build_graph import build_graph
from netspec.passes.check_fork_fields import check_fork_fields
from netspec.passes.deploy import deploy
from netspec.passes.filter_state import filter_state
from netspec.passes.fold_batchnorm import fold_batchnorm
from netspec.passes.meant_phases import meant_phases
from netspec.passes.plan_backward import plan_backward
from netspec.pipeline import read_net
from netspec.schema.caffe_pb2 import TEST, TRAIN, NetParameter, NetState
from netspec.syntax.bind import Spans, unbind
from netspec.syntax.prototxt import print_tree
from netspec.syntax.read import read_source

GOLDEN = Path(__file__).parent / "golden"
STATES = {
    "TRAIN": NetState(phase=TRAIN),
    "TEST": NetState(phase=TEST),
    "TEST, level 1": NetState(phase=TEST, level=1),
    "TEST, level 1, stage flat": NetState(phase=TEST, level=1, stage=["flat"]),
}


def read(name: str) -> tuple[NetParameter, Spans]:
    return read_net(read_source(GOLDEN / f"{name}.prototxt"), Report())


def loaded(phase: str) -> Net:
    return netspec.load(GOLDEN / "train.prototxt", phase, report=Report())


def names(layers: Iterable[Layer]) -> str:
    return " ".join(layer.name for layer in layers)


def upgrade_text() -> str:
    message, _ = read("old")
    return print_tree(unbind(message))


def filter_state_text() -> str:
    message, spans = read("train")
    kept = {title: filter_state(message, spans, state, Report()) for title, state in STATES.items()}
    return "".join(
        f"{title}: {' '.join(layer.name for layer, _ in layers)}\n"
        for title, layers in kept.items()
    )


def meant_phases_text() -> str:
    message, spans = read("train")
    kept = {
        phase: filter_state(message, spans, STATES[phase], Report()) for phase in ("TRAIN", "TEST")
    }
    phases, warnings = meant_phases(message, spans, kept)
    return "\n".join([" ".join(phases), *(each.message for each in warnings), ""])


def build_graph_text() -> str:
    message, spans = read("train")
    report = Report()
    layers = filter_state(message, spans, STATES["TEST"], report)
    net = build_graph(message.name, "TEST", layers, report)
    rows = [
        f"{layer.name}: "
        + ", ".join(f"{b.name}/{b.version}" for b in layer.bottom_blobs)
        + " → "
        + ", ".join(
            f"{b.name}/{b.version} ({names(reader for reader, _ in b.consumers)})"
            for b in layer.top_blobs
        )
        + f", loss weights {layer.loss_weights}, rule {layer.spec_name}"
        for layer in net.layers
    ]
    ends = [f"sources {net.sources}", f"outputs {net.outputs}"]
    return "\n".join([*rows, *ends, *(d.message for d in report.diagnostics), ""])


def infer_shapes_text() -> str:
    rows = [
        f"{layer.name}: {', '.join(shape_text(blob.shape) for blob in layer.top_blobs)}"
        + "".join(
            f"\n  {shape_text(p.shape)} lr {p.lr_mult:g} decay {p.decay_mult:g} name '{p.name}'"
            for p in layer.params
        )
        for layer in loaded("TRAIN").layers
    ]
    return "\n".join([*rows, ""])


def count_cost_text() -> str:
    return "".join(f"{layer.name}: {layer.macs}\n" for layer in loaded("TRAIN").layers)


def check_fork_fields_text() -> str:
    message, spans = read("train")
    report = Report()
    layers = filter_state(message, spans, STATES["TEST"], Report())
    check_fork_fields(message, spans, build_graph("", "TEST", layers, Report()), report)
    return "".join(f"{d.span}: {d.message}\n".replace(f"{GOLDEN}/", "") for d in report.in_order())


def plan_backward_text() -> str:
    net = loaded("TRAIN")
    plan = plan_backward(net.layers)
    passing = [
        f"{layer.name} {i}"
        for layer in net.layers
        for i in range(len(layer.bottoms))
        if (layer, i) in plan.passing
    ]
    weights = [f"{blob.name} {weight:g}" for blob, weight in plan.weights.items()]
    learning = names(layer for layer in net.layers if layer in plan.learning)
    return f"learning: {learning}\npassing: {', '.join(passing)}\nweights: {', '.join(weights)}\n"


def deploy_text() -> str:
    message, spans = read("train")
    left_out = deploy(message, spans, loaded("TEST"))
    return f"# left out: {' '.join(left_out)}\n{print_tree(unbind(message))}"


def fold_batchnorm_text() -> str:
    net, folds = fold_batchnorm(netspec.load(GOLDEN / "folds.prototxt", report=Report()))
    rows = [
        f"{names(fold.front) or '-'} → {fold.base.name} ← {names(fold.behind) or '-'}"
        for fold in folds
    ]
    return "\n".join([*rows, "", str(net), ""])


TEXTS: dict[str, Callable[[], str]] = {
    "upgrade": upgrade_text,
    "filter_state": filter_state_text,
    "meant_phases": meant_phases_text,
    "build_graph": build_graph_text,
    "check_fork_fields": check_fork_fields_text,
    "infer_shapes": infer_shapes_text,
    "count_cost": count_cost_text,
    "plan_backward": plan_backward_text,
    "deploy": deploy_text,
    "fold_batchnorm": fold_batchnorm_text,
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_pass_gives_its_golden_file(name: str) -> None:
    assert TEXTS[name]() == (GOLDEN / f"{name}.txt").read_text()


if __name__ == "__main__":
    for pass_name, text in TEXTS.items():
        (GOLDEN / f"{pass_name}.txt").write_text(text())
