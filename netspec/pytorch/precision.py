"""Convolutions and dense layers in 16 bits, or in tf32, beside params and updates in 32.

What sums many values, takes powers or holds places stays in 32 bits: losses, LRN's sums, the
statistics of BatchNorm, Softmax, what a layer of no such kind reads, and every output.
"""

from __future__ import annotations

from copyreg import __newobj__  # type: ignore[attr-defined]
from functools import cache
from typing import Any

import torch
from torch import nn

from netspec.diagnostics import NetspecError
from netspec.exporters.half_layers import WEIGHTS, goes_on_in_half, half_layers
from netspec.graph import Layer
from netspec.pytorch.layer_nodes import insert_casts
from netspec.pytorch.lower import net_of
from netspec.pytorch.module import NetModule
from netspec.solver.run_options import PRECISIONS

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def set_precision(module: NetModule, precision: str, device: torch.device | str) -> None:
    """Makes a lowered net compute in a precision; its params stay in 32 bits.

    Raises: NetspecError where the device lacks the precision.
    """
    require_precision(precision, torch.device(device))
    if precision == "tf32":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    if precision not in _TYPES:
        return
    net, dtype = net_of(module), _TYPES[precision]
    halves = half_layers(net, _goes_on)
    for layer, target in zip(net.layers, module.about.order, strict=True):
        if target and layer.spec_name in WEIGHTS:
            submodule = module.get_submodule(target)
            submodule.__class__ = _narrow(type(submodule))  # type: ignore[arg-type]
            submodule.dtype = dtype  # type: ignore[assignment]
    insert_casts(module, net, halves, dtype)
    module.recompile()


def require_precision(precision: str, device: torch.device) -> None:
    """Raises NetspecError where a device lacks a precision."""
    if precision not in PRECISIONS:
        expected = f"{', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}"
        raise NetspecError(f"'precision' is {expected}, got '{precision}'")
    lack = _lack(precision, device)
    if lack:
        raise NetspecError(f"precision {precision}: {lack}", None, "fp32 runs everywhere")


def _lack(precision: str, device: torch.device) -> str | None:
    """What a device lacks for a precision."""
    if device.type == "cpu":
        if precision == "tf32":
            return "a CPU computes in fp32, bf16 or fp16"
        if precision == "bf16" and not _has_bf16():
            return "this CPU has no instructions for it"
        if precision == "fp16" and not _has_fp16():
            return "this torch has no convolutions in it for a CPU"
    elif device.type == "cuda" and precision in ("bf16", "tf32"):
        if torch.cuda.get_device_capability(device) < (8, 0):
            return f"{torch.cuda.get_device_name(device)} lacks it, as all before Ampere do"
    return None


def slow_precision(precision: str, device: torch.device | str) -> str | None:
    """What a device computes in a precision, but no faster than in fp32; None: it is faster."""
    is_cpu = torch.device(device).type == "cpu"
    if precision == "fp16" and is_cpu:
        return (
            "precision fp16: on a CPU the backward pass of a convolution takes about a hundred "
            "times as long as in fp32; it is there to try what a GPU will do"
        )
    if precision == "bf16" and is_cpu and not torch.cpu._is_amx_tile_supported():
        return (
            "precision bf16: this CPU has no matrix unit (AMX) for it, without which it may take "
            "longer than fp32"
        )
    return None


def _has_bf16() -> bool:
    """Whether oneDNN computes convolutions in bf16 here."""
    mkldnn = torch.backends.mkldnn
    return mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _has_fp16() -> bool:
    """Whether torch computes a convolution in fp16 on the CPU, forward and backward."""
    weight = torch.ones(1, 1, 1, 1, requires_grad=True)
    try:
        with torch.enable_grad(), torch.autocast("cpu", torch.float16):
            top = nn.functional.conv2d(torch.ones(1, 1, 2, 2), weight)
            top.sum().backward()
    except RuntimeError:
        return False
    return top.dtype == torch.float16


def _goes_on(layer: Layer) -> bool:
    """Whether a layer takes 16 bits and gives 16 bits, summing in 32 where it sums."""
    if layer.params and layer.spec_name != "BatchNorm":  # beside a param it would give 32 bits
        return False
    return layer.spec_name == "LRN" or goes_on_in_half(layer)


class _Narrow(nn.Module):
    """A layer of weights that computes with copies of them in 16 bits."""

    dtype: torch.dtype

    def forward(self, *bottoms: Any) -> Any:
        with torch.autocast(bottoms[0].device.type, self.dtype):
            return super().forward(*bottoms)

    def __reduce_ex__(self, protocol: Any) -> Any:
        kind: Any = type(self).__bases__[1]
        make: tuple[Any, ...] = (__newobj__, (kind,))
        if "__reduce_ex__" in vars(kind):  # a type that is made at run time, as this one is
            make = kind.__reduce_ex__(self, protocol)[:2]
        return _restored, make, self.__dict__


@cache
def _narrow(kind: type[nn.Module]) -> type[nn.Module]:
    """A type of module in 16 bits; its params keep their names."""
    return type(kind.__name__, (_Narrow, kind), {})


def _restored(make: Any, made_of: tuple[Any, ...]) -> nn.Module:
    """An empty module for pickle and copy, which fill it."""
    module: nn.Module = make(*made_of)
    module.__class__ = _narrow(type(module))  # type: ignore[arg-type]
    return module
