"""The layer types: `find_spec(type)` gives what is known of one without torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from netspec.diagnostics import NetspecError, did_you_mean
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
from netspec.plugins import plugins
from netspec.schema.extensions import find_field, states, value_of

if TYPE_CHECKING:
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

SPECS: dict[str, Spec] = {spec.type: spec() for family in _FAMILIES for spec in family.SPECS}


def find_spec(type_name: str) -> Spec | None:
    """What is known of a layer type, netspec's own or a plugin's, or None.

    Raises: NetspecError for a plugin that fails.
    """
    return SPECS.get(type_name) or (_of_plugins().get(type_name) if type_name else None)


def all_specs() -> dict[str, Spec]:
    """Every layer type, those of plugins last. Raises: NetspecError for a plugin that fails."""
    return SPECS | _of_plugins()


def _of_plugins() -> dict[str, Spec]:
    found: dict[str, Spec] = {}
    for plugin in plugins():
        for spec in plugin.specs:
            if spec.type in SPECS or spec.type in found:
                raise NetspecError(
                    f"the plugin '{plugin.origin}' defines layer type '{spec.type}', which exists"
                )
            found[spec.type] = spec
    return found


def batched_param(layer: LayerParameter) -> tuple[str, Any] | None:
    """The name and the message of a data layer's parameters.

    Where it states them and they have a batch_size.
    """
    spec = find_spec(layer.type)
    if spec is None or not (spec.is_source and spec.param):
        return None
    field: Any = find_field(layer.DESCRIPTOR, spec.param)
    if "batch_size" not in field.message_type.fields_by_name or not states(layer, field):
        return None
    return spec.param, value_of(layer, field)


def unknown_type(type_name: str) -> tuple[str, str | None]:
    """The message and the hint for a layer type that does not exist."""
    return f"there is no layer type '{type_name}'", did_you_mean(type_name, all_specs())


def arity_fault(spec: Spec, bottoms: int, tops: int) -> tuple[str, str] | None:
    """The field and the message where a layer has too few or too many bottoms or tops.

    None where it has not.
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
