"""What a file is that is not what it should be, and whether it is cut short: for hints.

It needs no numpy.
"""

from __future__ import annotations

import codecs
import os
import re

from google.protobuf.message import DecodeError, Message

from netspec.files.varint import read_varint
from netspec.schema.caffe_pb2 import BlobProto, NetParameter, SolverState

HOW_TO_COPY = "copy or download it again"
_LARGEST = 2**31 - 1  # bytes of a message of protobuf
_LARGEST_LOOK = 2**30  # bytes of a file that is read whole for a hint
_VARINT, _EIGHT, _SIZED, _FOUR = 0, 1, 2, 5  # how the wire format keeps a field
_STARTS = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file",
    b"\x93NUMPY": "a NumPy file",
    b"PK\x03\x04": "a zip file, as PyTorch writes them",
    b"\x89PNG\r\n": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x1f\x8b": "a gzip file, to be unpacked first",
    b"\x80": "a pickle, as Python and PyTorch write them",
}
_LMDB_MAGIC = (0xBEEFC0DE).to_bytes(4, "little")
_DATABASE_HINT = (
    "a data layer names it: data_param { source: … }; `netspec dataset info` reports what is in it"
)
# What may be given where a net or a solver is expected, and what takes it.
FOREIGN_KINDS: dict[str | None, str | None] = {
    "a caffemodel": "it holds weights: --weights takes it",
    "a solverstate": "`netspec train --snapshot` goes on from it",
    "a blob, such as a mean file": "transform_param { mean_file: … } names a mean file",
    "an LMDB": _DATABASE_HINT,
    "a LevelDB": _DATABASE_HINT,
    "the data file of an LMDB": (
        "a data layer names the folder that it lies in: data_param { source: … }"
    ),
    "an HDF5 file": "weights go after --weights, a solver's state after --snapshot",
    "a NumPy file": "`netspec convert` makes a caffemodel of weights",
    "a zip file, as PyTorch writes them": None,
    "a pickle, as Python and PyTorch write them": None,
    "a gzip file, to be unpacked first": None,
    "a PNG image": None,
    "a JPEG image": None,
    "a folder": "name the file in it",
    "a file that begins with zeros": "copy or download it again",
}


def file_kind(path: str | os.PathLike[str]) -> str | None:
    """What lies at a path, in words such as 'a caffemodel'.

    Returns None where that is not known or it can't be read.
    """
    try:
        return _kind(path)
    except (OSError, ValueError):
        return None


def _kind(path: str | os.PathLike[str]) -> str | None:
    if os.path.isdir(path):
        kinds = {"data.mdb": "an LMDB", "CURRENT": "a LevelDB"}
        return next(
            (kind for name, kind in kinds.items() if os.path.isfile(os.path.join(path, name))),
            "a folder",
        )
    if not os.path.isfile(path):
        return None
    with open(path, "rb") as file:
        start = file.read(2000)
        if not start.strip(b"\0"):
            return "a file that begins with zeros" if start else "an empty file"
        if start[16:20] == _LMDB_MAGIC:
            return "the data file of an LMDB"
        kind = next(
            (kind for magic, kind in _STARTS.items() if start.startswith(magic)), None
        ) or _text_kind(start)
        if kind or os.fstat(file.fileno()).st_size > _LARGEST_LOOK:
            return kind
        return _message_kind(start + file.read())


def _text_kind(start: bytes) -> str | None:
    try:
        # which may end within a character
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return None
    if text.lstrip()[:1] == "<":
        return "text, such as a page that a download left behind"
    if not all(char.isprintable() or char in "\t\n\r" for char in text):
        return None
    return (
        "a prototxt"
        if re.search(r"\blayers?\s*\{|^(base_lr|net|train_net):", text, re.MULTILINE)
        else "text"
    )


def _message_kind(raw: bytes) -> str | None:
    """Which of Caffe's binary files it is.

    Protobuf reads many a file as another message, so its contents are asked.
    """
    state, blob, net = SolverState(), BlobProto(), NetParameter()
    if _reads(state, raw) and state.HasField("iter") and (state.history or state.learned_net):
        return "a solverstate"
    if _reads(blob, raw) and (blob.data or blob.double_data):
        return "a blob, such as a mean file"
    if _reads(net, raw) and (
        any(layer.blobs for layer in net.layer) or any(layer.blobs for layer in net.layers)
    ):
        return "a caffemodel"
    return None


def _reads(message: Message, raw: bytes) -> bool:
    try:
        message.ParseFromString(raw)
    except DecodeError:
        return False
    return True


def cut_short(raw: bytes, message: Message) -> tuple[int, int] | None:
    """Where a message's last whole field ends, and how many bytes it has at least.

    Returns None where its end is not missing.
    """
    at = 0
    try:
        while at < len(raw):
            start = at
            tag, at = read_varint(raw, at)
            kind, number = tag & 7, tag >> 3
            if kind == _VARINT:
                _, at = read_varint(raw, at)
            elif kind in (_EIGHT, _FOUR):
                at += 8 if kind == _EIGHT else 4
            elif kind == _SIZED:
                length, at = read_varint(raw, at)
                at += length
            else:
                return None
            if at > len(raw):
                is_known = number in message.DESCRIPTOR.fields_by_number
                return (start, at) if is_known and at <= _LARGEST else None
    except IndexError:
        return (start, len(raw) + 1) if start else None
    except ValueError:  # what follows is no message: damage, not a missing end
        return None
    return None
