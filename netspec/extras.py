"""Packages that netspec can do without: what to raise where one is needed and not installed."""

from __future__ import annotations

from netspec.diagnostics import NetspecError, Span

# package → what pip installs for it: an extra of netspec's where there is one
REQUIREMENTS = {
    "PIL": "pillow",
    "cramjam": "netspec[leveldb]",
    "h5py": "netspec[hdf5]",
    "matplotlib": "netspec[plot]",
    "onnx": "netspec[onnx]",
    "onnxruntime": "netspec[onnx]",
    "safetensors": "netspec[safetensors]",
    "pydot": "netspec[pycaffe]",
    "scikit-learn": "netspec[demo]",
    "scipy": "netspec[pycaffe]",
    "shtab": "shtab",
    "starlette": "netspec[serve]",
    "tensorboardX": "netspec[tensorboard]",
    "uvicorn": "netspec[serve]",
}


def missing_package(package: str, what: str, span: Span | None = None) -> NetspecError:
    """What to raise where a package is not installed.

    Args:
        what: what needs it, such as "an HDF5 file".
    """
    requirement = REQUIREMENTS[package]
    quoted = f"'{requirement}'" if "[" in requirement else requirement
    return NetspecError(
        f"{what} needs the package {package}, which is not installed",
        span,
        f"pip install {quoted}",
    )
