"""AnnotatedData: the records in order, what is drawn for them, and the rows of boxes."""

from itertools import islice

import numpy as np
import pytest

import netspec
from netspec.diagnostics import NetspecError
from netspec.readers.batches import batches, dataset_size
from netspec.readers.reader import Shard
from netspec.schema.forks_pb2 import AnnotatedDatum

RANDOM = """mirror: true mean_value: 104 mean_value: 117 mean_value: 123
  resize_param { height: 12 width: 14 interp_mode: LINEAR interp_mode: AREA interp_mode: CUBIC }
  emit_constraint { emit_type: CENTER } expand_param { prob: 0.5 max_expand_ratio: 2 }
  distort_param { brightness_prob: 0.5 brightness_delta: 32 hue_prob: 0.5 hue_delta: 18
    contrast_prob: 0.5 contrast_lower: 0.5 contrast_upper: 1.5 random_order_prob: 0.5
    saturation_prob: 0.5 saturation_lower: 0.5 saturation_upper: 1.5 }"""
SAMPLERS = """batch_sampler { max_sample: 1 max_trials: 1 }
  batch_sampler { sampler { min_scale: 0.3 max_scale: 1 min_aspect_ratio: 0.5 max_aspect_ratio: 2 }
    sample_constraint { min_jaccard_overlap: 0.3 } max_sample: 1 max_trials: 50 }"""


def annotated(image, boxes=(), label=0, type_=AnnotatedDatum.BBOX):
    """A record of an image and rows of (label, instance, xmin, ymin, xmax, ymax, difficult)."""
    record = AnnotatedDatum()
    if type_ is not None:
        record.type = type_
    channels, height, width = image.shape
    datum = record.datum
    datum.channels, datum.height, datum.width, datum.label = channels, height, width, label
    datum.data = image.tobytes()
    for group, instance, xmin, ymin, xmax, ymax, difficult in boxes:
        box = record.annotation_group.add(group_label=group).annotation.add(instance_id=instance)
        box.bbox.xmin, box.bbox.ymin, box.bbox.xmax, box.bbox.ymax = xmin, ymin, xmax, ymax
        box.bbox.difficult = difficult
    return record.SerializeToString()


def boxes_of(i):
    return [(1 + k, k, 0.1 * k, 0.2, 0.4 + 0.1 * k, 0.9, k % 2 == 1) for k in range(i % 4)]


@pytest.fixture
def net(make_net, write_lmdb, images):
    """net(transform, samplers, batch_size, phase) → a net on twelve annotated images."""
    path = write_lmdb("db", [annotated(image, boxes_of(i)) for i, image in enumerate(images)])

    def make(transform="", samplers="", batch_size=4, phase="TRAIN", source=path, extra=""):
        return make_net(
            f'layer {{ name: "d" type: "AnnotatedData" top: "data" top: "label" '
            f"transform_param {{ {transform} }} annotated_data_param {{ {samplers} {extra} }} "
            f'data_param {{ source: "{source}" batch_size: {batch_size} backend: LMDB }} }}',
            phase,
        )

    return make


def read(net, count, **more):
    with batches(net, seed=3, **more) as stream:
        return list(islice(stream, count))


def test_feeds_images_and_a_row_for_each_box_in_order(net, images):
    first, _, _, fourth = read(net(batch_size=5), 4)
    assert dataset_size(net()) == 12
    np.testing.assert_array_equal(first["data"], images[:5])
    want = [(i, *row[:2], *row[2:]) for i in range(5) for row in boxes_of(i)]
    np.testing.assert_allclose(first["label"][0, 0], np.array(want, np.float32))
    assert first["label"].shape == (1, 1, 6, 8)
    np.testing.assert_array_equal(fourth["data"], images[[3, 4, 5, 6, 7]])


def test_a_batch_without_boxes_has_one_row_of_minus_one(net):
    batch = read(net(batch_size=1), 1)[0]
    np.testing.assert_array_equal(batch["label"], np.full((1, 1, 1, 8), -1))


def test_boxes_go_with_the_mirrored_image(net, images):
    batch = read(net("mirror: true", batch_size=12), 1)[0]
    flipped = [not np.array_equal(batch["data"][i], images[i]) for i in range(12)]
    assert 0 < sum(flipped) < 12
    for row in batch["label"][0, 0]:
        image, label = int(row[0]), int(row[1])
        _, _, xmin, ymin, xmax, ymax, difficult = boxes_of(image)[label - 1]
        x = (1 - xmax, 1 - xmin) if flipped[image] else (xmin, xmax)
        np.testing.assert_allclose(row[3:], (x[0], ymin, x[1], ymax, difficult), atol=1e-6)


def test_crop_takes_the_middle_in_test_and_cuts_the_boxes(net, images):
    batch = read(net("crop_h: 6 crop_w: 8", batch_size=3, phase="TEST"), 1)[0]
    np.testing.assert_array_equal(batch["data"], images[:3, :, 2:8, 2:10])
    cut = [
        (i, label, k, *np.clip([(x0 * 12 - 2) / 8, (y0 * 10 - 2) / 6,
                                (x1 * 12 - 2) / 8, (y1 * 10 - 2) / 6], 0, 1), difficult)
        for i in range(3)
        for label, k, x0, y0, x1, y1, difficult in boxes_of(i)
    ]  # fmt: skip
    np.testing.assert_allclose(batch["label"][0, 0], np.array(cut), atol=1e-6)


def test_netspecs_own_colours_leave_the_boxes_where_they_are(net):
    plain = read(net("mirror: true", batch_size=12), 1)[0]
    own = "mirror: true gray_prob: 0.5 gaussian_noise_std: 2 erasing_param { prob: 0.5 }"
    for more in ("", "distort_param { brightness_prob: 1 brightness_delta: 9 }"):
        batch = read(net(f"{own} {more}", batch_size=12), 1)[0]
        assert not np.array_equal(batch["data"], plain["data"])
        label = batch["label"][0, 0]
        whole = plain["label"][0, 0]
        np.testing.assert_array_equal(label[:, :3], whole[:, :3])
        for row, want in zip(label, whole, strict=True):
            flipped = [1 - want[5], want[4], 1 - want[3], want[6]]
            assert np.allclose(row[3:7], want[3:7]) or np.allclose(row[3:7], flipped, atol=1e-6)
    in_test = read(net(own.replace("mirror: true", ""), batch_size=12, phase="TEST"), 1)[0]
    np.testing.assert_array_equal(
        in_test["data"], read(net("", batch_size=12, phase="TEST"), 1)[0]["data"]
    )


@pytest.mark.parametrize("processes", [2, 3])
def test_together_the_processes_read_what_one_would(net, processes):
    whole = read(net(RANDOM, SAMPLERS, 4 * processes), 6)
    made = [
        read(net(RANDOM, SAMPLERS, 4), 6, shard=Shard(rank, processes)) for rank in range(processes)
    ]
    for index, batch in enumerate(whole):
        rows = []
        for rank, parts in enumerate(made):
            data, label = parts[index]["data"], parts[index]["label"][0, 0].copy()
            np.testing.assert_array_equal(data, batch["data"][rank::processes])
            label[:, 0] = np.where(label[:, 0] < 0, -1, label[:, 0] * processes + rank)
            rows.append(label[label[:, 0] >= 0])
        joined = np.concatenate(rows)
        order = np.argsort(joined[:, 0], kind="stable")
        np.testing.assert_array_equal(joined[order], batch["label"][0, 0])


def test_a_resumed_run_reads_on_as_the_first_would(net):
    whole, late = read(net(RANDOM, SAMPLERS), 6), read(net(RANDOM, SAMPLERS), 2, start=4)
    for want, got in zip(whole[4:], late, strict=True):
        np.testing.assert_array_equal(want["data"], got["data"])
        np.testing.assert_array_equal(want["label"], got["label"])


def test_any_number_of_workers_gives_the_same_batches(net):
    made = net(RANDOM, SAMPLERS, batch_size=9)
    whole = read(made, 4, prefetch=0, workers=1)
    for workers in (0, 2, 4):
        for want, got in zip(whole, read(made, 4, workers=workers), strict=True):
            np.testing.assert_array_equal(want["data"], got["data"])
            np.testing.assert_array_equal(want["label"], got["label"])


def test_another_seed_draws_otherwise(net):
    a, b = (next(batches(net(RANDOM, SAMPLERS), seed=seed, prefetch=0)) for seed in (1, 2))
    assert not np.array_equal(a["data"], b["data"])


def test_expands_onto_the_mean_colour(net, images):
    text = "expand_param { prob: 1 max_expand_ratio: 3 } mean_value: 104 mean_value: 117.6"
    batch = read(net(f"{text} mean_value: 123", batch_size=1), 4)[3]
    data = batch["data"][0] + np.array([104, 117.6, 123], np.float32)[:, None, None]
    xmin, ymin, xmax = batch["label"][0, 0, 0, 3:6]
    height, width = data.shape[1:]
    assert height > 10
    assert width > 12
    x0, y0, x1 = boxes_of(3)[0][2:5]
    assert (xmax - xmin) * width == pytest.approx((x1 - x0) * 12, abs=1e-3)
    left, top = round(xmin * width - x0 * 12), round(ymin * height - y0 * 10)
    np.testing.assert_allclose(data[:, top : top + 10, left : left + 12], images[3], atol=1e-4)
    outside = np.ones((height, width), bool)
    outside[top : top + 10, left : left + 12] = False
    np.testing.assert_allclose(data[:, outside].T - [104, 118, 123], 0, atol=1e-4)


def test_a_mean_file_has_the_size_of_the_crop_and_is_not_flipped(net, images, write_mean):
    mean = np.arange(3 * 10 * 12, dtype=np.float32).reshape(3, 10, 12)
    text = f'mirror: true mean_file: "{write_mean(mean)}" scale: 0.5'
    data = read(net(text, batch_size=12), 1)[0]["data"]
    for got, image in zip(data, images, strict=True):
        ways = [(way - mean) * 0.5 for way in (image.astype(np.float32), image[:, :, ::-1])]
        assert any(np.array_equal(got, way) for way in ways)


def test_records_without_a_type_have_labels(net, write_lmdb, images):
    path = write_lmdb("plain", [annotated(images[i], label=i, type_=None) for i in range(3)])
    assert read(net(source=path, batch_size=3), 1)[0]["label"].tolist() == [0, 1, 2]
    stated = read(net(source=path, batch_size=3, extra="anno_type: BBOX"), 1)[0]
    assert stated["label"].shape == (1, 1, 1, 8)


FAULTS = [
    ([annotated(np.zeros((3, 4, 4), np.uint8)), b"\x08\x03"], r"record 1 .* is no AnnotatedDatum"),
    (
        [annotated(np.zeros((3, 4, 4), np.uint8)), annotated(np.zeros((3, 4, 5), np.uint8))],
        r"record 1 .* is 3×4×5, but the first of its batch is 3×4×4",
    ),
    (
        [annotated(np.zeros((3, 4, 4), np.uint8)),
         annotated(np.zeros((3, 4, 4), np.uint8), type_=None)],
        r"record 1 .* has no annotation type",
    ),
    (
        [annotated(np.zeros((3, 4, 4), np.uint8)),
         annotated(np.zeros((3, 4, 4), np.uint8), type_=AnnotatedDatum.LANE)],
        r"annotations of type LANE, expected BBOX",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("records", "message"), FAULTS)
def test_faulty_records(net, write_lmdb, records, message):
    with pytest.raises(NetspecError, match=message):
        read(net(source=write_lmdb("bad", records), batch_size=2), 1)


def test_colours_need_three_channels(net, write_lmdb):
    path = write_lmdb("grey", [annotated(np.zeros((1, 4, 4), np.uint8))])
    with pytest.raises(NetspecError, match="has 1 channels, but 'distort_param' changes colours"):
        read(net("distort_param { hue_prob: 0.5 hue_delta: 18 }", source=path, batch_size=1), 1)
    brighter = "distort_param { brightness_prob: 1 brightness_delta: 9 }"
    assert read(net(brighter, source=path, batch_size=1), 1)[0]["data"].shape == (1, 1, 4, 4)


def test_a_data_layer_resizes_too(data_net, write_lmdb, datums, images):
    from netspec.readers.images import resize

    path = write_lmdb("plain", datums)
    text = "resize_param { height: 20 width: 16 } crop_size: 12"
    with batches(data_net(path, text, "batch_size: 2")) as stream:
        batch = next(stream)["data"]
    np.testing.assert_array_equal(batch[1], resize(images[1], 20, 16)[:, 4:16, 2:14])


def net_text(transform="", annotated_param="", source="none"):
    return (
        f'layer {{ name: "d" type: "AnnotatedData" top: "data" top: "label"\n'
        f"transform_param {{ {transform} }}\nannotated_data_param {{ {annotated_param} }}\n"
        f'data_param {{ source: "{source}" batch_size: 4 backend: LMDB }} }}\n'
    )


SHAPES = [
    ("", (4, 3, 10, 12)),
    ("resize_param { height: 30 width: 50 }", (4, 3, 30, 50)),
    (
        "resize_param { height: 30 width: 60 resize_mode: FIT_SMALL_SIZE }",
        (4, 3, 49, 60),
    ),  # 60 / 1.2f
    ("resize_param { height: 30 width: 60 resize_mode: FIT_LARGE_SIZE_AND_PAD }", (4, 3, 30, 60)),
    ("resize_param { height: 30 width: 50 } crop_size: 20", (4, 3, 20, 20)),
    ("resize_param { height: 30 width: 50 } crop_h: 20 crop_w: 40", (4, 3, 20, 40)),
]


@pytest.mark.parametrize(("transform", "shape"), SHAPES)
def test_shapes_are_those_that_are_fed(net, tmp_path, transform, shape):
    net()
    path = tmp_path / "net.prototxt"
    path.write_text(net_text(transform, source=tmp_path / "db"))
    loaded = netspec.load(path)
    assert [loaded.blobs[top].shape for top in ("data", "label")] == [shape, (1, 1, 1, 8)]
    assert read(loaded, 1)[0]["data"].shape == shape


WRONG = [
    ("resize_param { height: 30 }", "", "'width' of resize_param must be given", 2),
    ("expand_param { max_expand_ratio: 1 }", "", "'max_expand_ratio' must be more than 1", 2),
    ('expand_param { max_expand_ratio: 2 } mean_file: "m"', "", "'expand_param' fills with", 2),
    (
        "distort_param { contrast_prob: 1 contrast_lower: 2 contrast_upper: 1 }",
        "",
        "'contrast_lower' 2 and 'contrast_upper' 1",
        2,
    ),
    ("", "batch_sampler { sampler { max_scale: 2 } }", "'max_scale' 2 must satisfy", 3),
    ("", "batch_sampler { sampler { min_aspect_ratio: 0 } }", "'min_aspect_ratio' 0 and", 3),
    ("resize_param { height: 30 width: 50 } crop_size: 40", "", "crop 40×40 is larger", 2),
]


@pytest.mark.parametrize(("transform", "samplers", "message", "line"), WRONG)
def test_wrong_settings(net, tmp_path, transform, samplers, message, line):
    net()
    path = tmp_path / "net.prototxt"
    path.write_text(net_text(transform, samplers, tmp_path / "db"))
    with pytest.raises(NetspecError) as error:
        netspec.load(path)
    fault = next(each for each in error.value.diagnostics if each.severity == "error")
    assert message in fault.message
    assert fault.span.line == line


@pytest.mark.parametrize(
    ("transform", "samplers", "word"),
    [
        ("", "yolo_data_type: 1", "'yolo_data_type' is a fork's field"),
        ("", "anno_type: LANE", "BBOX alone is read"),
        ("noise_param { convert_to_lab: true }", "", "'convert_to_lab' makes floats"),
        ("resize_param { height: 3 width: 3 } resize_param { height: 4 width: 4 }", "", "got 2"),
        ("scale_factors: 0.5", "", "'scale_factors' is a fork's field"),
    ],
)
def test_what_is_not_carried_out_is_not_computed(net, tmp_path, transform, samplers, word):
    net()
    path = tmp_path / "net.prototxt"
    path.write_text(net_text(transform, samplers, tmp_path / "db"))
    loaded = netspec.load(path)
    assert word in loaded.layers[0].not_computed[0].message


def test_a_video_has_shapes_and_is_not_computed(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(
        'layer { name: "v" type: "VideoData" top: "data" transform_param { resize_param { '
        "height: 30 width: 40 } } data_param { batch_size: 2 } video_data_param { video_type: "
        'VIDEO video_file: "a.avi" } }'
    )
    loaded = netspec.load(path)
    assert loaded.blobs["data"].shape == (2, 3, 30, 40)
    with pytest.raises(NetspecError, match="netspec opens no camera and no video file"):
        netspec.batches(loaded).__next__()
