"""How `netspec weights` prints what a weight file holds: a text for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from netspec.diagnostics import counted
from netspec.graph import Net, Shape, shape_text
from netspec.text_table import text_table
from netspec.weights.match import LoadReport, Misfit
from netspec.weights.summary import BlobSummary, WeightsSummary

_HEADINGS = ("layer", "type", "shape", "values", "mean", "deviation", "zeros", "non-finite")
_LEFT = (0, 1, 2, 7)  # the columns that begin at one line; numbers end at one


@dataclass(frozen=True, slots=True)
class Against:
    """A net that the file was compared with, and what came of it."""

    net: Net
    report: LoadReport
    misfits: dict[str, Misfit]

    def is_convolution(self, name: str) -> bool:
        """Whether the net's layer of that name is one."""
        return any(layer.name == name and layer.type == "Convolution" for layer in self.net.layers)


def summary_text(summary: WeightsSummary, against: Against | None) -> str:
    """A table of the arrays, the totals, and what a net would load of them."""
    rows = [_HEADINGS, *_rows(summary)]
    lines = [*text_table(rows, _LEFT), "", _totals(summary)]
    if against is not None:
        lines += ["", *against_lines(against)]
    return "\n".join(lines) + "\n"


def _rows(summary: WeightsSummary) -> Iterator[tuple[str, ...]]:
    for layer in summary.layers:
        for i, blob in enumerate(layer.blobs):
            head = (layer.name, layer.type) if i == 0 else ("", "")
            yield (*head, *(_cells(blob) if blob else ("another layer's", *[""] * 5)))


def _cells(blob: BlobSummary) -> tuple[str, ...]:
    bad = [f"{n:,} {what}" for n, what in ((blob.nans, "NaN"), (blob.infs, "inf")) if n]
    return (
        shape_text(blob.shape),
        f"{blob.count:,}",
        "" if blob.mean is None else f"{blob.mean:.4g}",
        "" if blob.deviation is None else f"{blob.deviation:.4g}",
        f"{blob.zeros / blob.count:.1%}" if blob.count else "",
        ", ".join(bad),
    )


def _totals(summary: WeightsSummary) -> str:
    parts = [
        counted(len(summary.layers), "layer"),
        counted(len(summary.blobs), "blob"),
        f"{summary.count:,} value{'' if summary.count == 1 else 's'}",
        f"{sum(blob.zeros for blob in summary.blobs):,} of them zero",
    ]
    nans, infs = (sum(getattr(blob, name) for blob in summary.blobs) for name in ("nans", "infs"))
    bad = f", {nans:,} NaN, {infs:,} infinite" if nans or infs else ""
    return f"{summary.path}: {', '.join(parts)}{bad}"


def against_lines(against: Against) -> Iterator[str]:
    """What of the file a net takes, lacks, or has otherwise."""
    report, net = against.report, against.net
    yield f"against {net.path}, phase {net.phase}: {counted(len(report.loaded), 'layer')} loaded"
    for what, names in (("missing in the file", report.missing), ("unused", report.unused)):
        if names:
            yield f"  {what}: {', '.join(names)}"
    for name, misfit in against.misfits.items():
        yield f"  of another shape: {name}: {misfit}{_reshape(against, name, misfit)}"


def _reshape(against: Against, name: str, misfit: Misfit) -> str:
    if not misfit.is_reshape:
        return ""
    steps = ", ".join(
        f"{shape_text(theirs)} to {shape_text(ours)}" for _, ours, theirs in misfit.differing
    )
    how = f" (--convolve {name})" if against.is_convolution(name) else ""
    return f"; a reshape would do it: {steps}{how}"


def summary_json(summary: WeightsSummary, against: Against | None) -> str:
    """The same as one object."""
    about: dict[str, Any] = {
        "path": summary.path,
        "layers": [
            {
                "name": layer.name,
                "type": layer.type,
                "blobs": [None if blob is None else _blob_json(blob) for blob in layer.blobs],
            }
            for layer in summary.layers
        ],
        "count": summary.count,
        "zeros": sum(blob.zeros for blob in summary.blobs),
        "nans": sum(blob.nans for blob in summary.blobs),
        "infs": sum(blob.infs for blob in summary.blobs),
    }
    if against is not None:
        about["against"] = _against_json(against)
    return json.dumps(about, indent=1) + "\n"


def _blob_json(blob: BlobSummary) -> dict[str, Any]:
    return {
        "shape": list(blob.shape),
        "count": blob.count,
        "mean": blob.mean,
        "deviation": blob.deviation,
        "zeros": blob.zeros,
        "nans": blob.nans,
        "infs": blob.infs,
    }


def _against_json(against: Against) -> dict[str, Any]:
    def shapes(of: list[Shape] | list[Shape | None]) -> list[list[int] | None]:
        return [None if shape is None else list(shape) for shape in of]

    report = against.report
    return {
        "net": against.net.path,
        "phase": against.net.phase,
        "loaded": report.loaded,
        "missing": report.missing,
        "other_shape": {
            name: {
                "net": shapes(misfit.net),
                "file": shapes(misfit.file),
                "reshape": misfit.is_reshape,
            }
            for name, misfit in against.misfits.items()
        },
        "unused": report.unused,
    }
