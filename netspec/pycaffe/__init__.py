"""pycaffe's interface on netspec: `import netspec.pycaffe as caffe`.

Its names are imported when they are first used: a script that only writes nets loads no torch.

Source: python/caffe of BVLC/caffe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "1.0.0"  # of the Caffe whose interface this is

_HOMES = {
    "netspec.layers.python_object": ("Layer", "TEST", "TRAIN"),
    "netspec.pycaffe.blob": ("Blob",),
    "netspec.pycaffe.classifier": ("Classifier",),
    "netspec.pycaffe.detector": ("Detector",),
    "netspec.pycaffe.layer_types": ("layer_type_list",),
    "netspec.pycaffe.mode": (
        *("set_device", "set_mode_cpu", "set_mode_gpu", "set_multiprocess"),
        *("set_random_seed", "set_solver_count", "set_solver_rank", "solver_count", "solver_rank"),
    ),
    "netspec.pycaffe.nccl": ("NCCL", "has_nccl"),
    "netspec.pycaffe.net": ("Net",),
    "netspec.pycaffe.net_spec": ("NetSpec", "layers", "params", "to_proto"),
    "netspec.pycaffe.run_log": ("init_log", "log"),
    "netspec.pycaffe.solver": (
        *("AdaDeltaSolver", "AdaGradSolver", "AdamSolver", "NesterovSolver", "RMSPropSolver"),
        *("SGDSolver", "Solver", "get_solver", "get_solver_from_file"),
    ),
    "netspec.pycaffe.timer": ("Timer",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
# modules that pycaffe imports itself, so that scripts use them without an import of their own
_MODULES = ("classifier", "detector", "io", "net_spec", "proto", "pycaffe")
__all__ = list(_HOME_OF)

if TYPE_CHECKING:
    from netspec.layers.python_object import TEST as TEST
    from netspec.layers.python_object import TRAIN as TRAIN
    from netspec.layers.python_object import Layer as Layer
    from netspec.pycaffe import io as io
    from netspec.pycaffe.blob import Blob as Blob
    from netspec.pycaffe.classifier import Classifier as Classifier
    from netspec.pycaffe.detector import Detector as Detector
    from netspec.pycaffe.layer_types import layer_type_list as layer_type_list
    from netspec.pycaffe.mode import set_device as set_device
    from netspec.pycaffe.mode import set_mode_cpu as set_mode_cpu
    from netspec.pycaffe.mode import set_mode_gpu as set_mode_gpu
    from netspec.pycaffe.mode import set_multiprocess as set_multiprocess
    from netspec.pycaffe.mode import set_random_seed as set_random_seed
    from netspec.pycaffe.mode import set_solver_count as set_solver_count
    from netspec.pycaffe.mode import set_solver_rank as set_solver_rank
    from netspec.pycaffe.mode import solver_count as solver_count
    from netspec.pycaffe.mode import solver_rank as solver_rank
    from netspec.pycaffe.nccl import NCCL as NCCL
    from netspec.pycaffe.nccl import has_nccl as has_nccl
    from netspec.pycaffe.net import Net as Net
    from netspec.pycaffe.net_spec import NetSpec as NetSpec
    from netspec.pycaffe.net_spec import layers as layers
    from netspec.pycaffe.net_spec import params as params
    from netspec.pycaffe.net_spec import to_proto as to_proto
    from netspec.pycaffe.run_log import init_log as init_log
    from netspec.pycaffe.run_log import log as log
    from netspec.pycaffe.solver import AdaDeltaSolver as AdaDeltaSolver
    from netspec.pycaffe.solver import AdaGradSolver as AdaGradSolver
    from netspec.pycaffe.solver import AdamSolver as AdamSolver
    from netspec.pycaffe.solver import NesterovSolver as NesterovSolver
    from netspec.pycaffe.solver import RMSPropSolver as RMSPropSolver
    from netspec.pycaffe.solver import SGDSolver as SGDSolver
    from netspec.pycaffe.solver import Solver as Solver
    from netspec.pycaffe.solver import get_solver as get_solver
    from netspec.pycaffe.solver import get_solver_from_file as get_solver_from_file
    from netspec.pycaffe.timer import Timer as Timer


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name in _MODULES:
        return import_module(f"netspec.pycaffe.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'caffe' has no attribute '{name}'")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_MODULES, *(name for name in globals() if name.startswith("__"))})
