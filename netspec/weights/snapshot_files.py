"""The files of a snapshot.

Caffe's weights and state, and beside them what Caffe's state has no field for.

    PREFIX_iter_N.caffemodel         or .caffemodel.h5
    PREFIX_iter_N.solverstate        or .solverstate.h5
    PREFIX_iter_N.solverstate.json   the companion (PREFIX_iter_N.solverstate.h5.json)

They are written in this order but for the state, which comes last: where a state is there, the
snapshot is whole.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from netspec.atomic import fsync_folder
from netspec.diagnostics import NetspecError, os_reason
from netspec.files.file_kind import HOW_TO_COPY
from netspec.read_file import open_regular
from netspec.weights.companion import Companion, companion_path, read_companion
from netspec.weights.files import read_weights
from netspec.weights.solverstate import read_solverstate

try:
    import fcntl
except ImportError:  # Windows has none: there two runs of one prefix go unnoticed
    fcntl = None  # type: ignore[assignment]

LOCK_PATIENCE = 10.0  # seconds that a run waits for one of its prefix to end
_STATE_NAME = re.compile(r"_iter_([0-9]{1,10})\.solverstate(\.h5)?$")


def weights_path(state: str | Path) -> Path:
    """The weights that lie beside a state."""
    return Path(re.sub(r"\.solverstate(\.h5)?$", r".caffemodel\1", str(state)))


def is_snapshot_of(name: str, prefix: str) -> bool:
    """Whether a text is the file name PREFIX_iter_N.solverstate.

    A path, which could name another run's, is none.
    """
    return (
        bool(re.fullmatch(re.escape(prefix) + _STATE_NAME.pattern, name))
        and os.path.basename(name) == name
    )


def snapshot_iteration(state: str | Path) -> int | None:
    """The N of PREFIX_iter_N.solverstate, None where a file is not named so."""
    found = _STATE_NAME.search(str(state))
    return int(found[1]) if found else None


def file_digest(path: str | Path) -> str:
    """BLAKE2b of a file, in hexadecimal. Raises: OSError."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def check_state(state: str | Path, companion: Companion | None) -> None:
    """Raises NetspecError where a state is not what was written together with its companion."""
    if companion is None or not companion.state_digest:
        return
    try:
        digest = file_digest(state)
    except (OSError, ValueError) as error:
        raise NetspecError(f"'{state}' can't be read: {os_reason(error)}") from None
    if digest != companion.state_digest:
        hint = f"{HOW_TO_COPY}, or go on from another snapshot"
        raise NetspecError(
            f"'{state}' is damaged: it is not what was written (its digest differs)", None, hint
        )


def delete_snapshot(state: str | Path) -> None:
    """Deletes a snapshot's files, its state first.

    What is left of it, if anything, is never taken for a whole one.

    Raises: OSError where the state can't be deleted; the others then stand as well.
    """
    Path(state).unlink(missing_ok=True)
    for path in (companion_path(state), weights_path(state)):
        with suppress(OSError):
            path.unlink(missing_ok=True)
    fsync_folder(Path(state).parent)


def check_whole(state: str | Path) -> None:
    """Raises NetspecError where the state, its weights or its companion is missing or damaged."""
    companion, weights = read_companion(state), weights_path(state)
    check_state(state, companion)
    read_solverstate(state)
    if companion is None or not companion.weights_digest:
        read_weights(weights)
        return
    try:
        digest = file_digest(weights)
    except OSError as error:
        raise NetspecError(
            f"its weights '{weights}' can't be read: {error.strerror or error}"
        ) from None
    if digest != companion.weights_digest:
        raise NetspecError(f"its weights '{weights}' are not those that were written with it")


@contextmanager
def sole_writer(prefix: str) -> Iterator[None]:
    """Holds PREFIX.lock for a run.

    Two of one prefix would clear away and write over each other's snapshots.

    Raises: NetspecError where another run holds it (one that was killed holds nothing), or where
        nothing can be written
    there: that is reported before the first iteration, and not at the first snapshot.
    """
    path = Path(f"{prefix}.lock")
    lock = _locked(path, prefix)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()
        os.close(lock)


def _locked(path: Path, prefix: str) -> int:
    """The lock file, open and held; a run that was just killed is given some seconds to end.

    Raises: NetspecError.
    """
    end = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            hint = (
                "--snapshot-prefix PATH puts them elsewhere"
                if path.parent.is_dir()
                else f"folder '{path.parent}' does not exist"
            )
            raise NetspecError(
                f"snapshots '{prefix}_iter_*' can't be written: {os_reason(error)}", None, hint
            ) from None
        if fcntl is None:
            return lock
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(lock), path.stat()):
                return lock
        except FileNotFoundError:
            pass  # its last holder has just deleted it
        except BlockingIOError:
            if time.monotonic() > end:
                os.close(lock)
                message = f"another run is writing the snapshots '{prefix}_iter_*'"
                raise NetspecError(
                    message, None, "wait for its end, or give this one another --snapshot-prefix"
                ) from None
            time.sleep(0.1)
        except OSError:  # a network disk may have no locks
            return lock
        os.close(lock)


def newest_snapshot(prefix: str) -> tuple[Path | None, dict[Path, NetspecError]]:
    """The state that was written last of all whole snapshots PREFIX_iter_N.

    And what is wrong with later ones.

    Last by the time in its companion, or else that of the file: a folder may still hold
    later iterations of a run before this one.

    Raises: NetspecError where the folder can't be read.
    """
    faults: dict[Path, NetspecError] = {}
    for state in sorted(snapshot_states(prefix), key=_age, reverse=True):
        try:
            check_whole(state)
        except NetspecError as error:
            faults[state] = error
        else:
            return state, faults
    return None, faults


def further_on(prefix: str, newest: Path) -> Path | None:
    """The whole snapshot PREFIX_iter_N of the highest iteration, if it is newer than the newest.

    Raises: NetspecError.
    """
    own = snapshot_iteration(newest) or 0
    for state in sorted(
        snapshot_states(prefix), key=lambda state: snapshot_iteration(state) or 0, reverse=True
    ):
        if (snapshot_iteration(state) or 0) <= own:
            return None
        with suppress(NetspecError):
            check_whole(state)
            return state
    return None


def snapshot_states(prefix: str) -> list[Path]:
    """The states of the snapshots PREFIX_iter_N.

    Raises: NetspecError where the folder can't be read.
    """
    return [path for path in files_of_snapshots(prefix) if _STATE_NAME.search(path.name)]


def files_of_snapshots(prefix: str) -> list[Path]:
    """The states and the weights of the snapshots PREFIX_iter_N.

    Raises: NetspecError where the folder can't be read.
    """
    folder = Path(prefix).parent
    name = re.compile(
        re.escape(Path(prefix).name) + r"_iter_[0-9]+\.(solverstate|caffemodel)(\.h5)?"
    )
    try:
        return [path for path in folder.iterdir() if name.fullmatch(path.name)]
    except FileNotFoundError:
        return []
    except OSError as error:  # whether there are any is not known
        raise NetspecError(
            f"the folder '{folder}' of the snapshots can't be read: {error.strerror or error}"
        ) from None


def _age(state: Path) -> tuple[float, int]:
    """When a state was written, and its iteration where two were written at once."""
    try:
        companion = read_companion(state)
    except NetspecError:
        companion = None
    try:
        written = companion.written if companion else state.stat().st_mtime
    except OSError:
        written = 0.0
    return written, snapshot_iteration(state) or 0
