"""What a text is that is no net and no solver.

It may be a list of labels, a label map, or another of Caffe's messages.
"""

from __future__ import annotations

import re

from netspec.schema.caffe_pb2 import BlobProto

_LINE_OF_LIST = r"(\S+)\s+-?\d+(?:\s+-?\d+)*"  # an image's path and its labels
_LEAST_LINES = 2
_LOOKED_AT = 200  # lines
_BLOCK_OR_FIELD = r"(?m)[{}]|^\s*\w+\s*:"
_WINDOW_LIST = r"#\s*\d+\s*\n\S"

_BLOB = frozenset(BlobProto.DESCRIPTOR.fields_by_name)
# Messages that stand in files of their own: the fields that show one, those that it may have (None:
# any), what it is, and a hint.
_MESSAGES: tuple[tuple[frozenset[str], frozenset[str] | None, str, str | None], ...] = (
    (frozenset({"item"}), frozenset({"item"}), "a label map", None),
    (
        frozenset({"data"}),
        _BLOB,
        "a blob, such as a mean file",
        "Caffe reads mean files in binary form; transform_param { mean_file: … } names one",
    ),
    (
        frozenset({"iter", "current_step"}),
        frozenset({"iter", "learned_net", "history", "current_step"}),
        "a solverstate as text",
        None,
    ),
    (frozenset({"type", "top"}), None, "a single layer", "put it inside 'layer { … }'"),
    (
        frozenset({"model", "train_config"}),
        None,
        "a pipeline of TensorFlow's Object Detection API",
        None,
    ),
)


def kind_of_text(text: str) -> str | None:
    """What a text is that could not be parsed, in words such as 'a list of labels'.

    Returns None where that is not known.
    """
    start = text.lstrip()
    if start[:1] == "<":
        return "HTML or XML, such as a page that a download left behind"
    if re.match(r"[{\[]\s*[\"{\[]", start):
        return "JSON"
    if re.match(_WINDOW_LIST, start):
        return "a list of windows"
    lines = [line.strip() for line in start.split("\n", _LOOKED_AT)[:_LOOKED_AT] if line.strip()]
    if len(lines) < _LEAST_LINES or re.search(_BLOCK_OR_FIELD, "\n".join(lines)):
        return None
    if all(re.fullmatch(_LINE_OF_LIST, line) for line in lines):
        return "a list of images and labels"
    return "a list of labels or names"


def message_of_fields(names: set[str]) -> tuple[str, str | None] | None:
    """What a text with these top-level fields is, and a hint.

    Returns None where it may be a net or a solver.
    """
    found = (
        (kind, hint)
        for shown_by, allowed, kind, hint in _MESSAGES
        if shown_by <= names and (allowed is None or names <= allowed)
    )
    return None if names & {"layer", "layers"} else next(found, None)
