"""Sources of SSD: images with boxes, and the frames of a camera or a video.

Source: weiliu89/caffe, branch ssd.
"""

from __future__ import annotations

from typing import Any

from netspec.graph import Shape, shape_text
from netspec.layers.data import Source
from netspec.layers.example import Example
from netspec.layers.image_augmentation import COLOURS, check_distort
from netspec.layers.image_data import Data
from netspec.layers.layer_context import LayerContext
from netspec.layers.resize_policy import check_resize, crop_size, refuse, resize_param, resized_size
from netspec.schema.forks import stated

# what SSD's transformation does; other forks' fields are not carried out
TRANSFORMS = frozenset(
    {
        "resize_param", "noise_param", "distort_param", "expand_param", "emit_constraint",
        "crop_h", "crop_w",
    }
)  # fmt: skip
# fields that eric612's fork adds to annotated_data_param, which change what is sampled
_YOLO = ("yolo_data_type", "yolo_data_jitter", "train_diffcult", "single_class", "seg_scales",
         "seg_resize_width", "seg_resize_height", "difficult_label_warmup")  # fmt: skip
_LABEL_ROWS = (1, 1, 1, 8)
_RESIZE_HINT = "resize_param { height: 300 width: 300 resize_mode: WARP }"


class AnnotatedData(Data):
    """Images with boxes from an LMDB or LevelDB, sampled, distorted and resized as SSD trains.

    Each row of the second top is a box: the image's place in the batch, label, instance, xmin,
    ymin, xmax, ymax as shares of the image, difficult.

    Shapes: N×C×H×W by resize_param, crop_size or the records; 1×1×G×8 for the G boxes of the batch,
        which the net declares as one.
    Source: weiliu89/caffe, branch ssd, AnnotatedDataLayer.
    """

    type = "AnnotatedData"
    reader = "netspec.readers.annotated:AnnotatedReader"
    takes = TRANSFORMS | COLOURS
    example = Example(
        {},
        "transform_param { mirror: true mean_value: 104 mean_value: 117 mean_value: 123 "
        f"{_RESIZE_HINT} }} "
        'data_param { source: "trainval_lmdb" batch_size: 32 backend: LMDB } '
        "annotated_data_param { batch_sampler { max_sample: 1 max_trials: 1 } }",
        ("data", "label"),
        inputs={"data": (32, 3, 300, 300), "label": (1, 1, 1, 8)},
    )

    def check(self, context: LayerContext) -> None:
        super().check(context)  # resize_param, too
        check_transform(context)
        annotated = stated(context.message, "annotated_data_param")
        if annotated is None:
            return
        for i, sampler in enumerate(annotated.batch_sampler):
            _check_sampler(context, sampler.sampler, i)
        path = "annotated_data_param"
        if annotated.anno_type:
            refuse(context, "BBOX alone is read of the annotations' types", path, "anno_type")
        for name in _YOLO:
            field = annotated.DESCRIPTOR.fields_by_name[name]
            if annotated.HasField(name) and getattr(annotated, name) != field.default_value:
                refuse(context, f"'{name}' is a fork's field that is not carried out", path, name)

    def shapes(self, context: LayerContext) -> list[Shape]:
        data = context.given.get(context.layer.tops[0]) or (
            context.param.batch_size,
            *self.record(context),
        )
        return [data, _LABEL_ROWS][: len(context.layer.top_blobs)]

    def record(self, context: LayerContext) -> Shape:
        """One image as the net reads it, C × H × W."""
        transform = context.message.transform_param
        shape = context.record_shape()
        if shape is None:
            return self.missing(context)
        means = len(transform.mean_value)
        if means > 1 and means != shape[0]:
            raise context.stop(
                f"{means} 'mean_value' for records of {shape[0]} channels",
                "transform_param",
                "mean_value",
                hint="give one for all channels or one a channel",
            )
        return transformed_shape(context, shape)

    def missing(self, context: LayerContext) -> Shape:
        """Without the data the settings give the size, and 3 channels are assumed."""
        transform = context.message.transform_param
        if resize_param(transform) is None or crop_size(transform):
            return super().missing(context)
        return transformed_shape(context, (1 if transform.force_gray else 3, 1, 1))


class VideoData(Source):
    """Frames of a camera or of a video file; its shapes are checked, nothing is read.

    Shapes: N×3×H×W by resize_param or the crop; the labels are N.
    Source: weiliu89/caffe, branch ssd, VideoDataLayer.
    """

    type = "VideoData"
    param = "video_data_param"
    takes = TRANSFORMS
    tops = (1, 2)
    not_computed = "netspec opens no camera and no video file"
    example = Example(
        {},
        f"transform_param {{ {_RESIZE_HINT} }} data_param {{ batch_size: 1 }} "
        "video_data_param { video_type: WEBCAM device_id: 0 }",
        ("data",),
    )

    def check(self, context: LayerContext) -> None:
        check_resize(context)
        check_transform(context)

    def shapes(self, context: LayerContext) -> list[Shape]:
        transform = context.message.transform_param
        resize = resize_param(transform)
        fits = resize is not None and resize.resize_mode != resize.FIT_SMALL_SIZE
        size = crop_size(transform) or ((resize.height, resize.width) if fits else None)
        batch = context.param.batch_size or context.message.data_param.batch_size
        if size is None or not batch:
            raise context.unknown_size(
                "the frames of a video have sizes that only the video shows",
                f"give --input {context.layer.tops[0]}=1,3,300,300, or a batch_size and "
                f"{_RESIZE_HINT}",
            )
        return [(batch, 3, *size), (batch,)][: len(context.layer.top_blobs)]


def transformed_shape(context: LayerContext, shape: Shape) -> Shape:
    """A record's shape after resize_param and the crop. Shapes: (C, H, W) to (C, h, w)."""
    transform = context.message.transform_param
    resize, crop = resize_param(transform), crop_size(transform)
    size = shape[1:]
    if resize is not None and resize.height and resize.width:
        size = resized_size(resize, *size)
    if crop is None:
        return (shape[0], *size)
    if crop[0] > size[0] or crop[1] > size[1]:
        raise context.stop(
            f"the crop {shape_text(crop)} is larger than the images, which are "
            f"{shape_text((shape[0], *size))} (C×H×W) before it",
            "transform_param",
        )
    return (shape[0], *crop)


def check_transform(context: LayerContext) -> None:
    """Reports what is wrong in SSD's part of a transform_param."""
    transform = context.message.transform_param
    expand = stated(transform, "expand_param")
    if expand is not None and not expand.max_expand_ratio > 1:
        context.error(
            f"'max_expand_ratio' must be more than 1, got {expand.max_expand_ratio:g}",
            *("transform_param", "expand_param", "max_expand_ratio"),
        )
    if expand is not None and transform.HasField("mean_file"):
        context.error(
            "'expand_param' fills with 'mean_value', and can't with a 'mean_file'",
            *("transform_param", "mean_file"),
        )
    check_distort(context)
    noise = stated(transform, "noise_param")
    if noise is not None and noise.convert_to_lab:
        message = "'convert_to_lab' makes floats, which the fork reads as bytes"
        refuse(context, message, "transform_param", "noise_param", "convert_to_lab")


def _check_sampler(context: LayerContext, sampler: Any, index: int) -> None:
    path = ("annotated_data_param", "batch_sampler", index, "sampler")
    for name, most in (("scale", 1.0), ("aspect_ratio", float("inf"))):
        lower, upper = getattr(sampler, f"min_{name}"), getattr(sampler, f"max_{name}")
        if not 0 < lower <= upper <= most:
            limit = " <= 1" if name == "scale" else ""
            context.error(
                f"'min_{name}' {lower:g} and 'max_{name}' {upper:g} must satisfy "
                f"0 < min <= max{limit}",
                *path,
                f"max_{name}" if lower > 0 else f"min_{name}",
            )


SPECS = (AnnotatedData, VideoData)
