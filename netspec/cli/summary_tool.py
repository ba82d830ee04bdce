"""The table of tools/summarize.py: a net's layers as its file has them.

Source: caffe/tools/extra/summarize.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netspec.diagnostics import Report
from netspec.pipeline import read_net, read_text_file
from netspec.schema.caffe_pb2 import LayerParameter

_RED, _BOLD, _RESET = "\x1b[31m", "\x1b[1;4m", "\x1b[0m"
_SIZED = ("convolution_param", "pooling_param", "inner_product_param")


def summary(path: str, widest: int, colors: bool) -> str:
    """The table, of all phases' layers in the file's order. Raises: NetspecError."""
    report = Report()
    message, _ = read_net(read_text_file(path), report)
    report.raise_errors()
    layers = message.layer
    read = {name for layer in layers for name in layer.bottom}
    made = {name for layer in layers for name in layer.top} | set(message.input)

    def shown(name: str, known: set[str], mark: str, color: str) -> str:
        if name in known:
            return name
        return f"{color}{name}{_RESET}" if colors else f"{name}{mark}"

    rows = []
    for layer in layers:
        bottoms = ", ".join(shown(name, made, "!", _RED) for name in layer.bottom)
        tops = ", ".join(shown(name, read, "*", _BOLD) for name in layer.top)
        weights = (
            f" ({', '.join(f'{w:g}' for w in layer.loss_weight)})" if layer.loss_weight else ""
        )
        params = ", ".join(
            f"{param.name or '·'} {param.lr_mult:g}×/{param.decay_mult:g}×" for param in layer.param
        )
        cells = (layer.name, _type(layer), params)
        rows.append((*cells, f"{bottoms} → {tops}{weights}", _sizes(layer)))
    return _table(rows, widest)


def _type(layer: LayerParameter) -> str:
    if layer.type == "Python":
        return f"{layer.python_param.module}.{layer.python_param.layer}"
    return str(layer.type)


def _sizes(layer: LayerParameter) -> str:
    """Kernel / stride + pad and outputs / groups, such as 5/1+2 256/2."""
    param: Any = next((getattr(layer, name) for name in _SIZED if layer.HasField(name)), None)
    if param is None:
        return ""
    parts = []
    if hasattr(param, "kernel_size"):
        kernel = _pair(param, "kernel")
        parts.append(f"{kernel}/{_pair(param, 'stride') or 1}+{_pair(param, 'pad') or 0}")
    if hasattr(param, "num_output"):
        group = f"/{param.group}" if getattr(param, "group", 1) > 1 else ""
        parts.append(f"{param.num_output}{group}")
    return " ".join(parts)


def _pair(param: Any, name: str) -> str:
    """A size along both axes: 3, or 3×1."""
    if param.HasField(f"{name}_h") or param.HasField(f"{name}_w"):
        return f"{getattr(param, f'{name}_h')}×{getattr(param, f'{name}_w')}"
    value = getattr(param, "kernel_size" if name == "kernel" else name)
    if isinstance(value, int):
        return str(value) if value else ""
    return "×".join(map(str, value))


def _table(rows: Sequence[tuple[str, ...]], widest: int) -> str:
    """Columns side by side; the first three are cut at the widest width."""
    cut = [(*(_cut(cell, widest) for cell in row[:3]), *row[3:]) for row in rows]
    widths = [max((len(row[i]) for row in cut), default=0) for i in range(3)]
    return "\n".join(
        "  ".join(
            [*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), *row[3:]]
        ).rstrip()
        for row in cut
    )


def _cut(text: str, widest: int) -> str:
    return text if len(text) <= widest else text[: widest - 1] + "…"
