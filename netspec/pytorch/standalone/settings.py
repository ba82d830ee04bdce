"""A parameter message in a file without protobuf."""

from __future__ import annotations

from types import SimpleNamespace


class Settings(SimpleNamespace):
    """A layer's fields: as the net's text states them, or their defaults."""

    def HasField(self, name: str) -> bool:  # noqa: N802
        return name in self.stated
