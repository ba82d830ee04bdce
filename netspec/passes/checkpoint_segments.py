"""Which runs of layers to compute again in the backward pass, so that it needs the least memory.

Of such a segment only its inputs stay from the forward pass. Source: Chen et al., Training Deep
Nets with Sublinear Memory Cost (2016), with the segments chosen by the bytes that stay.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import accumulate, pairwise
from typing import NamedTuple

from netspec.graph import Layer, Net
from netspec.layers import find_spec, is_source
from netspec.passes.training_memory import TrainingMemory

MOST_UNITS = 200  # what the search compares grows with their square
PRECISION = 0.01  # of the peak that is looked for


_Sizes = dict[object, int]  # of memories, in bytes


class _Part(NamedTuple):
    """What a unit does: the memories that it reads first, makes and keeps, and its own peak."""

    read: _Sizes
    made: _Sizes
    kept: _Sizes
    beside: int  # gradients and scratch, beside what is kept


class _Run(NamedTuple):
    """Some units in a row, in bytes: what stays of them, and the most while they go backward."""

    stays: int
    peak: int


class _Segment(NamedTuple):
    begin: int  # units
    end: int
    is_repeated: bool


def checkpoint_segments(
    net: Net, outside: Collection[Layer] = (), value_bytes: int = 4
) -> list[range]:
    """Ranges of the net's layers, each to be computed again; the other layers keep their values.

    The peak of the backward pass is the least that the search finds, and what it has room for is
    not computed again. A layer that writes in place stays with the layer before it.

    Args:
        net: with every shape known.
        outside: layers that can't be computed twice, beside those that run code or write files.
        value_bytes: of a value.
    """
    if not net.loss_weights:
        return []
    search = _Search(net, set(outside), value_bytes)
    return [
        range(search.units[begin].start, search.units[end - 1].stop)
        for begin, end, is_repeated in search.found()
        if is_repeated
    ]


def checkpointed(net: Net, value_bytes: int = 4) -> tuple[int, int]:
    """With the segments computed again, what stays for the backward pass, and its peak, in bytes.

    The params, their history and the data are in neither.
    """
    search = _Search(net, set(), value_bytes)
    segments = search.found()
    return sum(search.run(each).stays for each in segments), search.peak(segments)


def acts(layer: Layer) -> bool:
    """Whether a layer's pass does something beside giving its tops, as far as is known of it."""
    spec = find_spec(layer.spec_name)
    return spec is None or spec.has_side_effects or not spec.is_repeatable


class _Search:
    """Units are layers that stay together."""

    def __init__(self, net: Net, outside: set[Layer], value_bytes: int) -> None:
        self.layers, self.value_bytes = net.layers, value_bytes
        self.memory = TrainingMemory(net, value_bytes, 0)
        self.units = _units(net, self.memory)
        outside = outside | {layer for layer in net.layers if acts(layer)}
        self.is_fixed = [any(net.layers[i] in outside for i in unit) for unit in self.units]
        # of the params' gradients, those that are there when the pass has come to a layer
        self.gradients = [0] * (len(net.layers) + 1)
        for i in reversed(range(len(net.layers))):
            own = self.memory.gradients_of.get(net.layers[i], 0)
            self.gradients[i] = self.gradients[i + 1] + own
        self.waiting = _waiting(net, self.memory, value_bytes)
        self.kept: list[list[_Run]] = []  # by the first unit, and how many more
        self.repeated: list[list[_Run]] = []
        parts = [self._part(unit) for unit in self.units]
        for begin in range(len(parts)):
            self._add_runs(begin, parts)

    def _part(self, unit: range) -> _Part:
        read, made, kept = _Sizes(), _Sizes(), _Sizes()
        beside = 0
        for i in unit:
            layer = self.layers[i]
            bottoms = [self.memory.memories[blob] for blob in layer.bottom_blobs]
            read |= {memory: memory.bytes for memory in bottoms if memory not in made}
            if not is_source(layer):  # the data are an input of every segment that reads them
                made |= {self.memory.memories[blob]: 0 for blob in layer.top_blobs}
            kept |= {memory: memory.bytes for memory in self.memory.kept_of.get(layer, ())}
            own = self.memory.working(layer) + self.waiting[i] + self.gradients[i]
            beside = max(beside, own)
        return _Part(read, made, kept, beside)

    def _add_runs(self, begin: int, parts: list[_Part]) -> None:
        """The runs from a unit on, by their ends."""
        made, inputs, kept = set[object](), set[object](), set[object]()
        input_bytes = kept_bytes = both_bytes = 0
        peaks = [0, 0]
        plain, repeated = list[_Run](), list[_Run]()
        can_repeat = True
        for part, is_fixed in zip(parts[begin:], self.is_fixed[begin:], strict=True):
            can_repeat &= not is_fixed
            for memory, size in part.read.items():
                if memory not in made and memory not in inputs:
                    inputs.add(memory)
                    input_bytes += size
                    both_bytes += 0 if memory in kept else size
            for memory, size in part.kept.items():
                if memory not in kept:
                    kept.add(memory)
                    kept_bytes += size
                    both_bytes += 0 if memory in inputs else size
            made |= part.made.keys()
            peaks[0] = max(peaks[0], kept_bytes + part.beside)
            peaks[1] = max(peaks[1], both_bytes + part.beside)
            plain.append(_Run(kept_bytes, peaks[0]))
            if can_repeat:
                repeated.append(_Run(input_bytes, peaks[1]))
        self.kept.append(plain)
        self.repeated.append(repeated)

    def found(self) -> list[_Segment]:
        """The segments of the least peak."""
        if not self.units:
            return []
        high = self.kept[0][-1].peak
        low, best = self.gradients[0], [_Segment(0, len(self.units), False)]
        while high - low > PRECISION * high:
            middle = (low + high) // 2
            segments = self._within(middle)
            if segments is None:
                low = middle
            else:
                high, best = middle, segments
        return self._without_needless(best, high)

    def _within(self, bound: int) -> list[_Segment] | None:
        """Segments whose peak is no more; None where there are none.

        Of what comes before a unit the least stays: whatever follows has most room then.
        """
        count = len(self.units)
        least: list[tuple[int, _Segment | None] | None] = [None] * (count + 1)
        least[0] = (0, None)
        for begin in range(count):
            reached = least[begin]
            if reached is None:
                continue
            for is_repeated, runs in ((False, self.kept[begin]), (True, self.repeated[begin])):
                for end, run in enumerate(runs, begin + 1):
                    if reached[0] + run.peak > bound:
                        break  # further ones take more
                    stays, there = reached[0] + run.stays, least[end]
                    if there is None or stays < there[0]:
                        least[end] = (stays, _Segment(begin, end, is_repeated))
        segments: list[_Segment] = []
        end = count
        while end:
            reached = least[end]
            if reached is None or reached[1] is None:
                return None
            segments.insert(0, reached[1])
            end = reached[1].begin
        return segments

    def run(self, segment: _Segment) -> _Run:
        """What a segment takes."""
        runs = self.repeated if segment.is_repeated else self.kept
        return runs[segment.begin][segment.end - segment.begin - 1]

    def peak(self, segments: list[_Segment]) -> int:
        """The most that is there at one time."""
        stays = peak = 0
        for segment in segments:
            run = self.run(segment)
            peak = max(peak, stays + run.peak)
            stays += run.stays
        return peak

    def _without_needless(self, segments: list[_Segment], bound: int) -> list[_Segment]:
        """The same with what the peak has room for kept, the most to compute first."""

        def work(index: int) -> int:
            units = self.units[segments[index].begin : segments[index].end]
            return sum(self.layers[i].macs for unit in units for i in unit)

        segments = list(segments)
        for index in sorted(range(len(segments)), key=work, reverse=True):
            changed = list(segments)
            changed[index] = changed[index]._replace(is_repeated=False)
            if self.peak(changed) <= bound:
                segments = changed
        return segments


def _units(net: Net, memory: TrainingMemory) -> list[range]:
    """The layers in units: no cut lies between a layer and one that writes over its top.

    Nor between two that are computed as one, or in the other order.
    """
    place = {layer: i for i, layer in enumerate(net.layers)}
    is_cut = [True] * (len(net.layers) + 1)
    earlier = {**memory.scaled, **memory.pooled}
    for layer, end in place.items():
        in_place = bool(set(layer.tops) & set(layer.bottoms))
        before = [earlier[layer]] if layer in earlier else []
        before += [blob.producer for blob in layer.bottom_blobs] if in_place else []
        if before:
            begin = min(place[other] for other in before)
            is_cut[begin + 1 : end + 1] = [False] * (end - begin)
    cuts = [i for i, cut in enumerate(is_cut) if cut]
    if len(cuts) > MOST_UNITS:
        crossing = _crossing(net, memory, place)
        width = -(-len(cuts) // MOST_UNITS)
        inner = cuts[1:-1]
        groups = [inner[i : i + width] for i in range(0, len(inner), width)]
        cuts = [0, *(min(group, key=lambda i: crossing[i]) for group in groups), cuts[-1]]
    return [range(begin, end) for begin, end in pairwise(cuts)]


def _waiting(net: Net, memory: TrainingMemory, value_bytes: int) -> list[int]:
    """While a layer goes backward, the gradients of other branches that wait below it, in bytes."""
    place = {layer: i for i, layer in enumerate(net.layers)}
    change = [0] * (len(net.layers) + 1)
    for layer, begin in place.items():
        for blob in layer.top_blobs:
            ends = [
                place[other] for other, i in blob.consumers if (other, i) in memory.plan.passing
            ]
            if ends and max(ends) > begin:
                change[begin + 1] += blob.count * value_bytes
                change[max(ends)] -= blob.count * value_bytes
    return list(accumulate(change))


def _crossing(net: Net, memory: TrainingMemory, place: dict[Layer, int]) -> list[int]:
    """The bytes that are made before each layer and read by it or later."""
    ends: dict[object, tuple[int, int, int]] = {}
    for layer, i in place.items():
        for blob in (*layer.bottom_blobs, *layer.top_blobs):
            held = memory.memories[blob]
            ends[held] = (ends.get(held, (i, 0, 0))[0], i, held.bytes)
    change = [0] * (len(net.layers) + 2)
    for first, last, size in ends.values():
        change[first + 1] += size
        change[last + 1] -= size
    return list(accumulate(change))
