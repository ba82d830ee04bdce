"""Shapes, params and multiply-adds that differ between two nets."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.diff.net_file import LayerOfFile, NetFile
from netspec.graph import Layer, Net, Shape


@dataclass(frozen=True, slots=True)
class Cost:
    """What a layer makes and takes; multiply-adds of one forward pass over the whole batch."""

    outputs: tuple[Shape, ...]
    params: tuple[Shape, ...]
    param_count: int
    macs: int

    def of_batch(self, old: int, new: int) -> Cost | None:
        """The cost for batches of another size; None where the outputs do not go by that."""
        if any(not shape or shape[0] != old for shape in self.outputs) or self.macs % old:
            return None
        outputs = tuple((new, *shape[1:]) for shape in self.outputs)
        return Cost(outputs, self.params, self.param_count, self.macs // old * new)


@dataclass(slots=True)
class CostChange:
    """A layer of both nets whose shapes or costs differ, in these phases."""

    old: LayerOfFile
    new: LayerOfFile
    old_cost: Cost
    new_cost: Cost
    phases: list[str]
    only_batch: bool  # the size of the batch is all that differs


@dataclass(slots=True)
class PhaseCosts:
    """A phase's totals; None where a shape is not known."""

    phase: str
    batches: tuple[int | None, int | None]  # the sizes of the old and the new net's
    old: tuple[int, int] | None  # params, multiply-adds
    new: tuple[int, int] | None
    not_compared: int  # layers of which either shape is not known

    @property
    def differs(self) -> bool:
        return self.old is not None and self.new is not None and self.old != self.new


def compare_costs(
    old: NetFile, new: NetFile, pairs: dict[LayerOfFile, LayerOfFile], phases: list[str]
) -> tuple[list[CostChange], list[PhaseCosts]]:
    """What differs, layer by layer, and the totals of each phase."""
    changes: list[CostChange] = []
    not_compared = dict.fromkeys(phases, 0)
    batches = {phase: (old.nets[phase].batch_size, new.nets[phase].batch_size) for phase in phases}
    for one, other in pairs.items():
        found: dict[tuple[Cost, Cost, bool], list[str]] = {}
        for phase in phases:
            if phase not in one.layers or phase not in other.layers:
                continue
            costs = _cost(one.layers[phase]), _cost(other.layers[phase])
            if costs[0] is None or costs[1] is None:
                not_compared[phase] += 1
            elif costs[0] != costs[1]:
                only_batch = _is_only_batch(costs[0], costs[1], batches[phase])
                found.setdefault((costs[0], costs[1], only_batch), []).append(phase)
        changes += [
            CostChange(one, other, old_cost, new_cost, named, only_batch)
            for (old_cost, new_cost, only_batch), named in found.items()
        ]
    totals = [
        PhaseCosts(
            phase,
            batches[phase],
            _total(old.nets[phase]),
            _total(new.nets[phase]),
            not_compared[phase],
        )
        for phase in phases
    ]
    return changes, totals


def _is_only_batch(old: Cost, new: Cost, batches: tuple[int | None, int | None]) -> bool:
    before, after = batches
    return bool(before and after and old.of_batch(before, after) == new)


def _cost(layer: Layer) -> Cost | None:
    """A layer's cost; None where a shape that it follows from is not known."""
    if any(blob.shape is None for blob in layer.bottom_blobs):
        return None
    outputs = [blob.shape for blob in layer.top_blobs if blob.shape is not None]
    if len(outputs) < len(layer.top_blobs):
        return None
    params = [param.shape for param in layer.params]
    count = sum(param.count for param in layer.params)
    return Cost(tuple(outputs), tuple(params), count, layer.macs)


def _total(net: Net) -> tuple[int, int] | None:
    if any(_cost(layer) is None for layer in net.layers):
        return None
    return net.param_count, sum(layer.macs for layer in net.layers)
