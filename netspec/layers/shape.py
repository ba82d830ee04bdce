"""Layers that only arrange values. Source: Caffe's layers of the same names."""

from __future__ import annotations

from math import prod

from netspec.graph import Layer, Shape, shape_text, sizes_text
from netspec.layers.axes import left_and_taken, offsets_of, replaced_axes, reshaped, slice_sizes
from netspec.layers.example import MAPS, ROWS, Example
from netspec.layers.kept import ARRANGED, NOTHING, Kept
from netspec.layers.layer_context import LayerContext
from netspec.layers.reach import Reach
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec


class Concat(Spec):
    """Joins its bottoms along `axis`; every other axis must agree."""

    type = "Concat"
    param = "concat_param"
    bottoms = (1, None)
    shown = (Setting("axis", "axis {}"),)
    example = Example(
        {"a": (1, 64, 28, 28), "b": (1, 128, 28, 28)},
        shapes="that of the bottoms; along 'axis' the sum of theirs",
    )

    def shares_memory(self, layer: Layer) -> bool:
        return len(layer.bottom_blobs) == 1

    shares_gradient = shares_memory

    def check(self, context: LayerContext) -> None:
        if context.has("axis") and context.has("concat_dim"):
            context.error(
                "'concat_dim' is the older form of 'axis'; give one of them", "concat_dim"
            )

    def infer(self, context: LayerContext) -> list[Shape]:
        field = "concat_dim" if context.has("concat_dim") else "axis"
        axis = context.axis(getattr(context.param, field), len(context.bottoms[0]), field)
        for i in range(1, len(context.bottoms)):
            context.same_shapes(0, i, but=axis)
        shape = list(context.bottoms[0])
        shape[axis] = sum(bottom[axis] for bottom in context.bottoms)
        return [tuple(shape)]

    def kept(self, layer: Layer) -> Kept:
        return ARRANGED


class Flatten(Spec):
    """Makes one axis of the axes from `axis` to `end_axis`.

    Where `end_axis` is the axis before `axis`, there are none of them: an axis of 1 is inserted.
    """

    type = "Flatten"
    param = "flatten_param"
    keeps = ARRANGED
    shown = (Setting("axis", "from axis {}"), Setting("end_axis", "to axis {}"))
    example = Example(MAPS, shapes="the axes from 'axis' to 'end_axis' become one, their product")

    def shares_memory(self, layer: Layer) -> bool:
        return True

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom = context.bottoms[0]
        start = context.axis(context.param.axis, len(bottom), "axis")
        end = context.axis(context.param.end_axis, len(bottom), "end_axis")
        if end < start - 1:
            raise context.stop(
                f"'end_axis' {context.param.end_axis} lies before 'axis' {context.param.axis}",
                "end_axis",
                notes=[context.made_here(0)],
            )
        return [(*bottom[:start], prod(bottom[start : end + 1]), *bottom[end + 1 :])]


class Split(Spec):
    """Gives its bottom to several tops; their gradients are summed."""

    type = "Split"
    tops = (1, None)
    keeps = ARRANGED
    example = Example(MAPS, tops=("a", "b"), shapes="each top has the bottom's")

    def shares_memory(self, layer: Layer) -> bool:
        return True

    def infer(self, context: LayerContext) -> list[Shape]:
        return [context.bottoms[0]] * len(context.layer.top_blobs)


class Silence(Spec):
    """Reads its bottoms, so that they are no outputs of the net, and makes nothing."""

    type = "Silence"
    bottoms = (1, None)
    tops = (0, 0)
    keeps = NOTHING
    example = Example(ROWS, tops=(), shapes="it makes no top")

    def infer(self, context: LayerContext) -> list[Shape]:
        return []


class Slice(Spec):
    """Cuts its bottom along `axis` into its tops.

    It cuts where each `slice_point` says, or into equal parts.
    """

    type = "Slice"
    param = "slice_param"
    tops = (1, None)
    keeps = NOTHING
    shown = (Setting("axis", "axis {}"), Setting("slice_point", "at {}"))
    example = Example(
        MAPS,
        "slice_param { slice_point: 16 }",
        ("a", "b"),
        "that of the bottom; along 'axis' its part",
    )

    def shares_memory(self, layer: Layer) -> bool:
        return len(layer.message.top) == 1

    shares_gradient = shares_memory

    def check(self, context: LayerContext) -> None:
        if context.has("axis") and context.has("slice_dim"):
            context.error("'slice_dim' is the older form of 'axis'; give one of them", "slice_dim")
        points, tops = list(context.param.slice_point), len(context.layer.top_blobs)
        if points and len(points) != tops - 1:
            context.error(
                f"'slice_point' stands for each top but the first, {tops - 1} times, "
                f"got {len(points)}",
                "slice_point",
                -1,
            )
        for i, (before, point) in enumerate(zip([0, *points], points, strict=False)):
            if point <= before:
                context.error(
                    f"each 'slice_point' must be above the one before, the first above 0; {point} "
                    f"follows {before}",
                    "slice_point",
                    i,
                )

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom, points, tops = (
            context.bottoms[0],
            list(context.param.slice_point),
            len(context.layer.top_blobs),
        )
        field = "slice_dim" if context.has("slice_dim") else "axis"
        axis = context.axis(getattr(context.param, field), len(bottom), field)
        size = bottom[axis]
        if points and (tops > size or points[-1] > size):  # the last top may be empty, as in Caffe
            message = (
                f"axis {axis} of '{context.layer.bottoms[0]}' holds {size}, which can't be cut "
                f"into {tops} tops at {', '.join(map(str, points))}"
            )
            raise context.stop(message, "slice_point", -1, notes=[context.made_here(0)])
        if not points and size % tops:
            message = (
                f"axis {axis} of '{context.layer.bottoms[0]}' holds {size}, which does not divide "
                f"into {tops} equal tops"
            )
            raise context.stop(
                message, "top", -1, hint="give 'slice_point'", notes=[context.made_here(0)]
            )
        return [
            (*bottom[:axis], part, *bottom[axis + 1 :]) for part in slice_sizes(size, tops, points)
        ]


class Reshape(Spec):
    """The same values in another shape, or with some of the axes in another shape."""

    type = "Reshape"
    param = "reshape_param"
    keeps = ARRANGED
    shown = (Setting("axis", "from axis {}"), Setting("num_axes", "num_axes {}"))
    example = Example(
        MAPS,
        "reshape_param { shape { dim: 0 dim: 8 dim: -1 dim: 56 } }",
        shapes=(
            "those of 'shape', where 0 copies the bottom's size at the "
            "same place and -1 takes what is left"
        ),
    )

    def shares_memory(self, layer: Layer) -> bool:
        return True

    shares_gradient = shares_memory

    def settings(self, layer: Layer) -> list[str]:
        return ["to " + sizes_text(layer.message.reshape_param.shape.dim), *super().settings(layer)]

    def check(self, context: LayerContext) -> None:
        dims = list(context.param.shape.dim)
        for i, dim in enumerate(dims):
            if dim < -1:
                context.error(
                    f"a size is positive, 0 (copied) or -1 (what is left), not {dim}",
                    "shape",
                    "dim",
                    i,
                )
            elif dim == -1 and -1 in dims[:i]:
                context.error("-1 (what is left) may stand once only", "shape", "dim", i)
        if context.param.num_axes < -1:
            context.error(
                f"'num_axes' is at least 0, or -1 for all, not {context.param.num_axes}", "num_axes"
            )

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom, p = context.bottoms[0], context.param
        axes, dims = len(bottom), list(p.shape.dim)
        # unlike elsewhere, the place behind the last axis counts too
        if not -axes - 1 <= p.axis <= axes:
            message = (
                f"axis {p.axis} is out of range for a blob of {axes} axes, where it goes from "
                f"{-axes - 1} to {axes}"
            )
            raise context.stop(message, "axis", notes=[context.made_here(0)])
        start, end = replaced_axes(axes, p.axis, p.num_axes)
        if end > axes:
            message = (
                f"{p.num_axes} axes from axis {start} on are more than a blob of {axes} axes has"
            )
            raise context.stop(message, "num_axes", notes=[context.made_here(0)])
        for i, dim in enumerate(dims):
            if dim == 0 and start + i >= axes:
                message = (
                    f"0 copies the size of the bottom's axis {start + i}, but the last axis of "
                    f"'{context.layer.bottoms[0]}' is {axes - 1}"
                )
                raise context.stop(message, "shape", "dim", i, notes=[context.made_here(0)])
        shape = reshaped(bottom, dims, start, end)
        left, taken = left_and_taken(bottom, dims, start, end)
        if left % max(taken, 1) if -1 in dims else prod(shape) != prod(bottom):
            new = (
                "?" if dim == -1 else str(dim or bottom[start + i]) for i, dim in enumerate(dims)
            )
            text = sizes_text([*bottom[:start], *new, *bottom[end:]]) or "a scalar"
            message = (
                f"the {prod(bottom)} values of '{context.layer.bottoms[0]}' ({shape_text(bottom)}) "
                f"do not fill {text}"
            )
            raise context.stop(message, "shape", notes=[context.made_here(0)])
        return [shape]


class Tile(Spec):
    """Repeats its bottom `tiles` times along `axis`."""

    type = "Tile"
    param = "tile_param"
    keeps = NOTHING
    shown = (Setting("tiles", "{} times", True), Setting("axis", "axis {}"))
    example = Example(
        ROWS,
        "tile_param { axis: 1 tiles: 3 }",
        shapes="that of the bottom; along 'axis' 'tiles' times as much",
    )

    def check(self, context: LayerContext) -> None:
        if context.param.tiles < 1:
            context.error("'tiles' must be given and at least 1", "tiles")

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom = context.bottoms[0]
        axis = context.axis(context.param.axis, len(bottom), "axis")
        return [(*bottom[:axis], bottom[axis] * context.param.tiles, *bottom[axis + 1 :])]


class Crop(Spec):
    """Cuts its first bottom to the second one's size, in every axis from `axis` on."""

    type = "Crop"
    param = "crop_param"
    bottoms = (2, 2)
    keeps = NOTHING
    sizes_only = (1,)
    shown = (Setting("axis", "axis {}"), Setting("offset", "offset {}"))
    example = Example(
        {"data": (1, 21, 64, 64), "like": (1, 3, 50, 50)},
        "crop_param { axis: 2 offset: 7 }",
        shapes="the first bottom's; from 'axis' on the second's",
    )

    def infer(self, context: LayerContext) -> list[Shape]:
        (bottom, size), given = context.bottoms, list(context.param.offset)
        axis = context.axis(context.param.axis, len(bottom), "axis")
        cut = len(bottom) - axis
        if len(given) not in (0, 1, cut):
            message = (
                f"'offset' takes one value, or {cut} for the axes from {axis} on, got {len(given)}"
            )
            raise context.stop(message, "offset", -1, notes=[context.made_here(0)])
        if len(size) < len(bottom):
            message = (
                f"'{context.layer.bottoms[1]}' has {len(size)} axes, but "
                f"'{context.layer.bottoms[0]}' is cut up to axis {len(bottom) - 1}"
            )
            raise context.stop(
                message, "bottom", 1, notes=[context.made_here(0), context.made_here(1)]
            )
        for i, offset in enumerate(offsets_of(given, cut)):
            here, wanted = bottom[axis + i], size[axis + i]
            if offset + wanted > here:
                message = (
                    f"axis {axis + i} of '{context.layer.bottoms[0]}' holds {here}, "
                    f"which can't be cut to {wanted} from {offset} on"
                )
                path = ("offset", i if len(given) > 1 else 0) if given else ("bottom", 1)
                raise context.stop(
                    message, *path, notes=[context.made_here(0), context.made_here(1)]
                )
        return [(*bottom[:axis], *size[axis : len(bottom)])]

    def reach(self, layer: Layer, bottom: int) -> Reach | None:
        p, shape = layer.message.crop_param, layer.bottom_blobs[0].shape or ()
        start = p.axis % len(shape)
        offsets = [0] * start + list(offsets_of(list(p.offset), len(shape) - start))
        axes = len(shape) - 2
        return Reach((1,) * axes, (1,) * axes, tuple(offsets[2:]))


class Parameter(Spec):
    """A learnt array as a top, zeros at first.

    Without a shape it is a single number, as in Caffe.
    """

    type = "Parameter"
    param = "parameter_param"
    bottoms = (0, 0)
    keeps = NOTHING
    example = Example(
        {}, "parameter_param { shape { dim: 10 dim: 20 } }", shapes="that of its 'shape'"
    )

    def shares_gradient(self, layer: Layer) -> bool:
        return True

    def infer(self, context: LayerContext) -> list[Shape]:
        shape = tuple(context.param.shape.dim)
        for i, dim in enumerate(shape):
            if dim < 0:
                raise context.stop(f"a size can't be negative, got {dim}", "shape", "dim", i)
        context.add_param(shape)
        return [shape]


SPECS = (Concat, Slice, Flatten, Reshape, Split, Silence, Tile, Crop, Parameter)
