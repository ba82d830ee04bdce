"""Where data comes from: the tops of these layers are the module's inputs.

Source: Caffe's InputLayer, DataLayer, DummyDataLayer.
"""

from __future__ import annotations

from netspec.data.probe import hdf5_row_shapes, record_shape
from netspec.graph import Shape, shape_text
from netspec.layers.spec import Site, Spec


class Source(Spec):
    """What all of them share. A shape that the user gives for a top stands in for what the file says."""

    bottoms = (0, 0)
    tops = (1, None)
    is_source = True

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
    param = "input_param"

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
    """Tops that a filler fills: constants once, anything else anew in each forward pass."""

    type = "DummyData"
    param = "dummy_data_param"

    def check(self, site: Site) -> None:
        p, tops = site.param, len(site.layer.top_blobs)
        old = [len(getattr(p, name)) for name in ("num", "channels", "height", "width")]
        if p.shape and any(old):
            site.error("give 'shape' or the older 'num', 'channels', 'height' and 'width', not both", "shape")
        if len(p.data_filler) not in (0, 1, tops):
            site.error(f"'data_filler' stands once, or once for each of the {tops} tops, got {len(p.data_filler)}", "data_filler")
        if p.shape and len(p.shape) not in (1, tops):
            raise site.stop(f"'shape' stands once, or once for each of the {tops} tops, got {len(p.shape)}", "shape")
        if not p.shape and any(count not in (1, tops) for count in old):
            raise site.stop("'num', 'channels', 'height' and 'width' each stand once, or once for each top", "num")

    def shapes(self, site: Site) -> list[Shape]:
        p, tops = site.param, len(site.layer.top_blobs)
        if p.shape:
            shapes = [_dims(site, i) for i in range(len(p.shape))]
        else:
            longest = max(len(p.num), len(p.channels), len(p.height), len(p.width))
            columns = [list(v) * longest if len(v) == 1 else list(v) for v in (p.num, p.channels, p.height, p.width)]
            shapes = list(zip(*columns, strict=True))
        return shapes * tops if len(shapes) == 1 else shapes


def _dims(site: Site, index: int) -> Shape:
    dims = tuple(site.param.shape[index].dim)
    for i, dim in enumerate(dims):
        if dim < 0:
            raise site.stop(f"a dimension can't be negative, got {dim}", "shape", index, "dim", i)
    return dims


class Data(Source):
    """Records of an LMDB or LevelDB, in the order of their keys, cropped and scaled by transform_param."""

    type = "Data"
    param = "data_param"
    tops = (1, 2)

    def check(self, site: Site) -> None:
        transform = site.message.transform_param
        if not site.param.batch_size:
            site.error("'batch_size' must be given and at least 1", "batch_size")
        if not site.param.source:
            site.error("'source' must name a database", "source")
        if transform.mean_file and transform.mean_value:
            site.error("give 'mean_file' or 'mean_value', not both", "transform_param", "mean_value")
        if transform.force_color and transform.force_gray:
            site.error("give 'force_color' or 'force_gray', not both", "transform_param", "force_gray")

    def shapes(self, site: Site) -> list[Shape]:
        top = site.layer.tops[0]
        data = site.given.get(top) or (site.param.batch_size, *self._record(site))
        return [data, data[:1]][: len(site.layer.top_blobs)]

    def _record(self, site: Site) -> Shape:
        """One record after cropping, C × H × W: from the mean file or the database; failing these from the net's text."""
        transform = site.message.transform_param
        crop = transform.crop_size
        shape = record_shape(site.layer)
        if shape is not None:
            if crop > min(shape[1:]):
                message = f"'crop_size' {crop} is larger than the records, which are {shape_text(shape)} (C×H×W)"
                raise site.stop(message, "transform_param", "crop_size")
            return (shape[0], crop, crop) if crop else shape
        advice = f"give its shape: --input {site.layer.tops[0]}={site.param.batch_size},3,227,227"
        if not crop:
            advice += "; `netspec dataset sample` makes stand-ins for the nets in models/"
            raise site.unknown_size(f"the database '{site.param.source}' is not there", advice)
        channels = 1 if transform.force_gray else max(len(transform.mean_value), 3)
        if not (transform.force_gray or transform.force_color or len(transform.mean_value) > 1):
            message = f"{site.layer.label}: the database '{site.param.source}' is not there; records of 3 channels are assumed"
            site.report.warning(message, site.layer.spans.at("data_param", "source"), advice)
        return (channels, crop, crop)


class HDF5Data(Source):
    """Rows of HDF5 files that a text file lists; a dataset for each top, named like it."""

    type = "HDF5Data"
    param = "hdf5_data_param"

    def check(self, site: Site) -> None:
        if not site.param.batch_size:
            site.error("'batch_size' must be given and at least 1", "batch_size")
        if not site.param.source:
            site.error("'source' must name a list of HDF5 files", "source")
        if site.message.HasField("transform_param"):
            site.error("HDF5 data is fed as it is; 'transform_param' has no place here", "transform_param")

    def shapes(self, site: Site) -> list[Shape]:
        rows = hdf5_row_shapes(site.layer)
        if rows is None:
            advice = f"give its shape: --input {site.layer.tops[0]}={site.param.batch_size},4"
            raise site.unknown_size(f"the list '{site.param.source}' or its first file is not there", advice)
        return [(site.param.batch_size, *row) for row in rows]


SPECS = (Input, Data, DummyData, HDF5Data)
