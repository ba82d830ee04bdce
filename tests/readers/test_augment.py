"""Random changes of images in TRAIN: their moments, their ranges, and that they rest in TEST."""

import numpy as np
import pytest

from netspec.diagnostics import NetspecError
from netspec.readers.augment import crop_rectangle, drawn_rectangle
from netspec.readers.batches import batches
from netspec.readers.reader import Shard
from netspec.readers.rotation import rotated
from netspec.schema.netspec_pb2 import ResizedCropParameter
from tests.readers.test_transform import rng, transformer

PCA = """eigenvalue: 0.2 eigenvalue: 0.02 eigenvalue: 0.005
  eigenvector { blue: 0.6 green: 0.8 } eigenvector { blue: -0.8 green: 0.6 }
  eigenvector { red: 1 }"""
ALL = f"""crop_size: 8 mirror: true mean_value: 100 scale: 0.5
  distort_param {{ brightness_prob: 0.5 brightness_delta: 32 hue_prob: 0.5 hue_delta: 18 }}
  lighting_param {{ {PCA} }} gray_prob: 0.3 gaussian_noise_std: 2
  resized_crop_param {{ min_scale: 0.3 }} rotation_param {{ max_degrees: 20 }}
  erasing_param {{ prob: 0.5 }}"""


def applied(text, batch, phase="TRAIN", seed=0):
    return transformer(text, phase).apply(batch, rng(seed))


def constant(count, value=(100, 100, 100), size=4):
    pixels = np.array(value, np.uint8)[:, None, None]
    return np.repeat(np.broadcast_to(pixels, (3, size, size))[None], count, axis=0)


def test_lighting_adds_one_colour_to_each_image_with_the_components_covariance():
    got = applied(f"lighting_param {{ std: 0.1 {PCA} }}", constant(20_000, size=2)) - 100
    assert np.ptp(got, axis=(2, 3)).max() < 1e-5  # the same at each pixel
    shifts = got[:, :, 0, 0]
    vectors = np.array([[0.6, 0.8, 0], [-0.8, 0.6, 0], [0, 0, 1]])
    deviations = 255 * 0.1 * np.array([0.2, 0.02, 0.005])
    np.testing.assert_allclose(shifts.mean(axis=0), 0, atol=4 * 5.1 / np.sqrt(20_000))
    along = shifts @ vectors.T
    np.testing.assert_allclose(along.std(axis=0), deviations, rtol=0.03)
    correlation = np.corrcoef(along.T)
    np.testing.assert_allclose(correlation, np.eye(3), atol=0.03)


def test_lighting_reads_its_file(tmp_path):
    path = tmp_path / "pca.prototxt"
    path.write_text(PCA)
    batch = constant(50)
    from_file = applied(f'lighting_param {{ pca_file: "{path}" }}', batch)
    np.testing.assert_array_equal(from_file, applied(f"lighting_param {{ {PCA} }}", batch))
    path.write_text("eigenvalue: 1")
    with pytest.raises(NetspecError, match=r"expected 3 of 'eigenvalue' and 3 of .*, got 1 and 0"):
        applied(f'lighting_param {{ pca_file: "{path}" }}', batch)
    path.unlink()
    with pytest.raises(NetspecError, match="does not exist"):
        applied(f'lighting_param {{ pca_file: "{path}" }}', batch)


def test_noise_is_independent_and_normal():
    got = applied("gaussian_noise_std: 3", constant(400, size=10)) - 100
    assert abs(got.mean()) < 4 * 3 / np.sqrt(got.size)
    assert abs(got.std() / 3 - 1) < 0.01
    assert abs(np.corrcoef(got[:, 0].ravel(), got[:, 1].ravel())[0, 1]) < 0.03


def test_grey_as_often_as_stated(images):
    batch = np.repeat(images[:1], 1000, axis=0)
    got = applied("gray_prob: 0.3", batch)
    grey = [np.array_equal(image[0], image[1]) for image in got]
    assert 240 < sum(grey) < 360  # 300 ± 4 standard deviations
    assert all(
        is_grey or np.array_equal(image, batch[0]) for image, is_grey in zip(got, grey, strict=True)
    )


def test_erases_as_often_and_as_much_as_stated():
    text = "erasing_param { prob: 0.4 min_area: 0.1 max_area: 0.2 %s }"
    batch = constant(1000, (200, 200, 200), 30)
    got = applied("mean_value: 50 scale: 0.5 " + text % "", batch)
    erased = (got == 0).all(axis=1)
    shares = erased.mean(axis=(1, 2))
    assert 340 < (shares > 0).sum() < 460
    assert 0.08 < shares[shares > 0].min() <= shares.max() < 0.22
    assert (got[(~erased)[:, None].repeat(3, 1)] == 75).all()
    filled = applied("mean_value: 50 " + text % "fill_value: 1 fill_value: 2 fill_value: 3", batch)
    np.testing.assert_array_equal(
        filled[0 if shares[0] else int(shares.argmax())].min(axis=(1, 2)), [-49, -48, -47]
    )


def test_a_rectangle_has_the_shares_and_shapes_of_its_ranges():
    found = [drawn_rectangle((0.1, 0.5), (0.5, 2), 200, 300, rng(seed)) for seed in range(2000)]
    areas = np.array([each.height * each.width for each in found if each]) / 60_000
    ratios = np.array([each.width / each.height for each in found if each])
    assert 0.098 < areas.min() < 0.11
    assert 0.45 < areas.max() < 0.51
    assert 0.49 < ratios.min() < 0.52
    assert 1.9 < ratios.max() < 2.02
    assert all(
        each.top + each.height <= 200 and each.left + each.width <= 300 for each in found if each
    )
    assert abs(np.log(ratios).mean()) < 0.05  # as often wide as high


def test_a_resized_crop_that_never_fits_takes_the_middle():
    param = ResizedCropParameter(min_scale=1, max_scale=1, min_aspect_ratio=1, max_aspect_ratio=1)
    assert crop_rectangle(param, 40, 100, rng()) == (0, 30, 40, 40)


def test_a_resized_crop_of_everything_is_the_image_resized(images):
    text = """crop_size: 20 resized_crop_param { min_scale: 1 max_scale: 1
      min_aspect_ratio: 1.2 max_aspect_ratio: 1.2 }"""
    got = applied(text, images[:2])  # 10×12, smaller than the crop
    assert got.shape == (2, 3, 20, 20)
    want = transformer("resize_param { height: 20 width: 20 }").apply(images[:2], rng())
    np.testing.assert_array_equal(got, want)


def test_a_rotation_of_right_angles_and_of_none(images):
    square = images[0, :, :, :10]
    black = np.zeros(1, np.float32)
    np.testing.assert_array_equal(rotated(square, 90, black), np.rot90(square, 1, (1, 2)))
    np.testing.assert_array_equal(rotated(square, -180, black), square[:, ::-1, ::-1])
    assert rotated(square, 0, black) is square


def test_a_rotation_leaves_the_fill_in_the_corners():
    fill = np.array([1, 2, 3], np.float32)
    turned = rotated(constant(1, (200, 200, 200), 21)[0], 45, fill)
    assert turned[:, 0, 0].tolist() == [1, 2, 3]
    assert turned[:, 10, 10].tolist() == [200, 200, 200]
    # the area that stays covered is that of the square cut by the turned one: 2 (√2 - 1)
    assert abs((turned[0] > 100).mean() - 0.828) < 0.03


def test_angles_lie_to_both_sides():
    dot = np.zeros((3, 41, 41), np.uint8)
    dot[:, 18:23, 36:41] = 255  # at the right end
    got = applied("rotation_param { max_degrees: 30 }", np.repeat(dot[None], 500, axis=0))
    rows, columns = np.mgrid[:41, :41] - 20
    weights = got[:, 0] / got[:, 0].sum(axis=(1, 2))[:, None, None]
    angles = np.degrees(
        np.arctan2(-(weights * rows).sum(axis=(1, 2)), (weights * columns).sum(axis=(1, 2)))
    )
    assert 28 < angles.max() < 31
    assert -31 < angles.min() < -28
    assert abs(angles.mean()) < 4 * 30 / np.sqrt(3 * 500)


def test_what_states_its_neutral_values_changes_nothing(images):
    plain = applied("crop_size: 7 mirror: true mean_value: 9", images)
    neutral = """gaussian_noise_std: 0 gray_prob: 0 rotation_param {} distort_param {}
      erasing_param { prob: 0 } lighting_param { std: 0 %s }"""
    own = transformer(f"crop_size: 7 mirror: true mean_value: 9 {neutral % PCA}", "TRAIN")
    got = own.apply(images, rng(), own_rng=rng)
    np.testing.assert_array_equal(got, plain)


def test_nothing_of_it_in_the_test_phase(images):
    plain = applied("crop_size: 8 mirror: true mean_value: 100 scale: 0.5", images, "TEST")
    np.testing.assert_array_equal(applied(ALL, images, "TEST"), plain)
    assert not np.array_equal(applied(ALL, images), plain)


def test_processes_together_read_what_one_reads(data_net, write_lmdb, datums):
    path = write_lmdb("db", datums)

    def first_two(batch_size, shard):
        net = data_net(path, ALL, f"batch_size: {batch_size} backend: LMDB", "TRAIN")
        with batches(net, seed=5, prefetch=0, shard=shard) as stream:
            return [next(stream)["data"] for _ in range(2)]

    whole = first_two(6, Shard())
    parts = [first_two(2, Shard(rank, 3)) for rank in range(3)]
    for index in range(2):
        for rank in range(3):
            np.testing.assert_array_equal(parts[rank][index], whole[index][rank::3])
    assert not np.array_equal(whole[0], whole[1])
    again = first_two(6, Shard())
    np.testing.assert_array_equal(again, whole)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gray_prob: 0.5", "record 0 has 1 channels, but 'gray_prob' needs 3"),
        (f"lighting_param {{ {PCA} }}", "has 1 channels, but 'lighting_param' needs 3"),
        (
            "rotation_param { max_degrees: 5 fill_value: 1 fill_value: 2 }",
            "record 0 is 1×4×4, but 'rotation_param' has 2 of 'fill_value'",
        ),
    ],
)
def test_records_that_do_not_suit(text, message):
    with pytest.raises(NetspecError, match=message):
        applied(text, np.zeros((2, 1, 4, 4), np.uint8))


def test_floats_are_refused():
    with pytest.raises(NetspecError, match="holds float_data, but 'gaussian_noise_std' changes"):
        applied("gaussian_noise_std: 1", np.zeros((1, 3, 4, 4), np.float32))
