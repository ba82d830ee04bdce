"""Twenty iterations of each solver as the original ran them: losses, rates, weights.

And its snapshots taken up.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import netspec

SOLVERS = Path(__file__).parent.parent / "reference" / "solvers"
NAMES = sorted(path.parent.name for path in SOLVERS.glob("*/solver.prototxt"))


def follow(solver: netspec.Solver, folder: Path, first: int) -> None:
    wanted = json.loads((folder / "trajectory.json").read_text())
    outputs, rates = wanted["outputs_per_iteration"], wanted["lr_per_iteration"]
    for iteration in range(first, len(outputs)):
        got = solver.step(1)
        for name, value in outputs[iteration].items():
            assert float(got[name]) == pytest.approx(value, rel=2e-4, abs=2e-5), (
                f"iteration {iteration}, {name}"
            )
        if rates[iteration] is not None:  # read behind the step: the rate of the next iteration
            assert solver.lr == pytest.approx(rates[iteration], rel=1e-5, abs=1e-9)
    for key, value in np.load(folder / "trajectory.npz").items():
        if key.startswith("final/"):
            layer, index = key.removeprefix("final/").rsplit("/", 1)
            np.testing.assert_allclose(
                solver.module.params[layer][int(index)].detach().numpy(),
                value,
                rtol=2e-3,
                atol=2e-4,
                err_msg=key,
            )


@pytest.mark.parametrize("name", NAMES)
def test_solver_goes_the_original_way(name: str) -> None:
    folder = SOLVERS / name
    solver = netspec.Solver(folder / "solver.prototxt")
    netspec.load_weights(solver.module, folder / "init.caffemodel")
    follow(solver, folder, 0)
    solver.close()


@pytest.mark.parametrize(
    "name", [name for name in NAMES if list((SOLVERS / name).glob("*.solverstate"))]
)
def test_a_run_that_the_original_interrupted_goes_on(name: str) -> None:
    (state,) = (SOLVERS / name).glob("*.solverstate")
    solver = netspec.Solver(SOLVERS / name / "solver.prototxt")
    solver.restore(state)
    assert solver.iter == int(state.stem.rsplit("_", 1)[1])
    follow(solver, SOLVERS / name, solver.iter)
    solver.close()


def test_there_are_reference_runs() -> None:
    assert len(NAMES) == 17
