"""The parameter messages that a layer type reads."""

from __future__ import annotations

import re
from typing import Any

from netspec.layers import all_specs
from netspec.schema import caffe_pb2
from netspec.schema.comments import schema_comments
from netspec.schema.extensions import find_field


def parameter_fields(type_name: str) -> list[Any]:
    """The fields of a layer that hold settings of a type.

    These are the fields whose comment in the schema names the type.
    """
    own = all_specs()[type_name]
    is_caffes = own.param in caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name
    if own.fields or (own.param and not is_caffes):
        return [find_field(caffe_pb2.LayerParameter.DESCRIPTOR, own.param)]
    comments = schema_comments()
    fields = [
        field
        for field in caffe_pb2.LayerParameter.DESCRIPTOR.fields
        if field.name.endswith("_param")
    ]
    found = [
        field
        for field in fields
        if re.search(rf"\b{own.type}\b", comments[f"LayerParameter.{field.name}"])
    ]
    # its own first
    return sorted(found, key=lambda field: field.name in ("transform_param", "loss_param"))
