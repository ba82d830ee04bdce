"""SSD's LabelMap files: the label of each name."""

from __future__ import annotations

from google.protobuf import text_format

from netspec.diagnostics import NetspecError
from netspec.read_file import MIB, read_file, unreadable
from netspec.schema.forks_pb2 import LabelMap

_HINT = 'an entry is item { name: "cat" label: 8 display_name: "cat" }'


def read_label_map(path: str) -> bytes:
    """The text of a label map. Raises: NetspecError where it can't be read."""
    try:
        return read_file(path, 16 * MIB, "a label map")
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None


def labels_of(text: bytes, path: str) -> tuple[dict[str, int], dict[int, str]]:
    """The label of each name, and the name to show of each label.

    Raises: NetspecError where it is no label map, or one comes twice.
    """
    message = LabelMap()
    try:
        text_format.Parse(text.decode(errors="replace"), message)
    except text_format.ParseError as error:
        raise NetspecError(f"'{path}' is no label map: {error}", hint=_HINT) from None
    label_of: dict[str, int] = {}
    shown: dict[int, str] = {}
    for item in message.item:
        if item.name in label_of or item.label in shown:
            raise NetspecError(f"'{path}' has the name '{item.name}' or label {item.label} twice")
        label_of[item.name] = item.label
        shown[item.label] = item.display_name or item.name
    return label_of, shown
