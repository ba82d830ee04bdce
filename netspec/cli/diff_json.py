"""What differs, for programs."""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite
from typing import TYPE_CHECKING, Any

from netspec.diff.compare_costs import Cost
from netspec.diff.compare_fields import FieldChange
from netspec.diff.compare_nets import NetChanges
from netspec.diff.net_file import LayerOfFile

if TYPE_CHECKING:
    from netspec.diff.compare_weights import BlobName, WeightChanges

Json = dict[str, Any]


def net_json(changes: NetChanges) -> Json:
    """What differs between two nets."""
    return {
        "kind": "nets",
        "fields": fields_json(changes.fields),
        "removed": [_layer(layer) for layer in changes.removed],
        "added": [_layer(layer) for layer in changes.added],
        "changed": [
            {
                "old": _layer(change.old),
                "new": _layer(change.new),
                "fields": fields_json(change.fields),
            }
            for change in changes.changed
        ],
        "costs": [
            {
                "old_name": change.old.name,
                "new_name": change.new.name,
                "phases": change.phases,
                "only_batch": change.only_batch,
                "old": _cost(change.old_cost),
                "new": _cost(change.new_cost),
            }
            for change in changes.costs
        ],
        "phases": [
            {
                "phase": each.phase,
                "old_batch": each.batches[0],
                "new_batch": each.batches[1],
                "old": _total(each.old),
                "new": _total(each.new),
                "not_compared": each.not_compared,
            }
            for each in changes.phases
        ],
    }


def fields_json(fields: Iterable[FieldChange]) -> list[Json]:
    """A field an item; null where a file does not give it."""
    return [
        {
            "field": field.path,
            "old": field.old.json if field.old else None,
            "new": field.new.json if field.new else None,
            "old_line": field.old_line,
            "new_line": field.new_line,
            "note": field.note,
        }
        for field in fields
    ]


def _layer(layer: LayerOfFile) -> Json:
    return {"name": layer.name, "type": layer.type, "line": layer.line}


def _cost(cost: Cost) -> Json:
    return {
        "outputs": cost.outputs,
        "params": cost.params,
        "param_count": cost.param_count,
        "macs": cost.macs,
    }


def _total(total: tuple[int, int] | None) -> Json | None:
    return {"param_count": total[0], "macs": total[1]} if total else None


def weights_json(changes: WeightChanges) -> Json:
    """What differs between two files of weights."""
    return {
        "kind": "weights",
        "removed": [{**_blob(name), "shape": shape} for name, shape in changes.removed],
        "added": [{**_blob(name), "shape": shape} for name, shape in changes.added],
        "reshaped": [
            {**_blob(name), "old_shape": old, "new_shape": new}
            for name, old, new in changes.reshaped
        ],
        "changed": [
            {
                **_blob(change.name),
                "shape": change.shape,
                "max_difference": _number(change.max_difference),
                "mean_difference": _number(change.mean_difference),
                "differing": change.differing,
            }
            for change in changes.changed
        ],
        "equal": changes.equal,
    }


def _blob(name: BlobName) -> Json:
    return {"layer": name.layer, "index": name.index}


def _number(value: float) -> float | str:
    """JSON has no word for inf and nan."""
    return value if isfinite(value) else str(value)
