"""The solvers of pycaffe. Source: pycaffe's Solver (_caffe.cpp), Caffe's Solver."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from netspec.pycaffe.alias import running_user_code
from netspec.pycaffe.net import Net
from netspec.pycaffe.net_weights import require_file, share_weights
from netspec.pycaffe.training import NetTraining
from netspec.schema.caffe_pb2 import SolverParameter


class Solver:
    """A training run of a solver file, whose nets a script may look into and change.

    Raises: RuntimeError where the file can't be opened, NetspecError where it, a net or the data is
        wrong. What the Python code of a layer raises comes out as it is.
    """

    solver_type: str | None = None  # None is what the file says

    def __init__(self, path: str | Path) -> None:
        require_file(str(path))
        with running_user_code():
            self._training = NetTraining(path, self.solver_type)

    @property
    def type(self) -> str:
        """The name of the update rule."""
        return self.param.type

    @property
    def param(self) -> SolverParameter:
        """The settings."""
        return self._training.param

    @property
    def net(self) -> Net:
        """The net that is trained."""
        return self._training.running

    @property
    def test_nets(self) -> list[Net]:
        """The test nets; their params are those of the net that is trained."""
        return self._training.running_test_nets

    @property
    def iter(self) -> int:
        """How many iterations are done."""
        return self._training.iter

    @property
    def lr(self) -> float:
        """The learning rate of the iteration that comes next."""
        return self._training.lr

    def step(self, count: int) -> None:
        """Trains so many iterations, with the tests and snapshots of the file."""
        self._training.step(int(count))

    def solve(self, resume_file: str | Path | None = None) -> None:
        """Trains up to max_iter, from a state where one is given."""
        if resume_file is not None:
            self.restore(resume_file)
        self._training.solve()

    def restore(self, path: str | Path) -> None:
        """Goes on from a .solverstate. Raises: RuntimeError, NetspecError."""
        require_file(str(path))
        self._training.restore(path)

    def snapshot(self) -> None:
        """Writes the weights and the state."""
        self._training.snapshot()

    def apply_update(self) -> None:
        """Updates the params from what stands in their diffs; counts as an iteration."""
        self._training.apply_update()

    def share_weights(self, net: Net) -> None:
        """Makes a net's params those of the net that is trained."""
        share_weights(net.module, self.net.module)

    def add_callback(
        self, on_start: Any, on_gradients_ready: Callable[[], object] | None = None
    ) -> None:
        """Calls functions in each iteration: before it, and when its gradients are there.

        Args: on_start: the first function, or an object with both as methods, such as an NCCL.
        """
        if on_gradients_ready is None:
            on_start, on_gradients_ready = on_start.on_start, on_start.on_gradients_ready
        self._training.on_start.append(on_start)
        self._training.on_gradients_ready.append(on_gradients_ready)


class SGDSolver(Solver):
    """Stochastic gradient descent with momentum."""

    solver_type = "SGD"


class NesterovSolver(SGDSolver):
    """Nesterov's accelerated gradient."""

    solver_type = "Nesterov"


class AdaGradSolver(SGDSolver):
    """Rates by the sum of the squared gradients."""

    solver_type = "AdaGrad"


class RMSPropSolver(SGDSolver):
    """Rates by the running mean of the squared gradients."""

    solver_type = "RMSProp"


class AdaDeltaSolver(SGDSolver):
    """Rates by the running means of the squared gradients and updates."""

    solver_type = "AdaDelta"


class AdamSolver(SGDSolver):
    """Rates by the running means of the gradients and their squares."""

    solver_type = "Adam"


_TYPES = {
    solver.solver_type: solver
    for solver in (
        SGDSolver,
        NesterovSolver,
        AdaGradSolver,
        RMSPropSolver,
        AdaDeltaSolver,
        AdamSolver,
    )
}


def get_solver(path: str | Path) -> Solver:
    """The solver of the type that the file names. Raises: as the solvers."""
    found = Solver(path)
    found.__class__ = _TYPES[found.type]
    return found


get_solver_from_file = get_solver
