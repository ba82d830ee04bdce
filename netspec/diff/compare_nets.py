"""What differs between two nets: layers, fields, what reads what, shapes and costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from netspec.diff.compare_costs import CostChange, PhaseCosts, compare_costs
from netspec.diff.compare_fields import FieldChange, Value, compare_fields
from netspec.diff.match_layers import match_layers
from netspec.diff.net_file import PHASES, LayerOfFile, NetFile, Unknown, build_nets
from netspec.options import NetOptions


@dataclass(slots=True)
class LayerChange:
    """A layer of both files that they state differently."""

    old: LayerOfFile
    new: LayerOfFile
    fields: list[FieldChange]


@dataclass(slots=True)
class NetChanges:
    """What differs between two nets."""

    fields: list[FieldChange] = field(default_factory=list)  # of the net itself
    removed: list[LayerOfFile] = field(default_factory=list)
    added: list[LayerOfFile] = field(default_factory=list)
    changed: list[LayerChange] = field(default_factory=list)
    costs: list[CostChange] = field(default_factory=list)
    phases: list[PhaseCosts] = field(default_factory=list)

    def __bool__(self) -> bool:
        totals_differ = any(phase.differs for phase in self.phases)
        parts = (self.fields, self.removed, self.added, self.changed, self.costs)
        return any(parts) or totals_differ


def compare_nets(old: NetFile, new: NetFile, options: NetOptions) -> NetChanges:
    """What differs between two nets, the order of their layers aside.

    Shapes and costs are those of the phases for which either file is meant.
    """
    phases = [phase for phase in PHASES if phase in {*old.phases, *new.phases}]
    build_nets(old, phases, options)
    build_nets(new, phases, options)
    pairs = match_layers(old.layers, new.layers)
    matched = set(pairs.values())
    changes = NetChanges(
        fields=[
            *compare_fields(old.message, new.message, old.spans, new.spans, skip=("layer",)),
            *_compare_unknown(old.unknown, new.unknown),
        ],
        removed=[layer for layer in old.layers if layer not in pairs],
        added=[layer for layer in new.layers if layer not in matched],
    )
    reading = _Reading(old, new, pairs)
    for one, other in pairs.items():
        fields = compare_fields(one.message, other.message, one.place, other.place)
        fields += _compare_unknown(one.unknown, other.unknown)
        fields = [reading.explained(change, one, other) for change in fields]
        fields += reading.changes(one, other)
        if fields:
            changes.changed.append(LayerChange(one, other, fields))
    changes.costs, changes.phases = compare_costs(old, new, pairs, phases)
    return changes


def _compare_unknown(old: dict[str, Unknown], new: dict[str, Unknown]) -> Iterator[FieldChange]:
    for path in dict.fromkeys([*old, *new]):
        one, other = old.get(path), new.get(path)
        if (one and one.text) != (other and other.text):
            yield FieldChange(
                path,
                one and Value(one.text, one.text),
                other and Value(other.text, other.text),
                one and one.line,
                other and other.line,
                "a field that netspec does not know",
            )


class _Reading:
    """Which layers' values the bottoms are.

    A blob's name does not say: layers write over blobs in place, so that it matters which of them
    come before.
    """

    def __init__(self, old: NetFile, new: NetFile, pairs: dict[LayerOfFile, LayerOfFile]) -> None:
        self.pairs = pairs
        self.matched = set(pairs.values())
        self.by_place = {id(layer.place): layer for layer in (*old.layers, *new.layers)}

    def _makers(self, layer: LayerOfFile, phase: str) -> list[LayerOfFile | None]:
        """The layer that made each bottom; None where no layer did."""
        return [
            self.by_place.get(id(blob.producer.spans)) if blob.version >= 0 else None
            for blob in layer.layers[phase].bottom_blobs
        ]

    def _pairs_of_makers(
        self, old: LayerOfFile, new: LayerOfFile
    ) -> Iterator[tuple[list[LayerOfFile | None], list[LayerOfFile | None]]]:
        for phase in old.layers.keys() & new.layers.keys():
            yield self._makers(old, phase), self._makers(new, phase)

    def changes(self, old: LayerOfFile, new: LayerOfFile) -> list[FieldChange]:
        """The bottoms of one name in both files that other layers make, though these are in both.

        Where a layer was added or removed, that is reported already.
        """
        found: dict[str, FieldChange] = {}
        for makers, new_makers in self._pairs_of_makers(old, new):
            names = zip(old.message.bottom, new.message.bottom, makers, new_makers, strict=False)
            for i, (name, new_name, maker, new_maker) in enumerate(names):
                if name != new_name or maker not in self.pairs or new_maker not in self.matched:
                    continue
                if self.pairs[maker] is not new_maker:
                    found[f"bottom[{i}]"] = FieldChange(
                        f"bottom[{i}]",
                        _made_by(name, maker),
                        _made_by(name, new_maker),
                        old.line,
                        new.line,
                        "the blob of that name is another layer's there",
                    )
        return list(found.values())

    def explained(self, change: FieldChange, old: LayerOfFile, new: LayerOfFile) -> FieldChange:
        """A change of the bottoms' names with a note where they are the same layers' values."""
        if change.path != "bottom" or len(old.message.bottom) != len(new.message.bottom):
            return change
        makers = list(self._pairs_of_makers(old, new))
        is_same = makers and all(
            maker in self.pairs and self.pairs[maker] is new_maker
            for ones, others in makers
            for maker, new_maker in zip(ones, others, strict=True)
        )
        if not is_same:
            return change
        note = (
            "the same layer's values" if len(old.message.bottom) == 1 else "the same layers' values"
        )
        return FieldChange(
            change.path, change.old, change.new, change.old_line, change.new_line, note
        )


def _made_by(name: str, layer: LayerOfFile) -> Value:
    text = f"'{name}' of layer '{layer.name}'"
    return Value(text, text)
