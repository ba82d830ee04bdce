"""caffe.pycaffe: the module in which pycaffe defines its nets and solvers."""

from netspec.pycaffe.nccl import NCCL as NCCL
from netspec.pycaffe.net import Net as Net
from netspec.pycaffe.solver import AdaDeltaSolver as AdaDeltaSolver
from netspec.pycaffe.solver import AdaGradSolver as AdaGradSolver
from netspec.pycaffe.solver import AdamSolver as AdamSolver
from netspec.pycaffe.solver import NesterovSolver as NesterovSolver
from netspec.pycaffe.solver import RMSPropSolver as RMSPropSolver
from netspec.pycaffe.solver import SGDSolver as SGDSolver
from netspec.pycaffe.timer import Timer as Timer
