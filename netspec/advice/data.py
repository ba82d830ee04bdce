"""Advice on the data that a net reads, and on how they are changed on the way."""

from __future__ import annotations

from typing import Any

from netspec.advice.rule import CheckedNet, Found, Rule, advice
from netspec.diagnostics import NetspecError, Span
from netspec.graph import Blob, Layer
from netspec.layers import find_spec
from netspec.schema.forks import stated

_LABELS_READ = 64  # of a database, spread over it


def _random_test_data(checked: CheckedNet) -> Found:
    for layer in checked.net.layers if checked.net.phase == "TEST" else ():
        spec = find_spec(layer.spec_name)
        if spec is None or not spec.is_source:
            continue
        transform = layer.message.transform_param
        if transform.mirror:
            yield _at_random(layer, "mirrors", "leave 'mirror' out", "transform_param", "mirror")
        if layer.phase == "TRAIN" and transform.crop_size:
            yield _at_random(layer, "crops", "leave 'phase' out: it is the net's", "phase")
        for name in ("expand_param", "distort_param"):
            # where one is taken without the other it is netspec's own, and rests in TEST
            if stated(transform, name) is not None and "expand_param" in spec.takes:
                done = f"carries out '{name}'"
                yield _at_random(layer, done, f"leave '{name}' out", "transform_param", name)
        samplers = getattr(stated(layer.message, "annotated_data_param"), "batch_sampler", ())
        if any(sampler.HasField("sampler") for sampler in samplers):
            path = ("annotated_data_param", "batch_sampler")
            yield _at_random(layer, "samples", "leave the samplers out", *path)


def _at_random(layer: Layer, does: str, hint: str, *path: str) -> Any:
    return advice(f"{layer.label} {does} at random in the TEST phase", layer.spans.at(*path), hint)


_TEST = """\
layer {{
  name: "data" type: "Data" top: "data" top: "label"
  include {{ phase: TEST }}
  transform_param {{ {} }}
  data_param {{ source: "train_lmdb" backend: LMDB batch_size: 10 }}
}}
layer {{
  name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param {{ num_output: 10 }}
}}
layer {{ name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" }}
"""

RANDOM_TEST_DATA = Rule(
    name="random-test-data",
    summary="test data are mirrored, cropped or distorted at random",
    why="""\
A test measures one thing only where its data are the same each time. `crop_size` takes the
centre in the TEST phase, but `mirror: true` flips at random in both, in Caffe as here; so do
SSD's `expand_param` and `distort_param` and its samplers. Most often the data layer of TRAIN was
copied, or serves both phases.""",
    bad={"net.prototxt": _TEST.format("crop_size: 8 mirror: true")},
    good={"net.prototxt": _TEST.format("crop_size: 8")},
    net=_random_test_data,
)


def _labels(checked: CheckedNet) -> Found:
    seen: set[int] = set()
    for layer in checked.net.layers:
        spec = find_spec(layer.spec_name)
        axis = None if spec is None or len(layer.bottom_blobs) < 2 else spec.class_axis(layer)
        if axis is None:
            continue
        scores, labels = layer.bottom_blobs[:2]
        if not scores.shape or id(scores) in seen or labels.top_index != 1:
            continue
        seen.add(id(scores))
        yield from _compare(layer, scores, scores.shape[axis], labels.producer)


def _compare(layer: Layer, scores: Blob, classes: int, data: Layer) -> Found:
    from netspec.readers.probe import labels_of  # only a net with labels of classes pays for it

    try:
        labels = labels_of(data, _LABELS_READ)
    except NetspecError:  # what can't be read is reported when it is used
        return
    if labels is None:
        return
    ignored = {
        param.ignore_label
        for param in (layer.message.loss_param, layer.message.accuracy_param)
        if param.HasField("ignore_label")
    }
    found = sorted(labels.places.keys() - ignored)
    wrong = [label for label in found if not 0 <= label < classes]
    place = _num_output(scores) or layer.spans.at("bottom", 0)
    if wrong:
        label = wrong[-1]
        from_one = found[0] == 1 and found[-1] == classes
        yield advice(
            f"'{scores.name}' has {classes} outputs, for the labels 0 to {classes - 1}, but "
            f"{labels.places[label]} has label {label}",
            place,
            "labels count from 0" if from_one else f"num_output: {found[-1] + 1}, or more",
        )
    elif labels.are_all and found and found[-1] + 1 < classes:
        yield advice(
            f"'{scores.name}' has {classes} outputs, but the labels of {data.label} "
            f"end at {found[-1]}",
            place,
            f"num_output: {found[-1] + 1}",
        )


def _num_output(blob: Blob) -> Span | None:
    """Where the number of a blob's channels stands, if its layer states it."""
    layer = blob.producer
    spec = find_spec(layer.spec_name)
    stated_there = layer.spans.find(spec.param).fields if spec and spec.param else {}
    return (
        layer.spans.at(spec.param, "num_output") if spec and "num_output" in stated_there else None
    )


_CLASSES = """\
# train_lmdb has the labels 0 to 9
layer {{
  name: "data" type: "Data" top: "data" top: "label"
  data_param {{ source: "train_lmdb" backend: LMDB batch_size: 10 }}
}}
layer {{
  name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param {{ num_output: {} weight_filler {{ type: "xavier" }} }}
}}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }}
"""

LABELS = Rule(
    name="labels-out-of-range",
    summary="the last num_output does not fit the labels of the data",
    why=f"""\
A loss of class labels takes the labels 0 to C - 1 where its scores have C channels. Caffe does
not look: a greater label reads memory past the scores, and the loss is nonsense or NaN. Often
the labels count from 1, or the data have a class more than the net that was taken over.

Where the data are there, the labels of {_LABELS_READ} records are looked at, spread over the
LMDB, and all lines of an ImageData layer's list. More channels than labels are advised against
only where all were looked at; they cost little more than memory.""",
    bad={"net.prototxt": _CLASSES.format(9)},
    good={"net.prototxt": _CLASSES.format(10)},
    net=_labels,
    reads_files=True,
)

RULES = (RANDOM_TEST_DATA, LABELS)
