"""netspec compiles Caffe-style declarative nets (prototxt or YAML) to PyTorch.

The names below are the public ones. They are imported when they are first used, so that
`import netspec` brings in neither torch nor anything else that takes time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

_HOMES = {
    "Listener": "netspec.listener",
    "NetspecError": "netspec.diagnostics",
    "Overrides": "netspec.solver.run_options",
    "RunOptions": "netspec.solver.run_options",
    "Solver": "netspec.pytorch.train",
    "WeightChoice": "netspec.weights.choice",
    "batches": "netspec.pytorch.batches",
    "classify": "netspec.pytorch.classify",
    "compile": "netspec.pytorch.compile",
    "detect": "netspec.pytorch.detect",
    "export": "netspec.pytorch.export",
    "load": "netspec.pipeline",
    "loads": "netspec.pipeline",
    "load_weights": "netspec.pytorch.weights",
    "save_weights": "netspec.pytorch.weights",
    "train": "netspec.pytorch.run",
}
__all__ = [
    "Listener",
    "NetspecError",
    "Overrides",
    "RunOptions",
    "Solver",
    "WeightChoice",
    "batches",
    "classify",
    "compile",
    "detect",
    "export",
    "load",
    "load_weights",
    "loads",
    "save_weights",
    "train",
]

if TYPE_CHECKING:
    from netspec.diagnostics import NetspecError
    from netspec.listener import Listener
    from netspec.pipeline import load, loads
    from netspec.pytorch.batches import batches
    from netspec.pytorch.classify import classify
    from netspec.pytorch.compile import compile
    from netspec.pytorch.detect import detect
    from netspec.pytorch.export import export
    from netspec.pytorch.run import train
    from netspec.pytorch.train import Solver
    from netspec.pytorch.weights import load_weights, save_weights
    from netspec.solver.run_options import Overrides, RunOptions
    from netspec.weights.choice import WeightChoice


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'netspec' has no attribute '{name}'")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
