"""`netspec dataset build --annotations`: Pascal VOC and COCO to databases of images with boxes."""

import json

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image

from netspec.diagnostics import NetspecError
from netspec.readers.images import datum_pixels
from netspec.schema.forks_pb2 import LabelMap
from netspec.stores.records import open_records
from tests.making.test_build_database import command

OBJECT = """<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin>
<ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"""


def xml(*objects, size=(20, 10)):
    inner = "".join(OBJECT.format(*each) for each in objects)
    return (
        f"<annotation><size><width>{size[0]}</width><height>{size[1]}</height></size>"
        f"{inner}</annotation>"
    )


@pytest.fixture
def voc(tmp_path):
    """A VOC folder of three images, 20×10."""
    root = tmp_path / "VOC2007"
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / part).mkdir(parents=True)
    rng = np.random.default_rng(0)
    texts = [
        xml(("dog", 0, 2, 1, 12, 9), ("cat", 1, 1, 1, 5, 5), ("dog", 1, 3, 3, 20, 10)),
        xml(("cat", 0, 0, 0, 20, 10)),
        xml(),
    ]
    for i, text in enumerate(texts):
        pixels = rng.integers(0, 256, (10, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"JPEGImages/{i:06}.jpg")
        (root / f"Annotations/{i:06}.xml").write_text(text)
    (root / "ImageSets/Main/train.txt").write_text("000001\n000000 1\n")
    return root


def records_of(path):
    records = open_records(str(path))
    found = [records.read_annotated(i) for i in range(records.count)]
    records.close()
    return found


def rows(record):
    return [
        (group.group_label, each.instance_id, each.bbox.xmin, each.bbox.ymin, each.bbox.xmax,
         each.bbox.ymax, each.bbox.difficult)
        for group in record.annotation_group
        for each in group.annotation
    ]  # fmt: skip


def label_map(path):
    text = (path / "labelmap.prototxt").read_text()
    return {item.name: item.label for item in text_format.Parse(text, LabelMap()).item}


def test_a_voc_folder(voc, tmp_path, capsys):
    out = tmp_path / "db"
    assert command("build", "--annotations", "voc", voc, out, "--encoded") == 0
    first, _, third = records_of(out)
    assert first[0] == b"00000000_VOC2007/JPEGImages/000000.jpg"
    # labels in the order of the names; those of a label together, the first one's first
    want = [(2, 0, 0.1, 0.1, 0.6, 0.9, False), (2, 1, 0.15, 0.3, 1, 1, True),
            (1, 0, 0.05, 0.1, 0.25, 0.5, True)]  # fmt: skip
    np.testing.assert_allclose(rows(first[1]), want, rtol=1e-6)
    assert label_map(out) == {"none_of_the_above": 0, "cat": 1, "dog": 2}
    datum = first[1].datum
    assert (datum.encoded, datum.channels, datum.height, datum.width) == (True, 3, 10, 20)
    assert datum.data == (voc / "JPEGImages/000000.jpg").read_bytes()
    assert rows(third[1]) == []
    printed = capsys.readouterr()
    assert "3 images with 4 boxes\n" in printed.out
    assert "0 the background, 1 cat to 2 dog" in printed.out
    assert not printed.err


def test_a_split_a_label_map_and_a_resize(voc, tmp_path):
    given = tmp_path / "map.prototxt"
    given.write_text('item { name: "dog" label: 5 } item { name: "cat" label: 7 }')
    out = tmp_path / "db"
    size = ["--resize-width", "8", "--resize-height", "6"]
    labels = ["--split", "train", "--labels", given, *size]
    assert command("build", "--annotations", "voc", voc, out, *labels) == 0
    first, second = records_of(out)
    assert b"000001" in first[0]
    assert [row[0] for row in rows(second[1])] == [5, 5, 7]
    assert datum_pixels(second[1].datum).shape == (3, 6, 8)
    np.testing.assert_allclose(rows(second[1])[0][2:6], (0.1, 0.1, 0.6, 0.9), rtol=1e-6)
    assert (out / "labelmap.prototxt").read_text() == given.read_text()


def test_a_list_of_images_and_annotations(voc, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text("JPEGImages/000001.jpg Annotations/000001.xml\n")
    command("build", "--annotations", "voc", listed, tmp_path / "db", "--root", voc)
    ((_, record),) = records_of(tmp_path / "db")
    assert rows(record) == [(1, 0, 0, 0, 1, 1, False)]


def test_shuffle_follows_the_seed(voc, tmp_path):
    names = []
    for seed in (1, 1, 2, 3, 4):
        out = tmp_path / f"db{len(names)}"
        command("build", "--annotations", "voc", voc, out, "--shuffle", "--seed", seed)
        names.append([key[9:] for key, _ in records_of(out)])
    assert names[0] == names[1]
    assert len({tuple(each) for each in names}) > 1


BAD = [
    (xml(("cat", 0, 5, 1, 5, 9)), "000000.xml: left out the box 5 1 5 9 of 'cat', which has no"),
    (xml(("cat", 0, 9, 1, 5, 9)), "000000.xml: left out the box 9 1 5 9 of 'cat', which has no"),
    (xml(("cat", 0, "nan", 1, 5, 9)), "000000.xml: left out the box nan 1 5 9 of 'cat'"),
    (xml(("cat", 0, 21, 1, 25, 9)), "000000.xml: left out the box 21 1 25 9 of 'cat', outside of"),
    (xml(("cat", 0, 1, 1, 25, 9)), "000000.xml: cut the box 1 1 25 9 of 'cat' to the image"),
    (xml(("cat", 0, 1, 1, 5, 9), size=(30, 10)), "says that the image is 30×10, but"),
    (xml(("cat", 0, "x", 1, 5, 9)), "its object 1, 'cat', has the xmin 'x', expected a number"),
    (xml(("", 0, 1, 1, 5, 9)), "its object 1 has no name"),
    ("<annotation>", "000000.xml' is no XML: no element found"),
    ("<?xml version='1.0' encoding='x-none'?><a/>", "000000.xml' is no XML: unknown encoding"),
    ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "has a document type, which is not read"),
    ('<?xml version="1.0" encoding="utf-16"?>', "000000.xml' is no XML"),
    ("<a>" * 100 + "</a>" * 100, "is nested deeper than 64"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD, ids=range(len(BAD)))
def test_bad_annotations_are_reported_with_their_file(voc, tmp_path, capsys, text, message):
    (voc / "Annotations/000000.xml").write_text(text)
    command("build", "--annotations", "voc", voc, tmp_path / "db")
    err = capsys.readouterr().err
    assert message in err
    assert err.startswith("warning: ")
    assert err.count("\n") == 1


def test_an_entity_in_utf16_is_refused_too(voc, tmp_path, capsys):
    text = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
    (voc / "Annotations/000000.xml").write_bytes(text.encode("utf-16"))
    command("build", "--annotations", "voc", voc, tmp_path / "db")
    assert "has a document type" in capsys.readouterr().err


def test_what_can_not_be_built(voc, tmp_path):
    out = tmp_path / "db"

    def refused(message, *arguments):
        with pytest.raises(NetspecError, match=message):
            command("build", *arguments)
        assert not out.exists()

    given = tmp_path / "map.prototxt"
    given.write_text('item { name: "dog" label: 5 }')
    refused(
        "000000.xml: the class 'cat' is not in '.*map",
        "--annotations", "voc", voc, out, "--labels", given,
    )  # fmt: skip
    given.write_text("item { nam")
    refused("is no label map", "--annotations", "voc", voc, out, "--labels", given)
    refused("has no folder Annotations", "--annotations", "voc", voc / "JPEGImages", out)
    refused("can't be read|does not exist", "--annotations", "voc", voc, out, "--split", "test")
    refused("goes with --annotations voc", voc, out, "--split", "train")
    for image in (voc / "JPEGImages").iterdir():
        image.write_bytes(b"x")
    refused("none of the 3 images", "--annotations", "voc", voc, out)
    listed = tmp_path / "list.txt"
    listed.write_text("one word more\n")
    refused("list.txt:1: expected the paths", "--annotations", "voc", listed, out)


@pytest.fixture
def coco(tmp_path):
    """A file of instances and its two images, 20×10."""
    (tmp_path / "images").mkdir()
    for i in range(2):
        Image.new("RGB", (20, 10), (10 * i, 0, 0)).save(tmp_path / f"images/{i}.png")
    content = {
        "images": [
            {"id": 7, "file_name": "0.png", "width": 20, "height": 10},
            {"id": 9, "file_name": "1.png", "width": 20, "height": 10},
        ],
        "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}],
        "annotations": [
            {"image_id": 9, "category_id": 18, "bbox": [2, 1, 10, 8], "iscrowd": 0},
            {"image_id": 9, "category_id": 3, "bbox": [0, 0, 20, 10], "iscrowd": 1},
        ],
    }
    path = tmp_path / "instances.json"

    def write(**more):
        path.write_text(json.dumps(content | more))
        return path

    return write


def build_coco(path, tmp_path, *more):
    return command(
        "build", "--annotations", "coco", path, tmp_path / "db",
        "--root", tmp_path / "images", *more,
    )  # fmt: skip


def test_coco(coco, tmp_path):
    assert build_coco(coco(), tmp_path) == 0
    (_, first), (_, second) = records_of(tmp_path / "db")
    assert rows(first) == []
    want = [(2, 0, 0.1, 0.1, 0.6, 0.9, False), (1, 0, 0, 0, 1, 1, True)]
    np.testing.assert_allclose(rows(second), want, rtol=1e-6)
    assert label_map(tmp_path / "db") == {"none_of_the_above": 0, "3": 1, "18": 2}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"annotations": [{"image_id": 8, "category_id": 3}]}, "annotation 0 .* of the image 8"),
        ({"annotations": [{"image_id": 7, "category_id": 3}]}, "annotation 0 .* has no box"),
        (
            {"annotations": [{"image_id": 7, "category_id": 3, "bbox": [1, 2, 0, 4]}]},
            "instances.json: image 7: left out the box 1 2 1 6 of '3', which has no area",
        ),
    ],
)
def test_bad_entries_of_coco_are_reported(coco, tmp_path, capsys, more, message):
    import re

    assert build_coco(coco(**more), tmp_path) == 0
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "has no list 'images'"),
        ('{"images": [{"id": 1}]}', "entry 0 .* of 'images' has no 'file_name'"),
        ('{"images": [{"id": [], "file_name": "a"}]}', "has no 'id'"),
    ],
)
def test_what_is_no_coco(coco, tmp_path, text, message):
    coco().write_text(text)
    with pytest.raises(NetspecError, match=message):
        build_coco(tmp_path / "instances.json", tmp_path)


def test_a_category_that_is_not_there(coco, tmp_path):
    path = coco(annotations=[{"image_id": 7, "category_id": 4, "bbox": [0, 0, 2, 2]}])
    with pytest.raises(NetspecError, match=r"annotation 0 .* has the category 4"):
        build_coco(path, tmp_path)


def test_info_shows_boxes(voc, tmp_path, capsys):
    command("build", "--annotations", "voc", voc, tmp_path / "db")
    capsys.readouterr()
    assert command("info", tmp_path / "db") == 0
    text = capsys.readouterr().out
    assert "boxes   4 on 3 annotated images, 1.3 each, 2 of them difficult" in text
    assert "labels  1 … 2, 2 classes" in text
    assert "1: 2, 2: 2" in text
    command("info", tmp_path / "db", "--format", "json")
    about = json.loads(capsys.readouterr().out)
    assert about["annotated"] == {"images": 3, "boxes": 4, "difficult": 2}
    assert about["labels"]["counts"] == {"1": 2, "2": 2}
