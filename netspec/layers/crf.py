"""Conditional random fields and edge-preserving filters behind a segmentation net.

Source: bittnt/caffe (CRF as RNN) and hszhao/PSPNet (DeepLab's layers).
"""

from __future__ import annotations

from netspec.graph import Shape
from netspec.layers.axes import require_maps
from netspec.layers.example import Example
from netspec.layers.layer_context import LayerContext
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec

SCORES: dict[str, Shape] = {"unary": (1, 21, 64, 64), "scores": (1, 21, 64, 64)}
IMAGE: dict[str, Shape] = {"image": (1, 3, 64, 64)}
SIZE: dict[str, Shape] = {"size": (1, 2, 1, 1)}


class MultiStageMeanfield(Spec):
    """A conditional random field over the labels of an image, as mean-field iterations.

    Shapes: scores and start N×C×H×W, the image N×3×H×W; the top has the scores'. Its three params
        are matrices of C×C: the spatial, the bilateral weights, and how labels suit one another.
    """

    type = "MultiStageMeanfield"
    param = "multi_stage_meanfield_param"
    not_computed = "its bilateral filter is not carried out"
    bottoms = (3, 3)
    keeps_places = False
    shown = (Setting("num_iterations", "{} iterations", True),)
    example = Example(
        SCORES | IMAGE, "multi_stage_meanfield_param { num_iterations: 10 theta_alpha: 160 }"
    )

    def check(self, context: LayerContext) -> None:
        if context.param.num_iterations < 2:  # as the original demands
            given = context.param.num_iterations
            context.error(f"'num_iterations' must be at least 2, got {given}", "num_iterations")

    def infer(self, context: LayerContext) -> list[Shape]:
        require_maps(context)
        context.same_shapes(0, 1)
        channels = context.bottoms[0][1]
        for _ in range(3):
            context.add_param((1, 1, channels, channels))
        return [context.bottoms[0]]


class DenseCRF(Spec):
    """A fully connected conditional random field over the labels of an image (DeepLab).

    The bottoms are the scores, the images' sizes before they were padded, and the images.
    """

    type = "DenseCRF"
    param = "dense_crf_param"
    not_computed = "its bilateral filter is not carried out"
    bottoms = (2, 3)
    keeps_places = False
    shown = (Setting("max_iter", "{} iterations", True),)
    example = Example(
        {"scores": (1, 21, 64, 64)} | SIZE | IMAGE,
        "dense_crf_param { pos_w: 3 pos_xy_std: 3 }",
        shapes="the top has the first bottom's",
    )


class DomainTransform(Spec):
    """A filter that smooths scores between the edges of a second bottom (DeepLab)."""

    type = "DomainTransform"
    param = "domain_transform_param"
    not_computed = "its recursive filter is not carried out"
    bottoms = (3, 3)
    keeps_places = False
    shown = (Setting("num_iter", "{} iterations", True),)
    example = Example(
        {"scores": (1, 21, 64, 64), "edges": (1, 1, 64, 64)} | SIZE,
        "domain_transform_param { spatial_sigma: 50 range_sigma: 5 }",
        shapes="the top has the first bottom's",
    )


SPECS: tuple[type[Spec], ...] = (MultiStageMeanfield, DenseCRF, DomainTransform)
