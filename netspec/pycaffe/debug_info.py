"""What `debug_info` logs of a running net, whose Splits are layers as in Caffe.

Source: Caffe's Net::ForwardDebugInfo, BackwardDebugInfo, Backward.
"""

from __future__ import annotations

from collections.abc import Sequence

from netspec.pycaffe.memory import ParamDiff
from netspec.pycaffe.run_log import write_lines
from netspec.pycaffe.step import Step
from netspec.pytorch.debug_info import mean_magnitude, norms_line


def log_forward(step: Step) -> None:
    """Logs the means of a layer's tops and params after it has run."""
    lines = [
        (f"top blob {name}", mean_magnitude(top.tensor()))
        for name, top in zip(step.top_names, step.tops, strict=True)
    ] + [
        (f"param blob {param.name or i}", mean_magnitude(blob.tensor()))
        for i, (param, blob) in enumerate(zip(step.params, step.blobs, strict=True))
    ]
    write_lines(
        "net.cpp:591",
        [f"    [Forward] Layer {step.name}, {what} data: {value:g}" for what, value in lines],
    )


def log_backward(step: Step) -> None:
    """Logs the means of the diffs that a layer has written."""
    lines = [
        (f"bottom blob {name}", mean_magnitude(bottom.diff_tensor()))
        for name, bottom, propagates in zip(
            step.bottom_names, step.bottoms, step.propagates, strict=True
        )
        if propagates
    ] + [
        (f"param blob {i}", mean_magnitude(blob.diff_tensor()))
        for i, (param, blob) in enumerate(zip(step.params, step.blobs, strict=True))
        if param.lr_mult
    ]
    write_lines(
        "net.cpp:619",
        [f"    [Backward] Layer {step.name}, {what} diff: {value:g}" for what, value in lines],
    )


def log_params(diffs: Sequence[ParamDiff]) -> None:
    """Logs the norms over all params, once each."""
    params = [diff.param() for diff in diffs]
    write_lines("net.cpp:687", [norms_line(params)])
