"""Records of images, with the transformer that they go through.

Source: Caffe's DataLayer, ImageDataLayer, WindowDataLayer.
"""

from __future__ import annotations

from typing import ClassVar

from netspec.files.sample_sets import how_to_get
from netspec.graph import Shape, shape_text
from netspec.hint import did_you_mean
from netspec.layers.data import Source
from netspec.layers.example import CROPPED, DATA, TRANSFORM, Example
from netspec.layers.image_augmentation import AUGMENTS, check_augmentation, fills_the_crop
from netspec.layers.layer_context import MAX_COUNT, MISSING_DATA, LayerContext, input_options
from netspec.layers.resize_policy import check_resize, resize_param, resized_size


class ImageSource(Source):
    """What the sources of images share: transform_param crops and scales each record.

    The labels' top is one number a record.
    """

    source: ClassVar[str]  # what the field 'source' names
    # moved from here in V1 layers only
    old_places: ClassVar[tuple[str, ...]] = ("scale", "mean_file", "crop_size", "mirror")

    def check(self, context: LayerContext) -> None:
        check_resize(context)
        check_augmentation(context)
        transform = context.message.transform_param
        if not context.param.batch_size:
            context.error("'batch_size' must be given and at least 1", "batch_size")
        if not context.param.source:
            context.error(f"'source' must name {self.source}", "source")
        if transform.HasField("mean_file") and transform.mean_value:
            context.error(
                "give 'mean_file' or 'mean_value', not both", "transform_param", "mean_value"
            )
        if transform.force_color and transform.force_gray:
            context.error(
                "give 'force_color' or 'force_gray', not both", "transform_param", "force_gray"
            )
        for name in filter(context.has, self.old_places):
            message = f"{context.layer.label}: '{name}' has no effect here, as in Caffe"
            context.report.warning(
                message,
                context.layer.spans.at(self.param, name),
                f"write it in transform_param {{ {name}: … }}",
            )

    def shapes(self, context: LayerContext) -> list[Shape]:
        data = context.given.get(context.layer.tops[0]) or (
            context.param.batch_size,
            *self.record(context),
        )
        return [data, data[:1]][: len(context.layer.top_blobs)]

    def record(self, context: LayerContext) -> Shape:
        """The shape of a record after cropping, C × H × W.

        The mean file or the data give it, or failing these the net's text.
        """
        transform = context.message.transform_param
        shape = context.record_shape()
        if shape is None:
            return self.missing(context)
        resize = resize_param(transform)
        if resize is not None and resize.height and resize.width:
            shape = (shape[0], *resized_size(resize, *shape[1:]))
        if transform.crop_size > min(shape[1:]) and not fills_the_crop(context.layer):
            message = (
                f"'crop_size' {transform.crop_size} is larger than the records, "
                f"which are {shape_text(shape)} (C×H×W)"
            )
            raise context.stop(message, "transform_param", "crop_size")
        means = len(transform.mean_value)
        if means > 1 and means != shape[0]:
            hint = "give one for all channels or one a channel"
            raise context.stop(
                f"{means} 'mean_value' for records of {shape[0]} channels",
                "transform_param",
                "mean_value",
                hint=hint,
            )
        return (
            (shape[0], transform.crop_size, transform.crop_size) if transform.crop_size else shape
        )

    def missing(self, context: LayerContext) -> Shape:
        """One record where neither the data nor a mean file is there."""
        raise context.unknown_size(
            f"{self.source} '{context.param.source}', or a file that it names, does not exist",
            self.advice(context),
        )

    def advice(self, context: LayerContext) -> str:
        """What to do about it: for shapes alone, say them."""
        crop = context.message.transform_param.crop_size
        is_gray = context.message.transform_param.force_gray or not getattr(
            context.param, "is_color", True
        )
        options = input_options(
            context.layer.tops[:1],
            (context.param.batch_size, 1 if is_gray else 3, crop or 227, crop or 227),
        )
        # 227 is made up: who takes it as it stands sees shapes of another net
        return (
            "to see shapes without it, give "
            f"{options if crop else f'the sizes of its records, such as {options}'}"
        )


class Data(ImageSource):
    """Records of an LMDB or LevelDB in their keys' order, cropped and scaled by transform_param.

    Shapes: N×C×H×W with the records' own sizes, or crop_size; the second top, the labels, is N.
    """

    type = "Data"
    takes = AUGMENTS | {"resize_param"}
    reader = "netspec.readers.database:DatabaseReader"
    param = "data_param"
    tops = (1, 2)
    source = "a database"
    example = Example(
        {},
        f'{TRANSFORM} data_param {{ source: "train_lmdb" batch_size: 64 backend: LMDB }}',
        DATA,
        inputs=CROPPED,
    )

    def missing(self, context: LayerContext) -> Shape:
        transform = context.message.transform_param
        advice, crop = (
            f"{how_to_get(context.param.source)}; {self.advice(context)}",
            transform.crop_size,
        )
        if not crop:
            raise context.unknown_size(
                f"the database '{context.param.source}' does not exist", advice
            )
        channels = 1 if transform.force_gray else max(len(transform.mean_value), 3)
        if not (transform.force_gray or transform.force_color or len(transform.mean_value) > 1):
            message = (
                f"{context.layer.label}: the database '{context.param.source}' does not exist; "
                "records of 3 channels are assumed"
            )
            context.report.warning(
                message, context.layer.spans.at("data_param", "source"), advice, kind=MISSING_DATA
            )
        return (channels, crop, crop)


class ImageData(ImageSource):
    """Image files that a list names with their labels, in BGR order.

    Shapes: N×C×H×W with new_height and new_width, or the first image's own sizes, or crop_size; C
        is 3, or 1 where is_color
    is false. The labels are N.
    """

    type = "ImageData"
    takes = AUGMENTS | {"resize_param"}
    reader = "netspec.readers.image_list:ImageListReader"
    param = "image_data_param"
    tops = (2, 2)
    source = "a list of images"
    example = Example(
        {},
        f'{TRANSFORM} image_data_param {{ source: "train.txt" batch_size: 64 shuffle: true '
        "new_height: 256 new_width: 256 }",
        DATA,
        inputs=CROPPED,
    )

    def check(self, context: LayerContext) -> None:
        super().check(context)
        sizes = [name for name in ("new_height", "new_width") if getattr(context.param, name)]
        if len(sizes) == 1:
            missing = "new_width" if sizes[0] == "new_height" else "new_height"
            context.error(
                f"'{sizes[0]}' stands here without '{missing}'",
                sizes[0],
                hint="give both, or neither to keep the images' sizes",
            )
        elif 3 * context.param.new_height * context.param.new_width > MAX_COUNT:
            shape = f"3×{context.param.new_height}×{context.param.new_width}"
            context.error(
                f"an image of {shape} would have more than {MAX_COUNT} values", "new_height"
            )


class WindowData(ImageSource):
    """Windows of images, each stretched to a square of crop_size.

    Part of them are on objects and the rest on background.

    Shapes: N×3×crop_size×crop_size; the labels are N.
    """

    type = "WindowData"
    reader = "netspec.readers.windows:WindowReader"
    param = "window_data_param"
    tops = (2, 2)
    source = "a list of windows"
    old_places = ("mean_file", "crop_size", "mirror")  # 'scale' is read where it stands
    example = Example(
        {},
        f'{TRANSFORM} window_data_param {{ source: "windows.txt" batch_size: 64 context_pad: 16 }}',
        DATA,
        inputs=CROPPED,
    )

    def check(self, context: LayerContext) -> None:
        super().check(context)
        p, crop = context.param, context.message.transform_param.crop_size
        if not crop:
            context.error(
                "'crop_size' must be given: the square that windows are stretched to",
                "transform_param",
                "crop_size",
            )
        elif 2 * p.context_pad >= crop:
            context.error(
                f"'context_pad' {p.context_pad} on both sides leaves nothing of a square of {crop}",
                "context_pad",
            )
        means = len(context.message.transform_param.mean_value)
        if means not in (0, 1, 3):
            context.error(
                f"{means} 'mean_value' for windows of 3 channels", "transform_param", "mean_value"
            )
        if p.crop_mode not in ("warp", "square"):
            hint = did_you_mean(p.crop_mode, ("warp", "square"))
            context.error(
                f"'crop_mode' is warp or square, got '{p.crop_mode}'", "crop_mode", hint=hint
            )
        if not 0 <= p.fg_fraction <= 1:
            context.error(
                f"'fg_fraction' must lie between 0 and 1, got {p.fg_fraction:g}", "fg_fraction"
            )
        if context.message.transform_param.HasField("scale"):
            # Caffe's V1 upgrade moves the scale to where the layer does not look
            message = (
                f"{context.layer.label}: 'scale' of transform_param has no "
                "effect on WindowData, as in Caffe"
            )
            advice = "in a 'layer' (not the older 'layers') window_data_param { scale: … } has"
            context.report.warning(
                message, context.layer.spans.at("transform_param", "scale"), advice
            )

    def record(self, context: LayerContext) -> Shape:
        shape = super().record(context)
        if shape[0] != 3:
            message = (
                f"'{context.param.source}' speaks of images of {shape[0]} channels, "
                "but windows are read in colour: 3"
            )
            raise context.stop(message, "source")
        return shape

    def missing(self, context: LayerContext) -> Shape:
        crop = context.message.transform_param.crop_size
        return (3, crop, crop)


SPECS = (Data, ImageData, WindowData)
