"""How `netspec dataset info` shows what a database holds: a text for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from netspec.graph import shape_text
from netspec.making.database_info import DatabaseInfo, Fault, Range, Tally

_MAX_SHOWN = 10  # sizes, labels without records
_MAX_CLASSES = 20  # that are listed each


def info_text(info: DatabaseInfo, decoded: bool) -> str:
    """A line for each thing, and one for each broken part.

    Args: decoded: whether compressed images were decoded.
    """
    found = (
        f"{info.records:,} records"
        if not _lacks_records(info)
        else f"{info.records:,} of {info.expected:,} records could be read"
    )
    lines = [f"{info.path}: {info.kind}, {found}, {info.bytes_on_disk:,} bytes on disk"]
    if info.records:
        lines += [f"  {heading:<7} {text}" for heading, text in _rows(info)]
    if info.whole:
        has_images = set(info.kinds) - set(info.values)
        return (
            "\n".join(
                [
                    *lines,
                    "  no broken records"
                    + ("; images were not decoded" if has_images and not decoded else ""),
                ]
            )
            + "\n"
        )
    lines.append(f"  broken  {info.fault_count:,}:")
    lines += [f"    {_fault_text(fault)}" for fault in info.faults]
    if info.fault_count > len(info.faults):
        lines.append(f"    … and {info.fault_count - len(info.faults):,} more")
    return "\n".join(lines) + "\n"


def info_json(info: DatabaseInfo) -> str:
    """The same and all sizes and labels, as one object."""
    labels = {
        "min": info.label_range.smallest,
        "max": info.label_range.largest,
        "classes": len(info.labels),
        "others": info.labels.others,
    }
    about = {
        "path": info.path,
        "kind": info.kind,
        "whole": info.whole,
        "records": info.records,
        "records_by_header": info.expected,
        "bytes_on_disk": info.bytes_on_disk,
        "first_key": info.first_key,
        "last_key": info.last_key,
        "bytes": info.value_bytes,
        "mean_bytes": info.value_bytes / info.records if info.records else None,
        "kinds": dict(info.kinds),
        "sizes": [
            {"shape": list(shape), "count": count} for shape, count in info.sizes.most_common()
        ],
        "sizes_others": info.sizes.others,
        "labels": {
            **labels,
            "counts": {str(label): info.labels[label] for label in sorted(info.labels)},
        },
        "annotated": {
            "images": info.annotated,
            "boxes": info.boxes,
            "difficult": info.difficult,
        },
        "values": {
            kind: {"min": seen.smallest, "max": seen.largest} for kind, seen in info.values.items()
        },
        "broken": {
            "count": info.fault_count,
            "first": [
                {"record": fault.record, "key": fault.key, "reason": fault.reason}
                for fault in info.faults
            ],
        },
    }
    return json.dumps(about, indent=1) + "\n"


def _rows(info: DatabaseInfo) -> Iterator[tuple[str, str]]:
    yield "keys", f"'{info.first_key}' … '{info.last_key}'"
    yield (
        "bytes",
        f"{info.value_bytes:,} in the records, {info.value_bytes / info.records:,.0f} on average",
    )
    if info.kinds:
        yield "kinds", ", ".join(f"{kind}: {count:,}" for kind, count in info.kinds.most_common())
        yield "sizes", f"{_sizes(info.sizes)} (C×H×W)"
        if info.annotated:
            yield "boxes", _boxes(info)
        if info.labels:
            first, *more = _labels(
                info.labels, info.label_range, "boxes" if info.annotated else "records"
            )
            yield "labels", first
            yield from (("", row) for row in more)
    for kind, seen in info.values.items():
        yield "values", f"{_range(seen)} ({kind})"


def _sizes(sizes: Tally) -> str:
    shown = [f"{shape_text(shape)}: {count:,}" for shape, count in sizes.most_common(_MAX_SHOWN)]
    rest = len(sizes) - len(shown)
    if rest or sizes.others:
        shown.append(f"… and {'more than ' if sizes.others else ''}{rest:,} other sizes")
    return ", ".join(shown)


def _boxes(info: DatabaseInfo) -> str:
    mean = info.boxes / info.annotated
    difficult = f", {info.difficult:,} of them difficult" if info.difficult else ""
    return f"{info.boxes:,} on {info.annotated:,} annotated images, {mean:.1f} each{difficult}"


def _labels(labels: Tally, seen: Range, unit: str) -> Iterator[str]:
    if labels.others:
        yield f"{_range(seen)}, more than {len(labels):,} different ones"
        return
    fewest, most = (
        min(labels, key=lambda label: (labels[label], label)),
        min(labels, key=lambda label: (-labels[label], label)),
    )
    yield f"{_range(seen)}, {len(labels):,} " + ("class" if len(labels) == 1 else "classes")
    if 1 < len(labels) <= _MAX_CLASSES:
        yield ", ".join(f"{label}: {labels[label]:,}" for label in sorted(labels))
    elif labels[fewest] == labels[most]:
        yield f"{labels[most]:,} {unit} each"
    else:
        yield f"{labels[fewest]:,} (label {fewest}) to {labels[most]:,} (label {most}) {unit} each"
    missing = (
        [label for label in range(min(labels), max(labels)) if label not in labels]
        if max(labels) - min(labels) < 2 * len(labels)
        else []
    )
    if missing:
        yield f"no {'box' if unit == 'boxes' else 'record'} has {_cut(missing)}"


def _cut(numbers: list[int]) -> str:
    shown: Iterable[str] = map(str, numbers[:_MAX_SHOWN])
    return ", ".join(shown) + (
        f", … ({len(numbers):,} in all)" if len(numbers) > _MAX_SHOWN else ""
    )


def _range(seen: Range) -> str:
    return (
        f"{seen.smallest:,g} … {seen.largest:,g}"
        if seen.smallest != seen.largest
        else f"{seen.smallest:,g}"
    )


def _fault_text(fault: Fault) -> str:
    if fault.key is None:
        return fault.reason
    return (
        f"record {fault.record} ('{fault.key}'): {fault.reason}"
        if fault.record is not None
        else f"record '{fault.key}': {fault.reason}"
    )


def _lacks_records(info: DatabaseInfo) -> bool:
    return info.expected is not None and info.records < info.expected
