"""`import caffe` finds netspec.pycaffe, `import caffe.io` its io: one module, two names."""

import sys

import netspec.pycaffe
from netspec.pycaffe.alias import install

install()
sys.modules[__name__] = netspec.pycaffe
