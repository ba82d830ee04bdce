"""Where data comes from, and where HDF5Output puts it.

The tops of the sources are the module's inputs.

Source: Caffe's InputLayer, MemoryDataLayer, DummyDataLayer, HDF5DataLayer, HDF5OutputLayer.
"""

from __future__ import annotations

from typing import Any, ClassVar

from netspec.files.blob_shape import OLD_SIZES
from netspec.graph import Layer, Shape
from netspec.layers.example import DATA, Example
from netspec.layers.kept import NOTHING
from netspec.layers.layer_context import LayerContext, input_options
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec
from netspec.syntax.scalar_value import float_text


class Source(Spec):
    """What all of them share.

    A shape that the user gives for a top stands in for what the file says.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (0, 0)
    tops: ClassVar[tuple[int, int | None]] = (1, None)
    is_source = True

    def settings(self, layer: Layer) -> list[str]:
        """Where records come from, how many at a time, and what the transformer does to each."""
        message = layer.message
        own: Any = layer.field(self.param)
        source = getattr(own, "source", "").replace("\\", "/").rstrip("/").rpartition("/")[2]
        shown = [source] if source else []
        shape = layer.top_blobs[0].shape if layer.top_blobs else None
        batch = getattr(own, "batch_size", 0) or (shape[0] if shape else 0)
        shown += [f"batch {batch}"] if batch else []
        transform = message.transform_param
        if getattr(own, "new_height", 0):
            shown.append(f"resized to {own.new_height}×{own.new_width}")
        shown += [f"crop {transform.crop_size}"] if transform.crop_size else []
        shown += ["mirror"] if transform.mirror else []
        shown += ["minus mean"] if transform.mean_file or transform.mean_value else []
        shown += [f"scale {float_text(transform.scale)}"] if transform.scale != 1 else []
        return [*shown, "shuffled"] if getattr(own, "shuffle", False) else shown

    def infer(self, context: LayerContext) -> list[Shape]:
        tops = context.layer.tops
        if all(top in context.given for top in tops):
            return [context.given[top] for top in tops]
        return [
            context.given.get(top, shape)
            for top, shape in zip(tops, self.shapes(context), strict=True)
        ]

    def shapes(self, context: LayerContext) -> list[Shape]:
        """The shapes of all tops as the file and its data say."""
        raise NotImplementedError


class Input(Source):
    """Tops of fixed shapes that the caller fills."""

    type = "Input"
    is_input = True
    param = "input_param"
    example = Example(
        {},
        "input_param { shape { dim: 1 dim: 3 dim: 224 dim: 224 } }",
        ("data",),
        "those of its 'shape', one for all tops or one for each",
    )

    def check(self, context: LayerContext) -> None:
        given, tops = len(context.param.shape), len(context.layer.top_blobs)
        missing = [top for top in context.layer.tops if top not in context.given]
        if given not in (1, tops) and (given or missing):
            hint = (
                "write 'input_param { shape { dim: 1 dim: 3 dim: 224 dim: 224 } }', "
                f"or give --input {(missing or ['data'])[0]}=1,3,224,224"
            )
            raise context.stop(
                f"'shape' stands once, or once for each of the {tops} tops, got {given}",
                "shape",
                hint=hint,
            )

    def shapes(self, context: LayerContext) -> list[Shape]:
        shapes = [_dims(context, i) for i in range(len(context.param.shape))]
        return shapes * len(context.layer.top_blobs) if len(shapes) == 1 else shapes


class DummyData(Source):
    """Tops that a filler fills: constants once, anything else anew in each forward pass.

    Without a filler they are 0.
    """

    type = "DummyData"
    reader = "netspec.readers.dummy:DummyReader"
    param = "dummy_data_param"
    example = Example(
        {},
        "dummy_data_param { shape { dim: 64 dim: 3 dim: 32 dim: 32 } shape { dim: 64 } "
        'data_filler { type: "gaussian" } data_filler { value: 1 } }',
        DATA,
        "those of its 'shape', one for all tops or one for each",
    )

    def check(self, context: LayerContext) -> None:
        p, tops = context.param, len(context.layer.top_blobs)
        old = [len(getattr(p, name)) for name in OLD_SIZES]
        if p.shape and any(old):
            context.error(
                "give 'shape' or the older 'num', 'channels', 'height' and 'width', not both",
                "shape",
            )
        if len(p.data_filler) not in (0, 1, tops):
            context.error(
                f"'data_filler' stands once, or once for each of the {tops} tops, "
                f"got {len(p.data_filler)}",
                "data_filler",
            )
        if p.shape and len(p.shape) not in (1, tops):
            raise context.stop(
                f"'shape' stands once, or once for each of the {tops} tops, got {len(p.shape)}",
                "shape",
            )
        if not p.shape and any(count not in (1, tops) for count in old):
            raise context.stop(
                "'num', 'channels', 'height' and 'width' each stand once, or once for each top",
                "num",
            )
        fillers = list(enumerate(p.data_filler))
        for (i, filler), shape in zip(
            fillers * tops if len(fillers) == 1 else fillers, self.shapes(context), strict=False
        ):
            context.check_filler(filler, shape, "data_filler", i)

    def shapes(self, context: LayerContext) -> list[Shape]:
        p, tops = context.param, len(context.layer.top_blobs)
        if p.shape:
            shapes = [_dims(context, i) for i in range(len(p.shape))]
        else:
            given = [list(getattr(p, name)) for name in OLD_SIZES]
            longest = max(map(len, given))
            columns = [sizes * longest if len(sizes) == 1 else sizes for sizes in given]
            shapes = list(zip(*columns, strict=True))
        return shapes * tops if len(shapes) == 1 else shapes


def _dims(context: LayerContext, index: int) -> Shape:
    dims = tuple(context.param.shape[index].dim)
    for i, dim in enumerate(dims):
        if dim < 0:
            raise context.stop(
                f"a dimension can't be negative, got {dim}", "shape", index, "dim", i
            )
    return dims


class MemoryData(Source):
    """Images and labels that the caller feeds, as to an Input layer.

    The module takes them as arguments: module(data=…, label=…). transform_param changes nothing, as
    in Caffe where arrays are set from Python.

    Shapes: N×C×H×W by the settings, then N.
    """

    type = "MemoryData"
    param = "memory_data_param"
    tops = (2, 2)
    example = Example(
        {}, "memory_data_param { batch_size: 64 channels: 3 height: 32 width: 32 }", DATA
    )

    def check(self, context: LayerContext) -> None:
        for name in ("batch_size", "channels", "height", "width"):
            if not getattr(context.param, name):
                context.error(f"'{name}' must be given and at least 1", name)
        if context.message.HasField("transform_param"):
            message = (
                f"{context.layer.label}: 'transform_param' changes nothing here; "
                "the caller feeds what the net reads"
            )
            context.report.warning(message, context.layer.spans.at("transform_param"))

    def shapes(self, context: LayerContext) -> list[Shape]:
        p = context.param
        return [(p.batch_size, p.channels, p.height, p.width), (p.batch_size,)]


class HDF5Data(Source):
    """Rows of HDF5 files that a text file lists; a dataset for each top, named like it.

    Shapes: N, then the axes of the dataset after its first.
    """

    type = "HDF5Data"
    reader = "netspec.readers.hdf5:Hdf5Reader"
    param = "hdf5_data_param"
    example = Example(
        {},
        'hdf5_data_param { source: "train_h5.txt" batch_size: 64 shuffle: true }',
        DATA,
        inputs={"data": (64, 3, 32, 32), "label": (64,)},
    )

    def check(self, context: LayerContext) -> None:
        if not context.param.batch_size:
            context.error("'batch_size' must be given and at least 1", "batch_size")
        if not context.param.source:
            context.error("'source' must name a list of HDF5 files", "source")
        if context.message.HasField("transform_param"):
            context.error(
                "HDF5 data is fed as it is; 'transform_param' has no place here", "transform_param"
            )

    def shapes(self, context: LayerContext) -> list[Shape]:
        rows = context.hdf5_row_shapes()
        if rows is None:
            options = input_options(context.layer.tops, (context.param.batch_size, 4))
            advice = f"to see shapes without it, give the sizes of its datasets, such as {options}"
            raise context.unknown_size(
                f"the list '{context.param.source}' or its first file does not exist", advice
            )
        return [(context.param.batch_size, *row) for row in rows]


class HDF5Output(Spec):
    """Writes its two bottoms to an HDF5 file, as the datasets "data" and "label".

    Each forward pass adds its rows, in TRAIN and TEST alike; the file is whole after each. The
    first pass of a compiled module begins the file anew. (Caffe writes one pass and stops at the
    second.)

    Shapes: two bottoms of as many items; both datasets have four axes, those that a bottom lacks
        are 1, as in Caffe.
    """

    type = "HDF5Output"
    param = "hdf5_output_param"
    bottoms = (2, 2)
    tops = (0, 0)
    keeps = NOTHING
    has_side_effects = True
    shown = (Setting("file_name", "{}", True),)
    example = Example(
        {"data": (32, 10), "label": (32,)}, 'hdf5_output_param { file_name: "out.h5" }', ()
    )

    def check(self, context: LayerContext) -> None:
        if not context.param.file_name:
            context.error("'file_name' must name the HDF5 file to write", "file_name")

    def infer(self, context: LayerContext) -> list[Shape]:
        for i, shape in enumerate(context.bottoms):
            if not 1 <= len(shape) <= 4:
                name = context.layer.bottom_blobs[i].name
                raise context.stop(
                    f"'{name}' has {len(shape)} axes, but 1 to 4 can be written",
                    "bottom",
                    i,
                    notes=[context.made_here(i)],
                )
        context.same_first()
        return []


SPECS = (Input, MemoryData, DummyData, HDF5Data, HDF5Output)
