"""HDF5 files that others made.

What is read of them lies in the file itself, and takes no more memory than the file can hold.

An HDF5 file can name other files whose bytes HDF5 then reads as its own (external links, external
storage, virtual datasets), and a dataset of any size takes a few hundred bytes where nothing was
ever written to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from netspec.diagnostics import NetspecError, Span
from netspec.graph import shape_text
from netspec.read_file import MIB, require_regular

if TYPE_CHECKING:
    import h5py

# what all datasets of a file may have beyond what is stored of them: parts that were never written
# read as 0
_FREE = 64 * MIB
_DEFLATE = 1032  # to 1, the most that gzip's method shrinks anything
_MAX_LINKS = 16  # that one name may lead over
_HOW_TO_COPY = "copy its values into the file, as `h5repack` or h5py do"


class Hdf5File:
    """An HDF5 file, open for reading, as a context manager.

    Raises: NetspecError for what lies in another file or claims more than is stored; otherwise
        whatever h5py raises.
    """

    def __init__(self, path: str | Path, span: Span | None = None) -> None:
        import h5py  # an extra, imported only where an HDF5 file is met

        require_regular(path)
        self.path, self._span = str(path), span
        self._file = h5py.File(path, "r")
        # bytes of the file that no dataset has been found to lie in
        self._unread = os.stat(path).st_size
        self._free = _FREE

    def __enter__(self) -> Hdf5File:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def names(self) -> list[str]:
        """What the root group holds."""
        return list(self._file)

    def find(self, name: str) -> h5py.Group | h5py.Dataset | None:
        """The group or dataset of a name, or None where there is none.

        Links within the file are followed.
        """
        return self._find(self._file, name, 0)

    def datasets(self, group: h5py.Group) -> Iterator[tuple[str, h5py.Dataset]]:
        """All datasets below a group, with their names from there on."""
        from h5py import Group

        groups, seen = [("", group)], {_address(group)}
        while groups:
            prefix, inner = groups.pop()
            for key in inner:
                name, item = f"{prefix}{key}", self._follow(inner, key, 0)
                if isinstance(item, Group):
                    if _address(item) not in seen:
                        seen.add(_address(item))
                        groups.append((f"{name}/", item))
                elif item is not None:
                    yield name, item

    def shape(self, dataset: h5py.Dataset) -> tuple[int, ...]:
        """The shape of a dataset whose values lie in the file.

        Raises: NetspecError where they don't.
        """
        if dataset.external:
            self._refuse(dataset, f"keeps its values in another file, '{dataset.external[0][0]}'")
        if dataset.is_virtual:
            self._refuse(dataset, "is virtual: its values lie in other datasets or files")
        return tuple(dataset.shape or ())

    def read(self, dataset: h5py.Dataset) -> Any:
        """The values of a dataset as h5py gives them.

        Raises: NetspecError where it claims more than the file holds.
        """
        shape = self.shape(dataset)
        # a chunk is unpacked whole
        size = max(prod(shape), prod(dataset.chunks or ())) * dataset.dtype.itemsize
        stored = min(dataset.id.get_storage_size(), self._unread)
        self._unread -= stored
        is_packed = dataset.id.get_create_plist().get_nfilters() > 0
        self._free -= max(0, size - stored * (_DEFLATE if is_packed else 1))
        if self._free < 0:
            what = (
                f"claims {size:,} bytes ({shape_text(shape)}), of which the file holds {stored:,}"
            )
            raise NetspecError(
                f"'{self.path}': the dataset '{dataset.name}' {what}",
                self._span,
                "the file is damaged, or was never filled: make it again",
            )
        return dataset[()]

    def _find(self, start: h5py.Group, name: str, links: int) -> h5py.Group | h5py.Dataset | None:
        from h5py import Group

        item: h5py.Group | h5py.Dataset | None = start
        for key in filter(None, name.split("/")):
            if not isinstance(item, Group):
                return None
            item = self._follow(item, key, links)
        return item

    def _follow(self, group: h5py.Group, key: str, links: int) -> h5py.Group | h5py.Dataset | None:
        """What a group has under a key."""
        import h5py

        link = group.get(key, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            where = f"'{self.path}': '{group.name.rstrip('/')}/{key}'"
            raise NetspecError(
                f"{where} is a link to another file, '{link.filename}', which is not followed",
                self._span,
                _HOW_TO_COPY,
            )
        if isinstance(link, h5py.SoftLink):
            if links == _MAX_LINKS:
                return None
            return self._find(
                group.file if link.path.startswith("/") else group, link.path, links + 1
            )
        item = group.get(key) if isinstance(link, h5py.HardLink) else None
        return item if isinstance(item, h5py.Group | h5py.Dataset) else None

    def _refuse(self, dataset: h5py.Dataset, why: str) -> NoReturn:
        raise NetspecError(
            f"'{self.path}': the dataset '{dataset.name}' {why}, which is not read",
            self._span,
            _HOW_TO_COPY,
        )


def _address(group: h5py.Group) -> int:
    import h5py

    return int(h5py.h5o.get_info(group.id).addr)
