"""ImageData: lists of image files."""

import time
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from netspec.diagnostics import NetspecError
from netspec.making.build_database import build_database
from netspec.readers.batches import batches, dataset_size


@pytest.fixture
def folder(tmp_path, images):
    """Twelve images; the first value of each says which it is, and so does its label."""
    for i, image in enumerate(images):
        image = image.copy()
        image[:, 0, 0] = i
        Image.fromarray(image[::-1].transpose(1, 2, 0)).save(tmp_path / f"im {i}.png")
    (tmp_path / "list.txt").write_text("".join(f"im {i}.png {i}\n" for i in range(12)))
    return tmp_path


@pytest.fixture
def net(make_net, folder):
    def make(param="batch_size: 4", transform="", phase="TRAIN", source="list.txt"):
        return make_net(
            'layer { name: "data" type: "ImageData" top: "data" top: "label" '
            f"transform_param {{ {transform} }} "
            f'image_data_param {{ source: "{source}" {param} }} }}',
            phase,
        )

    return make


def labels(net, count, **more):
    with batches(net, **more) as stream:
        got = list(islice(stream, count))
    for batch in got:
        np.testing.assert_array_equal(batch["data"][:, 0, 0, 0], batch["label"])
    return np.concatenate([batch["label"] for batch in got]).astype(int).tolist()


def test_reads_the_list_in_order_and_over_its_end(net):
    assert labels(net("batch_size: 5"), 5) == [i % 12 for i in range(25)]
    assert labels(net(""), 3) == [0, 1, 2]  # batch_size is 1 by default
    assert dataset_size(net()) == 12


def test_each_pass_has_an_order_of_its_own(net):
    got = labels(net("batch_size: 5 shuffle: true"), 12, seed=1)
    passes = [got[i : i + 12] for i in range(0, 60, 12)]
    assert all(sorted(each) == list(range(12)) for each in passes)
    assert len({tuple(each) for each in passes}) == 5
    assert labels(net("batch_size: 5 shuffle: true"), 5, seed=1, start=7) == got[35:60]
    assert labels(net("batch_size: 5 shuffle: true"), 12, seed=2) != got


def test_rand_skip_starts_further_on(net):
    starts = {labels(net("rand_skip: 5"), 1, seed=seed)[0] for seed in range(60)}
    assert starts == {0, 1, 2, 3, 4}
    first = labels(net("rand_skip: 5 batch_size: 12"), 2, seed=1)
    assert first == [(first[0] + i) % 12 for i in range(24)]


def test_resizes_and_reads_grey(net):
    with batches(net("batch_size: 3 new_height: 5 new_width: 7 is_color: false")) as stream:
        assert next(stream)["data"].shape == (3, 1, 5, 7)


def test_the_root_folder_is_put_before_the_path_as_it_is(net, folder):
    """Without its slash it becomes a part of the file's name."""
    (folder / "sub").mkdir()
    for i in range(12):
        (folder / f"im {i}.png").rename(folder / "sub" / f"xim {i}.png")
    assert labels(net('batch_size: 2 root_folder: "sub/x"'), 1) == [0, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("none.png 3\n", "the image 'none.png' can't be read: No such file or directory"),
        ("list.txt 3\n", "the image '.*list.txt' does not decode as an image"),
        (
            "im 0.png cat\n",
            "line 1 of '.*list.txt' ends in 'cat', expected a path, a space and a whole number",
        ),
        ("\n\n", "the list '.*list.txt' is empty"),
    ],
)
def test_faults_are_reported(net, folder, text, message):
    (folder / "list.txt").write_text(text)
    with pytest.raises(NetspecError, match=message) as caught:
        next(batches(net()))
    assert str(caught.value).startswith(str(folder / "net.prototxt"))


def test_a_missing_list_is_reported(net):
    with pytest.raises(
        NetspecError, match=r"the list 'none.txt' can't be read: No such file or directory"
    ):
        batches(net(source="none.txt"))


def test_a_skip_past_the_list_is_reported(net, folder):
    (folder / "list.txt").write_text("im 0.png 0\n")
    with pytest.raises(
        NetspecError, match=r"rand_skip came to \d+, but '.*list.txt' has only 1 lines"
    ):
        batches(net("rand_skip: 1000000"), seed=1)


def test_lines_as_caffe_reads_them(net, folder):
    """A label may be missing, lines may end in CR LF, and empty lines at the end do no harm."""
    (folder / "plain.png").write_bytes((folder / "im 0.png").read_bytes())
    (folder / "list.txt").write_bytes(b"plain.png\r\nim 3.png 3\r\nim 0.png -1\n\n\n")
    with batches(net("batch_size: 3")) as stream:
        assert next(stream)["label"].tolist() == [0, 3, -1]


@pytest.mark.parametrize(
    "label", ["2147483648", "-2147483649", "1" + "0" * 38, "9" * 400, "9" * 5000]
)
@pytest.mark.parametrize("line", [1, 2])
def test_a_label_that_no_int_holds_is_reported_with_its_line(net, folder, label, line):
    (folder / "list.txt").write_text(
        "".join(f"im 0.png {label if i == line else i}\n" for i in (1, 2))
    )
    with pytest.raises(
        NetspecError,
        match=(
            rf"line {line} of '.*list.txt' has a label out of range, '{label[:40]}', "
            r"expected -2147483648 to 2147483647"
        ),
    ):
        next(batches(net("batch_size: 2"), prefetch=0))
    with pytest.raises(
        NetspecError, match=rf"line {line} of '.*list.txt' has a label out of range"
    ):
        build_database(folder / "list.txt", folder / "db")


def test_the_largest_labels_and_zeros_before_them(net, folder):
    (folder / "list.txt").write_text(f"im 0.png -2147483648\nim 0.png {'0' * 5000}7\nim 0.png +3\n")
    with batches(net("batch_size: 3")) as stream:
        assert next(stream)["label"].tolist() == [-(2.0**31), 7, 3]


def test_an_image_is_reported_with_its_line(net, folder):
    (folder / "list.txt").write_text("im 0.png 0\nnone.png 1\n")
    with pytest.raises(
        NetspecError, match=r"line 2 of '.*list.txt': the image 'none.png' can't be read"
    ):
        next(batches(net("batch_size: 2")))
    (folder / "none.png").write_text("no image")
    with pytest.raises(
        NetspecError,
        match=(
            r"line 2 of '.*list.txt': the image '.*none.png' does not decode as an image: "
            r"its format is unknown"
        ),
    ):
        next(batches(net("batch_size: 2")))


@pytest.mark.slow
def test_a_list_of_two_million_lines_is_read_in_seconds(net, folder):
    lines = (
        f"train/n{i % 1000:08d}/n{i % 1000:08d}_{i}.JPEG {i % 1000}\n" for i in range(1, 2_000_000)
    )
    (folder / "list.txt").write_text("im 0.png 0\n" + "".join(lines))
    started = time.process_time()
    next(batches(net("batch_size: 1"), prefetch=0))
    assert time.process_time() - started < 5
