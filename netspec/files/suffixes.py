"""The suffixes of the files that netspec reads and writes."""

from __future__ import annotations

from netspec.syntax.read import YAML_SUFFIXES

PROTOTXT_SUFFIXES = (".prototxt", ".pbtxt")
NET_SUFFIXES = (*PROTOTXT_SUFFIXES, ".txt", *YAML_SUFFIXES)  # to which nets and solvers are written
FOUND_SUFFIXES = (*PROTOTXT_SUFFIXES, *YAML_SUFFIXES)  # by which they are found in folders
HDF5_SUFFIXES = (".h5", ".hdf5")
TORCH_SUFFIXES = (".pt", ".pth")
WRITABLE_WEIGHTS = (".caffemodel", ".caffemodel.h5", *HDF5_SUFFIXES, ".safetensors", ".npz")
READABLE_WEIGHTS = (*WRITABLE_WEIGHTS, ".npy", *TORCH_SUFFIXES)
KEYED_SUFFIXES = (".safetensors", ".npz", *TORCH_SUFFIXES)  # those with a state_dict's keys
ARRAY_SUFFIXES = (".npz", *HDF5_SUFFIXES)  # of arrays by name
