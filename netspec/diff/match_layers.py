"""Which layer of one file is which of another, whatever their order."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from difflib import SequenceMatcher
from itertools import takewhile

from netspec.diff.net_file import LayerOfFile

# By what layers of one name are matched, the closest first: a file may have a data layer for
# each phase under one name.
_LIKENESS: tuple[Callable[[LayerOfFile], Hashable], ...] = (
    lambda layer: (layer.rules, layer.type),
    lambda layer: layer.rules,
    lambda layer: layer.type,
    lambda layer: None,
)


def match_layers(old: list[LayerOfFile], new: list[LayerOfFile]) -> dict[LayerOfFile, LayerOfFile]:
    """The new layer of each old one that has one.

    Matched by name; then by type, among those that stand behind the same matched layer.
    """
    pairs = dict(_by_name(old, new))
    pairs.update(list(_by_place(old, new, pairs)))
    return pairs


def _by_name(
    old: list[LayerOfFile], new: list[LayerOfFile]
) -> Iterator[tuple[LayerOfFile, LayerOfFile]]:
    named = _grouped(new, lambda layer: layer.name)
    for name, ones in _grouped(old, lambda layer: layer.name).items():
        if not name:
            continue
        others = named.get(name, [])
        for likeness in _LIKENESS:
            groups = _grouped(others, likeness)
            found = {}
            for one in ones:
                if alike := groups.get(likeness(one)):
                    found[one] = alike.pop(0)
            yield from found.items()
            taken = set(found.values())
            ones = [one for one in ones if one not in found]
            others = [other for other in others if other not in taken]


def _by_place(
    old: list[LayerOfFile], new: list[LayerOfFile], pairs: dict[LayerOfFile, LayerOfFile]
) -> Iterator[tuple[LayerOfFile, LayerOfFile]]:
    """Pairs of layers that have no match yet, of one type and behind the same matched layer."""
    runs = _runs(new, set(pairs.values()))
    for before, ones in _runs(old, set(pairs)).items():
        others = runs.get(pairs[before] if before is not None else None, [])
        yield from _of_same_types(ones, others)


def _of_same_types(
    ones: list[LayerOfFile], others: list[LayerOfFile]
) -> Iterator[tuple[LayerOfFile, LayerOfFile]]:
    """Pairs of one type, in the order of both lists.

    What both begin and end with goes first: SequenceMatcher's time grows with the square of the
    rest, and a net may be another one with all of its layers renamed.
    """
    first = _common(zip(ones, others, strict=False))
    yield from zip(ones[:first], others[:first], strict=True)
    ones, others = ones[first:], others[first:]
    last = _common(zip(reversed(ones), reversed(others), strict=False))
    yield from zip(ones[len(ones) - last :], others[len(others) - last :], strict=True)
    ones, others = ones[: len(ones) - last], others[: len(others) - last]
    types, other_types = ([layer.type for layer in layers] for layers in (ones, others))
    matcher = SequenceMatcher(None, types, other_types, autojunk=False)
    for at, other_at, size in matcher.get_matching_blocks():
        yield from zip(ones[at : at + size], others[other_at : other_at + size], strict=True)


def _common(pairs: Iterable[tuple[LayerOfFile, LayerOfFile]]) -> int:
    """How many pairs there are before the first of two types."""
    return sum(1 for _ in takewhile(lambda pair: pair[0].type == pair[1].type, pairs))


def _runs(
    layers: list[LayerOfFile], matched: set[LayerOfFile]
) -> dict[LayerOfFile | None, list[LayerOfFile]]:
    """The layers without a match, by the last layer above them that has one."""
    runs: dict[LayerOfFile | None, list[LayerOfFile]] = {}
    before: LayerOfFile | None = None
    for layer in layers:
        if layer in matched:
            before = layer
        else:
            runs.setdefault(before, []).append(layer)
    return runs


def _grouped(
    layers: list[LayerOfFile], key: Callable[[LayerOfFile], Hashable]
) -> dict[Hashable, list[LayerOfFile]]:
    groups: dict[Hashable, list[LayerOfFile]] = {}
    for layer in layers:
        groups.setdefault(key(layer), []).append(layer)
    return groups
