"""What may be written over: a file of the kind that is written, by its content.

Any other needs --overwrite.
"""

from __future__ import annotations

import os
from pathlib import Path

from netspec.diagnostics import NetspecError
from netspec.files.file_kind import file_kind
from netspec.read_file import KIB, open_regular
from netspec.schema.caffe_pb2 import NetParameter, SolverParameter
from netspec.syntax.read import parse_source, read_source

# kinds of files that netspec writes; those that file_kind knows by its own words
MEAN, CAFFEMODEL, NET, TABLE = (
    "a blob, such as a mean file",
    "a caffemodel",
    "a net or solver",
    "a table of a log",
)
HDF5_WEIGHTS, HDF5_ROWS, SAFETENSORS, NPZ = (
    "an HDF5 file of weights",
    "an HDF5 file of data",
    "a safetensors file",
    "a NumPy archive",
)
PICTURES = {
    ".png": "a PNG image",
    ".svg": "an SVG image",
    ".pdf": "a PDF file",
    ".jpg": "a JPEG image",
    ".jpeg": "a JPEG image",
    ".dot": "a DOT graph",
    ".mmd": "a Mermaid diagram",
}
PAGE = "a page of a net"
COMPONENTS = "a file of principal components"
COMPONENTS_START = "# principal components"
WEIGHTS = {
    ".caffemodel": (CAFFEMODEL, HDF5_WEIGHTS),
    ".h5": (HDF5_WEIGHTS,),
    ".hdf5": (HDF5_WEIGHTS,),
    ".safetensors": (SAFETENSORS,),
    ".npz": (NPZ,),
}
# under which nothing but netspec's own output is expected
_OWN_SUFFIXES = (".binaryproto", *PICTURES, *WEIGHTS)
_STARTS = {
    b"%PDF-": PICTURES[".pdf"],
    b"<?xml": PICTURES[".svg"],
    b"<svg": PICTURES[".svg"],
    b"digraph": PICTURES[".dot"],
    b'---\ntitle: "': PICTURES[".mmd"],
    b"<!doctype html><!-- netspec": PAGE,
    b'"NumIters': TABLE,
    b"NumIters": TABLE,
    COMPONENTS_START.encode(): COMPONENTS,
}
_NET_FIELDS = {
    name for kind in (NetParameter, SolverParameter) for name in kind.DESCRIPTOR.fields_by_name
}


def require_own_kind(
    path: str | Path, *kinds: str, overwrite: bool = False, hint: str = "--overwrite writes over it"
) -> None:
    """Guards what a path holds before something of one of the kinds is written there.

    An empty file is nobody's, and one that can't be read is reported by what writes.

    Raises: NetspecError where a file of another kind lies there.
    """
    if overwrite or not os.path.isfile(path):
        return
    kind = _kind(path)
    if (
        kind == "an empty file"
        or kind in kinds
        or (kind is None and Path(path).suffix in _OWN_SUFFIXES)
    ):
        return
    wanted = " or ".join(kinds).replace(MEAN, "a mean file")
    raise NetspecError(
        f"'{path}' already exists and is {kind or 'of another kind'}, not {wanted}",
        hint=f"name another file; {hint}",
    )


def require_own_picture(path: str | Path, overwrite: bool) -> None:
    """`require_own_kind` for a picture whose suffix is known to name its format."""
    require_own_kind(path, PICTURES[Path(path).suffix.lower()], overwrite=overwrite)


def _kind(path: str | Path) -> str | None:
    """What a file is; None where that is not known."""
    kind = file_kind(path)
    if kind == "an HDF5 file":
        return _hdf5_kind(path) or kind
    if kind is not None and kind.startswith("a zip file"):
        return NPZ if _is_npz(path) else kind
    if kind is not None and not kind.startswith(("text", "a prototxt")):
        return kind
    try:
        with open_regular(path) as file:
            start = file.read(64 * KIB)
    except (OSError, ValueError):
        return kind
    if kind is None:
        return (
            SAFETENSORS
            if start[8:10] == b'{"'
            else next((own for begin, own in _STARTS.items() if start.startswith(begin)), None)
        )
    return next((own for begin, own in _STARTS.items() if start.startswith(begin)), None) or (
        NET if _is_net(path) else kind
    )


def _is_npz(path: str | Path) -> bool:
    import zipfile

    try:
        with zipfile.ZipFile(path) as file:
            return all(name.endswith(".npy") for name in file.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def _is_net(path: str | Path) -> bool:
    """Whether a text is a net or a solver, sound or not, or nothing but comments."""
    if file_kind(path) == "a prototxt":
        return True
    try:
        names = {field.name for field in parse_source(read_source(path)).fields}
        return not names or bool(names & _NET_FIELDS)
    except NetspecError:
        return False


def _hdf5_kind(path: str | Path) -> str | None:
    """Weights have a group "data", what HDF5Data layers read has datasets."""
    try:
        from h5py import Group

        from netspec.files.hdf5_file import Hdf5File

        with Hdf5File(path) as file:
            items = {name: file.find(name) for name in file.names}
    except Exception:  # h5py is missing, or the file is damaged
        return None
    if "history" in items:
        return "a solverstate in HDF5"
    if isinstance(items.get("data"), Group):
        return HDF5_WEIGHTS
    return (
        HDF5_ROWS if items and not any(isinstance(item, Group) for item in items.values()) else None
    )
