"""WindowData: the list, the drawing of windows, each pixel as the original's loops compute it."""

from itertools import islice
from math import floor

import numpy as np
import pytest
from PIL import Image

from netspec.diagnostics import NetspecError
from netspec.readers.batches import batches, dataset_size
from netspec.readers.images import resize
from netspec.readers.probe import record_shape
from netspec.readers.window_list import read_windows
from netspec.readers.windows import place_window

HEIGHT, WIDTH = 20, 30
# label, overlap, x1, y1, x2, y2
FIRST = ["1 0.9 2 3 12 13", "2 0.5 0 0 29 19", "3 0.49 5 5 9 9", "0 0.1 20 10 28 18"]
SECOND = ["4 1.0 10 4 14 18", "7 0.2 1 1 7 3"]


def window_list(*images, channels=3):
    return "".join(
        f"# {i}\n{path}\n{channels}\n{HEIGHT}\n{WIDTH}\n{len(windows)}\n"
        + "".join(f"{window}\n" for window in windows)
        for i, (path, windows) in enumerate(images)
    )


@pytest.fixture
def pictures(tmp_path):
    """Two images of noise, C×H×W in the order B, G, R, in files of their own.

    The list names them.
    """
    made = np.random.default_rng(1).integers(0, 256, (2, 3, HEIGHT, WIDTH), dtype=np.uint8)
    for name, image in zip("ab", made, strict=True):
        Image.fromarray(image[::-1].transpose(1, 2, 0)).save(tmp_path / f"{name}.png")
    (tmp_path / "windows.txt").write_text(window_list(("a.png", FIRST), ("b.png", SECOND)))
    return made


@pytest.fixture
def net(make_net, pictures):
    def make(param="batch_size: 8", transform="crop_size: 16", phase="TRAIN"):
        text = (
            'layer { name: "d" type: "WindowData" top: "data" top: "label" '
            f"transform_param {{ {transform} }} "
        )
        return make_net(f'{text} window_data_param {{ source: "windows.txt" {param} }} }}', phase)

    return make


def first_batch(net, seed=0, **more):
    with batches(net, seed=seed, **more) as stream:
        return next(stream)


def c_round(x):
    return floor(abs(x) + 0.5) * (1 if x >= 0 else -1)


def original(image, window, crop, pad, square, flip, mean=None, scale=1.0):
    """The square of a window, step by step as WindowDataLayer::load_batch makes it."""
    x1, y1, x2, y2 = window
    pad_w = pad_h = 0
    out_w = out_h = crop
    if pad > 0 or square:
        context_scale = np.float32(crop) / np.float32(crop - 2 * pad)
        half_h, half_w = np.float32((y2 - y1 + 1) / 2.0), np.float32((x2 - x1 + 1) / 2.0)
        cx, cy = np.float32(x1) + half_w, np.float32(y1) + half_h
        if square:
            half_h = half_w = max(half_h, half_w)
        x1, x2 = c_round(cx - half_w * context_scale), c_round(cx + half_w * context_scale)
        y1, y2 = c_round(cy - half_h * context_scale), c_round(cy + half_h * context_scale)
        whole_h, whole_w = y2 - y1 + 1, x2 - x1 + 1
        pad_x1, pad_y1 = max(0, -x1), max(0, -y1)
        pad_x2, pad_y2 = max(0, x2 - WIDTH + 1), max(0, y2 - HEIGHT + 1)
        x1, x2, y1, y2 = x1 + pad_x1, x2 - pad_x2, y1 + pad_y1, y2 - pad_y2
        scale_x, scale_y = (
            np.float32(crop) / np.float32(whole_w),
            np.float32(crop) / np.float32(whole_h),
        )
        out_w, out_h = (
            c_round(np.float32(x2 - x1 + 1) * scale_x),
            c_round(np.float32(y2 - y1 + 1) * scale_y),
        )
        pad_x1, pad_x2 = (
            c_round(np.float32(pad_x1) * scale_x),
            c_round(np.float32(pad_x2) * scale_x),
        )
        pad_h, pad_w = c_round(np.float32(pad_y1) * scale_y), pad_x2 if flip else pad_x1
        out_h, out_w = min(out_h, crop - pad_h), min(out_w, crop - pad_w)
    pixels = resize(image[:, y1 : y2 + 1, x1 : x2 + 1], out_h, out_w)
    if flip:
        pixels = pixels[:, :, ::-1]
    square_out = np.zeros((3, crop, crop), np.float32)
    offset = 0 if mean is None else (mean.shape[2] - crop) // 2
    for c in range(3):
        for h in range(out_h):
            for w in range(out_w):
                value = np.float32(pixels[c, h, w])
                if mean is not None:
                    value -= mean[c, h + offset + pad_h, w + offset + pad_w]
                square_out[c, h + pad_h, w + pad_w] = value * np.float32(scale)
    return square_out


def windows_of(label):
    """(image, corners) of the windows that a label of a batch may stand for."""
    found = []
    for i, lines in enumerate((FIRST, SECOND)):
        for line in lines:
            got, overlap, *corners = line.split()
            if (int(got) if float(overlap) >= 0.5 else 0) == label:
                found.append((i, [int(corner) for corner in corners]))
    return found


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
@pytest.mark.parametrize(("pad", "mode"), [(0, "warp"), (3, "warp"), (0, "square"), (2, "square")])
def test_every_pixel_is_the_originals(net, pictures, write_mean, pad, mode, phase):
    mean = np.random.default_rng(2).random((3, 22, 20), np.float32) * 100
    # transform_param's scale is not read
    transform = f'crop_size: 16 mirror: true mean_file: "{write_mean(mean)}" scale: 9'
    made = net(
        f'batch_size: 8 fg_fraction: 0.5 scale: 0.5 context_pad: {pad} crop_mode: "{mode}"',
        transform,
        phase,
    )
    flips = set()
    for seed in range(4):
        batch = first_batch(made, seed)
        assert batch["data"].shape == (8, 3, 16, 16)
        assert batch["data"].dtype == batch["label"].dtype == np.float32
        for data, label in zip(batch["data"], batch["label"], strict=True):
            candidates = {
                (i, *corners, flip): original(
                    pictures[i], corners, 16, pad, mode == "square", flip, mean, 0.5
                )
                for i, corners in windows_of(int(label))
                for flip in (False, True)
            }
            matches = [key for key, value in candidates.items() if np.array_equal(value, data)]
            assert matches
            flips.add(matches[0][-1])
    assert flips == {False, True}


def test_background_comes_first_then_the_share_of_objects(net):
    labels = np.stack(
        [first_batch(net("batch_size: 10 fg_fraction: 0.35"), seed)["label"] for seed in range(20)]
    )
    assert not labels[:, :7].any()  # 3.5 is rounded down
    assert set(labels[:, 7:].ravel()) == {1, 2, 4}


def test_thresholds_leave_out_what_lies_between(net):
    made = net("batch_size: 40 fg_fraction: 0.5 fg_threshold: 0.9 bg_threshold: 0.15")
    batch = first_batch(made)
    assert set(batch["label"][20:]) == {1, 4}
    assert len({data.tobytes() for data in batch["data"][:20]}) == 1  # one window of overlap 0.1
    everything = first_batch(net("batch_size: 40 fg_fraction: 1"))["label"]
    assert everything.all()


def test_batches_are_a_function_of_seed_and_index(net):
    made = net("batch_size: 4", "crop_size: 16 mirror: true")
    with batches(made, seed=3) as stream:
        run = list(islice(stream, 4))
    later = first_batch(made, 3, start=2)
    np.testing.assert_array_equal(later["data"], run[2]["data"])
    assert any(not np.array_equal(run[0]["data"], batch["data"]) for batch in run[1:])
    assert not np.array_equal(first_batch(made, 4)["data"], run[0]["data"])
    assert dataset_size(made) is None


def test_mean_values(net):
    plain = first_batch(net("batch_size: 4 context_pad: 4", "crop_size: 16"))["data"]
    one = first_batch(net("batch_size: 4 context_pad: 4", "crop_size: 16 mean_value: 7"))["data"]
    three = first_batch(
        net(
            "batch_size: 4 context_pad: 4",
            "crop_size: 16 mean_value: 1 mean_value: 2 mean_value: 3",
        )
    )["data"]
    seen = one - plain
    assert set(np.unique(seen)) <= {-7.0, 0.0}  # beyond the image it stays 0
    np.testing.assert_array_equal(
        three - plain, seen / 7 * np.array([1, 2, 3], np.float32)[:, None, None]
    )


def test_cached_images_are_read_at_the_start(net, tmp_path):
    expected = first_batch(net())
    stream = batches(net("batch_size: 8 cache_images: true"), seed=0, prefetch=0)
    (tmp_path / "a.png").unlink()
    (tmp_path / "b.png").unlink()
    np.testing.assert_array_equal(next(stream)["data"], expected["data"])
    with pytest.raises(NetspecError, match=r"the image 'a.png' can't be read"):
        batches(net("batch_size: 8 cache_images: true"), seed=0)


def test_the_root_folder_is_put_before_the_path_as_it_is(net, tmp_path):
    (tmp_path / "sub").mkdir()
    for name in "ab":
        (tmp_path / f"{name}.png").rename(tmp_path / "sub" / f"x{name}.png")
    assert first_batch(net('batch_size: 8 root_folder: "sub/x"'))["data"].any()


def test_what_a_window_shows():
    assert place_window([2, 3, 11, 12], 20, 30, 16, 0, False, False) == (2, 3, 11, 12, 0, 0, 16, 16)
    # 10 wide grows by 16/8 to 20 around its centre, and hangs over on the left
    place = place_window([2, 3, 11, 12], 40, 40, 16, 4, False, False)
    assert (place.x1, place.x2, place.left) == (0, 17, 2)
    assert place.left + place.width <= 16
    # flipped, what hangs over lies right
    assert place_window([2, 3, 11, 12], 40, 40, 16, 4, False, True).left == 0
    for corners in ([-1, 0, 5, 5], [0, 0, 30, 5], [0, 0, 5, 20], [5, 5, 4, 9]):
        assert place_window(corners, 20, 30, 16, 0, False, False) is None
    assert place_window([100, 100, 110, 110], 20, 30, 16, 4, False, False) is None
    assert place_window([5, 5, 4, 9], 20, 30, 16, 4, False, False) is None


def test_a_sliver_of_the_image_may_vanish(net, tmp_path):
    """Far beyond the edge less than half a pixel of the square shows the image.

    Caffe stops there.
    """
    (tmp_path / "windows.txt").write_text(
        window_list(("a.png", ["1 1 -800 0 -54 19"]), ("b.png", []))
    )
    batch = first_batch(net("batch_size: 1 fg_fraction: 1 context_pad: 1"))
    assert batch["label"] == [1]
    assert not batch["data"].any()


def test_reads_the_list(tmp_path):
    path = tmp_path / "w.txt"
    path.write_text(window_list(("a b.png", FIRST), ("c.png", []), ("b.png", SECOND)) + "\n\n")
    images, (background, objects) = read_windows(str(path), 0.5, 0.3)
    assert images == ["a b.png", "c.png", "b.png"]
    assert objects.tolist() == [
        [0, 1, 7, 2, 3, 12, 13],
        [0, 2, 8, 0, 0, 29, 19],
        [2, 4, 23, 10, 4, 14, 18],
    ]
    assert background.tolist() == [[0, 0, 10, 20, 10, 28, 18], [2, 0, 24, 1, 1, 7, 3]]


GOOD = "# 0\na.png\n3\n20\n30\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the list '.*' is empty"),
        ("a.png 3\n", "line 1 of '.*' is 'a.png 3', expected '# ' and the number of an image"),
        ("# 0\n", "the list '.*' ends after line 1, expected the image's path"),
        ("# 0\na.png\n3\n20 30\n", "line 4 of '.*' is '20 30', expected the image's height"),
        (f"{GOOD}many\n", "line 6 of '.*' is 'many', expected the number of its windows"),
        (
            f"{GOOD}2\n1 0.9 0 0 5 5\n",
            "the list '.*' ends after line 7, expected a window: label, overlap, x1, y1, x2, y2",
        ),
        (
            f"{GOOD}2\n1 0.9 0 0 5 5\n1 0.9 0 0 5\n",
            "line 8 of '.*' is '1 0.9 0 0 5', expected a window",
        ),
        (f"{GOOD}1\n1 0.9 0 0 5 x\n", "line 7 of '.*' is '1 0.9 0 0 5 x', expected a window"),
        (f"{GOOD}1\n1 0.9 0 0 5 5.5\n", "line 7 of '.*' is '1 0.9 0 0 5 5.5', expected a window"),
        (f"{GOOD}1\n1 0.9 0 0 5 nan\n", "line 7 of '.*' is '1 0.9 0 0 5 nan', expected a window"),
        (
            f"{GOOD}1\n0 0.9 0 0 5 5\n",
            "line 7 of '.*' has label 0; a window that shows an object has one above 0",
        ),
        (f"{GOOD}1\n1 0.9 0 0 5 5\n", "no window of '.*' has an overlap below bg_threshold 0.5"),
        (
            f"{GOOD}1\n1 0.2 0 0 5 5\n",
            "no window of '.*' has an overlap of at least fg_threshold 0.5",
        ),
        (
            f"{GOOD}2\n1 0.9 0 0 5 5\n0 0 0 0 30 5\n",
            (
                "line 8 of '.*': the window 0 0 30 5 lies outside of '.*a.png', "
                "which is 30 wide and 20 high"
            ),
        ),
        (
            f"{GOOD.replace('a', 'z')}2\n1 0.9 0 0 5 5\n0 0 0 0 3 5\n",
            "the image 'z.png' can't be read",
        ),
    ],
)
def test_faults_are_reported(net, tmp_path, text, message):
    (tmp_path / "windows.txt").write_text(text)
    with pytest.raises(NetspecError, match=message) as caught:
        first_batch(net())
    assert str(caught.value).startswith(str(tmp_path / "net.prototxt"))


def test_a_mean_that_is_too_small(net, write_mean):
    # the last: the width's offset is the height's, too
    for shape in ((1, 20, 20), (3, 10, 20), (3, 17, 20)):
        with pytest.raises(
            NetspecError, match=r"the mean '.*' is \d+×\d+×20, too small for 3×16×16"
        ):
            first_batch(net(transform=f'crop_size: 16 mean_file: "{write_mean(np.zeros(shape))}"'))


@pytest.mark.parametrize(
    ("old", "new", "line", "expected"),
    [
        ("\n3\n", f"\n{'9' * 5000}\n", 3, "the image's channels, at most 2147483647"),
        ("\n20\n", "\n2147483648\n", 4, "the image's height, at most 2147483647"),
        ("\n4\n", f"\n{'9' * 30}\n", 6, "the number of its windows, at most 2147483647"),
        ("1 0.9 2", f"1 0.9 {'9' * 5000}", 7, "a window"),
        ("1 0.9 2", f"{'9' * 39} 0.9 2", 7, "a window"),
        ("1 0.9 2", "1 0.9 inf", 7, "a window"),
        ("1 0.9 2", "1 nan 2", 7, "a window"),
        ("1 0.9 2", "1 1e39 2", 7, "a window"),
    ],
)
def test_numbers_out_of_range_are_reported_with_their_line(
    pictures, tmp_path, old, new, line, expected
):
    path = tmp_path / "windows.txt"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(
        NetspecError, match=rf"line {line} of '.*windows.txt' is '.*', expected {expected}"
    ):
        read_windows(str(path), 0.5, 0.5)


@pytest.mark.parametrize("channels", ["9" * 5000, "2147483648", "0", "²"])
def test_channels_out_of_range_are_reported_before_data_are_read(net, pictures, tmp_path, channels):
    path = tmp_path / "windows.txt"
    path.write_text(path.read_text().replace("\n3\n", f"\n{channels}\n", 1))
    with pytest.raises(
        NetspecError,
        match=(
            r"windows.txt' is not a list of windows: expected '# 0', "
            r"a path and the number of channels"
        ),
    ):
        record_shape(net().layers[0])
