"""Layers that only arrange values. Source: Caffe's ConcatLayer, FlattenLayer, SplitLayer, SilenceLayer."""

from __future__ import annotations

from math import prod

from netspec.graph import Shape
from netspec.layers.spec import Site, Spec


class Concat(Spec):
    """Joins its bottoms along `axis`; every other axis must agree."""

    type = "Concat"
    param = "concat_param"
    bottoms = (1, None)

    def check(self, site: Site) -> None:
        if site.has("axis") and site.has("concat_dim"):
            site.error("'concat_dim' is the older form of 'axis'; give one of them", "concat_dim")

    def infer(self, site: Site) -> list[Shape]:
        field = "concat_dim" if site.has("concat_dim") else "axis"
        axis = site.axis(getattr(site.param, field), len(site.bottoms[0]), field)
        for i in range(1, len(site.bottoms)):
            site.same_shapes(0, i, but=axis)
        shape = list(site.bottoms[0])
        shape[axis] = sum(bottom[axis] for bottom in site.bottoms)
        return [tuple(shape)]


class Flatten(Spec):
    """Makes one axis of the axes from `axis` to `end_axis`."""

    type = "Flatten"
    param = "flatten_param"

    def infer(self, site: Site) -> list[Shape]:
        bottom = site.bottoms[0]
        start = site.axis(site.param.axis, len(bottom), "axis")
        end = site.axis(site.param.end_axis, len(bottom), "end_axis")
        if end < start:
            raise site.stop(f"'end_axis' {site.param.end_axis} lies before 'axis' {site.param.axis}", "end_axis", notes=[site.made_here(0)])
        return [(*bottom[:start], prod(bottom[start : end + 1]), *bottom[end + 1 :])]


class Split(Spec):
    """Gives its bottom to several tops; their gradients are summed."""

    type = "Split"
    tops = (1, None)

    def infer(self, site: Site) -> list[Shape]:
        return [site.bottoms[0]] * len(site.layer.top_blobs)


class Silence(Spec):
    """Reads its bottoms, so that they are no outputs of the net, and makes nothing."""

    type = "Silence"
    bottoms = (1, None)
    tops = (0, 0)

    def infer(self, site: Site) -> list[Shape]:
        return []


SPECS = (Concat, Flatten, Split, Silence)
