"""Records dealt out to several processes.

Together they read what one process with their whole batch would.
"""

from itertools import islice
from zlib import crc32

import numpy as np
import pytest

from netspec.diagnostics import NetspecError
from netspec.readers import transform
from netspec.readers.batches import batches, dataset_size
from netspec.readers.reader import Shard
from netspec.schema.caffe_pb2 import Datum

h5py = pytest.importorskip("h5py")
Image = pytest.importorskip("PIL.Image")

RANDOM = "transform_param { crop_size: 8 mirror: true }"
AUGMENTED = """transform_param { crop_size: 8 mirror: true resized_crop_param { min_scale: 0.3 }
  gaussian_noise_std: 2 gray_prob: 0.4 rotation_param { max_degrees: 9 }
  erasing_param { prob: 0.5 } }"""
CASES = {  # twelve records each, or eleven rows; {} is the batch_size
    "Data": f'type: "Data" {RANDOM} data_param {{ source: "db" batch_size: {{}} }}',
    "Data of several sizes": (
        f'type: "Data" {RANDOM} data_param {{ source: "sizes" batch_size: {{}} }}'
    ),
    "Data in a LevelDB": (
        f'type: "Data" {RANDOM} data_param {{ source: "leveldb" batch_size: {{}} }}'
    ),
    "Data, uncropped": (
        'type: "Data" transform_param { mirror: true } data_param { source: "db" batch_size: {} }'
    ),
    "ImageData": (
        f'type: "ImageData" {RANDOM} image_data_param {{ source: "list.txt" batch_size: {{}} }}'
    ),
    "ImageData, shuffled": (
        f'type: "ImageData" {RANDOM} image_data_param {{ source: "list.txt" batch_size: {{}} '
        "shuffle: true rand_skip: 9 }"
    ),
    "ImageData, augmented": (
        f'type: "ImageData" {AUGMENTED} image_data_param {{ source: "list.txt" batch_size: {{}} '
        "shuffle: true }"
    ),
    "HDF5Data": 'type: "HDF5Data" hdf5_data_param { source: "files.txt" batch_size: {} }',
    "HDF5Data, shuffled": (
        'type: "HDF5Data" hdf5_data_param { source: "files.txt" batch_size: {} shuffle: true }'
    ),
    "WindowData": (
        f'type: "WindowData" {RANDOM} window_data_param {{ source: "windows.txt" batch_size: {{}} '
        "fg_fraction: 0.4 }"
    ),
    "DummyData": (
        'type: "DummyData" dummy_data_param { shape { dim: {} dim: 3 } '
        'data_filler { type: "constant" value: 2 } '
        'data_filler { type: "gaussian" } }'
    ),
}
DEALT_OUT = [case for case in CASES if case != "DummyData"]


def record_of_size(image, height, width, label):
    return Datum(
        channels=3,
        height=height,
        width=width,
        data=image[:, :height, :width].tobytes(),
        label=label,
    )


@pytest.fixture
def net(make_net, write_lmdb, images, datums, reference, tmp_path):
    """net(case, batch_size, phase) → a net of one of CASES with its data."""
    write_lmdb("db", datums)
    write_lmdb(
        "sizes",
        [record_of_size(image, 10 - i % 3, 12 - i % 5, i) for i, image in enumerate(images)],
    )
    (tmp_path / "leveldb").symlink_to(reference / "raw_leveldb")
    for i, image in enumerate(images):
        Image.fromarray(image[::-1].transpose(1, 2, 0)).save(tmp_path / f"{i}.png")
    (tmp_path / "list.txt").write_text("".join(f"{i}.png {i}\n" for i in range(12)))
    windows = [
        "".join(f"{4 * i + k} {0.9 if k % 2 else 0.1} {k} {k} {k + 5} {k + 4}\n" for k in range(4))
        for i in range(12)
    ]
    (tmp_path / "windows.txt").write_text(
        "".join(f"# {i}\n{i}.png\n3\n10\n12\n4\n{lines}" for i, lines in enumerate(windows))
    )
    for i, (first, rows) in enumerate([(0, 4), (4, 1), (5, 6)]):
        with h5py.File(tmp_path / f"{i}.h5", "w") as file:
            file["label"] = np.arange(first, first + rows)
            file["data"] = np.arange(first, first + rows)[:, None] * np.ones(3)
    (tmp_path / "files.txt").write_text("0.h5 1.h5 2.h5\n")

    def make(case, batch_size, phase="TRAIN"):
        return make_net(
            'layer { name: "d" top: "data" '
            f'top: "label" {CASES[case].replace("{}", str(batch_size))} }}',
            phase,
        )

    return make


def read(net, count, **more):
    with batches(net, seed=3, **more) as stream:
        return list(islice(stream, count))


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("case", DEALT_OUT)
def test_together_the_processes_read_what_one_would(net, case, processes):
    """Twelve batches, over the end of the data more than once and in the middle of a batch."""
    whole = read(net(case, 5 * processes), 12)
    parts = [read(net(case, 5), 12, shard=Shard(rank, processes)) for rank in range(processes)]
    for index, batch in enumerate(whole):
        for top, values in batch.items():
            dealt = np.full_like(values, np.nan)
            for rank in range(processes):
                assert parts[rank][index][top].shape[0] == 5
                dealt[rank::processes] = parts[rank][index][top]
            np.testing.assert_array_equal(dealt, values)


@pytest.mark.parametrize("case", DEALT_OUT)
def test_a_resumed_share_goes_on_as_the_first_would(net, case):
    shard = Shard(1, 3)
    for want, got in zip(
        read(net(case, 5), 9, shard=shard)[6:],
        read(net(case, 5), 3, shard=shard, start=6),
        strict=True,
    ):
        for top in want:
            np.testing.assert_array_equal(got[top], want[top])


def test_a_batch_may_be_larger_than_the_data(net):
    parts = [read(net("Data", 20), 2, shard=Shard(rank, 2)) for rank in range(2)]
    for index in range(2):
        for rank in range(2):
            np.testing.assert_array_equal(
                parts[rank][index]["label"], (index * 40 + rank + np.arange(0, 40, 2)) % 12
            )


def test_constants_are_alike_and_other_fillers_draw_for_each_process(net):
    whole = read(net("DummyData", 4), 6)
    parts = [read(net("DummyData", 4), 3, shard=Shard(rank, 2)) for rank in range(2)]
    for number, batch in enumerate(whole):  # which are all different: test_dummy_data
        index, rank = divmod(number, 2)
        np.testing.assert_array_equal(parts[rank][index]["label"], batch["label"])
        np.testing.assert_array_equal(parts[rank][index]["data"], np.full((4, 3), 2))


def test_a_test_phase_is_dealt_out_as_well_where_the_caller_says_so(net):
    [batch] = read(net("Data", 4, "TEST"), 1, shard=Shard(2, 3))
    assert batch["label"].tolist() == [2, 5, 8, 11]


def test_the_records_of_others_are_not_looked_at(data_net, write_lmdb, datums):
    path = write_lmdb(
        "half",
        {b"%d" % i: record if i % 2 else b"\xff\xff\xff" for i, record in enumerate(datums[:6])},
    )
    got = read(data_net(path, data="batch_size: 2"), 3, shard=Shard(1, 2))
    assert [batch["label"].tolist() for batch in got] == [[1, 3], [5, 1], [3, 5]]
    with pytest.raises(NetspecError, match=r"record 0 \('0'\) of '.*half' is no Datum"):
        read(data_net(path, data="batch_size: 2"), 1, shard=Shard(0, 2))


def test_the_images_of_others_are_not_looked_at(net, tmp_path):
    made = net("ImageData", 2)
    for i in range(0, 12, 2):
        (tmp_path / f"{i}.png").unlink()
    assert read(made, 1, shard=Shard(1, 2))[0]["label"].tolist() == [1, 3]
    with pytest.raises(NetspecError, match=r"the image '0.png' can't be read"):
        read(made, 1, shard=Shard(0, 2))


def test_a_faulty_record_is_called_by_its_number_in_the_data(data_net, write_lmdb, datums):
    path = write_lmdb("db", [*datums[:3], Datum(channels=3, height=2, width=2, data=bytes(12))])
    with pytest.raises(
        NetspecError, match=r"record 3 \('00000003'\) of '.*db' is 3×2×2, smaller than crop_size 6"
    ):
        read(data_net(path, "crop_size: 6", "batch_size: 2"), 1, shard=Shard(1, 2))


def test_the_size_of_the_data_stays_that_of_all_of_them(net):
    assert [dataset_size(net(case, 5)) for case in ("Data", "ImageData", "HDF5Data")] == [
        12,
        12,
        11,
    ]


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("case", CASES)
def test_every_nth_batch(net, case, prefetch):
    want = read(net(case, 4), 10)[1::3]
    got = read(net(case, 4), 3, start=1, every=3, prefetch=prefetch)
    for expected, batch in zip(want, got, strict=True):
        for top in expected:
            np.testing.assert_array_equal(batch[top], expected[top])


@pytest.mark.parametrize("case", CASES)
def test_any_number_of_workers_gives_the_same_batches(net, case, monkeypatch):
    monkeypatch.setattr(transform, "_WORTH_A_THREAD", 0)  # these records are small
    more = {"start": 1, "every": 2, "shard": Shard(1, 2)}
    want = read(net(case, 7), 5, prefetch=0, workers=1, **more)
    for workers in (0, 2, 4, None):
        got = read(net(case, 7), 5, workers=workers, **more)
        for expected, batch in zip(want, got, strict=True):
            for top in expected:
                np.testing.assert_array_equal(batch[top], expected[top])


@pytest.mark.parametrize(
    ("rank", "processes", "message"),
    [
        (2, 2, "there is no rank 2 among 2 processes, expected 0 to 1"),
        (1, 1, "there is no rank 1 among 1 processes, expected 0 to 0"),
        (-1, 2, "there is no rank -1 among 2 processes, expected 0 to 1"),
        (0, 0, "the data can't be dealt out to 0 processes, expected 1 or more"),
    ],
)
def test_a_share_that_can_not_be_is_refused(rank, processes, message):
    with pytest.raises(NetspecError, match=message):
        Shard(rank, processes)


def test_wrong_settings_are_reported(net):
    with pytest.raises(NetspecError, match="every is 0, expected 1 or more"):
        batches(net("Data", 4), every=0)
    with pytest.raises(NetspecError, match="workers is -1, expected 0 or more"):
        batches(net("Data", 4), workers=-1)
    with pytest.raises(
        NetspecError,
        match=(
            r"2 processes that share their data need one seed, got None\n  hint: "
            r"pass all of them the same seed"
        ),
    ):
        batches(net("Data", 4), shard=Shard(0, 2))


# checksums of the pixels, labels and numbers in the first three batches of four: a run that was
# begun with these must resume with them
PINNED = {
    "Data": ("data", [2667483253, 1898859184, 430015654]),
    "Data of several sizes": ("data", [3320036778, 3243300968, 188206089]),
    "Data, uncropped": ("data", [156360124, 2078346630, 767467146]),
    "ImageData, shuffled": ("data", [4141835109, 1811911853, 3882791747]),
    "HDF5Data, shuffled": ("label", [2303556936, 2859343106, 2355753921]),
    "WindowData": ("label", [2076656567, 2239859279, 1633615395]),
    "DummyData": ("label", [2570973502, 2944671844, 568432245]),
}


@pytest.mark.parametrize("case", PINNED)
def test_the_streams_of_one_process_stay_what_they_are(net, case):
    top, want = PINNED[case]
    assert [crc32(batch[top].tobytes()) for batch in read(net(case, 4), 3)] == want
