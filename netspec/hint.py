"""How to fix a fault: a hint, and the nearest of the words that may have been meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

_MAX_CANDIDATES = 5000  # names that are looked through: of a net's blobs, the last ones


@dataclass(frozen=True, slots=True)
class Hint:
    """How to fix a fault: a text, and the names that it suggests for the word at fault."""

    text: str
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text


def as_hint(hint: Hint | str | None) -> Hint | None:
    """A hint as it is, a text as a hint that suggests no names; None for an empty text."""
    if isinstance(hint, str):
        return Hint(hint) if hint else None
    return hint


def did_you_mean(word: str, candidates: Iterable[str]) -> Hint | None:
    """A hint that suggests the nearest of the candidates, or None where none is near."""
    near = nearest(word, candidates)
    return None if near is None else suggest(near)


def suggest(name: str) -> Hint:
    """A hint that suggests this name."""
    return Hint(f"did you mean '{name}'?", (name,))


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that may have been meant, or None where none is near."""
    from difflib import get_close_matches  # only a net with a fault pays for it

    names = list(candidates)[-_MAX_CANDIDATES:]
    folded = {name.lower(): name for name in names}
    if word.lower() in folded:
        return folded[word.lower()]
    # an abbreviation, or a word with letters left out, means the shortest name that it can be
    full = [
        name
        for name in folded
        if len(word) > 2
        and name[:1] == word[:1].lower()
        and _leaves_letters_out(word.lower(), name)
    ]
    if full:
        return folded[min(full, key=len)]
    near = get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    if near:
        return folded[near[0]]
    # slope for negative_slope
    longer = [name for name in folded if len(word) > 2 and word.lower() in name.split("_")]
    return folded[longer[0]] if len(longer) == 1 else None


def _leaves_letters_out(word: str, name: str) -> bool:
    letters = iter(name)
    return all(letter in letters for letter in word)
