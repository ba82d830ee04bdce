"""Fields that a fork states once for the net and that mean a field of some of its layers."""

from __future__ import annotations

import sys

from netspec.passes.filter_state import Placed
from netspec.schema.caffe_pb2 import NetParameter
from netspec.schema.extensions import find_field, set_value
from netspec.schema.forks import stated

NET_FIELDS = frozenset({"bn_stats_batch_size"})


def pass_down(message: NetParameter, layers: Placed) -> None:
    """Gives a net's bn_stats_batch_size to the BatchNorm layers that state none of their own.

    Source: intel/caffe's ApplyBnStatsBatchSize.
    """
    if "netspec.schema.forks_pb2" not in sys.modules:
        return  # no field of a fork can be stated
    size = stated(message, "bn_stats_batch_size")
    for layer, _ in layers if size else ():
        own = layer.batch_norm_param
        if layer.type == "BatchNorm" and stated(own, "stats_batch_size") is None:
            set_value(own, find_field(own.DESCRIPTOR, "stats_batch_size"), size)
