"""What differs, for people: a line a field, a table of shapes and costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from netspec.cli.terminal import GREEN, RED, YELLOW
from netspec.diagnostics import counted
from netspec.diff.compare_costs import CostChange, PhaseCosts
from netspec.diff.compare_fields import FieldChange, Value
from netspec.diff.compare_nets import LayerChange, NetChanges
from netspec.diff.net_file import LayerOfFile
from netspec.graph import Shape, shape_text
from netspec.text_table import text_table

if TYPE_CHECKING:
    from netspec.diff.compare_weights import BlobName, WeightChanges

Paint = Callable[[str, str], str]
Row = tuple[str, ...]
_LONGEST = 60  # characters of a value


def net_text(changes: NetChanges, paint: Paint) -> str:
    """What differs between two nets."""
    parts: list[str] = []
    if changes.fields:
        parts.append(paint("~ net", YELLOW) + "\n" + fields_text(changes.fields, "    ", paint))
    parts += [paint(f"- {_layer(layer)}", RED) + "\n" for layer in changes.removed]
    parts += [paint(f"+ {_layer(layer)}", GREEN) + "\n" for layer in changes.added]
    for change in changes.changed:
        fields = fields_text(change.fields, "    ", paint)
        parts.append(paint(f"~ {_changed_layer(change)}", YELLOW) + "\n" + fields)
    if costs := _costs_text(changes):
        parts.append(("\n" if parts else "") + costs)
    return "".join(parts)


def fields_text(fields: Sequence[FieldChange], indent: str, paint: Paint) -> str:
    """A line a field: its values, and its lines in both files."""
    lines = []
    for field in fields:
        values = f"{paint(_value(field.old), RED)} → {paint(_value(field.new), GREEN)}"
        place = _lines(field.old_line, field.new_line)
        about = ", ".join(filter(None, [place, field.note]))
        lines.append(f"{indent}{field.path}: {values}" + (f"  ({about})" if about else ""))
    return "".join(f"{line}\n" for line in lines)


def _value(value: Value | None) -> str:
    if value is None:
        return "not given"
    return value.text if len(value.text) <= _LONGEST else value.text[:_LONGEST] + "…"


def _lines(old: int | None, new: int | None) -> str:
    if old is None and new is None:
        return ""
    return f"line {old or '-'} → {new or '-'}"


def _layer(layer: LayerOfFile) -> str:
    return f"{layer.name} ({layer.type}), line {layer.line or '-'}"


def _changed_layer(change: LayerChange) -> str:
    return f"{_names(change.old, change.new)} ({_types(change)}), " + _lines(
        change.old.line, change.new.line
    )


def _names(old: LayerOfFile, new: LayerOfFile) -> str:
    return new.name if old.name == new.name else f"{old.name} → {new.name}"


def _types(change: LayerChange) -> str:
    old, new = change.old.type, change.new.type
    return new if old == new else f"{old} → {new}"


def _costs_text(changes: NetChanges) -> str:
    shown = [change for change in changes.costs if not change.only_batch]
    rows = [row for change in shown for row in _cost_rows(change, len(changes.phases))]
    rows += [row for phase in changes.phases for row in _total_rows(phase)]
    table = _table([("layer", "", "old", "new"), *rows]) if rows else ""
    hidden = [change for change in changes.costs if change.only_batch]
    lines = [
        f"{phase.phase}: {counted(number, 'layer')} more of which only the batch differs, "
        f"{phase.batches[0]} → {phase.batches[1]}\n"
        for phase in changes.phases
        if (number := sum(phase.phase in change.phases for change in hidden))
    ]
    return table + "".join(lines)


def _cost_rows(change: CostChange, phases: int) -> Iterator[Row]:
    old, new = change.old_cost, change.new_cost
    name = _names(change.old, change.new)
    if len(change.phases) < phases:
        name += f", {' and '.join(change.phases)}"
    pairs = (
        ("output", _shapes(old.outputs), _shapes(new.outputs)),
        ("shapes of params", _shapes(old.params), _shapes(new.params)),
        ("params", f"{old.param_count:,}", f"{new.param_count:,}"),
        ("multiply-adds", f"{old.macs:,}", f"{new.macs:,}"),
    )
    for what, one, other in pairs:
        if one != other:
            yield name, what, one or "none", other or "none"
            name = ""


def _shapes(shapes: Iterable[Shape]) -> str:
    return ", ".join(map(shape_text, shapes))


def _total_rows(phase: PhaseCosts) -> Iterator[Row]:
    if not phase.differs or phase.old is None or phase.new is None:
        return
    name = f"total, {phase.phase}"
    for what, one, other in zip(("params", "multiply-adds"), phase.old, phase.new, strict=True):
        if one != other:
            yield name, what, f"{one:,}", f"{other:,}"
            name = ""


def weights_text(changes: WeightChanges, paint: Paint) -> str:
    """What differs between two files of weights."""
    lines = [paint(f"- {_blob(n)}, {shape_text(shape)}", RED) for n, shape in changes.removed]
    lines += [paint(f"+ {_blob(n)}, {shape_text(shape)}", GREEN) for n, shape in changes.added]
    for name, old, new in changes.reshaped:
        shapes = f"{paint(shape_text(old), RED)} → {paint(shape_text(new), GREEN)}"
        lines.append(f"{paint(f'~ {_blob(name)}', YELLOW)}: {shapes}")
    text = "".join(f"{line}\n" for line in lines)
    rows = [
        (
            _blob(change.name),
            shape_text(change.shape),
            f"{change.max_difference:.6g}",
            f"{change.mean_difference:.6g}",
            f"{change.differing:,}",
        )
        for change in changes.changed
    ]
    if rows:
        heads = ("param", "shape", "largest difference", "mean difference", "values that differ")
        text += ("\n" if text else "") + _table([heads, *rows])
    return text + f"\n{changes.equal:,} equal\n"


def _blob(name: BlobName) -> str:
    return f"{name.layer}[{name.index}]"


def _table(rows: Sequence[Row]) -> str:
    return "".join(f"{line}\n" for line in text_table(rows, ruled=False))
