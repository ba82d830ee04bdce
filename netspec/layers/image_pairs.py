"""Data of segmentation: images with an image of labels each. Their shapes; the caller feeds them.

Source: alexgkendall/caffe-segnet's DenseImageDataLayer, hszhao/PSPNet's ImageSegDataLayer,
s9xie/hed's ImageLabelmapDataLayer, HyeonwooNoh/caffe's WindowSegDataLayer.
"""

from __future__ import annotations

from typing import Any, ClassVar

from netspec.graph import Shape
from netspec.layers.data import Source
from netspec.layers.example import DATA, Example
from netspec.layers.layer_context import LayerContext, input_options
from netspec.layers.spec import Spec
from netspec.schema.forks import stated, stated_word


class ImagePairs(Source):
    """What they share: batch_size pairs a batch, of a size that the crop or new_height gives."""

    tops: ClassVar[tuple[int, int | None]] = (2, 2)
    param = "image_data_param"
    takes = frozenset({"label_type", "ignore_label", "crop_height", "crop_width"})

    def check(self, context: LayerContext) -> None:
        p = context.param
        if not p.batch_size:
            context.error("'batch_size' must be given and at least 1", "batch_size")
        if not p.source:
            context.error("'source' must name a list of images and their labels", "source")
        sizes = [name for name in ("new_height", "new_width") if getattr(p, name)]
        if len(sizes) == 1:
            missing = "new_width" if sizes[0] == "new_height" else "new_height"
            context.error(f"'{sizes[0]}' stands here without '{missing}'", sizes[0])

    def shapes(self, context: LayerContext) -> list[Shape]:
        p, tops = context.param, context.layer.tops
        size = self.size(context)
        data = context.given.get(tops[0])
        if data is None and size is None:
            example = (p.batch_size, 3 if p.is_color else 1, 473, 473)
            options = input_options(tops[:1], example)
            raise context.unknown_size(
                "neither a crop nor 'new_height' and 'new_width' say it",
                f"give the sizes of its images, such as {options}",
            )
        if data is None:
            data = (p.batch_size, 3 if p.is_color else 1, *(size or ()))
        return [data, self.labels(context, data), (*data[:1], 1, 1, 2)][: len(tops)]

    def size(self, context: LayerContext) -> Shape | None:
        """The height and width of an image: those of the crop, or those that it is resized to."""
        p, transform = context.param, context.message.transform_param
        crop = (stated(transform, "crop_height"), stated(transform, "crop_width"))
        if all(crop):
            return crop
        if transform.crop_size:
            return (transform.crop_size,) * 2
        return (p.new_height, p.new_width) if p.new_height else None

    def labels(self, context: LayerContext, data: Shape) -> Shape:
        """The shape of the labels: one a pixel."""
        return (*data[:1], 1, *data[2:])


class DenseImageData(ImagePairs):
    """SegNet's images, each with an image of its labels.

    Shapes: N×C×H×W by the crop, or new_height and new_width; the labels are N×1×H×W.

    Source: alexgkendall/caffe-segnet's DenseImageDataLayer.
    """

    type = "DenseImageData"
    param = "dense_image_data_param"
    example = Example(
        {},
        'dense_image_data_param { source: "train.txt" batch_size: 4 new_height: 360 '
        "new_width: 480 }",
        DATA,
    )

    def check(self, context: LayerContext) -> None:
        super().check(context)
        pair = [name for name in ("crop_height", "crop_width") if getattr(context.param, name)]
        if len(pair) == 1:
            missing = "crop_width" if pair[0] == "crop_height" else "crop_height"
            context.error(f"'{pair[0]}' stands here without '{missing}'", pair[0])

    def size(self, context: LayerContext) -> Shape | None:
        p: Any = context.param
        return (p.crop_height, p.crop_width) if p.crop_height else super().size(context)


class ImageSegData(ImagePairs):
    """Images with a label each, or with an image of their labels (label_type PIXEL).

    Shapes: N×C×H×W by the crop, or new_height and new_width; the labels are N×1×H×W, or N×1×1×1
        where label_type is not PIXEL. A third top holds each image's height and width, N×1×1×2.

    Source: hszhao/PSPNet's ImageSegDataLayer.
    """

    type = "ImageSegData"
    tops = (2, 3)
    example = Example(
        {},
        'transform_param { crop_size: 473 } image_data_param { source: "train.txt" '
        "batch_size: 16 label_type: PIXEL }",
        DATA,
    )

    def labels(self, context: LayerContext, data: Shape) -> Shape:
        if stated_word(context.param, "label_type") == "PIXEL":
            return super().labels(context, data)
        return (*data[:1], 1, 1, 1)


class ImageLabelmapData(ImagePairs):
    """Images with an image of their labels each, such as edges.

    Shapes: N×C×H×W by the crop, or new_height and new_width; the labels are N×1×H×W.

    Source: s9xie/hed's ImageLabelmapDataLayer.
    """

    type = "ImageLabelmapData"
    example = Example(
        {},
        'image_data_param { source: "train.lst" batch_size: 1 }',
        DATA,
        inputs={"data": (1, 3, 400, 400)},
    )


class WindowSegData(ImagePairs):
    """Windows of images with an image of their labels each.

    Shapes: N×C×H×W by the crop; the labels are N×1×H×W.

    Source: HyeonwooNoh/caffe's WindowSegDataLayer.
    """

    type = "WindowSegData"
    example = Example(
        {},
        'transform_param { crop_size: 224 } image_data_param { source: "train.txt" '
        "batch_size: 8 label_type: PIXEL }",
        DATA,
    )


SPECS: tuple[type[Spec], ...] = (DenseImageData, ImageSegData, ImageLabelmapData, WindowSegData)
