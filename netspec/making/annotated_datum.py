"""Images with boxes to the bytes of an AnnotatedDatum, the record of SSD's databases.

Source: weiliu89/caffe, branch ssd, ReadXMLToAnnotatedDatum and ReadJSONToAnnotatedDatum of
    util/io.cpp, and its LabelMap files.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from google.protobuf import text_format

from netspec.schema.caffe_pb2 import Datum
from netspec.schema.forks_pb2 import AnnotatedDatum, AnnotationGroup, LabelMap

LABEL_MAP_FILE = "labelmap.prototxt"  # in the folder of an annotated LMDB
BACKGROUND = "background"  # the name of label 0


class Box(NamedTuple):
    """An object: its label and its edges as shares of the image's width and height."""

    label: int
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    difficult: bool = False


def annotated_datum(datum: bytes, shape: tuple[int, ...], boxes: Iterable[Box]) -> bytes:
    """A record of a Datum's bytes and the boxes on it.

    Boxes of a label stand together, groups in the order of their first boxes; instances of a label
    count from 0.
    Args: shape: the image's (C, H, W), which the Datum of a compressed image lacks.
    """
    record = AnnotatedDatum(datum=Datum.FromString(datum), type=AnnotatedDatum.BBOX)
    record.datum.channels, record.datum.height, record.datum.width = shape
    groups: dict[int, AnnotationGroup] = {}
    for box in boxes:
        group = groups.get(box.label)
        if group is None:
            group = groups[box.label] = record.annotation_group.add(group_label=box.label)
        each = group.annotation.add(instance_id=len(group.annotation))
        each.bbox.xmin, each.bbox.ymin = box.xmin, box.ymin
        each.bbox.xmax, each.bbox.ymax = box.xmax, box.ymax
        each.bbox.difficult = box.difficult
    return record.SerializeToString()


def label_map(names: Iterable[tuple[str, str]]) -> bytes:
    """The LabelMap text of names and display names, labelled 1, 2, …; 0 is the background."""
    labels = LabelMap()
    labels.item.add(name="none_of_the_above", label=0, display_name=BACKGROUND)
    for label, (name, shown) in enumerate(names, 1):
        labels.item.add(name=name, label=label, display_name=shown)
    return text_format.MessageToString(labels, as_utf8=True).encode()
