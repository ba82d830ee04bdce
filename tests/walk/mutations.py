"""Files with a few random changes.

Nets and solvers as prototxt and YAML, weight files, states and databases. The same each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
from google.protobuf import text_format

from netspec.layers import SPECS
from netspec.weights.files import write_weights
from netspec.weights.solverstate import SolverSnapshot, write_solverstate
from tests.conftest import ROOT
from tests.test_no_traceback import CHANGES, NETS, SOLVERS
from tests.walk.bounded import Case
from tests.walk.fields import NEED_FILES, base

_WRONG = sorted((ROOT / "tests" / "wrong_nets").iterdir())
_BINARY: dict[str, Callable[[bytes, int, int], bytes]] = {
    name: CHANGES[name] for name in ("flip a bit", "cut", "end here", "junk")
}
# Small nets are run, too; of the large ones only the text is of interest.
_RUN = "check net"


def _written(path: Path, write: Callable[[Path], None]) -> bytes:
    write(path)
    return path.read_bytes()


def _sources(folder: Path) -> list[tuple[str, bytes, str]]:
    """File names, what they hold, and what is done with them."""
    sources = [
        (path.name, path.read_bytes(), _RUN if "layers" in path.parts else "check") for path in NETS
    ]
    sources += [(path.name, path.read_bytes(), "solver check") for path in SOLVERS]
    sources += [
        (
            path.name,
            path.read_bytes(),
            "solver check" if path.name.startswith("solver") else "check",
        )
        for path in _WRONG
    ]
    sources += [
        (f"{kind}.prototxt", text_format.MessageToString(base(kind)).encode(), _RUN)
        for kind in SPECS
        if kind not in NEED_FILES
    ]
    rng = np.random.default_rng(0)
    arrays = [
        rng.standard_normal(shape, np.float32) for shape in ((2, 3, 3, 3), (2,), (4, 8), (4,))
    ]
    layers = [
        ("conv", "Convolution", ["data"], ["conv"], arrays[:2]),
        ("fc", "InnerProduct", ["conv"], ["fc"], arrays[2:]),
    ]
    for suffix in (".caffemodel", ".h5", ".safetensors") * 10:
        name = f"w{len(sources)}{suffix}"
        sources.append(
            (
                name,
                _written(folder / name, lambda path: write_weights(path, "net", layers)),
                "weights",
            )
        )
    for suffix in (".solverstate", ".solverstate.h5"):
        name = f"s{suffix}"
        sources.append(
            (
                name,
                _written(
                    folder / name,
                    lambda path: write_solverstate(path, SolverSnapshot(3, "w", arrays)),
                ),
                "weights",
            )
        )
    np.save(
        folder / "w.npy",
        np.array({"fc": [arrays[2].T, arrays[3]]}, dtype=object),
        allow_pickle=True,
    )
    sources.append(("w.npy", (folder / "w.npy").read_bytes(), "weights"))
    return sources


def mutated(folder: Path, count: int, seed: int = 0) -> Iterator[Case]:
    """`count` cases; the folder is for files that are made on the way."""
    rng, sources = Random(seed), _sources(folder)
    for number in range(count):
        name, content, actions = sources[number % len(sources)]
        changes = _BINARY if actions == "weights" else CHANGES
        for _ in range(rng.randint(1, 4)):
            content = changes[rng.choice(sorted(changes))](
                content, rng.randrange(10**6), rng.randrange(10**6)
            )
        yield Case(f"{number} of {name}", name, content, actions)
