"""What netspec's own part of a transform_param may say, and where."""

import pytest

from netspec.diagnostics import NetspecError
from netspec.page.describe import _fields

DATA = """layer {{
  name: "d" type: "{kind}" top: "data" top: "label"
  include {{ phase: TRAIN }}
  transform_param {{
    {transform} }}
  {data}
}}"""
SOURCES = {
    "Data": 'data_param { source: "db" batch_size: 2 backend: LMDB }',
    "ImageData": 'image_data_param { source: "l.txt" batch_size: 2 is_color: false }',
    "AnnotatedData": 'data_param { source: "db" batch_size: 2 backend: LMDB }',
    "WindowData": 'window_data_param { source: "w.txt" batch_size: 2 }',
}
SIZED = "crop_size: 8 force_color: true "


def load(load_text, transform, kind="Data"):
    text = DATA.format(kind=kind, transform=transform, data=SOURCES[kind])
    return load_text(text, phase="TRAIN")


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("gray_prob: 1.5", "'gray_prob' is out of range, expected 0 to 1, got 1.5"),
        ("gaussian_noise_std: -1", "'gaussian_noise_std' is out of range, expected 0 or more"),
        ("gaussian_noise_std: inf", "expected 0 or more, got inf"),
        ("rotation_param { max_degrees: 200 }", "expected 0 to 180, got 200"),
        ("rotation_param { fill_value: nan }", "'fill_value' must be finite"),
        ("erasing_param { prob: nan }", "'prob' is out of range, expected 0 to 1, got nan"),
        ("erasing_param { min_area: 0.5 }", "'min_area' 0.5 and 'max_area' 0.33 must satisfy"),
        ("erasing_param { max_area: 2 }", "must satisfy 0 < min <= max <= 1"),
        ("resized_crop_param { max_scale: 1.1 }", "must satisfy 0 < min <= max <= 1"),
        ("resized_crop_param { min_aspect_ratio: 0 }", "must satisfy 0 < min <= max"),
        ('resized_crop_param {} mean_file: "m"', "the mean image of 'mean_file' has no place"),
        ("lighting_param {}", "expected 3 of 'eigenvalue' and 3 of 'eigenvector', got 0 and 0"),
        ('lighting_param { pca_file: "p" eigenvalue: 1 }', "give 'pca_file' or 'eigenvalue'"),
        ("lighting_param { std: -1 }", "'std' is out of range"),
        ("distort_param { hue_delta: -1 }", "'hue_delta' can't be negative"),
    ],
)
def test_ranges(load_text, field, message):
    with pytest.raises(NetspecError) as caught:
        load(load_text, SIZED + field)
    found = [each for each in caught.value.diagnostics if message in each.message]
    assert len(found) == 1
    assert found[0].severity == "error"
    assert found[0].span.line == 5


def test_a_resized_crop_needs_a_size(load_text):
    with pytest.raises(NetspecError, match="'resized_crop_param' needs 'crop_size'"):
        load(load_text, "resized_crop_param {}")


@pytest.mark.parametrize(
    ("kind", "transform", "message"),
    [
        ("ImageData", "gray_prob: 0.1", "needs 3 channels, but is_color: false makes one"),
        ("Data", "force_gray: true gray_prob: 0.1", "but force_gray: true makes one"),
        ("WindowData", "crop_size: 60 gray_prob: 0.1", "'gray_prob' has no place in a layer of"),
        ("AnnotatedData", "rotation_param { max_degrees: 5 }", "has no place in a layer of type"),
        ("AnnotatedData", "crop_size: 8 resized_crop_param {}", "has no place in a layer of type"),
    ],
)
def test_what_does_not_go_together(load_text, kind, transform, message):
    with pytest.raises(NetspecError) as caught:
        load(load_text, transform, kind)
    assert any(message in each.message for each in caught.value.diagnostics)
    assert all(each.span is not None for each in caught.value.diagnostics)


def test_a_page_says_what_a_field_means(load_text):
    net = load(load_text, SIZED + "gray_prob: 0.25 erasing_param { prob: 0.5 }")
    fields = {each["path"]: each["meaning"] for each in _fields(net.layers[0])}
    assert fields["transform_param.erasing_param.prob"].startswith("The probability")
    assert fields["transform_param.gray_prob"].startswith("The probability")
