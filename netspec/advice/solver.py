"""Advice on solvers, compared with the nets that they name."""

from __future__ import annotations

import os
from collections.abc import Iterator

from netspec.advice.rule import CheckedNet, CheckedSolver, Found, Rule, advice
from netspec.diagnostics import NetspecError, Span, counted
from netspec.hint import did_you_mean
from netspec.layers import batched_param
from netspec.schema import caffe_pb2

_NET = """\
layer {
  name: "data" type: "Data" top: "data" top: "label"
  data_param { source: "test_lmdb" backend: LMDB batch_size: 10 }
}
layer {
  name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
_SOLVER = """\
net: "net.prototxt"
base_lr: 0.01 lr_policy: "fixed" max_iter: 1000
"""


def _test_set_size(checked: CheckedSolver) -> Found:
    # as in file.test_nets, which follow the net to train
    tests = [(source, net) for source, net in checked.nets if source.phase == caffe_pb2.TEST]
    for i, (source, net) in enumerate(tests):
        reading = _reading(net) if net is not None else None
        if reading is None or not source.iterations:
            continue
        records, batch = reading
        items, needed = source.iterations * batch, -(-records // batch)
        if source.iterations == needed:
            continue
        what = (
            f"{records - items} of them are left out each time"
            if items < records
            else "some of them count more than once"
        )
        yield advice(
            f"a test reads {source.iterations} batches of {batch}, which is "
            f"{counted(items, 'item')}, but its data have {counted(records, 'record')}: {what}",
            checked.file.spans.at("test_iter", i),
            f"test_iter: {needed} reads all of them",
        )


def _reading(checked: CheckedNet) -> tuple[int, int] | None:
    """The records of a net's first data layer and its batch size, where both are known."""
    from netspec.readers.probe import record_count

    for layer in checked.net.layers:
        found = batched_param(layer.message)
        if found is None or not found[1].batch_size:
            continue
        try:
            records = record_count(layer)
        except NetspecError:  # what can't be read is reported when it is used
            return None
        return (records, found[1].batch_size) if records else None
    return None


_TESTED = _SOLVER + "test_interval: 100 test_iter: {}\n"

TEST_SET_SIZE = Rule(
    name="test-set-size",
    summary="test_iter × batch_size is not the size of the test set",
    why="""\
`test_iter` says how many batches a test reads, whatever the test set has. With too few, a test
judges by a part of the data, and the next one by another part, since it goes on where the last
one ended: their figures can't be compared. With too many, some records count twice. The least
number that covers the set is its size divided by the batch size, rounded up; only a batch size
that divides the size counts each record just once.

The size is asked of an LMDB or an ImageData layer's list where these are there; a LevelDB would
have to be read through.""",
    bad={
        "solver.prototxt": "# test_lmdb has 100 records\n" + _TESTED.format(5),
        "net.prototxt": _NET,
    },
    good={
        "solver.prototxt": "# test_lmdb has 100 records\n" + _TESTED.format(10),
        "net.prototxt": _NET,
    },
    solver=_test_set_size,
    reads_files=True,
)


def _unknown_stages(checked: CheckedSolver) -> Found:
    tests = 0
    for source, net in checked.nets:
        is_train = source.phase == caffe_pb2.TRAIN
        path: tuple[str | int, ...] = ("train_state",) if is_train else ("test_state", tests)
        tests += not is_train
        if net is None:
            continue
        places = [
            (stage, checked.file.spans.at(*path, "stage", i))
            for i, stage in enumerate(source.given.stage)
        ]
        yield from _not_asked_for(places, net.message)


def _unknown_stages_of_net(checked: CheckedNet) -> Found:
    places = [
        (stage, checked.spans.at("state", "stage", i))
        for i, stage in enumerate(checked.message.state.stage)
    ]
    yield from _not_asked_for(places, checked.message)


def _not_asked_for(places: list[tuple[str, Span | None]], message: caffe_pb2.NetParameter) -> Found:
    known = set(_stages(message))
    for stage, place in places:
        if stage not in known:
            hint = did_you_mean(stage, sorted(known)) or (
                f"the stages of its rules are {', '.join(sorted(known))}"
                if known
                else "no include or exclude rule has a stage"
            )
            yield advice(f"no layer of the net asks for the stage '{stage}'", place, hint)


def _stages(message: caffe_pb2.NetParameter) -> Iterator[str]:
    for layer in message.layer:
        for rule in (*layer.include, *layer.exclude):
            yield from rule.stage
            yield from rule.not_stage


_STAGED = """\
layer {
  name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: [8, 16] } shape { dim: 8 } }
}
layer {
  name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer {
  name: "drop" type: "Dropout" bottom: "fc" top: "fc"
  include { stage: "regularized" }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""

UNKNOWN_STAGE = Rule(
    name="unknown-stage",
    summary="a state names a stage that no layer asks for",
    why="""\
`train_state`, `test_state` and a net's own `state` name stages, and the `include` and `exclude`
rules of layers ask for them. A stage that no rule of the net names changes nothing: most often
it is mistyped, and the layers that were to come with it are left out without a word.""",
    bad={
        "solver.prototxt": _SOLVER + 'train_state { stage: "regularised" }\n',
        "net.prototxt": _STAGED,
    },
    good={
        "solver.prototxt": _SOLVER + 'train_state { stage: "regularized" }\n',
        "net.prototxt": _STAGED,
    },
    solver=_unknown_stages,
    net=_unknown_stages_of_net,
)


def _snapshot_folder(checked: CheckedSolver) -> Found:
    param = checked.file.message
    folder = os.path.dirname(checked.file.snapshot_prefix)
    writes = param.snapshot or param.snapshot_after_train
    if param.snapshot_prefix and writes and folder and not os.path.isdir(folder):
        yield advice(
            f"the folder '{folder}' of 'snapshot_prefix' does not exist: "
            "Caffe stops at its first snapshot",
            checked.file.spans.at("snapshot_prefix"),
            f"mkdir -p {folder}; `netspec train` makes it",
        )


SNAPSHOT_FOLDER = Rule(
    name="snapshot-folder",
    summary="the folder of snapshot_prefix does not exist",
    why="""\
`snapshot_prefix` is what the names of snapshots begin with, and counts from the working
directory. Caffe makes no folders: where this one does not exist, a run stops at its first
snapshot, after hours of training. `netspec train` makes the folder when the run begins; a
mistyped one is then a second place for snapshots, where `--resume` finds nothing.""",
    bad={
        "solver.prototxt": _SOLVER + 'snapshot: 100 snapshot_prefix: "snapshot/net"\n',
        "net.prototxt": _NET.replace("test_lmdb", "train_lmdb"),
    },
    good={
        "solver.prototxt": _SOLVER + 'snapshot: 100 snapshot_prefix: "snapshots/net"\n',
        "net.prototxt": _NET.replace("test_lmdb", "train_lmdb"),
    },
    solver=_snapshot_folder,
    reads_files=True,
)

RULES = (TEST_SET_SIZE, UNKNOWN_STAGE, SNAPSHOT_FOLDER)
