"""A deploy net's file says in a comment what is done to pictures before the net reads them."""

from __future__ import annotations

import numpy as np
import pytest

import netspec
from netspec.readers.preprocess import Preprocess, preprocess_of

NET = """\
name: "Small"
{record}
layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape {{ dim: 1 dim: 3 dim: 6 dim: 6 }} }} }}
layer {{ name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param {{ num_output: 3 }} }}
"""


def read(record: str, **options) -> Preprocess | None:
    return preprocess_of(netspec.loads(NET.format(record=record), **options))


def test_the_fields_of_a_record():
    made = read(
        "# netspec: preprocess { new_height: 8 new_width: 9 crop_size: 6 mean_value: [104, 117.5]"
        ' mean_value: 123 scale: 0.5 raw_scale: 1 channel_order: "RGB" force_color: true }'
    )
    assert made == Preprocess(
        crop=(6, 6),
        new_size=(8, 9),
        mean_value=(104, 117.5, 123),
        scale=0.5,
        raw_scale=1,
        channel_order="RGB",
        color=True,
    )
    assert np.array_equal(made.mean_array(), np.float32([104, 117.5, 123])[:, None, None])


def test_a_file_without_a_record_says_nothing():
    assert read("# a comment") is None
    assert read("#netspec:preprocess{}") == Preprocess()


def test_ssds_crop_and_resize_are_read():
    made = read(
        "# netspec: preprocess { crop_h: 5 crop_w: 4 "
        "resize_param { height: 7 width: 9 resize_mode: FIT_SMALL_SIZE } }"
    )
    assert made.crop == (5, 4)
    assert (made.resize.height, made.resize.width, made.resize.resize_mode) == (7, 9, 2)


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ("{ crop: 227 }", "<text>:2:25: error: a preprocess record has no field 'crop'"),
        ("{ crop_size: -1 }", "2:36: error: 'crop_size' takes a whole number from 0 to"),
        ("{ scale: 0 }", "2:25: error: 'scale' must be a finite number other than 0, got 0"),
        ("{ raw_scale: nan }", "'raw_scale' must be a finite number other than 0, got nan"),
        ("{ raw_scale: 1 raw_scale: 1 }", "2:38: error: 'raw_scale' may stand only once here"),
        ("{ scale: 1 scale: 1 }", "error: 'scale' may stand only once here"),
        ('{ channel_order: "GRB" }', '\'channel_order\' is "BGR" or "RGB", got "GRB"'),
        (
            '{ mean_file: "m" mean_value: 1 }',
            "2:40: error: a preprocess record sets both mean_file",
        ),
        ("{ new_height: 1 }", "'new_height' needs 'new_width' beside it"),
        ("{ crop_w: 1 }", "2:25: error: 'crop_w' needs 'crop_h' beside it"),
        ("{ force_color: true force_gray: true }", "sets both force_color and force_gray"),
        ("{ crop_size: 4294967295 }", "is out of range"),
        ("{ crop_size: 6", "expected a field name or '}', got end of the file"),
        ("{ } scale: 1", "'scale' stands behind the record's '}'"),
        (": 3", "'preprocess' takes a block of fields"),
        ("crop_size", "2:23: error: expected ':' or '{' after 'preprocess'"),
        ("{ resize_param { height: 3 } }", "resize_param needs 'height' and 'width'"),
    ],
)
def test_a_fault_of_a_record_is_told_at_its_place(record, message):
    with pytest.raises(netspec.NetspecError) as caught:
        read(f"# netspec: preprocess {record}")
    assert message in str(caught.value)
    assert "# netspec: preprocess" in str(caught.value)  # the line of the file is shown


def test_a_mean_file_lies_beside_the_net(tmp_path):
    mean = np.arange(3 * 2 * 2, dtype=np.float32).reshape(3, 2, 2)
    np.save(tmp_path / "mean.npy", mean)
    np.save(tmp_path / "means.npy", np.float32([1, 2, 3]))
    file = tmp_path / "deploy.prototxt"
    for name, expected in (("mean.npy", mean), ("means.npy", np.float32([[[1]], [[2]], [[3]]]))):
        file.write_text(NET.format(record=f'# netspec: preprocess {{ mean_file: "{name}" }}'))
        assert np.array_equal(preprocess_of(netspec.load(file)).mean_array(), expected)


@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY", b"PK\x03\x04", b"\x80\x04N."])
def test_a_mean_file_that_cant_be_read_is_told_with_the_records_line(tmp_path, content):
    if content is not None:
        (tmp_path / "mean.npy").write_bytes(content)
    file = tmp_path / "deploy.prototxt"
    file.write_text(NET.format(record='# netspec: preprocess { mean_file: "mean.npy" }'))
    made = preprocess_of(netspec.load(file))
    with pytest.raises(netspec.NetspecError, match=r"deploy.prototxt:2:25: error: the mean file "):
        made.mean_array()


def test_each_input_has_its_record():
    text = """\
    # netspec: preprocess { scale: 2 }
    layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 1 dim: 3 } } }
    # netspec: preprocess { scale: 3 }
    layer { name: "b" type: "Input" top: "b" input_param { shape { dim: 1 dim: 3 } } }
    layer { name: "c" type: "Input" top: "c" input_param { shape { dim: 1 dim: 3 } } }
    layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" bottom: "c" top: "sum" }
    """
    net = netspec.loads(text)
    assert [preprocess_of(net, name) and preprocess_of(net, name).scale for name in "abc"] == [
        *(2, 3, None)
    ]
