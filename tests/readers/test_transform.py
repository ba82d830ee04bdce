"""The transformer: its arithmetic, the chances of its crop and flip, and what it refuses."""

import numpy as np
import pytest

from netspec.diagnostics import NetspecError, Report, Source
from netspec.readers.reader import Shard
from netspec.readers.transform import Transformer
from netspec.schema.caffe_pb2 import BlobProto, BlobShape, LayerParameter
from netspec.syntax.read import bind_source


def transformer(text, phase="TEST", net_path="net.prototxt"):
    message, report = LayerParameter(), Report()
    spans = bind_source(
        Source("net.prototxt", f'name: "data" transform_param {{ {text} }}'), message, report
    )
    report.raise_errors()
    return Transformer(message.transform_param, phase, net_path, spans, "layer 'data'")


def rng(seed=0):
    return np.random.default_rng(seed)


def test_subtracts_then_scales(images):
    got = transformer("mean_value: 100 scale: 0.5").apply(images[:2], rng())
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, (images[:2].astype(np.float32) - 100) * np.float32(0.5))


def test_one_mean_value_a_channel(images):
    got = transformer("mean_value: 1 mean_value: 2 mean_value: 3").apply(images[:2], rng())
    np.testing.assert_array_equal(got, images[:2] - np.array([1, 2, 3], np.float32)[:, None, None])


def test_takes_the_mean_where_the_pixel_lay(images, write_mean):
    mean = rng(5).random((3, 10, 12), np.float32) * 100
    text = f'mean_file: "{write_mean(mean)}" crop_size: 7 mirror: true scale: 0.25'
    whole = (images.astype(np.float32) - mean) * np.float32(0.25)
    got = transformer(text).apply(images, rng())
    centre = whole[:, :, 1:8, 2:9]  # (10 - 7) // 2, (12 - 7) // 2: rounded down
    flipped = [
        np.array_equal(image, want[:, :, ::-1]) for image, want in zip(got, centre, strict=True)
    ]
    straight = [np.array_equal(image, want) for image, want in zip(got, centre, strict=True)]
    assert all(a != b for a, b in zip(flipped, straight, strict=True))
    assert any(flipped)
    assert any(straight)


def test_flips_at_random_in_the_test_phase_too(images):
    batch = np.repeat(images[:1], 1000, axis=0)
    for phase in ("TRAIN", "TEST"):
        got = transformer("mirror: true", phase).apply(batch, rng(1))
        flips = sum(np.array_equal(image, batch[0, :, :, ::-1]) for image in got)
        assert 430 < flips < 570  # 500 ± 4.4 standard deviations


def test_every_place_of_a_crop_comes_as_often(images):
    ramp = np.arange(120, dtype=np.uint8).reshape(1, 10, 12)
    got = transformer("crop_size: 8", "TRAIN").apply([ramp] * 3000, rng(2))
    tops, lefts = np.divmod(got[:, 0, 0, 0].astype(int), 12)
    for places, count in ((tops, 3), (lefts, 5)):
        shares = np.bincount(places, minlength=count)
        assert len(shares) == count
        assert np.abs(shares - 3000 / count).max() < 0.15 * 3000 / count
    # rows and columns are drawn apart from each other
    assert len(set(zip(tops, lefts, strict=True))) == 15
    for image, top, left in zip(got[:50], tops, lefts, strict=False):
        np.testing.assert_array_equal(image, ramp[:, top : top + 8, left : left + 8])


def test_the_same_numbers_give_the_same_batch(images):
    make = transformer("crop_size: 8 mirror: true", "TRAIN")
    np.testing.assert_array_equal(make.apply(images, rng(3)), make.apply(images, rng(3)))
    assert not np.array_equal(make.apply(images, rng(3)), make.apply(images, rng(4)))


def test_a_crop_makes_images_of_several_sizes_alike(images):
    batch = [images[0], images[1][:, :9], images[2][:, :, :10]]
    got = transformer("crop_size: 9").apply(batch, rng())
    np.testing.assert_array_equal(got[1], images[1][:, :9, 1:10])
    assert got.shape == (3, 3, 9, 9)


def test_where_a_record_is_cropped_hangs_on_its_own_size_alone(images):
    """Not on those of its batch's others, which may be another process's."""
    make = transformer("crop_size: 8 mirror: true", "TRAIN")
    alike = [
        make.apply([image] * 3, rng(7))
        for image in (images[0], images[1][:, :8], images[2][:, :9, :8])
    ]
    mixed = make.apply([images[0], images[1][:, :8], images[2][:, :9, :8]], rng(7))
    for place in range(3):
        np.testing.assert_array_equal(mixed[place], alike[place][place])
    # places 1 and 3 of four
    part = make.apply([images[0], images[2][:, :9, :8]], rng(7), shard=Shard(1, 2))
    np.testing.assert_array_equal(part[1], make.apply([images[2][:, :9, :8]] * 4, rng(7))[3])


def test_floats_stay_floats(images):
    records = [np.array([[[0.25, -3.5]]], np.float32)]
    assert transformer("scale: 2").apply(records, rng()).tolist() == [[[[0.5, -7.0]]]]


@pytest.mark.parametrize("shape", [(3, 10, 12), (1, 3, 10, 12), (2, 3, 10, 12)])
def test_a_mean_may_have_the_new_form_of_shape(images, tmp_path, shape):
    """Of several images in a mean file Caffe uses the first."""
    mean = rng(5).random(shape, np.float32)
    path = tmp_path / "mean.binaryproto"
    path.write_bytes(
        BlobProto(shape=BlobShape(dim=shape), double_data=mean.ravel().tolist()).SerializeToString()
    )
    got = transformer(f'mean_file: "{path}"').apply(images, rng())
    np.testing.assert_array_equal(got, images - mean.reshape(-1, 3, 10, 12)[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('mean_file: "none.binaryproto"', "the mean file 'none.binaryproto' does not exist"),
        ("crop_size: 11", "layer 'data': record 0 is 3×10×12, smaller than crop_size 11"),
        (
            "mean_value: 1 mean_value: 2",
            "layer 'data': record 0 has 3 channels, but there are 2 mean_values",
        ),
    ],
)
def test_what_does_not_fit_is_reported(images, text, message):
    with pytest.raises(NetspecError, match=message) as caught:
        transformer(text).apply(images, rng())
    assert str(caught.value).startswith("net.prototxt:1:")


def test_a_missing_mean_names_the_command_that_makes_one():
    with pytest.raises(NetspecError, match=r"`netspec dataset mean DB none.binaryproto`"):
        transformer('mean_file: "none.binaryproto"')


def test_a_mean_of_another_size_is_reported(images, write_mean):
    make = transformer(f'mean_file: "{write_mean(np.zeros((3, 10, 10)))}" crop_size: 4')
    with pytest.raises(NetspecError, match=r"record 0 is 3×10×12, but the mean '.*' is 3×10×10"):
        make.apply(images, rng())


def test_sizes_that_differ_in_a_batch_are_reported(images):
    with pytest.raises(
        NetspecError, match=r"image b is 3×9×12, but the first of its batch is 3×10×12"
    ) as caught:
        transformer("").apply(
            [images[0], images[1][:, :9]], rng(), ["image a", "image b"].__getitem__
        )
    assert "resize them to one size or set crop_size" in str(caught.value)
    with pytest.raises(
        NetspecError, match=r"record 1 is 1×10×12, but the first of its batch is 3×10×12"
    ):
        transformer("crop_size: 4").apply([images[0], images[1][:1]], rng())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xff no blob", "is not a .binaryproto of a blob"),
        (b"", "holds 0 values of size scalar, expected one image"),
        (
            BlobProto(num=1, channels=3, height=2, width=2, data=[0] * 11).SerializeToString(),
            "holds 11 values of size 1×3×2×2",
        ),
        (
            BlobProto(num=1, channels=-3, height=-2, width=2, data=[0] * 12).SerializeToString(),
            "holds 12 values of size 1×-3×-2×2",
        ),
        (
            BlobProto(shape=BlobShape(dim=[12]), data=[0] * 12).SerializeToString(),
            "holds 12 values of size 12",
        ),
    ],
)
def test_a_damaged_mean_is_reported(tmp_path, content, message):
    (tmp_path / "mean").write_bytes(content)
    with pytest.raises(NetspecError, match=message):
        transformer(f'mean_file: "{tmp_path / "mean"}"')
