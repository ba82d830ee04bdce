"""A net's forward pass as torch.compile makes it: --compile."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from netspec.diagnostics import NetspecError
from netspec.pytorch.carried import Carried
from netspec.pytorch.lower import net_of
from netspec.pytorch.module import NetModule
from netspec.pytorch.overwritten import COMPILE_FAULT, KeepsOverwritten, Overwritten
from netspec.pytorch.repeated_regions import by_regions

_WITHOUT = "without --compile the net runs as it is"


class CompiledPass:
    """The forward pass of a module, and its backward pass, compiled when it first runs.

    The module itself stays as it is, as do the names of its state. On a GPU the pass is recorded
    as CUDA graphs, where torch can: what it gave before is no longer to be read then.

    Args:
        learns: the pass goes backward, too.
        adds_up: its gradients are added to those of the pass before, which CUDA graphs would have
            written over.

    Raises: NetspecError where the compiler is missing, or the net can't be differentiated so.
    """

    def __init__(
        self, module: NetModule, device: torch.device, learns: bool = False, adds_up: bool = False
    ) -> None:
        require_compiler(device)
        if learns:
            _require_own_memory(module)
        self.module = module
        # the states of LSTM and RNN layers would be written over as well
        self.has_graphs = device.type == "cuda" and not adds_up and not Carried({"": module})
        self._compiled: Callable[..., dict[str, Tensor]] | None = None

    def __call__(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """The outputs. Raises: NetspecError where torch.compile fails, or the data is wrong."""
        if self.has_graphs:
            torch.compiler.cudagraph_mark_step_begin()
        try:
            if self._compiled is None:
                self._compiled = self._compile()
            outputs = self.module.shown(self._compiled(*inputs))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise_compile_fault(error)
            # compiled code checks indices, but can't say whose: the layers themselves do
            with torch.no_grad():
                self.module(*inputs)
            raise
        return outputs

    def forget(self) -> None:
        """Compiles the module anew: it has changed."""
        if self._compiled is not None:
            torch._dynamo.reset()
            self._compiled = None

    def _compile(self) -> Callable[..., dict[str, Tensor]]:
        """The net region by region where some repeat, else as a whole."""
        compile = partial(
            torch.compile,
            dynamic=False,
            # random numbers are those of the pass that is not compiled
            options={"fallback_random": True, "triton.cudagraphs": self.has_graphs},
        )
        return by_regions(self.module, compile) or compile(self.module)


def raise_compile_fault(error: Exception) -> None:
    """Raises NetspecError where an error is torch.compile's own."""
    faults = sys.modules.get("torch._dynamo.exc")  # torch.compile has imported it
    if faults is None or not isinstance(error, faults.TorchDynamoException):
        return
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    raise NetspecError(
        f"torch.compile fails on this net: {' '.join(lines[:2]) or type(error).__name__}",
        None,
        _WITHOUT,
    ) from None


def require_compiler(device: torch.device) -> None:
    """Raises NetspecError where what torch.compile needs on a device is not installed."""
    if device.type == "cuda":
        missing = None if find_spec("triton") else "the package triton"
        if not missing and not any(map(shutil.which, (os.environ.get("CC", "gcc"), "clang"))):
            missing = "a C compiler (gcc, or what CC names)"
    else:
        name = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
        header = os.path.join(sysconfig.get_path("include"), "Python.h")
        missing = None
        if not shutil.which(name):
            missing = f"the C++ compiler '{name}' (CXX names another)"
        elif not os.path.exists(header):
            missing = f"Python's headers: '{header}' does not exist"
    if missing:
        raise NetspecError(f"--compile needs {missing}", None, _WITHOUT)


def _require_own_memory(module: NetModule) -> None:
    """Raises NetspecError where a gradient reads what an in-place layer has overwritten."""
    net = net_of(module)
    for layer, target in zip(net.layers, module.about.order, strict=True):
        submodule: nn.Module | None = module.get_submodule(target) if target else None
        if isinstance(submodule, (KeepsOverwritten, Overwritten)):
            fault, _, hint = COMPILE_FAULT.partition("; ")
            raise NetspecError(f"{layer.label}: {fault}", layer.span, hint)
