"""Maps made larger or smaller for a label at each pixel: SegNet, PSPNet, DeconvNet.

Source: hszhao/PSPNet's InterpLayer, alexgkendall/caffe-segnet's UpsampleLayer, HyeonwooNoh/caffe's
UnpoolingLayer, eric612/MobileNet-YOLO's UpsampleLayer.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from netspec.graph import Layer, Shape, shape_text
from netspec.layers.example import MAPS, Example
from netspec.layers.kept import Kept
from netspec.layers.layer_context import LayerContext
from netspec.layers.reach import Reach, copied_reach
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec
from netspec.schema.forks import stated


class Interp(Spec):
    """Interpolates each plane bilinearly; the corners of bottom and top meet.

    Source: hszhao/PSPNet's InterpLayer.
    """

    type = "Interp"
    param = "interp_param"
    keeps = Kept(top_is_free=True)
    shown = (
        Setting("zoom_factor", "zoom {}"),
        Setting("shrink_factor", "shrink {}"),
        Setting("pad_beg", "crops {} in front"),
        Setting("pad_end", "crops {} behind"),
    )
    example = Example(
        MAPS,
        "interp_param { height: 473 width: 473 }",
        shapes=(
            "height × width, or with zoom_factor z alone H + (H - 1)·(z - 1), with shrink_factor s "
            "alone floor((H - 1) / s) + 1; with both and no size, the one after the other"
        ),
    )

    def settings(self, layer: Layer) -> list[str]:
        p = layer.field(self.param)
        size = [f"to {p.height}×{p.width}"] if p.height and p.width else []
        return size + super().settings(layer)

    def check(self, context: LayerContext) -> None:
        p, has = context.param, context.has
        for name in ("pad_beg", "pad_end"):
            if getattr(p, name) > 0:
                context.error(
                    f"'{name}' can only crop: it must be at most 0, got {getattr(p, name)}", name
                )
        for name in ("zoom_factor", "shrink_factor", "height", "width"):
            if has(name) and getattr(p, name) < 1:
                context.error(f"'{name}' must be at least 1, got {getattr(p, name)}", name)
        if not (has("zoom_factor") or has("shrink_factor") or (has("height") and has("width"))):
            given = next((name for name in ("height", "width") if has(name)), "type")
            context.error(
                "the top's size is missing", given, hint="give 'height' and 'width', or a factor"
            )
        for name in ("is_seglabel", "full_zoom_factor"):
            if has(name) and getattr(p, name):
                context.not_computed(f"'{name}' is a field of a fork whose rule is unknown", name)

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom, rule = maps_of(context), interpolation_of(context.param)
        for i, axis in enumerate(("height", "width")):
            if rule.left(bottom[2 + i]) < 1:
                message = f"the crop leaves nothing of a {axis} of {bottom[2 + i]}"
                field = "pad_beg" if rule.begin else "pad_end"
                raise context.stop(message, field, notes=[context.made_here(0)])
        return [(*bottom[:2], rule.size(bottom[2], 0), rule.size(bottom[3], 1))]

    def macs(self, layer: Layer) -> int:
        return 4 * layer.top_blobs[0].count

    def reach(self, layer: Layer, bottom: int) -> Reach | None:
        rule = interpolation_of(layer.field(self.param))
        below, above = ((b.shape or ())[2:] for b in (layer.bottom_blobs[0], layer.top_blobs[0]))
        steps = [
            (rule.left(size) - 1) / (out - 1) if out > 1 else 1.0
            for size, out in zip(below, above, strict=True)
        ]
        # a place lies between two others, or on one
        size = tuple(1.0 if step.is_integer() else 2.0 for step in steps)
        return Reach(size, tuple(steps), (rule.begin,) * 2)


class Interpolation(NamedTuple):
    """How an Interp layer makes sizes: given ones, or a shrinking and then a zooming."""

    given: tuple[int, int] | None
    shrink: int
    zoom: int
    begin: int  # rows and columns that are cropped in front, and behind
    end: int

    def left(self, size: int) -> int:
        """What the crop leaves of a size."""
        return size - self.begin - self.end

    def size(self, size: int, i: int) -> int:
        """The top's size along height (0) or width (1)."""
        if self.given is not None:
            return self.given[i]
        shrunk = (self.left(size) - 1) // self.shrink + 1
        return shrunk + (shrunk - 1) * (self.zoom - 1)


def interpolation_of(p: Any) -> Interpolation:
    """The sizes that an interp_param means: one factor alone goes before height and width."""
    factors = [p.HasField("shrink_factor"), p.HasField("zoom_factor")]
    is_given = sum(factors) != 1 and p.HasField("height") and p.HasField("width")
    given = (p.height, p.width) if is_given else None
    return Interpolation(given, p.shrink_factor, p.zoom_factor, -p.pad_beg, -p.pad_end)


class _Upsample(Spec):
    type = "Upsample"
    param = "upsample_param"

    def evidence(self, message: Any) -> bool | None:
        p = stated(message, self.param)
        masked = len(message.bottom) == 2 or (
            p is not None and any(p.HasField(name) for name in _MASKED_FIELDS)
        )
        return masked is (self.rule == "segnet")


_MASKED_FIELDS = ("scale_h", "scale_w", "pad_out_h", "pad_out_w", "upsample_h", "upsample_w")


class MaskedUpsample(_Upsample):
    """Puts each value at the place that a pooling's mask gives, 0 elsewhere.

    Source: alexgkendall/caffe-segnet's UpsampleLayer.
    """

    rule = "segnet"
    dialects = ("segnet",)
    differs = "two bottoms, the second a pooling's mask"
    bottoms = (2, 2)
    unforced = (1,)
    shown = (
        Setting("scale", "×{}"),
        Setting("upsample_h", "to {} rows"),
        Setting("upsample_w", "to {} columns"),
    )
    example = Example(
        {"pooled": (1, 64, 28, 28), "mask": (1, 64, 28, 28)},
        "upsample_param { scale: 2 }",
        shapes="upsample_h × upsample_w, or scale·H - pad_out_h × scale·W - pad_out_w",
    )

    def check(self, context: LayerContext) -> None:
        p, has = context.param, context.has
        for both in (("upsample_h", "upsample_w"), ("scale_h", "scale_w")):
            given = [name for name in both if has(name)]
            if len(given) == 1:
                context.error(f"give '{both[0]}' and '{both[1]}', or none of them", given[0])
        if has("scale") and has("scale_h"):
            context.error("give 'scale' or 'scale_h' and 'scale_w', not both", "scale_h")
        for name in ("upsample_h", "upsample_w", "scale", "scale_h", "scale_w"):
            if has(name) and getattr(p, name) < 2:
                context.error(f"'{name}' must be at least 2, got {getattr(p, name)}", name)
        if has("upsample_h"):
            return
        rule = upsampling_of(p)
        for i, name in enumerate(("pad_out_h", "pad_out_w")):
            if rule.pads[i] and rule.scales[i] != 2:
                context.error(f"'{name}' goes with a scale of 2, got {rule.scales[i]}", name)

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom = maps_of(context)
        context.same_shapes(0, 1)
        rule = upsampling_of(context.param)
        return [(*bottom[:2], rule.size(bottom[2], 0), rule.size(bottom[3], 1))]

    def reach(self, layer: Layer, bottom: int) -> Reach | None:
        rule = upsampling_of(layer.field(self.param))
        return None if rule.given else copied_reach(rule.scales)

    def kept(self, layer: Layer) -> Kept:
        # the places that the mask names
        return Kept(bytes=8 * layer.bottom_blobs[0].count, top_is_free=True)


class Upsampling(NamedTuple):
    """How SegNet's Upsample makes sizes: given ones, or a scale of each, less a pad."""

    given: tuple[int, int] | None
    scales: tuple[int, int]
    pads: tuple[int, int]

    def size(self, size: int, i: int) -> int:
        """The top's size along height (0) or width (1)."""
        return self.given[i] if self.given else size * self.scales[i] - self.pads[i]


def upsampling_of(p: Any) -> Upsampling:
    """The sizes that an upsample_param means in SegNet's rule."""
    given = (p.upsample_h, p.upsample_w) if p.HasField("upsample_h") else None
    scale = p.scale if p.HasField("scale") else 2
    scales = (p.scale_h, p.scale_w) if p.HasField("scale_h") else (scale, scale)
    return Upsampling(given, scales, (int(p.pad_out_h), int(p.pad_out_w)))


class NearestUpsample(_Upsample):
    """Repeats each value `scale` times along the last two axes.

    Source: eric612/MobileNet-YOLO's UpsampleLayer.
    """

    rule = "yolo"
    keeps = Kept(top_is_free=True)
    dialects = ("yolo",)
    differs = "one bottom, whose values are repeated"
    shown = (Setting("scale", "×{}"),)
    example = Example(MAPS, "upsample_param { scale: 2 }", shapes="N × C × scale·H × scale·W")

    def check(self, context: LayerContext) -> None:
        if context.has("scale") and not context.param.scale:
            context.error("'scale' must be at least 1, got 0", "scale")

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom = context.bottoms[0]
        if len(bottom) < 2:
            raise context.stop(
                f"Upsample takes a blob of at least 2 axes, got {len(bottom)}",
                "bottom",
                0,
                notes=[context.made_here(0)],
            )
        scale = context.param.scale or 1  # without a 'scale' the fork's is 1
        return [(*bottom[:-2], bottom[-2] * scale, bottom[-1] * scale)]

    def reach(self, layer: Layer, bottom: int) -> Reach | None:
        scale = layer.field(self.param).scale or 1
        return copied_reach((scale, scale)) if len(layer.bottom_blobs[0].shape or ()) == 4 else None


class Unpooling(Spec):
    """Spreads each value over a plane of a given size: MAX at one place, AVE and TILE in a window.

    MAX takes the place from a pooling's mask, the second bottom, or the window's first.

    Source: HyeonwooNoh/caffe's UnpoolingLayer.
    """

    type = "Unpooling"
    param = "unpooling_param"
    bottoms = (1, 2)
    unforced = (1,)
    shown = (
        Setting("unpool", "{}", True),
        Setting("unpool_size", "to {}"),
        Setting("stride", "stride {}"),
    )
    example = Example(
        {"pooled": (1, 64, 28, 28), "mask": (1, 64, 28, 28)},
        "unpooling_param { unpool: MAX kernel_size: 2 stride: 2 unpool_size: 56 }",
        shapes="N × C × unpool_size × unpool_size, or unpool_h × unpool_w",
    )

    def check(self, context: LayerContext) -> None:
        p, has = context.param, context.has
        for name, short in (("kernel_size", "kernel"), ("stride", "stride"), ("pad", "pad")):
            _check_pair(context, name, short, name == "kernel_size")
        _check_pair(context, "unpool_size", "unpool", True)
        for name in ("pad", "pad_h", "pad_w"):
            if getattr(p, name):
                context.error(f"'{name}' must be 0, got {getattr(p, name)}", name)
        for name in (
            *("kernel_size", "kernel_h", "kernel_w", "stride", "stride_h", "stride_w"),
            *("unpool_size", "unpool_h", "unpool_w"),
        ):
            if has(name) and getattr(p, name) < 1:
                context.error(f"'{name}' must be at least 1, got 0", name)

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom = maps_of(context)
        if len(context.bottoms) > 1:
            context.same_shapes(0, 1)
        return [(*bottom[:2], *pair_of(context.param, "unpool_size", "unpool"))]

    def kept(self, layer: Layer) -> Kept:
        # the places that the mask names
        return Kept(bytes=8 * layer.bottom_blobs[0].count, top_is_free=True)


def pair_of(p: Any, name: str, short: str, default: int = 0) -> tuple[int, int]:
    """A setting along height and width: from its _h and _w fields, or from the one for both."""
    if p.HasField(f"{short}_h"):
        return getattr(p, f"{short}_h"), getattr(p, f"{short}_w")
    return (getattr(p, name) or default,) * 2


def _check_pair(context: LayerContext, name: str, short: str, required: bool) -> None:
    high, wide = f"{short}_h", f"{short}_w"
    pair = [field for field in (high, wide) if context.has(field)]
    if pair and context.has(name):
        context.error(f"give '{name}' or '{high}' and '{wide}', not both", pair[0])
    elif len(pair) == 1:
        missing = wide if pair[0] == high else high
        context.error(f"'{pair[0]}' stands here without '{missing}'", pair[0])
    elif required and not pair and not context.has(name):
        context.error(f"'{name}' must be given", name)


def maps_of(context: LayerContext) -> Shape:
    """The first bottom's shape, which must be N × C × H × W with something along H and W."""
    bottom = context.bottoms[0]
    if len(bottom) != 4 or not all(bottom[2:]):
        got = len(bottom) if len(bottom) != 4 else shape_text(bottom)
        raise context.stop(
            f"{context.spec.type} takes a blob of 4 axes (N×C×H×W) with rows and columns, "
            f"got {got}",
            "bottom",
            0,
            notes=[context.made_here(0)],
        )
    return bottom


SPECS: tuple[type[Spec], ...] = (Interp, MaskedUpsample, NearestUpsample, Unpooling)
