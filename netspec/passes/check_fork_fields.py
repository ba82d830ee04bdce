"""What becomes of the fields that a fork adds to Caffe's own messages.

A field that only chooses an engine changes no number and is named once. One that a layer's rule
carries out is its own (Spec.takes). Any other would give other numbers than the fork's: it is
warned of, and the layer is not computed. A field of netspec's own that the layer's rule does not
carry out is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from netspec.diagnostics import ERROR, Diagnostic, Report
from netspec.graph import Layer, Net
from netspec.layers import all_specs, find_spec
from netspec.passes.pass_down import NET_FIELDS
from netspec.schema import caffe_pb2
from netspec.schema.forks import is_fork_field, is_own_field
from netspec.syntax.bind import Spans

# Fields that change no number: engines, precisions, threads, caches, what is shown on a screen.
_NO_EFFECT = frozenset(
    {
        "backward_math", "backward_type", "cache", "conv_algorithm", "conv_algos_override",
        "cudnn_convolution_algo_seeker", "cudnn_math_override", "dataset_share_per_node", "debug",
        "debug_params", "default_backward_math", "default_backward_type",
        "default_conv_algos_override", "default_cudnn_math_override", "default_forward_math",
        "default_forward_type", "display", "eltwise_mem_sharing", "engine", "forward_math",
        "forward_packing", "forward_type", "fp16_accumulation", "num_labels", "parser_threads",
        "precache", "reduce_buckets", "show_data", "threads", "use_gpu_transform", "visualize",
        "visualize_label",
    }
)  # fmt: skip
# Parameters that are not one layer type's: they change what the layers compute that state them.
OF_ANY_TYPE = frozenset({"quantization_param"})
_NO_EFFECT_KIND = "a fork's field without effect"


def check_fork_fields(
    message: caffe_pb2.NetParameter, spans: Spans, net: Net, report: Report
) -> None:
    """Sorts the forks' fields; what can't be carried out goes to the layers' `not_computed`."""
    if "netspec.schema.forks_pb2" not in sys.modules:
        return  # no field of a fork can be stated
    unused: dict[str, Any] = {}
    for field, _ in message.ListFields():
        if is_fork_field(field):
            if field.name in _NO_EFFECT:
                unused.setdefault(field.name, spans.at(field.name))
            elif field.name not in NET_FIELDS:
                report.warning(f"'{field.name}' has no effect in netspec", spans.at(field.name))
    for layer in net.layers:
        spec = find_spec(layer.spec_name)
        for path, field, value in _stated(layer.message):
            place = layer.spans.at(*path)
            if is_own_field(field):
                if spec is not None and field.name not in spec.takes:
                    _reject(layer, field, place, report)
            elif field.name in _NO_EFFECT:
                unused.setdefault(field.name, place)
            elif spec is not None and field.name not in spec.takes and _counts(field, value, path):
                _refuse(layer, field, place, report)
    if unused:
        names = ", ".join(f"'{name}'" for name in sorted(unused))
        place = next(iter(unused.values()))
        report.warning(
            f"{names}: chosen for speed in a fork, without effect in netspec",
            place,
            kind=_NO_EFFECT_KIND,
        )


def _stated(message: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[Any, Any, Any]]:
    """The forks' and netspec's own fields in a layer's message, each with its path and value.

    Fields in a message of theirs are not among them.
    """
    for field, value in message.ListFields():
        here = (*path, field.name)
        if is_fork_field(field) or is_own_field(field):
            yield here, field, value
        elif field.message_type is not None and field.name != "blobs":
            for i, each in enumerate(value) if field.is_repeated else [(0, value)]:
                yield from _stated(each, (*here, i) if field.is_repeated else here)


def _counts(field: Any, value: Any, path: tuple[str | int, ...]) -> bool:
    """Whether a stated field may change numbers.

    It can't where it states its default, or belongs to another type's parameters.
    """
    if len(path) == 1 and field.message_type is not None and field.name not in OF_ANY_TYPE:
        return False  # the parameters of a layer type: its spec reads them, any other ignores them
    if field.message_type is not None:
        return True
    return field.is_repeated or not field.has_default_value or value != field.default_value


def _refuse(layer: Layer, field: Any, place: Any, report: Report) -> None:
    message = f"{layer.label}: '{field.name}' is a fork's field that netspec does not carry out"
    layer.not_computed.append(Diagnostic(ERROR, message, place))
    report.warning(message, place, kind=f"'{field.name}' is not carried out")


def _reject(layer: Layer, field: Any, place: Any, report: Report) -> None:
    takers = sorted(spec.type for spec in all_specs().values() if field.name in spec.takes)
    report.error(
        f"{layer.label}: '{field.name}' has no place in a layer of type {layer.type}",
        place,
        f"layers of type {', '.join(takers)} take it",
    )
