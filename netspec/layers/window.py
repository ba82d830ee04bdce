"""The sliding window of convolution and pooling.

One rule serves all spatial axes, H and W are just two.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from netspec.graph import Shape, shape_with_axes
from netspec.layers.layer_context import MAX_COUNT, LayerContext
from netspec.schema.forks import stated


@dataclass(frozen=True, slots=True)
class Window:
    """Kernel, stride, pad and dilation, a value for each spatial axis."""

    kernel: Shape
    stride: Shape
    pad: Shape
    dilation: Shape

    def extent(self, i: int) -> int:
        """How many input values the kernel spans on an axis."""
        return self.dilation[i] * (self.kernel[i] - 1) + 1

    def overhang(self, size: int, i: int) -> int:
        """How many zeros stand behind an axis and its pad for the kernel's one place there.

        See `convolved_size`.
        """
        missing = self.extent(i) - size - 2 * self.pad[i]
        return missing if 0 < missing < self.stride[i] else 0


DILATION_PAIRS = (("hole_h", "hole_w"), ("dilation_h", "dilation_w"))  # of forks
DILATIONS = frozenset({"hole", *(name for pair in DILATION_PAIRS for name in pair)})


def _values(param: Any, name: str, axes: int, default: int, short: str | None = None) -> Shape:
    """A setting for each axis: from its _h and _w fields, or from one value or one an axis."""
    short = short or name
    fields = param.DESCRIPTOR.fields_by_name
    if f"{short}_h" in fields and (param.HasField(f"{short}_h") or param.HasField(f"{short}_w")):
        return (getattr(param, f"{short}_h"), getattr(param, f"{short}_w"))
    if not fields[name].is_repeated:
        return (getattr(param, name) if param.HasField(name) else default,) * axes
    given = tuple(getattr(param, name)) or (default,)
    return given * axes if len(given) == 1 else given


def _dilation(param: Any, axes: int) -> Shape:
    """The dilation: Caffe's, or as DeepLab ('hole') and yjxiong ('dilation_h') write it."""
    for high, wide in DILATION_PAIRS:
        if stated(param, high) is not None:
            return (stated(param, high), stated(param, wide))
    hole = stated(param, "hole")
    return _values(param, "dilation", axes, 1) if hole is None else (hole,) * axes


def window_of(param: Any, axes: int, kernel: Shape | None = None) -> Window:
    """The window of a convolution_param or pooling_param that has been checked."""
    ones = (1,) * axes
    dilation = _dilation(param, axes) if "dilation" in param.DESCRIPTOR.fields_by_name else ones
    kernel = kernel or _values(param, "kernel_size", axes, 0, "kernel")
    return Window(
        kernel, _values(param, "stride", axes, 1), _values(param, "pad", axes, 0), dilation
    )


def check_window(context: LayerContext) -> None:
    """Reports what is wrong in the window's fields, whatever the bottom's shape is."""
    for name, short in (("kernel_size", "kernel"), ("stride", "stride"), ("pad", "pad")):
        pair = [f for f in (f"{short}_h", f"{short}_w") if context.has(f)]
        plain = (
            getattr(context.param, name)
            if context.param.DESCRIPTOR.fields_by_name[name].is_repeated
            else context.has(name)
        )
        if pair and plain:
            context.error(f"give '{name}' or '{short}_h' and '{short}_w', not both", pair[0])
        elif len(pair) == 1 and (short != "pad" or context.spec.param == "pooling_param"):
            # a convolution's absent pad is 0
            missing = f"{short}_w" if pair[0].endswith("h") else f"{short}_h"
            context.error(f"'{pair[0]}' stands here without '{missing}'", pair[0])
    if "dilation" in context.param.DESCRIPTOR.fields_by_name:
        _check_forks_dilation(context)
    # a dilation of 0 reads one value all over
    for name in ("kernel_size", "kernel_h", "kernel_w", "stride", "stride_h", "stride_w"):
        _check_positive(context, name)


def _check_forks_dilation(context: LayerContext) -> None:
    """Reports a fork's dilation that stands twice, half, or at 0."""
    given = [name for name in sorted(DILATIONS) if stated(context.param, name) is not None]
    for pair in DILATION_PAIRS:
        found = [name for name in pair if name in given]
        if len(found) == 1:
            missing = pair[1] if found[0] == pair[0] else pair[0]
            context.error(f"'{found[0]}' stands here without '{missing}'", found[0])
    ways = [any(name in given for name in names) for names in (("hole",), *DILATION_PAIRS)]
    if sum(ways) + bool(context.param.dilation) > 1 and given:
        context.error("the dilation stands here in two ways", given[0])
    for name in given:
        if not stated(context.param, name):
            context.error(f"'{name}' must be at least 1, got 0", name)


def _check_positive(context: LayerContext, name: str) -> None:
    descriptor = context.param.DESCRIPTOR.fields_by_name.get(name)
    if descriptor is None:
        return
    if descriptor.is_repeated:
        bad = [i for i, value in enumerate(getattr(context.param, name)) if value < 1]
        if bad:
            context.error(f"'{name}' must be at least 1, got 0", name, bad[0])
    elif context.has(name) and getattr(context.param, name) < 1:
        context.error(f"'{name}' must be at least 1, got 0", name)


def require_axes(context: LayerContext, axes: int) -> None:
    """Requires each setting to suit the number of spatial axes: one value, or one for each axis."""
    for name, short in (
        ("kernel_size", "kernel"),
        ("stride", "stride"),
        ("pad", "pad"),
        ("dilation", None),
    ):
        given = len(getattr(context.param, name))
        if given not in (0, 1, axes):
            raise context.stop(
                f"'{name}' takes one value or {axes}, got {given}",
                name,
                notes=[context.made_here(0)],
            )
        if axes != 2 and short and context.has(f"{short}_h"):
            message = f"'{short}_h' and '{short}_w' are for two spatial axes, the bottom has {axes}"
            raise context.stop(message, f"{short}_h", notes=[context.made_here(0)])
    for high, wide in DILATION_PAIRS:
        if axes != 2 and stated(context.param, high) is not None:
            message = f"'{high}' and '{wide}' are for two spatial axes, the bottom has {axes}"
            raise context.stop(message, high, notes=[context.made_here(0)])


def convolved_size(size: int, window: Window, i: int) -> int:
    """Source: Caffe's ConvolutionLayer::compute_output_shape.

    C++ divides towards 0: a kernel that reaches over the end by less than a stride has one place,
    and reads zeros there.
    """
    spare = size + 2 * window.pad[i] - window.extent(i)
    return (spare // window.stride[i] if spare >= 0 else -(-spare // window.stride[i])) + 1


def pooled_size(size: int, window: Window, i: int, round_up: bool) -> int:
    """Source: Caffe's PoolingLayer::Reshape.

    Rounds up by default. Only where any pad is set is a last window that would start beyond the
    input and its pad dropped; without pad it stays, and holds nothing.
    """
    spare = size + 2 * window.pad[i] - window.kernel[i]
    out = (-(-spare // window.stride[i]) if round_up else spare // window.stride[i]) + 1
    if any(window.pad) and (out - 1) * window.stride[i] >= size + window.pad[i]:
        out -= 1
    return out


def require_reach(context: LayerContext, sizes: Iterable[int], field: str) -> None:
    """Requires that the places up to the end of the last window fit into an int, as in Caffe."""
    for size in sizes:
        if size > MAX_COUNT:
            name = f"{field}_h" if context.has(f"{field}_h") else field
            raise context.stop(
                f"'{name}' is out of range: the windows would span {size} values, "
                f"more than {MAX_COUNT}",
                name,
            )


def require_room(context: LayerContext, sizes: Shape, out: Shape, window: Window) -> None:
    """Reports an output without any row or column, naming the axis."""
    for i, (size, result) in enumerate(zip(sizes, out, strict=True)):
        if result < 1:
            axis = ("height", "width")[i] if len(sizes) == 2 else f"spatial axis {i}"
            spans = (
                f"a window of {window.extent(i)}"
                if window.dilation[i] == 1
                else f"a dilated window of {window.extent(i)}"
            )
            pad = f" with pad {window.pad[i]}" if window.pad[i] else ""
            message = (
                f"{spans} does not fit into a {axis} of {size}{pad}: "
                f"the output's size would be {result}"
            )
            name = context.layer.bottom_blobs[0].name
            hint = (
                f"'{name}' is {shape_with_axes(context.bottoms[0])}; take a smaller kernel, "
                "more pad, or a larger input"
            )
            raise context.stop(
                message, *_kernel_place(context, i), hint=hint, notes=[context.made_here(0)]
            )


def _kernel_place(context: LayerContext, i: int) -> tuple[str | int, ...]:
    """The field that says how large the kernel is on a spatial axis."""
    if context.has("kernel_h") or context.has("kernel_w"):
        return (("kernel_h", "kernel_w")[i],)
    descriptor = context.param.DESCRIPTOR.fields_by_name["kernel_size"]
    return (
        ("kernel_size", min(i, len(context.param.kernel_size) - 1))
        if descriptor.is_repeated
        else ("kernel_size",)
    )
