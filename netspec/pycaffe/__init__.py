"""pycaffe's interface on netspec: `import netspec.pycaffe as caffe`.

Source: python/caffe of BVLC/caffe.
"""

from __future__ import annotations

from netspec.layers.python_object import TEST as TEST
from netspec.layers.python_object import TRAIN as TRAIN
from netspec.layers.python_object import Layer as Layer
from netspec.pycaffe.blob import Blob as Blob
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
from netspec.pycaffe.net import Net as Net

__version__ = "1.0.0"  # of the Caffe whose interface this is
