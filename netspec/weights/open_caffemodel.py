"""A caffemodel, opened: its layers, whose arrays are read while it is open."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedIOBase, BytesIO
from pathlib import Path

from netspec.diagnostics import NetspecError
from netspec.files.file_kind import HOW_TO_COPY
from netspec.read_file import open_regular, require_size, unreadable
from netspec.schema.caffe_pb2 import NetParameter
from netspec.weights.read_bytes import LARGEST, read_bytes, wrong_kind
from netspec.weights.stored_layers import StoredLayer, stored_layers
from netspec.weights.wire_file import CutShortError, WireError, WireFile


@dataclass(slots=True)
class Caffemodel:
    """A caffemodel while it is open: its layers in file order, whose arrays can be read."""

    wire: WireFile
    layers: list[StoredLayer] = field(default_factory=list)


@contextmanager
def open_caffemodel(path: str | Path) -> Iterator[Caffemodel]:
    """A caffemodel, walked to its end.

    Raises: NetspecError where the file is none, or is cut short; here, or where an array is read.
    """
    try:
        with open_regular(path) as file:
            wire = _wire_file(path, file)
            model = Caffemodel(wire)
            try:
                for layer in stored_layers(wire, str(path)):
                    model.layers.append(layer)
                if not model.layers:
                    raise NetspecError(
                        f"'{path}' is not a caffemodel: it holds no layers", hint=wrong_kind(path)
                    )
                yield model
            except WireError as error:
                raise _damaged(path, wire.size, error, model.layers) from None
            except MemoryError:
                raise NetspecError(
                    f"'{path}' can't be read: the memory is too small for its {wire.size:,} bytes"
                ) from None
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        raise unreadable(path, error) from None


def _wire_file(path: str | Path, file: BufferedIOBase) -> WireFile:
    if not file.seekable():  # a pipe
        content = read_bytes(path)
        return WireFile(BytesIO(content), len(content))
    size = os.fstat(file.fileno()).st_size
    require_size(size, LARGEST, "a caffemodel")
    return WireFile(file, size)


def _damaged(
    path: str | Path, size: int, error: WireError, layers: Sequence[StoredLayer]
) -> NetspecError:
    kind = wrong_kind(path)
    if kind or not isinstance(error, CutShortError) or not _is_cut(error):
        return NetspecError(
            f"'{path}' is not a caffemodel, or is damaged", hint=kind or HOW_TO_COPY
        )
    last = f"; the last layer that is whole in it is '{layers[-1].name}'" if layers else ""
    return NetspecError(
        f"'{path}' is cut short: {size:,} bytes, at least {error.needs:,} expected",
        hint=f"{HOW_TO_COPY}{last}",
    )


def _is_cut(error: CutShortError) -> bool:
    """Whether what ends too early may have been a net at all."""
    if not error.number:
        return error.start > 0
    return error.number in NetParameter.DESCRIPTOR.fields_by_number and error.needs <= LARGEST
