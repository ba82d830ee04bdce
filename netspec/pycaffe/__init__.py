"""pycaffe's interface on netspec: `import netspec.pycaffe as caffe`.

Source: python/caffe of BVLC/caffe.
"""

from __future__ import annotations

from netspec.layers.python_object import TEST as TEST
from netspec.layers.python_object import TRAIN as TRAIN
from netspec.layers.python_object import Layer as Layer
from netspec.pycaffe import io as io
from netspec.pycaffe import proto as proto
from netspec.pycaffe.blob import Blob as Blob
from netspec.pycaffe.classifier import Classifier as Classifier
from netspec.pycaffe.detector import Detector as Detector
from netspec.pycaffe.layer_types import layer_type_list as layer_type_list
from netspec.pycaffe.mode import init_log as init_log
from netspec.pycaffe.mode import log as log
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
from netspec.pycaffe.solver import AdaDeltaSolver as AdaDeltaSolver
from netspec.pycaffe.solver import AdaGradSolver as AdaGradSolver
from netspec.pycaffe.solver import AdamSolver as AdamSolver
from netspec.pycaffe.solver import NesterovSolver as NesterovSolver
from netspec.pycaffe.solver import RMSPropSolver as RMSPropSolver
from netspec.pycaffe.solver import SGDSolver as SGDSolver
from netspec.pycaffe.solver import Solver as Solver
from netspec.pycaffe.solver import get_solver as get_solver
from netspec.pycaffe.timer import Timer as Timer

__version__ = "1.0.0"  # of the Caffe whose interface this is
