"""Convolution. Source: Caffe's BaseConvolutionLayer and ConvolutionLayer."""

from __future__ import annotations

from math import prod

from netspec.graph import Layer, Shape
from netspec.layers.spec import Site, Spec
from netspec.layers.window import check_window, convolved_size, require_axes, require_room, window_of


class Convolution(Spec):
    """Cross-correlation over any number of spatial axes; weights are out × in/group × kernel."""

    type = "Convolution"
    param = "convolution_param"
    bottoms = (1, None)
    tops = (1, None)

    def check(self, site: Site) -> None:
        check_window(site)
        p = site.param
        if not p.num_output:
            site.error("'num_output' must be given and at least 1", "num_output")
        if not p.kernel_size and not site.has("kernel_h") and not site.has("kernel_w"):
            site.error("'kernel_size' must be given", "kernel_size")
        if not p.group:
            site.error("'group' must be at least 1, got 0", "group")
        elif p.num_output % p.group:
            site.error(f"'group' {p.group} does not divide 'num_output' {p.num_output}", "group")
        if len(site.layer.bottom_blobs) != len(site.layer.top_blobs):
            bottoms, tops = len(site.layer.bottom_blobs), len(site.layer.top_blobs)
            site.error(f"each bottom makes one top, got {bottoms} and {tops}", "top")

    def infer(self, site: Site) -> list[Shape]:
        bottom, p = site.bottoms[0], site.param
        axis = site.axis(p.axis, len(bottom), "axis")
        channels, sizes = bottom[axis], bottom[axis + 1 :]
        if not sizes:
            raise site.stop(f"there is no spatial axis behind axis {axis}", "axis", notes=[site.made_here(0)])
        require_axes(site, len(sizes))
        for i in range(1, len(site.bottoms)):
            site.same_shapes(0, i)
        if channels % p.group:
            message = f"'group' {p.group} does not divide the {channels} channels of '{site.layer.bottoms[0]}'"
            raise site.stop(message, "group", notes=[site.made_here(0)])
        window = window_of(p, len(sizes))
        out = tuple(convolved_size(size, window, i) for i, size in enumerate(sizes))
        require_room(site, sizes, out, window)
        site.add_param((p.num_output, channels // p.group, *window.kernel), "weight_filler")
        if p.bias_term:
            site.add_param((p.num_output,), "bias_filler")
        return [(*bottom[:axis], p.num_output, *out)] * len(site.bottoms)

    def macs(self, layer: Layer) -> int:
        return sum(blob.count for blob in layer.top_blobs) * prod(layer.params[0].shape[1:])


SPECS = (Convolution,)
