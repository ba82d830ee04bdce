"""The companion of a snapshot's state: what Caffe's format has no field for, as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from netspec.atomic import write_atomically
from netspec.diagnostics import NetspecError
from netspec.read_file import MIB, read_file
from netspec.weights.carried_states import PackedStates, states_digest, unpack_states

_LARGEST = 2**63 - 1  # of a count or a seed
_MAX_BYTES = 64 * MIB  # of a companion


@dataclass(slots=True)
class Companion:
    """What a run must know to go on bit for bit, beside its weights and its history.

    Crops, flips, shuffles and dropout are functions of the seed and of the batch or iteration, so
    the seed and the places in the data stand for all generators.
    """

    iter: int
    seed: int
    train_batches: int  # that each process has read of the training data
    records_a_batch: int  # that all processes together read in one of them
    # that have been read of each test net's data
    test_batches: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # the last ones, for average_loss
    precision: str = ""  # of convolutions and dense layers; older companions lack it
    # scale, good_steps, skipped: see LossScale; None where the precision needs none
    loss_scale: dict[str, float] | None = None
    # of each process, by rank, what its LSTM and RNN layers carry over
    carried: list[PackedStates] = field(default_factory=list)
    carried_digest: str = ""  # of `carried`, "" where there is none
    # file names of the run's states that stand, oldest first
    snapshots: list[str] = field(default_factory=list)
    # those of them that were taken only for being the best
    extra: list[str] = field(default_factory=list)
    best: dict[str, float | int | str] | None = None  # metric, value, iter, state: see Retention
    weights_digest: str = ""  # BLAKE2b of the weights' file
    state_digest: str = ""  # and of the state's; older companions lack it
    written: float = 0.0  # seconds since 1970


def companion_path(state: str | Path) -> Path:
    """The path of the companion of a state."""
    return Path(f"{state}.json")


def write_companion(state: str | Path, companion: Companion) -> None:
    """Raises: NetspecError where it can't be written."""
    companion.written = time.time()
    companion.carried_digest = states_digest(companion.carried) if companion.carried else ""
    write_atomically(
        companion_path(state), (json.dumps(asdict(companion), indent=1) + "\n").encode()
    )


def read_companion(state: str | Path) -> Companion | None:
    """The companion of a state; None where there is none, as with the original's own snapshots.

    Raises: NetspecError where it is damaged.
    """
    path = companion_path(state)
    try:
        content = json.loads(read_file(path, _MAX_BYTES, "a companion"))
        known = {f.name for f in fields(Companion)}
        companion = Companion(**{name: value for name, value in content.items() if name in known})
        _check_types(companion)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NetspecError(f"'{path}' can't be read: {error.strerror or error}") from None
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        hint = "without that file the run goes on from the state, but not bit for bit"
        raise NetspecError(
            f"'{path}' is damaged: it is not what netspec writes beside a state", None, hint
        ) from None
    return companion


def _check_types(companion: Companion) -> None:
    for name in ("iter", "seed", "train_batches", "records_a_batch"):
        if not _is_count(getattr(companion, name)):
            raise ValueError(name)
    checks: dict[str, Callable[[Any], bool]] = {
        "test_batches": _is_count,
        "losses": _is_number,
        "snapshots": _is_text,
        "extra": _is_text,
    }
    for name, check in checks.items():
        if not isinstance(getattr(companion, name), list) or not all(
            map(check, getattr(companion, name))
        ):
            raise ValueError(name)
    if not isinstance(companion.carried, list) or companion.carried_digest != (
        states_digest(companion.carried) if companion.carried else ""
    ):
        raise ValueError("carried")
    for states in companion.carried:
        unpack_states(states)
    if not _is_text(companion.precision):
        raise ValueError("precision")
    if companion.loss_scale is not None and not _is_loss_scale(companion.loss_scale):
        raise ValueError("loss_scale")
    if companion.best is not None:
        wanted: dict[str, Callable[[Any], bool]] = {
            "metric": _is_text,
            "value": _is_number,
            "iter": _is_count,
            "state": _is_text,
        }
        if not isinstance(companion.best, dict) or not all(
            check(companion.best.get(name)) for name, check in wanted.items()
        ):
            raise ValueError("best")
    if not (
        _is_text(companion.weights_digest)
        and _is_text(companion.state_digest)
        and _is_number(companion.written)
    ):
        raise ValueError("written")


def _is_loss_scale(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"scale", "good_steps", "skipped"}
        and all(map(_is_number, value.values()))
        and 0 < value["scale"] < float("inf")
        and _is_count(value["good_steps"])
        and _is_count(value["skipped"])
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 <= value <= _LARGEST


def _is_number(value: object) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and abs(value) <= _LARGEST)


def _is_text(value: object) -> bool:
    return isinstance(value, str)
