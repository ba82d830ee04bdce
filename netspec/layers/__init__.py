"""The layer types: `find_spec(name)` gives what is known of one without torch.

A type of Caffe's forks may follow several rules. `rules_of` gives them, `choose_rules` those that a
layer may mean.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from netspec.diagnostics import NetspecError
from netspec.hint import Hint, did_you_mean
from netspec.layers import (
    arithmetic,
    convolution,
    data,
    image_data,
    inner_product,
    loss,
    neuron,
    normalization,
    pooling,
    python,
    recurrent,
    regression_loss,
    selection,
    shape,
)
from netspec.layers.spec import Spec
from netspec.layers.unknown_type import UnknownSource, UnknownType
from netspec.plugins import plugins
from netspec.schema.extensions import find_field, states, value_of
from netspec.schema.known_names import origin_of_type

if TYPE_CHECKING:
    from netspec.graph import Layer
    from netspec.schema.caffe_pb2 import LayerParameter

_FAMILIES = (
    data,
    image_data,
    convolution,
    pooling,
    inner_product,
    normalization,
    neuron,
    shape,
    selection,
    arithmetic,
    loss,
    regression_loss,
    recurrent,
    python,
)
# The families of the forks' types, imported where a net has a type or a field that Caffe does not
# have.
FORK_FAMILIES = (
    "detection",
    "annotated_data",
    "prior_box",
    "multibox_loss",
    "regions",
    "smooth_l1_loss",
    "hard_examples",
    "faster_rcnn",
    "segmentation",
    "batch_statistics",
    "segmentation_loss",
    "image_pairs",
    "mobile",
    "faces",
    "focal_loss",
    "yolo",
    "yolo_loss",
    "openpose",
    "sequence",
    "ctc",
    "flow",
    "crf",
    "matlab",
    "local",
    "augmentation",
    "quantized",
)

AS_PLUGIN = "a file of your own can define it, --plugin FILE.py: docs/add_a_layer.md"

SPECS: dict[str, Spec] = {spec.type: spec() for family in _FAMILIES for spec in family.SPECS}
_UNKNOWN: dict[str, Spec] = {spec.type: spec() for spec in (UnknownType, UnknownSource)}


def find_spec(name: str) -> Spec | None:
    """What is known of a layer type, by its name or the name of one of its rules, or None.

    Raises: NetspecError for a plugin that fails.
    """
    found = SPECS.get(name) or _UNKNOWN.get(name)
    if found is not None or not name:
        return found
    return all_specs().get(name) or next(iter(rules_of(name)), None)


def is_source(layer: Layer) -> bool:
    """Whether the layer's tops are data that the net is given."""
    spec = find_spec(layer.spec_name)
    return spec is not None and spec.is_source


def all_specs() -> dict[str, Spec]:
    """Every layer type and rule by its name: Caffe's, the forks', those of plugins.

    A plugin's type takes the place of a fork's of the same name.
    Raises: NetspecError for a plugin that fails.
    """
    own = _of_plugins()
    forks = {name: spec for name, spec in _fork_specs().items() if spec.type not in own}
    return SPECS | forks | own


@cache
def _fork_specs() -> dict[str, Spec]:
    families = [import_module(f"{__name__}.{family}") for family in FORK_FAMILIES]
    return {spec.name: spec for family in families for spec in (each() for each in family.SPECS)}


def _of_plugins() -> dict[str, Spec]:
    found: dict[str, Spec] = {}
    for plugin in plugins():
        for spec in plugin.specs:
            if spec.name in SPECS or spec.name in found:
                raise NetspecError(
                    f"the plugin '{plugin.origin}' defines layer type '{spec.name}', which exists"
                )
            found[spec.name] = spec
    return found


def rules_of(type_name: str) -> list[Spec]:
    """Every rule that a layer type has, Caffe's own first."""
    return [spec for spec in all_specs().values() if spec.type == type_name]


def choose_rules(
    message: LayerParameter, dialect: str = "", blobs: int | None = None
) -> list[Spec]:
    """The rules that a layer may mean; none where its type is unknown.

    What the layer itself shows comes first, then how many blobs its weights have, then the dialect,
    then Caffe's own rule.

    Args: blobs: how many a file of weights has of the layer, where that is known.
    """
    own = SPECS.get(message.type)
    if own is not None and not dialect and not _is_foreign(message, own):
        return [own]
    rules = rules_of(message.type)
    shown = {rule.name: rule.evidence(message) for rule in rules}
    left = [rule for rule in rules if shown[rule.name]]
    left = left or [rule for rule in rules if shown[rule.name] is not False] or rules
    if len(left) > 1 and blobs:
        left = [rule for rule in left if rule.blob_count in (None, blobs)] or left
    if len(left) > 1:
        meant = [rule for rule in left if dialect and dialect in rule.dialects]
        left = meant or ([own] if own in left and own is not None else left)
    return left


def several_rules(rules: list[Spec]) -> tuple[str, str]:
    """The message and the hint for a layer that may mean any of some rules."""
    shown = "; ".join(f"{rule.rule or 'Caffe'}: {rule.differs}" for rule in rules)
    names = " or ".join(dict.fromkeys(name for rule in rules for name in rule.dialects[:1]))
    message = f"layer type '{rules[0].type}' has several rules ({shown})"
    return message, f"--dialect {names}, or the comment '# netspec: dialect NAME' in the file"


def _is_foreign(message: LayerParameter, own: Spec) -> bool:
    """Whether a layer of one of Caffe's types may follow a fork's rule."""
    return (
        "netspec.schema.forks_pb2" in sys.modules  # else no field of a fork can be stated
        or own.evidence(message) is False
        or arity_fault(own, len(message.bottom), len(message.top)) is not None
    )


def batched_param(layer: LayerParameter) -> tuple[str, Any] | None:
    """The name and the message of a data layer's parameters.

    Returns None where it does not state them, or they have no batch_size.
    """
    spec = find_spec(layer.type)
    if spec is None or not (spec.is_source and spec.param):
        return None
    field: Any = find_field(layer.DESCRIPTOR, spec.param)
    if "batch_size" not in field.message_type.fields_by_name or not states(layer, field):
        return None
    return spec.param, value_of(layer, field)


def unknown_type(type_name: str) -> tuple[str, Hint | None]:
    """The message and the hint for a layer type that does not exist."""
    origin = origin_of_type(type_name)
    hint = Hint(f"{origin}; {AS_PLUGIN}") if origin else did_you_mean(type_name, all_specs())
    return f"there is no layer type '{type_name}'", hint


def arity_fault(spec: Spec, bottoms: int, tops: int) -> tuple[str, str] | None:
    """The field and the message where a layer has too few or too many bottoms or tops.

    Returns None where their number is right.
    """
    for field, count, (least, most) in (
        ("bottom", bottoms, spec.bottoms),
        ("top", tops, spec.tops),
    ):
        if count < least or (most is not None and count > most):
            wanted = (
                f"{least}"
                if least == most
                else f"at least {least}"
                if most is None
                else f"{least} to {most}"
            )
            return (
                field,
                (
                    f"of type {spec.type} takes {wanted} "
                    f"{field}{'' if wanted == '1' else 's'}, got {count}"
                ),
            )
    return None
