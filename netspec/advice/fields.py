"""Advice on fields: those that a newer one took the place of, those that nothing reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netspec.advice.rule import CheckedNet, CheckedText, Found, Rule, advice
from netspec.diagnostics import Span
from netspec.graph import Layer
from netspec.layers import SPECS, find_spec
from netspec.layers.parameter_fields import parameter_fields
from netspec.passes.check_fork_fields import OF_ANY_TYPE
from netspec.schema.extensions import find_field
from netspec.syntax.tree import Block

_UPGRADE = "`netspec convert --upgrade OLD NEW` rewrites it"
# A message's field, and what took its place. Fields that have no effect are warnings already.
_DEPRECATED = {
    ("NetParameter", "layers"): f"'layer' took its place; {_UPGRADE}",
    ("NetParameter", "input"): f"a layer of type Input took its place; {_UPGRADE}",
    ("SolverParameter", "solver_type"): f"'type' took its place; {_UPGRADE}",
    ("ConcatParameter", "concat_dim"): "'axis' took its place",
    ("SliceParameter", "slice_dim"): "'axis' took its place",
    ("DataParameter", "force_encoded_color"): "'transform_param.force_color' took its place",
    ("DummyDataParameter", "num"): "'shape' took the place of num, channels, height and width",
}


def _deprecated(checked: CheckedText) -> Found:
    seen: set[tuple[str, str]] = set()
    for owner, name, span in _fields(checked.block, checked.kind.DESCRIPTOR):
        if (owner, name) in _DEPRECATED and (owner, name) not in seen:
            seen.add((owner, name))
            yield advice(f"'{name}' is deprecated", span, _DEPRECATED[owner, name])


def _normalize(checked: CheckedNet) -> Found:
    """Of losses by Caffe's own rule: forks from before `normalization` read `normalize` alone."""
    for layer in checked.net.layers:
        if _is_caffes(layer) and layer.message.loss_param.HasField("normalize"):
            yield advice(
                f"{layer.label}: 'normalize' is deprecated",
                layer.spans.at("loss_param", "normalize"),
                "'normalization' took its place: VALID for true, BATCH_SIZE for false",
            )


def _is_caffes(layer: Layer) -> bool:
    """Whether a layer follows the rule of one of Caffe's own types."""
    return SPECS.get(layer.type) is find_spec(layer.spec_name) is not None


def _fields(block: Block, kind: Any) -> Iterator[tuple[str, str, Span | None]]:
    """The fields of a tree, each with the name of its message; V0's and V1's layers as a whole."""
    for field in block.fields:
        yield kind.name, field.name, field.name_span
        try:
            inner = find_field(kind, field.name).message_type
        except KeyError:
            continue
        if inner is None or inner.name == "V1LayerParameter":
            continue
        for value in field.values:
            if isinstance(value, Block):
                yield from _fields(value, inner)


_CONCAT = """\
layer {{
  name: "data" type: "DummyData" top: "a" top: "b"
  dummy_data_param {{ shape {{ dim: [8, 16] }} shape {{ dim: [8, 16] }} }}
}}
layer {{
  name: "both" type: "Concat" bottom: "a" bottom: "b" top: "both"
  concat_param {{ {}: 1 }}
}}
"""

DEPRECATED = Rule(
    name="deprecated-field",
    summary="a field that a newer one took the place of",
    why="""\
Caffe kept the older forms of its files: nets of `layers` and of `input` fields, solvers with a
`solver_type`, `concat_dim`, `slice_dim` and the like. They mean what they always meant, but
other programs and people know them less and less. Each is reported once a file.

What is older than the format of today, `netspec convert --upgrade` rewrites; the other fields
have one of another name.""",
    bad={"net.prototxt": _CONCAT.format("concat_dim")},
    good={"net.prototxt": _CONCAT.format("axis")},
    text=_deprecated,
    net=_normalize,
)


def _unread(checked: CheckedNet) -> Found:
    known: dict[str, list[str]] = {}  # what a type reads; looking it up takes time
    for layer in checked.net.layers:
        spec = find_spec(layer.spec_name)
        # what a fork's type reads beside its own parameters is not written down
        if spec is None or not _is_caffes(layer):
            continue
        others = [
            field.name
            for field, _ in layer.message.ListFields()
            if field.name.endswith("_param")
            and field.name not in (spec.param, spec.shown_param)
            and field.name not in spec.takes | OF_ANY_TYPE
        ]
        if others and spec.name not in known:
            known[spec.name] = [field.name for field in parameter_fields(spec.name)]
        read = known[spec.name] if others else []
        for name in others:
            if name not in read:
                own = " and ".join(f"'{name}'" for name in read)
                yield advice(
                    f"{layer.label}: a layer of type {layer.type} does not read '{name}'",
                    layer.spans.at(name),
                    f"it reads {own}" if own else "it has no parameters of its own",
                )


_INPUT = (
    'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: [1, 3, 8, 8] } } }\n'
)

UNREAD = Rule(
    name="unread-field",
    summary="parameters that a layer's type does not read",
    why="""\
A layer may state the parameters of any type, such as `pooling_param` in a Convolution layer.
Only those of its own type are read; the others have no effect, and Caffe says nothing of them.
It is what is left when a layer was copied and its type changed, or the parameters were put into
the wrong layer.

Layers of types that forks or plugins define are not looked at.""",
    bad={
        "net.prototxt": _INPUT
        + """\
layer {
  name: "pool" type: "Pooling" bottom: "data" top: "pool"
  pooling_param { kernel_size: 2 stride: 2 }
  dropout_param { dropout_ratio: 0.3 }
}
"""
    },
    good={
        "net.prototxt": _INPUT
        + """\
layer {
  name: "pool" type: "Pooling" bottom: "data" top: "pool"
  pooling_param { kernel_size: 2 stride: 2 }
}
layer {
  name: "drop" type: "Dropout" bottom: "pool" top: "pool"
  dropout_param { dropout_ratio: 0.3 }
}
"""
    },
    net=_unread,
)

RULES = (DEPRECATED, UNREAD)
