"""Which of a run's snapshots stay: the newest, the last few, the best."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

from netspec.weights.companion import Companion
from netspec.weights.snapshot_files import delete_snapshot, is_snapshot_of, weights_path


@dataclass(slots=True)
class Best:
    """The best test so far.

    Its metric and value, and the snapshot of the weights that were tested.
    """

    metric: str
    value: float
    iter: int
    state: str  # file name


@dataclass(slots=True)
class Retention:
    """Deletes what --keep-last and --keep-best leave over, of the run's own snapshots only.

    Args:
        keep_last: how many of the snapshots taken in the course of the run stay; None keeps all.
        keep_best: the output of a test net by which the best one stays as well; None for none.
    """

    keep_last: int | None = None
    keep_best: str | None = None
    lower_is_better: bool = False
    # of the run's snapshots that stand, oldest first
    states: list[Path] = field(default_factory=list)
    # names of those that were taken only for being the best
    extra: set[str] = field(default_factory=set)
    best: Best | None = None

    def is_better(self, value: float) -> bool:
        """Whether a test is better than the best before."""
        if not isfinite(value):
            return False
        if self.best is None:
            return True
        return value < self.best.value if self.lower_is_better else value > self.best.value

    def add(self, state: Path, extra: bool = False) -> None:
        """A snapshot has been written; `extra`: it was taken only for being the best."""
        self.states = [path for path in self.states if path != state] + [state]
        self.extra.discard(state.name)
        if extra:
            self.extra.add(state.name)

    def prune(self) -> list[Path]:
        """Deletes what need not stay; returns the states that went.

        The newest snapshot always stays, and nothing is deleted where its files are no longer
        there.
        """
        if not self.states or not (
            self.states[-1].exists() and weights_path(self.states[-1]).exists()
        ):
            return []
        regular = [state for state in self.states if state.name not in self.extra]
        staying = {
            self.states[-1],
            *(regular if self.keep_last is None else regular[-self.keep_last :]),
        }
        leaving = [
            state
            for state in self.states
            if state not in staying and not (self.best and state.name == self.best.state)
        ]
        gone = []
        for state in leaving:
            # it stays in the list, to be tried again after the next snapshot
            with suppress(OSError):
                delete_snapshot(state)
                gone.append(state)
        self.states = [state for state in self.states if state not in gone]
        return gone

    def remember(self, companion: Companion, state: Path, extra: bool = False) -> None:
        """Writes into a snapshot's companion, before its end, what a resumed run needs."""
        companion.snapshots = [path.name for path in self.states if path != state] + [state.name]
        companion.extra = sorted(
            (self.extra & set(companion.snapshots)) - {state.name}
            | ({state.name} if extra else set())
        )
        companion.best = None
        if self.best is not None:
            companion.best = {
                "metric": self.best.metric,
                "value": self.best.value,
                "iter": self.best.iter,
                "state": self.best.state,
            }

    def recall(self, companion: Companion, folder: Path, prefix: str) -> None:
        """Takes up what an earlier part of the run knew of its snapshots, prefix_iter_N there.

        A best one stays where this part does not ask for one. One by another metric counts no more:
        it stays as well, and is no longer the run's to delete.
        """
        own = {name for name in companion.snapshots if is_snapshot_of(name, prefix)}
        best = companion.best
        if best is not None and best["state"] in own and (folder / str(best["state"])).exists():
            if self.keep_best in (None, best["metric"]):
                self.best = Best(
                    str(best["metric"]), float(best["value"]), int(best["iter"]), str(best["state"])
                )
            else:
                own.discard(str(best["state"]))
        self.states = [
            folder / name
            for name in companion.snapshots
            if name in own and (folder / name).exists()
        ]
        self.extra = set(companion.extra) & own
