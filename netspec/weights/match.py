"""Which layers of a net a weight file has, by name, and which arrays fit their params.

Source: Caffe's Net::CopyTrainedLayersFrom.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import prod

from netspec.diagnostics import NetspecError, counted
from netspec.graph import Net, Shape, shape_text
from netspec.layers.blobs import same_shape
from netspec.weights.fork_blobs import FROM_FILE, Arrays


@dataclass(frozen=True, slots=True)
class Wanted:
    """A layer of a net whose params may be in a file.

    Args:
        shapes: those of its params in Caffe's order.
        borrowed: for each of them whether it is that of an earlier layer.
        from_file: makes a file's arrays those of the layer, where other files have others.
    """

    name: str
    shapes: list[Shape]
    borrowed: list[bool]
    from_file: Callable[[Arrays], Arrays] | None = None


@dataclass(frozen=True, slots=True)
class Misfit:
    """The params of a layer that a file has otherwise: their shapes in the net and in the file."""

    net: list[Shape]
    file: list[Shape | None]

    def __str__(self) -> str:
        if len(self.net) != len(self.file):
            return f"the net has {counted(len(self.net), 'param')}, the file {len(self.file)}"
        i, ours, theirs = self.differing[0]
        return f"param {i} is {shape_text(ours)} in the net, {shape_text(theirs)} in the file"

    @property
    def differing(self) -> list[tuple[int, Shape, Shape]]:
        """The index of each param of another shape, its shape in the net and in the file."""
        if len(self.net) != len(self.file):
            return []
        return [
            (i, ours, theirs)
            for i, (ours, theirs) in enumerate(zip(self.net, self.file, strict=True))
            if theirs is not None and not same_shape(ours, theirs)
        ]

    @property
    def is_reshape(self) -> bool:
        """Whether the file has as many values as the net, so that a reshape would do."""
        return bool(self.differing) and all(
            prod(ours) == prod(theirs) for _, ours, theirs in self.differing
        )


@dataclass(slots=True)
class LoadReport:
    """What became of each layer.

    Layer names, and for another shape what the net and the file hold.
    """

    path: str
    loaded: list[str] = field(default_factory=list)
    # layers of the net that the file lacks; they keep their values
    missing: list[str] = field(default_factory=list)
    # layer → what differs; left as they were
    mismatched: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)  # layers of the file that the net lacks
    # all layers of the file, as it names them
    names: list[str] = field(default_factory=list, repr=False)

    def __str__(self) -> str:
        lines = [f"{self.path}: {counted(len(self.loaded), 'layer')} loaded"]
        if self.missing:
            lines.append(f"  not in the file, kept as they were: {', '.join(self.missing)}")
        if self.unused:
            lines.append(f"  not in the net, left out: {', '.join(self.unused)}")
        lines += [
            f"  of another shape, left out: {name}: {why}" for name, why in self.mismatched.items()
        ]
        return "\n".join(lines)

    def raise_mismatches(self) -> LoadReport:
        """Raises NetspecError where a layer has another shape, or no layer was found.

        Training on would lose its weights unnoticed.
        """
        if self.missing and not self.loaded and not self.mismatched:
            theirs, ours = (
                ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
                for names in (self.unused, self.missing)
            )
            message = (
                f"'{self.path}' has weights for no layer of the net: "
                f"it has {theirs or 'none'}, the net {ours}"
            )
            raise NetspecError(
                message, None, "layers are matched by name; is it the file of another net?"
            )
        if self.mismatched:
            faults = "; ".join(f"layer '{name}': {why}" for name, why in self.mismatched.items())
            hint = "to train a layer from scratch give it another name in the net"
            raise NetspecError(f"'{self.path}' does not fit the net: {faults}", None, hint)
        return self


def match(
    path: str, wanted: Iterable[Wanted], weights: Mapping[str, Arrays]
) -> tuple[LoadReport, dict[int, Arrays], dict[str, Misfit]]:
    """What a file has for a net's layers: the report, the arrays, and what does not fit.

    The arrays stand by the index of the layer in `wanted`.
    """
    report, found, misfits = LoadReport(path), {}, {}
    names = set()
    for i, layer in enumerate(wanted):
        if layer.shapes:
            names.add(layer.name)
        arrays = weights.get(layer.name, [])
        if layer.from_file is not None and arrays:
            arrays = layer.from_file(arrays)
        if all(layer.borrowed[len(arrays) :]):  # the owner brings them, as in Caffe's HDF5 files
            arrays = [*arrays, *[None] * (len(layer.shapes) - len(arrays))]
        elif layer.name not in weights:
            report.missing.append(layer.name)
        if not layer.shapes or not arrays:
            continue
        misfit = Misfit(layer.shapes, [None if a is None else a.shape for a in arrays])
        if misfit.differing or len(misfit.net) != len(misfit.file):
            misfits[layer.name] = misfit
            continue
        found[i] = arrays
        report.loaded.append(layer.name)
    report.mismatched = {name: str(misfit) for name, misfit in misfits.items()}
    report.unused = [name for name in weights if name not in names]
    return report, found, misfits


def wanted_by(net: Net) -> list[Wanted]:
    """The layers of a net with params. Raises: NetspecError where two of them share a name."""
    layers = []
    for layer in net.layers:
        rule = FROM_FILE.get(layer.spec_name)
        layers.append(
            Wanted(
                layer.name,
                [tuple(param.shape) for param in layer.params],
                [param.owner is not None for param in layer.params],
                None if rule is None else partial(rule, own=len(layer.params)),
            )
        )
    require_names(layers)
    return layers


def require_names(layers: Iterable[Wanted]) -> None:
    """Raises NetspecError where two layers with params share a name."""
    counts = Counter(layer.name for layer in layers if layer.shapes)
    twice = next((name for name, count in counts.items() if count > 1), None)
    if twice is not None:
        who = f"are named '{twice}'" if twice else "have no name"
        raise NetspecError(
            f"weights are matched by layer name, but two layers with params {who}",
            None,
            "give each layer a name of its own",
        )
