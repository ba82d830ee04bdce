"""Training data that are augmented together with what is to be found in them.

Source: NVIDIA/caffe (DetectNetTransformation) and shihenw/caffe (CPMData).
"""

from __future__ import annotations

from netspec.graph import Shape, shape_text
from netspec.layers.axes import require_maps
from netspec.layers.data import Source
from netspec.layers.example import Example
from netspec.layers.layer_context import LayerContext
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec


class DetectNetTransformation(Spec):
    """Augments images with their boxes, and lays the boxes on a grid (DetectNet).

    Shapes: images N×3×H×W → N×3×image_size_y×image_size_x; what the labels' top has is not known.
    """

    type = "DetectNetTransformation"
    param = "detectnet_groundtruth_param"
    not_computed = "its augmentation is not carried out"
    bottoms = (2, 2)
    tops = (2, 2)
    keeps_places = False
    unforced = (0, 1)
    shown = (Setting("stride", "stride {}", True),)
    example = Example(
        {"data": (10, 3, 384, 1248), "label": (10, 1, 30, 16)},
        "detectnet_groundtruth_param { stride: 16 image_size_x: 1248 image_size_y: 384 }",
        ("transformed_data", "transformed_label"),
    )

    def infer(self, context: LayerContext) -> list[Shape | None]:
        require_maps(context)
        images, labels = context.bottoms
        if images[1] != 3 or labels[:1] != images[:1]:
            raise context.stop(
                f"it takes images of 3 channels and as many labels, got {shape_text(images)} and "
                f"{shape_text(labels)}",
                "bottom",
                0,
                notes=[context.made_here(0), context.made_here(1)],
            )
        p = context.param
        return [(images[0], 3, p.image_size_y, p.image_size_x), None]


class CPMData(Source):
    """Images of people with the maps of their body parts, from an LMDB of its own format."""

    type = "CPMData"
    param = "data_param"
    tops = (1, 2)
    not_computed = "the format of its database is not read"
    example = Example(
        {},
        'data_param { source: "lmdb" batch_size: 16 backend: LMDB }',
        ("data", "label"),
        "those of its records",
        inputs={"data": (16, 4, 368, 368), "label": (16, 15, 46, 46)},
    )

    def shapes(self, context: LayerContext) -> list[Shape]:
        tops = " ".join(f"--input {top}=N,C,H,W" for top in context.layer.tops)
        raise context.unknown_size(self.not_computed, f"give {tops}")


SPECS: tuple[type[Spec], ...] = (DetectNetTransformation, CPMData)
