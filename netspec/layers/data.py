"""Where data comes from, and where HDF5Output puts it. The tops of the sources are the module's inputs.

Source: Caffe's InputLayer, MemoryDataLayer, DummyDataLayer, DataLayer, ImageDataLayer, WindowDataLayer, HDF5DataLayer,
HDF5OutputLayer.
"""

from __future__ import annotations

from typing import Any, ClassVar

from netspec.diagnostics import did_you_mean
from netspec.files.blob_shape import OLD_SIZES
from netspec.files.sample_sets import how_to_get
from netspec.graph import Layer, Shape, shape_text
from netspec.layers.example import CROPPED, DATA, TRANSFORM, Example
from netspec.layers.setting import Setting
from netspec.layers.spec import MAX_COUNT, MISSING_DATA, Site, Spec, input_options
from netspec.syntax.bind import float_text


class Source(Spec):
    """What all of them share. A shape that the user gives for a top stands in for what the file says."""

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

    def infer(self, site: Site) -> list[Shape]:
        tops = site.layer.tops
        if all(top in site.given for top in tops):
            return [site.given[top] for top in tops]
        return [site.given.get(top, shape) for top, shape in zip(tops, self.shapes(site), strict=True)]

    def shapes(self, site: Site) -> list[Shape]:
        """The shapes of all tops as the file and its data say."""
        raise NotImplementedError


class Input(Source):
    """Tops of fixed shapes that the caller fills."""

    type = "Input"
    is_input = True
    param = "input_param"
    example = Example(
        {}, "input_param { shape { dim: 1 dim: 3 dim: 224 dim: 224 } }", ("data",), "those of its 'shape', one for all tops or one for each"
    )

    def check(self, site: Site) -> None:
        given, tops = len(site.param.shape), len(site.layer.top_blobs)
        missing = [top for top in site.layer.tops if top not in site.given]
        if given not in (1, tops) and (given or missing):
            hint = f"write 'input_param {{ shape {{ dim: 1 dim: 3 dim: 224 dim: 224 }} }}', or give --input {(missing or ['data'])[0]}=1,3,224,224"
            raise site.stop(f"'shape' stands once, or once for each of the {tops} tops, got {given}", "shape", hint=hint)

    def shapes(self, site: Site) -> list[Shape]:
        shapes = [_dims(site, i) for i in range(len(site.param.shape))]
        return shapes * len(site.layer.top_blobs) if len(shapes) == 1 else shapes


class DummyData(Source):
    """Tops that a filler fills: constants once, anything else anew in each forward pass.

    Without a filler they are 0.
    """

    type = "DummyData"
    reader = "netspec.readers.dummy:DummyReader"
    param = "dummy_data_param"
    example = Example(
        {},
        'dummy_data_param { shape { dim: 64 dim: 3 dim: 32 dim: 32 } shape { dim: 64 } data_filler { type: "gaussian" } data_filler { value: 1 } }',
        DATA,
        "those of its 'shape', one for all tops or one for each",
    )

    def check(self, site: Site) -> None:
        p, tops = site.param, len(site.layer.top_blobs)
        old = [len(getattr(p, name)) for name in OLD_SIZES]
        if p.shape and any(old):
            site.error("give 'shape' or the older 'num', 'channels', 'height' and 'width', not both", "shape")
        if len(p.data_filler) not in (0, 1, tops):
            site.error(f"'data_filler' stands once, or once for each of the {tops} tops, got {len(p.data_filler)}", "data_filler")
        if p.shape and len(p.shape) not in (1, tops):
            raise site.stop(f"'shape' stands once, or once for each of the {tops} tops, got {len(p.shape)}", "shape")
        if not p.shape and any(count not in (1, tops) for count in old):
            raise site.stop("'num', 'channels', 'height' and 'width' each stand once, or once for each top", "num")
        fillers = list(enumerate(p.data_filler))
        for (i, filler), shape in zip(fillers * tops if len(fillers) == 1 else fillers, self.shapes(site), strict=False):
            site.check_filler(filler, shape, "data_filler", i)

    def shapes(self, site: Site) -> list[Shape]:
        p, tops = site.param, len(site.layer.top_blobs)
        if p.shape:
            shapes = [_dims(site, i) for i in range(len(p.shape))]
        else:
            given = [list(getattr(p, name)) for name in OLD_SIZES]
            longest = max(map(len, given))
            columns = [sizes * longest if len(sizes) == 1 else sizes for sizes in given]
            shapes = list(zip(*columns, strict=True))
        return shapes * tops if len(shapes) == 1 else shapes


def _dims(site: Site, index: int) -> Shape:
    dims = tuple(site.param.shape[index].dim)
    for i, dim in enumerate(dims):
        if dim < 0:
            raise site.stop(f"a dimension can't be negative, got {dim}", "shape", index, "dim", i)
    return dims


class MemoryData(Source):
    """Images and labels that the caller feeds, as to an Input layer.

    The module takes them as arguments: module(data=…, label=…). transform_param changes nothing, as in Caffe where arrays
    are set from Python.

    Shapes: N×C×H×W by the settings, then N.
    """

    type = "MemoryData"
    param = "memory_data_param"
    tops = (2, 2)
    example = Example({}, "memory_data_param { batch_size: 64 channels: 3 height: 32 width: 32 }", DATA)

    def check(self, site: Site) -> None:
        for name in ("batch_size", "channels", "height", "width"):
            if not getattr(site.param, name):
                site.error(f"'{name}' must be given and at least 1", name)
        if site.message.HasField("transform_param"):
            message = f"{site.layer.label}: 'transform_param' changes nothing here; the caller feeds what the net reads"
            site.report.warning(message, site.layer.spans.at("transform_param"))

    def shapes(self, site: Site) -> list[Shape]:
        p = site.param
        return [(p.batch_size, p.channels, p.height, p.width), (p.batch_size,)]


class _ImageSource(Source):
    """What the sources of images share: transform_param crops and scales each record; the labels' top is one number a record."""

    source: ClassVar[str]  # what the field 'source' names
    old_places: ClassVar[tuple[str, ...]] = ("scale", "mean_file", "crop_size", "mirror")  # moved from here in V1 layers only

    def check(self, site: Site) -> None:
        transform = site.message.transform_param
        if not site.param.batch_size:
            site.error("'batch_size' must be given and at least 1", "batch_size")
        if not site.param.source:
            site.error(f"'source' must name {self.source}", "source")
        if transform.HasField("mean_file") and transform.mean_value:
            site.error("give 'mean_file' or 'mean_value', not both", "transform_param", "mean_value")
        if transform.force_color and transform.force_gray:
            site.error("give 'force_color' or 'force_gray', not both", "transform_param", "force_gray")
        for name in filter(site.has, self.old_places):
            message = f"{site.layer.label}: '{name}' has no effect here, as in Caffe"
            site.report.warning(message, site.layer.spans.at(self.param, name), f"write it in transform_param {{ {name}: … }}")

    def shapes(self, site: Site) -> list[Shape]:
        data = site.given.get(site.layer.tops[0]) or (site.param.batch_size, *self.record(site))
        return [data, data[:1]][: len(site.layer.top_blobs)]

    def record(self, site: Site) -> Shape:
        """One record after cropping, C × H × W: from the mean file or the data; failing these from the net's text."""
        transform = site.message.transform_param
        shape = site.record_shape()
        if shape is None:
            return self.missing(site)
        if transform.crop_size > min(shape[1:]):
            message = f"'crop_size' {transform.crop_size} is larger than the records, which are {shape_text(shape)} (C×H×W)"
            raise site.stop(message, "transform_param", "crop_size")
        means = len(transform.mean_value)
        if means > 1 and means != shape[0]:
            hint = "give one for all channels or one a channel"
            raise site.stop(f"{means} 'mean_value' for records of {shape[0]} channels", "transform_param", "mean_value", hint=hint)
        return (shape[0], transform.crop_size, transform.crop_size) if transform.crop_size else shape

    def missing(self, site: Site) -> Shape:
        """One record where neither the data nor a mean file is there to tell."""
        raise site.unknown_size(f"{self.source} '{site.param.source}', or a file that it names, does not exist", self.advice(site))

    def advice(self, site: Site) -> str:
        """What to do about it: for shapes alone, say them."""
        crop = site.message.transform_param.crop_size
        is_gray = site.message.transform_param.force_gray or not getattr(site.param, "is_color", True)
        options = input_options(site.layer.tops[:1], (site.param.batch_size, 1 if is_gray else 3, crop or 227, crop or 227))
        # 227 is made up: who takes it as it stands sees shapes of another net
        return f"to see shapes without it, give {options if crop else f'the sizes of its records, such as {options}'}"


class Data(_ImageSource):
    """Records of an LMDB or LevelDB, in the order of their keys, cropped and scaled by transform_param.

    Shapes: N×C×H×W with the records' own sizes, or crop_size; the second top, the labels, is N.
    """

    type = "Data"
    reader = "netspec.readers.database:DatabaseReader"
    param = "data_param"
    tops = (1, 2)
    source = "a database"
    example = Example({}, f'{TRANSFORM} data_param {{ source: "train_lmdb" batch_size: 64 backend: LMDB }}', DATA, inputs=CROPPED)

    def missing(self, site: Site) -> Shape:
        transform = site.message.transform_param
        advice, crop = f"{how_to_get(site.param.source)}; {self.advice(site)}", transform.crop_size
        if not crop:
            raise site.unknown_size(f"the database '{site.param.source}' does not exist", advice)
        channels = 1 if transform.force_gray else max(len(transform.mean_value), 3)
        if not (transform.force_gray or transform.force_color or len(transform.mean_value) > 1):
            message = f"{site.layer.label}: the database '{site.param.source}' does not exist; records of 3 channels are assumed"
            site.report.warning(message, site.layer.spans.at("data_param", "source"), advice, kind=MISSING_DATA)
        return (channels, crop, crop)


class ImageData(_ImageSource):
    """Image files that a list names with their labels, in BGR order.

    Shapes: N×C×H×W with new_height and new_width, or the first image's own sizes, or crop_size; C is 3, or 1 where is_color
    is false. The labels are N.
    """

    type = "ImageData"
    reader = "netspec.readers.image_list:ImageListReader"
    param = "image_data_param"
    tops = (2, 2)
    source = "a list of images"
    example = Example(
        {},
        f'{TRANSFORM} image_data_param {{ source: "train.txt" batch_size: 64 shuffle: true new_height: 256 new_width: 256 }}',
        DATA,
        inputs=CROPPED,
    )

    def check(self, site: Site) -> None:
        super().check(site)
        sizes = [name for name in ("new_height", "new_width") if getattr(site.param, name)]
        if len(sizes) == 1:
            missing = "new_width" if sizes[0] == "new_height" else "new_height"
            site.error(f"'{sizes[0]}' stands here without '{missing}'", sizes[0], hint="give both, or neither to keep the images' sizes")
        elif 3 * site.param.new_height * site.param.new_width > MAX_COUNT:
            shape = f"3×{site.param.new_height}×{site.param.new_width}"
            site.error(f"an image of {shape} would have more than {MAX_COUNT} values", "new_height")


class WindowData(_ImageSource):
    """Windows of images, part of them on objects and the rest on background, each stretched to a square of crop_size.

    Shapes: N×3×crop_size×crop_size; the labels are N.
    """

    type = "WindowData"
    reader = "netspec.readers.windows:WindowReader"
    param = "window_data_param"
    tops = (2, 2)
    source = "a list of windows"
    old_places = ("mean_file", "crop_size", "mirror")  # 'scale' is read where it stands
    example = Example({}, f'{TRANSFORM} window_data_param {{ source: "windows.txt" batch_size: 64 context_pad: 16 }}', DATA, inputs=CROPPED)

    def check(self, site: Site) -> None:
        super().check(site)
        p, crop = site.param, site.message.transform_param.crop_size
        if not crop:
            site.error("'crop_size' must be given: the square that windows are stretched to", "transform_param", "crop_size")
        elif 2 * p.context_pad >= crop:
            site.error(f"'context_pad' {p.context_pad} on both sides leaves nothing of a square of {crop}", "context_pad")
        if p.crop_mode not in ("warp", "square"):
            hint = did_you_mean(p.crop_mode, ("warp", "square"))
            site.error(f"'crop_mode' is warp or square, got '{p.crop_mode}'", "crop_mode", hint=hint)
        if not 0 <= p.fg_fraction <= 1:
            site.error(f"'fg_fraction' must lie between 0 and 1, got {p.fg_fraction:g}", "fg_fraction")
        if site.message.transform_param.HasField("scale"):
            # Caffe's V1 upgrade moves the scale to where the layer does not look
            message = f"{site.layer.label}: 'scale' of transform_param has no effect on WindowData, as in Caffe"
            hint = "in a 'layer' (not the older 'layers') window_data_param { scale: … } has"
            site.report.warning(message, site.layer.spans.at("transform_param", "scale"), hint)

    def record(self, site: Site) -> Shape:
        shape = super().record(site)
        if shape[0] != 3:
            message = f"'{site.param.source}' speaks of images of {shape[0]} channels, but windows are read in colour: 3"
            raise site.stop(message, "source")
        return shape

    def missing(self, site: Site) -> Shape:
        crop = site.message.transform_param.crop_size
        return (3, crop, crop)


class HDF5Data(Source):
    """Rows of HDF5 files that a text file lists; a dataset for each top, named like it.

    Shapes: N, then the axes of the dataset after its first.
    """

    type = "HDF5Data"
    reader = "netspec.readers.hdf5:Hdf5Reader"
    param = "hdf5_data_param"
    example = Example(
        {}, 'hdf5_data_param { source: "train_h5.txt" batch_size: 64 shuffle: true }', DATA, inputs={"data": (64, 3, 32, 32), "label": (64,)}
    )

    def check(self, site: Site) -> None:
        if not site.param.batch_size:
            site.error("'batch_size' must be given and at least 1", "batch_size")
        if not site.param.source:
            site.error("'source' must name a list of HDF5 files", "source")
        if site.message.HasField("transform_param"):
            site.error("HDF5 data is fed as it is; 'transform_param' has no place here", "transform_param")

    def shapes(self, site: Site) -> list[Shape]:
        rows = site.hdf5_row_shapes()
        if rows is None:
            options = input_options(site.layer.tops, (site.param.batch_size, 4))
            advice = f"to see shapes without it, give the sizes of its datasets, such as {options}"
            raise site.unknown_size(f"the list '{site.param.source}' or its first file does not exist", advice)
        return [(site.param.batch_size, *row) for row in rows]


class HDF5Output(Spec):
    """Writes its two bottoms to an HDF5 file, as the datasets "data" and "label".

    Each forward pass adds its rows, in TRAIN and TEST alike; the file is whole after each. The first pass of a compiled
    module begins the file anew. (Caffe writes one pass and stops at the second.)

    Shapes: two bottoms of as many items; both datasets have four axes, those that a bottom lacks are 1, as in Caffe.
    """

    type = "HDF5Output"
    param = "hdf5_output_param"
    bottoms = (2, 2)
    tops = (0, 0)
    acts = True
    shown = (Setting("file_name", "{}", True),)
    example = Example({"data": (32, 10), "label": (32,)}, 'hdf5_output_param { file_name: "out.h5" }', ())

    def check(self, site: Site) -> None:
        if not site.param.file_name:
            site.error("'file_name' must name the HDF5 file to write", "file_name")

    def infer(self, site: Site) -> list[Shape]:
        for i, shape in enumerate(site.bottoms):
            if not 1 <= len(shape) <= 4:
                name = site.layer.bottom_blobs[i].name
                raise site.stop(f"'{name}' has {len(shape)} axes, but 1 to 4 can be written", "bottom", i, notes=[site.made_here(i)])
        site.same_first()
        return []


SPECS = (Input, MemoryData, DummyData, Data, ImageData, WindowData, HDF5Data, HDF5Output)
