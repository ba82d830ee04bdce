"""`netspec dataset build`: the same records as convert_imageset's, byte for byte."""

import argparse
import os
import shutil
from pathlib import Path

import lmdb
import numpy as np
import pytest
from PIL import Image

from netspec.cli import dataset
from netspec.cli.dataset_progress import Progress
from netspec.diagnostics import NetspecError
from netspec.making.build_database import BuildOptions, build_database
from netspec.making.class_folder import read_class_folder
from netspec.readers.images import datum_pixels
from netspec.schema.caffe_pb2 import Datum
from netspec.stores.lmdb_writer import is_lmdb

REFERENCE = Path(__file__).parents[1] / "reference" / "data"


def entries(path):
    with lmdb.open(str(path), readonly=True, lock=False) as env, env.begin() as transaction:
        return [(bytes(key), bytes(value)) for key, value in transaction.cursor()]


def datums(path):
    return {
        key.decode(errors="surrogateescape"): Datum.FromString(value)
        for key, value in entries(path)
    }


def command(*arguments):
    """Runs `netspec dataset …`."""
    parser = argparse.ArgumentParser()
    dataset.configure(parser)
    return dataset.run(parser.parse_args([str(a) for a in arguments]))


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("raw_lmdb", []),
        ("gray_lmdb", ["--gray"]),
        ("png_lmdb", ["--encoded"]),
        (
            "resized_lmdb",
            ["--resize_width=18", "--resize_height=16", "--check_size", "--backend=lmdb"],
        ),
        ("resized_lmdb", ["--resize-width", "18", "--resize-height", "16"]),
    ],
)
def test_equals_what_caffe_built(tmp_path, capsys, name, flags):
    out = tmp_path / "db"
    assert (
        command("build", REFERENCE / "list.txt", out, "--root", f"{REFERENCE / 'images'}/", *flags)
        == 0
    )
    assert entries(out) == entries(REFERENCE / name)
    assert capsys.readouterr().out == f"{out}: 12 records\n"


@pytest.fixture
def folder(tmp_path):
    """Two pictures, three lines, one of which names no picture."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).save(tmp_path / "a b.png")
    Image.fromarray(rng.integers(0, 256, (6, 9, 3), np.uint8)).save(tmp_path / "c.jpeg")
    (tmp_path / "broken.png").write_bytes((tmp_path / "a b.png").read_bytes()[:60])
    (tmp_path / "list.txt").write_text("a b.png 3\nbroken.png 1\nc.jpeg -1\r\n\n")
    return tmp_path


def test_unreadable_images_are_left_out_with_line_and_path(folder, capsys):
    # paths from the list's folder, as none is here
    assert command("build", folder / "list.txt", folder / "db") == 0
    assert {key: datum.label for key, datum in datums(folder / "db").items()} == {
        "00000000_a b.png": 3,
        "00000002_c.jpeg": -1,
    }
    out, err = capsys.readouterr()
    assert out == f"{folder / 'db'}: 2 records, 1 left out\n"
    assert err.startswith(f"warning: {folder / 'list.txt'}:2: left out 'broken.png': ")


def test_a_wrong_root_does_not_flood_the_terminal_and_is_advised_on(folder, capsys):
    (folder / "many.txt").write_text("".join(f"none/{i}.png 0\n" for i in range(100)))
    with pytest.raises(
        NetspecError, match=r"none of the 100 images of '.*' could be read\n  hint: .*--root FOLDER"
    ):
        command("build", folder / "many.txt", folder / "db")
    lines = capsys.readouterr().err.splitlines()
    assert [len(lines), lines[-1]] == [
        21,
        "warning: more images are left out, which are counted but not shown",
    ]


def test_sizes_that_a_batch_can_not_take_are_reported(folder, capsys):
    assert command("build", folder / "list.txt", folder / "db") == 0
    assert (
        "\nnote: the images have 2 sizes, a batch takes one: --resize-width and"
        in capsys.readouterr().err
    )
    assert (
        command(
            "build",
            folder / "list.txt",
            folder / "db2",
            "--resize-width",
            "8",
            "--resize-height",
            "8",
        )
        == 0
    )
    assert "note:" not in capsys.readouterr().err


def test_root_with_and_without_its_slash(folder):
    (folder / "sub").mkdir()
    for name in ("a b.png", "c.jpeg"):
        shutil.move(folder / name, folder / "sub" / name)
    for i, root in enumerate((f"{folder}/sub", f"{folder}/sub/")):
        assert build_database(folder / "list.txt", folder / f"db{i}", BuildOptions(root=root)) == 2
    (folder / "list.txt").write_text(".jpeg 1\n")  # Caffe joins the two as they are
    assert (
        build_database(folder / "list.txt", folder / "db2", BuildOptions(root=f"{folder}/sub/c"))
        == 1
    )


def test_encode_type_and_the_file_as_it_is(folder):
    build_database(folder / "list.txt", folder / "png", BuildOptions(encode_type="PNG"))
    build_database(folder / "list.txt", folder / "as_is", BuildOptions(encoded=True))
    build_database(folder / "list.txt", folder / "raw", BuildOptions())
    build_database(folder / "list.txt", folder / "jpg", BuildOptions(encode_type="jpg"))
    png, as_is, raw, jpg = (datums(folder / name) for name in ("png", "as_is", "raw", "jpg"))
    assert (
        as_is["00000000_a b.png"].data
        == png["00000000_a b.png"].data
        == (folder / "a b.png").read_bytes()
    )
    assert (
        as_is["00000002_c.jpeg"].data
        == jpg["00000002_c.jpeg"].data
        == (folder / "c.jpeg").read_bytes()
    )
    assert jpg["00000000_a b.png"].data[:2] == b"\xff\xd8"
    for key in raw:
        assert png[key].encoded
        assert not png[key].HasField("channels")  # Caffe leaves the sizes out there
        np.testing.assert_array_equal(datum_pixels(png[key]), datum_pixels(raw[key]))


def test_a_shuffle_is_the_same_each_time_and_keeps_pairs(folder):
    (folder / "list.txt").write_text(
        "".join(f"{name} {i}\n" for i, name in enumerate(["a b.png", "c.jpeg"] * 20))
    )
    orders = []
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        build_database(folder / "list.txt", folder / name, BuildOptions(shuffle=True, seed=seed))
        orders.append([datum.label for datum in datums(folder / name).values()])
        assert all(
            key.endswith("a b.png") == (datum.label % 2 == 0)
            for key, datum in datums(folder / name).items()
        )
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == list(range(40)) != orders[0]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "a b.png 3\nc.jpeg 1\n",
            {"check_size": True},
            r"list.txt:2: 'c.jpeg' is 3×6×9, but 'a b.png' is 3×6×8",
        ),
        ("a b.png cat\n", {}, "ends in 'cat'"),
        ("a b.png 99999999999\n", {}, "99999999999"),
        ("", {}, "list.txt' is empty"),
        ("missing.png 1\nbroken.png 1\n", {}, "none of the 2 images"),
        ("a b.png 3\n", {"encode_type": "doc"}, "'doc' is not an image format"),
    ],
)
def test_what_stops_a_build_leaves_nothing(folder, text, options, message):
    (folder / "list.txt").write_text(text)
    before = sorted(os.listdir(folder))
    with pytest.raises(NetspecError, match=message):
        build_database(folder / "list.txt", folder / "db", BuildOptions(**options))
    assert sorted(os.listdir(folder)) == before


def test_an_existing_database_is_refused(folder):
    (folder / "db").mkdir()
    with pytest.raises(NetspecError, match=r"db' already exists"):
        build_database(folder / "list.txt", folder / "db")


def test_a_missing_list_and_leveldb(folder):
    with pytest.raises(NetspecError, match="does not exist"):
        build_database(folder / "no.txt", folder / "db")
    with pytest.raises(NetspecError, match="LMDB only"):
        command("build", folder / "list.txt", folder / "db", "--backend", "leveldb")


def test_a_name_without_a_format_under_encoded(folder, capsys):
    shutil.copy(folder / "a b.png", folder / "noname")
    (folder / "list.txt").write_text("noname 1\na b.png 2\n")
    assert command("build", folder / "list.txt", folder / "db", "--encoded") == 0
    assert "--encode_type png" in capsys.readouterr().err
    assert list(datums(folder / "db")) == ["00000001_a b.png"]


def test_names_that_are_no_utf8_survive(folder):
    name = os.fsencode(str(folder)) + b"/gr\xfc\xdf.png"
    with open(name, "wb") as file:
        file.write((folder / "a b.png").read_bytes())
    (folder / "list.txt").write_bytes(b"gr\xfc\xdf.png 1\n")
    build_database(folder / "list.txt", folder / "db")
    assert [key for key, _ in entries(folder / "db")] == [b"00000000_gr\xfc\xdf.png"]


@pytest.fixture
def classes(folder):
    """Three classes: tulip with two pictures, one of them broken, daisy and rose with one."""
    for name, pictures in {
        "tulip": ["b.png", "a.png"],
        "Rose": ["c.png"],
        "daisy": ["d.jpeg"],
    }.items():
        (folder / "flowers" / name).mkdir(parents=True)
        for picture in pictures:
            shutil.copy(
                folder / ("c.jpeg" if picture == "d.jpeg" else "a b.png"),
                folder / "flowers" / name / picture,
            )
    return folder / "flowers"


def labels(path):
    return {key: datum.label for key, datum in datums(path).items()}


def test_a_folder_of_classes(classes, tmp_path, capsys):
    (classes / "tulip" / ".DS_Store").write_text("x")
    (classes / ".git").mkdir()
    out = tmp_path / "db"
    assert command("build", classes, out, "--resize_width=4", "--resize_height=4", "--gray") == 0
    assert labels(out) == {
        "00000000_Rose/c.png": 0,
        "00000001_daisy/d.jpeg": 1,
        "00000002_tulip/a.png": 2,
        "00000003_tulip/b.png": 2,
    }
    assert {(datum.channels, datum.height, datum.width) for datum in datums(out).values()} == {
        (1, 4, 4)
    }
    assert (out / "labels.txt").read_text() == "Rose\ndaisy\ntulip\n"
    printed = capsys.readouterr()
    assert (
        printed.out
        == f"{out}: 4 records\n{out / 'labels.txt'}: the names of the labels, 0 Rose to 2 tulip\n"
    )
    assert (
        printed.err
        == "note: the records are in the order of the classes; for training, --shuffle mixes them\n"
    )
    assert command("info", out) == 0


def test_a_folder_is_shuffled_and_may_stand_for_a_list(classes, tmp_path, capsys):
    assert command("build", classes, tmp_path / "one", "--shuffle", "--seed", 3, "--encoded") == 0
    assert "--shuffle" not in capsys.readouterr().err
    lines = ["Rose/c.png 0", "daisy/d.jpeg 1", "tulip/a.png 2", "tulip/b.png 2"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    assert (
        command(
            "build",
            tmp_path / "list.txt",
            tmp_path / "two",
            "--root",
            classes,
            "--shuffle",
            "--seed",
            3,
            "--encoded",
        )
        == 0
    )
    assert entries(tmp_path / "one") == entries(tmp_path / "two")


def test_a_test_set_has_the_labels_of_the_training_set(classes, tmp_path, capsys):
    assert command("build", classes, tmp_path / "train") == 0
    shutil.rmtree(classes / "Rose")
    assert (
        command("build", classes, tmp_path / "test", "--labels", tmp_path / "train" / "labels.txt")
        == 0
    )
    assert labels(tmp_path / "test") == {
        "00000000_daisy/d.jpeg": 1,
        "00000001_tulip/a.png": 2,
        "00000002_tulip/b.png": 2,
    }
    assert (tmp_path / "test" / "labels.txt").read_text() == "Rose\ndaisy\ntulip\n"
    (classes / "tulip").rename(classes / "tulips")
    with pytest.raises(
        NetspecError,
        match=r"the class 'tulips' of .* is not among the labels\n  hint: did you mean 'tulip'",
    ):
        command("build", classes, tmp_path / "x", "--labels", tmp_path / "train" / "labels.txt")


def test_what_lies_in_the_wrong_place_of_a_folder_is_reported(classes, tmp_path, capsys):
    (classes / "list.txt").write_text("tulip/a.png 0\n")
    (classes / "tulip" / "more").mkdir()
    (classes / "tulip" / "notes.txt").write_text("no image")
    assert command("build", classes, tmp_path / "db", "--shuffle") == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{tmp_path / 'db'}: 4 records, 1 left out\n")
    assert printed.err.splitlines()[:-1] == [  # the last says that sizes differ
        f"warning: {classes}: left out 'list.txt', which lies in no class's folder",
        (
            f"warning: {classes}: left out the folder 'tulip/more': "
            "images lie in the folder of their class"
        ),
        (
            f"warning: {classes}: left out 'tulip/notes.txt': the image does not decode as an "
            "image: its format is unknown; "
            "BMP, GIF, JPEG, JPEG 2000, PNG, PNM, TIFF and WebP are read"
        ),
    ]


def test_folders_that_hold_no_classes(classes, tmp_path):
    def refused(message, *arguments):
        before = sorted(os.listdir(tmp_path))
        with pytest.raises(NetspecError, match=message):
            command("build", *arguments)
        assert sorted(os.listdir(tmp_path)) == before

    out = tmp_path / "db"
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "list.txt").write_text("")
    refused(
        rf"has no folders(.|\n)*netspec dataset build {flat}/list.txt OUT --root {flat}", flat, out
    )
    shutil.rmtree(flat)
    refused(r"an image of the class rose would be .*daisy/rose/x.jpg", classes / "daisy", out)
    refused(
        r"the class 'flowers' of .* has no images\n  hint: 'Rose' lies in it: "
        r"are the classes one folder further down",
        tmp_path,
        tmp_path.parent / "db",
    )
    refused("lies in the folder of the classes", classes, classes / "db")
    refused("--root is for the paths of a list", classes, out, "--root", tmp_path)
    refused(
        "--labels is for a folder of classes",
        tmp_path / "list.txt",
        out,
        "--labels",
        tmp_path / "list.txt",
    )
    (classes / "empty").mkdir()
    refused("the class 'empty' of .* has no images", classes, out)
    (classes / "empty" / "x.png").write_bytes(b"x")
    refused("none of the images of the class 'empty' of .* could be read", classes, out)


def test_a_built_folder_may_be_replaced(classes, tmp_path):
    build_database(read_class_folder(classes), tmp_path / "db")
    assert is_lmdb(tmp_path / "db")


def test_progress_in_a_file_is_for_what_takes_long(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with Progress("images") as progress:
        for now[0] in (2.0, 9.0, 11.0, 12.0):
            progress(int(now[0]), 20)
    assert capsys.readouterr().err == "11 of 20 images\n"


def test_lines_without_a_label_are_reported(folder, capsys):
    (folder / "bare.txt").write_text("c.jpeg\nc.jpeg 3\n")
    assert command("build", folder / "bare.txt", folder / "db") == 0
    assert (
        f"note: {folder / 'bare.txt'}:1: no label behind the path: label 0 is stored, "
        "as in Caffe (1 of 2 lines)\n"
    ) in capsys.readouterr().err
