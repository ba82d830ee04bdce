"""Resize, colours and noise, against OpenCV's rules written out pixel by pixel."""

import colorsys
import math

import numpy as np
import pytest

from netspec.readers.color import bgr_to_grey, bgr_to_hsv, bgr_to_ycrcb, hsv_to_bgr, ycrcb_to_bgr
from netspec.readers.distort import apply_distort
from netspec.readers.images import resize
from netspec.readers.interpolation import resize_by
from netspec.readers.noise import apply_noise, blur, clahe, equalize, erode
from netspec.readers.resize_policy import apply_resize, resize_boxes, stretch_boxes
from netspec.schema.forks_pb2 import DistortionParameter, NoiseParameter, ResizeParameter


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(1).integers(0, 256, (3, 17, 23), dtype=np.uint8)


def cubic(t, a=-0.75):
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0


def lanczos(t):
    if t == 0:
        return 1
    return 4 * math.sin(math.pi * t) * math.sin(math.pi * t / 4) / (math.pi * t) ** 2


def by_kernel(plane, size, kernel, reach):
    """Each pixel from its neighbours in both directions, in double precision."""
    (old_height, old_width), (height, width) = plane.shape, size
    result = np.empty((height, width))
    for y in range(height):
        for x in range(width):
            sy, sx = (y + 0.5) * old_height / height - 0.5, (x + 0.5) * old_width / width - 0.5
            total = weights = 0
            for j in range(math.floor(sy) - reach + 1, math.floor(sy) + reach + 1):
                for i in range(math.floor(sx) - reach + 1, math.floor(sx) + reach + 1):
                    weight = kernel(sy - j) * kernel(sx - i)
                    row, column = min(max(j, 0), old_height - 1), min(max(i, 0), old_width - 1)
                    total, weights = total + weight * plane[row, column], weights + weight
            result[y, x] = total / weights
    return np.clip(result, 0, 255)


def by_area(plane, height, width):
    """The mean of what each new pixel covers, by cutting old pixels into many."""
    old_height, old_width = plane.shape
    fine = np.kron(plane.astype(float), np.ones((height, width)))
    return fine.reshape(height, old_height, width, old_width).mean(axis=(1, 3))


@pytest.mark.parametrize("size", [(9, 11), (30, 40), (17, 5)])
def test_cubic_and_lanczos(image, size):
    for mode, kernel, reach in (("CUBIC", cubic, 2), ("LANCZOS4", lanczos, 4)):
        want = by_kernel(image[0], size, kernel, reach)
        got = resize_by(image, size[0], size[1], mode)[0]
        assert np.abs(got - want).max() <= 1.01, mode


@pytest.mark.parametrize("size", [(9, 11), (5, 7), (17, 4), (1, 1)])
def test_area_of_a_smaller_image(image, size):
    assert (
        np.abs(resize_by(image, size[0], size[1], "AREA")[1] - by_area(image[1], *size)).max()
        <= 0.51
    )


def test_area_of_a_larger_image_keeps_whole_pixels(image):
    large = resize_by(image, 34, 46, "AREA")
    np.testing.assert_array_equal(large, np.kron(image, np.ones((1, 2, 2), np.uint8)))


def test_nearest_and_linear(image):
    got = resize_by(image, 8, 30, "NEAREST")
    rows, columns = np.arange(8) * 17 // 8, np.arange(30) * 23 // 30
    np.testing.assert_array_equal(got, image[:, rows[:, None], columns])
    np.testing.assert_array_equal(resize_by(image, 8, 30, "LINEAR"), resize(image, 8, 30))


def box_rule(box, param, height, width):
    """Where a box lies, by the places of its corners in pixels of the result."""
    aspect = width / height
    new_width, new_height, pad_x, pad_y = param.width, param.height, 0.0, 0.0
    if param.resize_mode == param.FIT_SMALL_SIZE:
        if aspect < new_width / new_height:
            new_height = new_width / aspect
        else:
            new_width = new_height * aspect
    elif param.resize_mode == param.FIT_LARGE_SIZE_AND_PAD:
        if aspect > new_width / new_height:
            pad_y = (new_height - new_width / aspect) / 2
        else:
            pad_x = (new_width - new_height * aspect) / 2
    place = [pad_x + x * (new_width - 2 * pad_x) for x in box[::2]]
    place_y = [pad_y + y * (new_height - 2 * pad_y) for y in box[1::2]]
    return [place[0] / new_width, place_y[0] / new_height,
            place[1] / new_width, place_y[1] / new_height]  # fmt: skip


@pytest.mark.parametrize("mode", ["WARP", "FIT_SMALL_SIZE", "FIT_LARGE_SIZE_AND_PAD"])
@pytest.mark.parametrize("size", [(17, 23), (23, 17)])
def test_boxes_and_marks_move_alike(mode, size):
    """A rectangle in the image lies after the resize where its box does, within a pixel."""
    height, width = size
    param = ResizeParameter(height=40, width=60, resize_mode=mode, interp_mode=["NEAREST"])
    image = np.zeros((1, height, width), np.uint8)
    image[0, 4:13, 5:12] = 200
    box = np.array([[5 / width, 4 / height, 12 / width, 13 / height]], np.float32)
    moved = resize_boxes(box, param, height, width)
    np.testing.assert_allclose(moved[0], box_rule(box[0], param, height, width), atol=1e-5)
    resized = apply_resize(image, param, "NEAREST")
    rows, columns = np.nonzero(resized[0] == 200)
    edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    scale = np.array([resized.shape[2], resized.shape[1]] * 2)
    assert np.abs(moved[0] * scale - edges).max() <= 1.01


def test_padding():
    image = np.random.default_rng(2).integers(0, 256, (3, 4, 10), dtype=np.uint8)
    param = ResizeParameter(
        height=9, width=10, resize_mode="FIT_LARGE_SIZE_AND_PAD", pad_value=[1, 2, 3]
    )
    padded = apply_resize(image, param, "LINEAR")
    np.testing.assert_array_equal(padded[:, 2:6], image)
    for channel, value in enumerate((1, 2, 3)):
        assert (padded[channel, [0, 1, 6, 7, 8]] == value).all()
    param.pad_mode = ResizeParameter.REPEAT_NEAREST
    np.testing.assert_array_equal(apply_resize(image, param, "LINEAR")[:, 8], image[:, 3])
    param.pad_mode = ResizeParameter.MIRRORED
    np.testing.assert_array_equal(apply_resize(image, param, "LINEAR")[:, 0], image[:, 2])


def test_scales_of_boxes():
    param = ResizeParameter(
        height=40, width=60, resize_mode="FIT_SMALL_SIZE", height_scale=20, width_scale=30
    )
    box = np.array([[0.5, 0.5, 1, 1]], np.float32)
    crop = np.array([0, 0, 0.5, 1], np.float32)
    # 20 high and 20 wide is resized to 60×60, of which 60×30 stay
    np.testing.assert_allclose(stretch_boxes(box, param, 20, 20, crop), [[0.5, 1.5, 1, 3]])


def test_hsv_there_and_back(image):
    hsv = bgr_to_hsv(image).reshape(3, -1).T.astype(int)
    for (b, g, r), (hue, saturation, value) in zip(image.reshape(3, -1).T, hsv, strict=True):
        h, s, v = colorsys.rgb_to_hsv(r / 255, g / 255, b / 255)
        assert abs(hue - h * 180) <= 0.6 or abs(abs(hue - h * 180) - 180) <= 0.6
        assert abs(saturation - s * 255) <= 0.6
        assert value == round(v * 255)
    back = hsv_to_bgr(bgr_to_hsv(image)).astype(int)
    for (b, g, r), (h, s, v) in zip(back.reshape(3, -1).T, hsv, strict=True):
        want = colorsys.hsv_to_rgb(h / 180, s / 255, v / 255)
        assert np.abs(np.array([r, g, b]) - np.array(want) * 255).max() <= 0.51


def test_luma_and_chroma(image):
    b, g, r = image.astype(float)
    grey = 0.299 * r + 0.587 * g + 0.114 * b
    assert np.abs(bgr_to_grey(image) - grey).max() <= 0.51
    luma, cr, cb = bgr_to_ycrcb(image)
    assert np.abs(cr - ((r - grey) * 0.713 + 128).clip(0, 255)).max() <= 1
    assert np.abs(cb - ((b - grey) * 0.564 + 128).clip(0, 255)).max() <= 1
    assert np.abs(ycrcb_to_bgr(np.stack([luma, cr, cb])).astype(int) - image).max() <= 2


def seeds_and_results(param, image, count=300):
    return [apply_distort(image, param, np.random.default_rng(seed)) for seed in range(count)]


def test_brightness_and_contrast(image):
    changed = seeds_and_results(
        DistortionParameter(brightness_prob=0.5, brightness_delta=20), image, 200
    )
    deltas = [np.median(each.astype(int) - image) for each in changed]
    assert 60 < sum(delta == 0 for delta in deltas) < 140
    assert min(deltas) < -15
    assert max(deltas) > 15
    assert max(map(abs, deltas)) <= 20
    scaled = seeds_and_results(
        DistortionParameter(contrast_prob=1, contrast_lower=0.5, contrast_upper=0.5), image, 2
    )
    np.testing.assert_array_equal(scaled[0], np.rint(image * 0.5))


def test_saturation_hue_and_order(image):
    grey = DistortionParameter(saturation_prob=1)  # factors 0 to 0
    value = image.max(axis=0)
    np.testing.assert_array_equal(seeds_and_results(grey, image, 1)[0], np.stack([value] * 3))
    hue = DistortionParameter(hue_prob=1, hue_delta=18)
    turned = list(seeds_and_results(hue, image, 40))
    shifts = []
    for each in turned:
        clear = (bgr_to_hsv(image)[1] > 200) & (bgr_to_hsv(image)[2] > 150)
        before, after = (bgr_to_hsv(x)[0][clear].astype(int) for x in (image, each))
        middle = (before > 20) & (before < 160)  # that neither end is reached
        shifts.append(np.median((after - before)[middle]))
        assert np.abs((after - before)[middle] - shifts[-1]).max() <= 2
    assert min(shifts) < -10
    assert max(shifts) > 10
    orders = seeds_and_results(DistortionParameter(random_order_prob=1), image, 60)
    assert len({each.tobytes() for each in orders}) == 6


def test_the_coin_sets_the_place_of_the_contrast(image):
    param = DistortionParameter(
        contrast_prob=1, contrast_lower=1.5, contrast_upper=1.5,
        saturation_prob=1, saturation_lower=0.5, saturation_upper=0.5,
    )  # fmt: skip

    def contrast(x):
        return np.rint(x * np.float32(1.5)).clip(0, 255).astype(np.uint8)

    def saturation(x):
        hsv = bgr_to_hsv(x)
        hsv[1] = np.rint(hsv[1] * np.float32(0.5))
        return hsv_to_bgr(hsv)

    ways = [saturation(contrast(image)), contrast(saturation(image))]
    got = seeds_and_results(param, image, 100)
    counts = [sum(np.array_equal(each, way) for each in got) for way in ways]
    assert sum(counts) == 100
    assert min(counts) > 25


def test_blur_and_erode(image):
    weights = np.exp(-(np.arange(-3, 4) ** 2) / 4.5)
    weights /= weights.sum()
    padded = np.pad(image[0].astype(float), 3, mode="reflect")
    want = [[(padded[y : y + 7, x : x + 7] * np.outer(weights, weights)).sum()
             for x in range(23)] for y in range(17)]  # fmt: skip
    assert np.abs(blur(image)[0] - np.array(want)).max() <= 0.51
    want = [min(image[0, y, x] for y, x in ((5, 5), (4, 5), (6, 5), (5, 4), (5, 6)))]
    assert erode(image)[0, 5, 5] == want[0]


def test_equalize(image):
    plane = image[0] // 3
    got = equalize(plane)
    low, least = plane.min(), (plane == plane.min()).sum()
    for value in np.unique(plane):
        want = ((plane <= value).sum() - least) / (plane.size - least) * 255
        assert abs(int(got[plane == value][0]) - want) <= 0.51
    assert got[plane == low][0] == 0
    flat = np.full((4, 4), 7, np.uint8)
    np.testing.assert_array_equal(equalize(flat), flat)


def test_clahe_of_tiles_alike_is_that_of_one_tile():
    """The same tile 8×8 times: every tile has one table, and mixing changes nothing."""
    tile = np.random.default_rng(3).integers(0, 40, (16, 16), dtype=np.uint8)
    got = clahe(np.tile(tile, (8, 8)))
    counts = np.bincount(tile.ravel(), minlength=256)
    limit = max(4 * 256 // 256, 1)
    cut = int((counts - limit).clip(0).sum())
    counts = counts.clip(None, limit) + cut // 256
    step, rest = max(256 // max(cut % 256, 1), 1), cut % 256
    for place in range(0, 256, step):
        if not rest:
            break
        counts[place] += 1
        rest -= 1
    table = np.rint(np.cumsum(counts) * 255 / 256).clip(0, 255)
    np.testing.assert_array_equal(got, table[np.tile(tile, (8, 8))])
    odd = np.random.default_rng(3).integers(0, 256, (13, 30), dtype=np.uint8)
    assert clahe(odd).shape == odd.shape


def test_the_steps_of_noise(image):
    rng = np.random.default_rng(0)
    grey = apply_noise(image, NoiseParameter(decolorize=True, inverse=True), rng)
    np.testing.assert_array_equal(grey, 255 - np.stack([bgr_to_grey(image)] * 3))
    np.testing.assert_array_equal(
        apply_noise(image, NoiseParameter(posterize=True), rng), image // 64 * 64 + 32
    )
    salted = NoiseParameter(saltpepper=True)
    salted.saltpepper_param.fraction = 0.1
    salted.saltpepper_param.value.extend([1, 2, 3])
    changed = (apply_noise(image, salted, rng) != image).any(axis=0)
    assert 20 < changed.sum() <= 39
    assert (apply_noise(image, salted, rng)[:, changed].shape[0]) == 3
    rough = apply_noise(image, NoiseParameter(jpeg=10), rng)
    assert rough.shape == image.shape
    assert not np.array_equal(rough, image)
    np.testing.assert_array_equal(
        apply_noise(image, NoiseParameter(convert_to_hsv=True), rng), bgr_to_hsv(image)
    )
    for name in ("hist_eq", "clahe", "gauss_blur", "erode"):
        made = apply_noise(image, NoiseParameter(**{name: True}), rng)
        assert made.dtype == np.uint8
        assert made.shape == image.shape
        assert not np.array_equal(made, image)
