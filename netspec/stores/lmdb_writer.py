"""The one way by which netspec writes an LMDB.

It is written beside its place, and moved there only when it is whole.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path
from types import TracebackType

import lmdb  # noqa: TID253 - only what writes an LMDB imports this module

from netspec.atomic import fsync_folder
from netspec.diagnostics import NetspecError

# in the folder of an LMDB: the names of its labels, a line each, from label 0 on
NAMES_FILE = "labels.txt"
HOW_TO_REPLACE = "--overwrite puts the new one in its place"
RECORDS_PER_COMMIT = 1000  # Source: convert_imageset
# what is not committed yet is kept in memory, to be put again when the map has to grow
_BYTES_PER_COMMIT = 64 << 20
_FIRST_MAP = 64 << 20


class LmdbWriter:
    """Writes records to a new LMDB, as a context manager.

    It takes its name where the block ends well.

    Args: path: the folder to make. replace: whether an LMDB that already exists may be replaced,
        when the new one is whole.
    Raises: NetspecError where something already exists, a key comes twice or does not fit, or the
        system refuses.
    """

    def __init__(self, path: str | Path, replace: bool = False) -> None:
        self.path = Path(path)
        self.count = 0
        self._replace = replace
        if os.path.lexists(self.path) and not (replace and is_lmdb(self.path)):
            hint = (
                None
                if replace
                else HOW_TO_REPLACE
                if is_lmdb(self.path)
                else "remove it, or name another one"
            )
            raise NetspecError(
                f"'{path}' already exists{', and is no LMDB' if replace else ''}", hint=hint
            )
        self._partial = self.path.parent / f".{secrets.token_hex(8)}.partial"
        self._pending: list[tuple[bytes, bytes]] = []
        self._pending_bytes = 0
        self._last_key = b""

    def __enter__(self) -> LmdbWriter:
        try:
            self._partial.mkdir(parents=True)
            # Nobody else knows the folder, so no lock; it goes to the disk once, at the end, so no
            # sync before.
            self._env = lmdb.open(
                str(self._partial), map_size=_FIRST_MAP, lock=False, sync=False, mode=0o644
            )
        except (OSError, lmdb.Error) as error:
            self._discard()
            raise self._refused(error) from None
        return self

    def put(self, key: bytes, value: bytes) -> None:
        """Adds a record. Keys in rising order make the smallest file."""
        if not key or len(key) > self._env.max_key_size():
            raise NetspecError(
                f"the key '{key.decode(errors='replace')}' has {len(key)} bytes; "
                f"an LMDB takes 1 to {self._env.max_key_size()}"
            )
        self._pending.append((key, value))
        self._pending_bytes += len(value)
        self.count += 1
        if len(self._pending) >= RECORDS_PER_COMMIT or self._pending_bytes >= _BYTES_PER_COMMIT:
            self._commit()

    def put_file(self, name: str, content: bytes) -> None:
        """Adds a file of its own beside the records, which LMDB passes over."""
        try:
            with open(self._partial / name, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._refused(error) from None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._env.close()
            self._discard()

    def _commit(self) -> None:
        while True:
            try:
                with self._env.begin(write=True) as transaction:
                    for key, value in self._pending:
                        append = key > self._last_key
                        if not transaction.put(key, value, overwrite=False, append=append):
                            raise NetspecError(
                                f"the key '{key.decode(errors='replace')}' "
                                f"comes twice in '{self.path}'"
                            )
                        self._last_key = max(key, self._last_key)
                break
            except lmdb.MapFullError:  # nothing of the transaction stands
                self._last_key = self._largest_key()
                self._env.set_mapsize(self._env.info()["map_size"] * 2)
            except lmdb.Error as error:
                raise self._refused(error) from None
        self._pending.clear()
        self._pending_bytes = 0

    def _largest_key(self) -> bytes:
        with self._env.begin() as transaction, transaction.cursor() as cursor:
            return bytes(cursor.key()) if cursor.last() else b""

    def _finish(self) -> None:
        self._commit()
        try:
            self._env.sync(True)
            self._env.close()
            fsync_folder(self._partial)
            old = None
            if os.path.lexists(self.path):
                if not (self._replace and is_lmdb(self.path)):
                    raise NetspecError(
                        f"'{self.path}' came to be while it was built; it stays as it is"
                    )
                old = self.path.parent / f".{secrets.token_hex(8)}.replaced"
                os.rename(self.path, old)
            os.rename(self._partial, self.path)
            fsync_folder(self.path.parent)
            if old is not None:
                shutil.rmtree(old, ignore_errors=True)
        except (OSError, lmdb.Error) as error:
            raise self._refused(error) from None

    def _discard(self) -> None:
        with contextlib.suppress(OSError):
            shutil.rmtree(self._partial)

    def _refused(self, error: Exception) -> NetspecError:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        return NetspecError(f"the database '{self.path}' can't be written: {reason}")


def is_lmdb(path: str | Path) -> bool:
    """Whether a folder holds nothing but an LMDB, with the names of its classes."""
    try:
        names = set(os.listdir(path))
    except OSError:
        return False
    return "data.mdb" in names and names <= {"data.mdb", "lock.mdb", NAMES_FILE}
