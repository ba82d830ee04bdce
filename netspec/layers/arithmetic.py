"""Arithmetic of several blobs. Source: Caffe's EltwiseLayer and ScaleLayer."""

from __future__ import annotations

from netspec.graph import Layer, Shape, shape_text
from netspec.layers.spec import Site, Spec
from netspec.schema.caffe_pb2 import EltwiseParameter


class Eltwise(Spec):
    """The sum (with coefficients), product or maximum of bottoms of the same shape."""

    type = "Eltwise"
    param = "eltwise_param"
    bottoms = (2, None)

    def check(self, site: Site) -> None:
        given, bottoms = len(site.param.coeff), len(site.layer.bottom_blobs)
        if given and given != bottoms:
            site.error(f"'coeff' takes one value for each of the {bottoms} bottoms, got {given}", "coeff")
        if given and site.param.operation == EltwiseParameter.PROD:
            site.error("'coeff' goes with SUM, not with PROD", "coeff")

    def infer(self, site: Site) -> list[Shape]:
        for i in range(1, len(site.bottoms)):
            site.same_shapes(0, i)
        return [site.bottoms[0]]


class Scale(Spec):
    """Multiplies by a factor that is learned, or by a second bottom; with `bias_term` adds a learned bias."""

    type = "Scale"
    param = "scale_param"
    bottoms = (1, 2)
    in_place = True

    def infer(self, site: Site) -> list[Shape]:
        bottom, p = site.bottoms[0], site.param
        if len(site.bottoms) == 2:
            factor = site.bottoms[1]
            axis = site.axis(p.axis, len(bottom), "axis") if factor else 0  # a scalar factor has no axis
            if bottom[axis : axis + len(factor)] != factor:
                message = f"the factor ({shape_text(factor)}) must match the bottom ({shape_text(bottom)}) from axis {axis} on"
                raise site.stop(message, "bottom", 1, notes=[site.made_here(0), site.made_here(1)])
        else:
            factor = param_shape(site, bottom)
            site.add_param(factor, "filler", default=1)
        if p.bias_term:
            site.add_param(factor, "bias_filler")
        return [bottom]

    def macs(self, layer: Layer) -> int:
        return layer.top_blobs[0].count


def param_shape(site: Site, bottom: Shape) -> Shape:
    """The axes that a learned factor or bias covers: `num_axes` of them from `axis`; 0 is a scalar, -1 all."""
    count = site.param.num_axes
    if count == 0:
        return ()
    axis = site.axis(site.param.axis, len(bottom), "axis")
    if count < -1 or axis + count > len(bottom):
        raise site.stop(f"'num_axes' {count} from axis {axis} leaves a blob of {len(bottom)} axes", "num_axes", notes=[site.made_here(0)])
    return bottom[axis:] if count == -1 else bottom[axis : axis + count]


SPECS = (Eltwise, Scale)
