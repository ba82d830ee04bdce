"""The specs of the data layers.

Shapes by the settings and the files, every check at the line of the faulty field.
"""

from __future__ import annotations

import numpy as np
import pytest

import netspec
from netspec.cli import main
from netspec.diagnostics import NetspecError, Report
from netspec.readers.batches import batches
from tests.nets import input_text

WINDOWS = "# 0\nimages/a.png\n3\n20\n30\n2\n1 0.9 2 3 12 13\n0 0.1 5 5 9 9\n"


def layer(kind, settings, tops='top: "data" top: "label"', bottoms=""):
    lines = settings.replace(" | ", "\n  ")
    return f'layer {{\n  name: "d" type: "{kind}" {tops} {bottoms}\n  {lines}\n}}\n'


SHAPES = [
    (
        "MemoryData",
        "memory_data_param { batch_size: 4 channels: 3 height: 5 width: 6 }",
        (4, 3, 5, 6),
    ),
    (
        "ImageData",
        'image_data_param { source: "none" batch_size: 4 new_height: 5 new_width: 6 }',
        (4, 3, 5, 6),
    ),
    (
        "ImageData",
        (
            'image_data_param { source: "none" batch_size: 4 new_height: 5 new_width: 6 '
            "is_color: false }"
        ),
        (4, 1, 5, 6),
    ),
    (
        "ImageData",
        'image_data_param { source: "none" } transform_param { crop_size: 7 }',
        (1, 3, 7, 7),
    ),
    (
        "WindowData",
        'window_data_param { source: "none" batch_size: 4 } transform_param { crop_size: 7 }',
        (4, 3, 7, 7),
    ),
    (
        "DummyData",
        (
            "dummy_data_param { num: 4 channels: 3 height: 5 width: 6 "
            "num: 4 channels: 1 height: 1 width: 1 }"
        ),
        (4, 3, 5, 6),
    ),
]


@pytest.mark.parametrize(("kind", "settings", "shape"), SHAPES)
def test_shapes_without_files(load_text, kind, settings, shape):
    net = load_text(layer(kind, settings))
    assert net.blobs["data"].shape == shape
    assert net.blobs["label"].shape == ((4, 1, 1, 1) if kind == "DummyData" else shape[:1])


def test_shapes_of_files(load_text, reference, tmp_path):
    folder = reference / "data"
    listed = [
        line.rpartition(" ")[0] for line in (folder / "list_full.txt").read_text().splitlines()
    ]
    assert listed
    (tmp_path / "list.txt").write_text(f"{folder / listed[0]} 0\n")
    source = 'image_data_param { source: "list.txt" batch_size: 2 }'
    assert load_text(layer("ImageData", source)).blobs["data"].shape == (2, 3, 20, 24)
    assert load_text(layer("ImageData", f"{source} transform_param {{ crop_size: 7 }}")).blobs[
        "data"
    ].shape == (2, 3, 7, 7)
    (tmp_path / "windows.txt").write_text(WINDOWS)
    windows = (
        'window_data_param { source: "windows.txt" batch_size: 2 } transform_param { crop_size: 7 }'
    )
    assert load_text(layer("WindowData", windows)).blobs["data"].shape == (2, 3, 7, 7)


def test_given_shapes_win(load_text):
    net = load_text(
        layer("ImageData", 'image_data_param { source: "none" }'), inputs={"data": (8, 3, 9, 9)}
    )
    assert (net.blobs["data"].shape, net.blobs["label"].shape) == ((8, 3, 9, 9), (8,))
    memory = "memory_data_param { batch_size: 4 channels: 3 height: 5 width: 6 }"
    assert load_text(layer("MemoryData", memory), inputs={"label": (4, 1)}).blobs[
        "label"
    ].shape == (4, 1)


# kind, settings (each ' | ' begins a line), the message, its line; the settings begin at line 3
FAULTS = [
    (
        "MemoryData",
        "memory_data_param { | batch_size: 4 channels: 3 | height: 0 | width: 6 }",
        "'height' must be given and at least 1",
        5,
    ),
    (
        "MemoryData",
        "memory_data_param { batch_size: 4 channels: 3 height: 2 }",
        "'width' must be given and at least 1",
        3,
    ),
    (
        "ImageData",
        'image_data_param { source: "x" | new_height: 5 }',
        "'new_height' stands here without 'new_width'",
        4,
    ),
    (
        "ImageData",
        'image_data_param { source: "x" | new_width: 5 }',
        "'new_width' stands here without 'new_height'",
        4,
    ),
    (
        "ImageData",
        'image_data_param { source: "x" | batch_size: 0 }',
        "'batch_size' must be given and at least 1",
        4,
    ),
    (
        "ImageData",
        "image_data_param { new_height: 5 new_width: 5 }",
        "'source' must name a list of images",
        3,
    ),
    (
        "ImageData",
        'image_data_param { source: "none" }',
        (
            "the size of its data is unknown: a list of images 'none', "
            "or a file that it names, does not exist"
        ),
        3,
    ),
    (
        "ImageData",
        (
            'image_data_param { source: "x" new_height: 5 new_width: 6 } '
            "transform_param { | crop_size: 6 }"
        ),
        "'crop_size' 6 is larger than the records, which are 3×5×6 (C×H×W)",
        4,
    ),
    (
        "ImageData",
        (
            'image_data_param { source: "x" new_height: 5 new_width: 6 } '
            "transform_param { | mean_value: 1 mean_value: 2 }"
        ),
        "2 'mean_value' for records of 3 channels",
        4,
    ),
    (
        "ImageData",
        'image_data_param { source: "x" } transform_param { mean_file: "m" | mean_value: 1 }',
        "give 'mean_file' or 'mean_value', not both",
        4,
    ),
    (
        "WindowData",
        'window_data_param { source: "x" batch_size: 4 }',
        "'crop_size' must be given",
        1,
    ),
    (
        "WindowData",
        'window_data_param { source: "x" } transform_param { crop_size: 7 }',
        "'batch_size' must be given and at least 1",
        3,
    ),
    (
        "WindowData",
        (
            'transform_param { crop_size: 7 } window_data_param { source: "x" batch_size: 4 | '
            'crop_mode: "wrap" }'
        ),
        "'crop_mode' is warp or square, got 'wrap'",
        4,
    ),
    (
        "WindowData",
        (
            'transform_param { crop_size: 8 } window_data_param { source: "x" batch_size: 4 | '
            "context_pad: 4 }"
        ),
        "'context_pad' 4 on both sides leaves nothing of a square of 8",
        4,
    ),
    (
        "WindowData",
        (
            'transform_param { crop_size: 8 } window_data_param { source: "x" batch_size: 4 | '
            "fg_fraction: 1.5 }"
        ),
        "'fg_fraction' must lie between 0 and 1, got 1.5",
        4,
    ),
    (
        "WindowData",
        (
            'window_data_param { source: "x" batch_size: 4 } '
            "transform_param { crop_size: 8 | mean_value: 1 mean_value: 2 }"
        ),
        "2 'mean_value' for windows of 3 channels",
        4,
    ),
    (
        "HDF5Data",
        'hdf5_data_param { source: "x" batch_size: 4 } | transform_param { scale: 1 }',
        "'transform_param' has no place here",
        4,
    ),
    (
        "HDF5Data",
        'hdf5_data_param { source: "x" }',
        "'batch_size' must be given and at least 1",
        3,
    ),
    ("HDF5Data", "hdf5_data_param { batch_size: 4 }", "'source' must name a list", 3),
    ("Data", "data_param { batch_size: 4 }", "'source' must name a database", 3),
    ("Data", 'data_param { source: "x" }', "'batch_size' must be given and at least 1", 3),
    (
        "DummyData",
        "dummy_data_param { shape { } shape { } shape { } }",
        "'shape' stands once, or once for each of the 2 tops, got 3",
        3,
    ),
    (
        "DummyData",
        "dummy_data_param { | shape { dim: 1 } num: 1 }",
        "give 'shape' or the older 'num', 'channels', 'height' and 'width', not both",
        4,
    ),
    (
        "DummyData",
        "dummy_data_param { | num: 1 channels: 1 height: 1 }",
        "'num', 'channels', 'height' and 'width' each stand once, or once for each top",
        4,
    ),
    (
        "DummyData",
        "dummy_data_param { shape { dim: 2 | dim: -1 } }",
        "a dimension can't be negative, got -1",
        4,
    ),
    (
        "DummyData",
        "dummy_data_param { shape { } | data_filler { } data_filler { } data_filler { } }",
        "'data_filler' stands once, or once for each of the 2 tops, got 3",
        4,
    ),
    (
        "DummyData",
        'dummy_data_param { shape { } shape { dim: 1 } data_filler { | type: "bilinear" } }',
        "the filler 'bilinear' takes square kernels of 4 axes",
        4,
    ),
    (
        "DummyData",
        'dummy_data_param { shape { dim: 2 } data_filler { | type: "gausian" } }',
        "there is no filler 'gausian'",
        4,
    ),
    (
        "Data",
        (
            'data_param { source: "x" batch_size: 4 } '
            "transform_param { force_color: true | force_gray: true }"
        ),
        "give 'force_color' or 'force_gray'",
        4,
    ),
]


@pytest.mark.parametrize(("kind", "settings", "message", "line"), FAULTS)
def test_faults_are_reported_at_their_line(load_text, kind, settings, message, line):
    with pytest.raises(NetspecError) as caught:
        load_text(layer(kind, settings))
    found = [d for d in caught.value.diagnostics if message in d.message]
    assert found, str(caught.value)
    assert found[0].message.startswith("layer 'd': ")
    assert found[0].span.line == line


def test_the_image_layers_want_both_tops(load_text):
    for kind in ("ImageData", "WindowData", "MemoryData"):
        with pytest.raises(NetspecError, match=f"of type {kind} takes 2 tops, got 1"):
            load_text(layer(kind, "", 'top: "data"'))


def test_windows_are_read_in_colour(load_text, tmp_path):
    (tmp_path / "windows.txt").write_text(WINDOWS.replace("\n3\n", "\n1\n"))
    with pytest.raises(
        NetspecError,
        match=r"'windows.txt' speaks of images of 1 channels, but windows are read in colour: 3",
    ):
        load_text(
            layer(
                "WindowData",
                'window_data_param { source: "windows.txt" batch_size: 2 } '
                "transform_param { crop_size: 7 }",
            )
        )


WARNINGS = [
    (
        "ImageData",
        'image_data_param { source: "x" new_height: 9 new_width: 9 | crop_size: 7 }',
        "'crop_size' has no effect here, as in Caffe",
        4,
    ),
    (
        "Data",
        (
            'data_param { source: "x" batch_size: 1 | scale: 2 } '
            "transform_param { crop_size: 7 force_color: true }"
        ),
        "'scale' has no effect here",
        4,
    ),
    (
        "WindowData",
        (
            'window_data_param { source: "x" batch_size: 1 scale: 2 } '
            "transform_param { crop_size: 7 | scale: 2 }"
        ),
        "'scale' of transform_param has no effect on WindowData",
        4,
    ),
    (
        "MemoryData",
        (
            "memory_data_param { batch_size: 4 channels: 3 height: 5 width: 6 } | "
            "transform_param { scale: 2 }"
        ),
        "'transform_param' changes nothing here",
        4,
    ),
]


@pytest.mark.parametrize(("kind", "settings", "message", "line"), WARNINGS)
def test_settings_without_effect_are_reported(load_text, kind, settings, message, line):
    report = Report()
    load_text(layer(kind, settings), report=report)
    found = [d for d in report.diagnostics if message in d.message]
    assert found, [d.message for d in report.diagnostics]
    assert (found[0].severity, found[0].span.line) == ("warning", line)


def test_v1_settings_move_without_a_warning(load_text):
    report = Report()
    text = (
        'layers { name: "d" type: IMAGE_DATA top: "data" top: "label" '
        'image_data_param { source: "x" new_height: 9 new_width: 9 crop_size: 7 } }'
    )
    assert load_text(text, report=report).blobs["data"].shape == (1, 3, 7, 7)
    assert not [d for d in report.diagnostics if "no effect" in d.message]


def test_memory_data_is_fed_by_the_caller(load_text):
    net = load_text(
        layer("MemoryData", "memory_data_param { batch_size: 2 channels: 1 height: 3 width: 3 }")
    )
    with pytest.raises(NetspecError) as caught:
        batches(net)
    assert "layer 'd' is of type MemoryData: its data come from the caller" in str(caught.value)
    assert "hint: feed its tops to the compiled module: module(data=…, label=…)" in str(
        caught.value
    )
    module = netspec.compile(net)
    assert module.input_names == ["data", "label"]


def output_net(path, bottoms='bottom: "data" bottom: "label"', data=(2, 3), label=(2,), tail=""):
    return (
        f"{input_text('data', data)}\n{input_text('label', label)}\n"
        f'layer {{ name: "out" type: "HDF5Output" {bottoms} '
        f'hdf5_output_param {{ file_name: "{path}" }} }}\n{tail}'
    )


def test_hdf5_output_writes_the_rows_of_every_pass(load_text, tmp_path):
    h5py, torch = pytest.importorskip("h5py"), pytest.importorskip("torch")
    path = tmp_path / "out.h5"
    relu = 'layer { name: "relu" type: "ReLU" bottom: "data" top: "r" }'
    for phase in ("TRAIN", "TEST"):
        module = netspec.compile(load_text(output_net(path, tail=relu), phase=phase))
        passes = [(torch.randn(2, 3), torch.arange(2.0) + i) for i in range(3)]
        for i, (data, label) in enumerate(passes):
            assert list(module(data=data, label=label)) == ["r"]
            with h5py.File(path) as file:  # whole after each pass
                assert file["data"].shape == (2 * i + 2, 3, 1, 1)
        with h5py.File(path) as file:
            np.testing.assert_array_equal(
                file["data"][:, :, 0, 0], torch.cat([data for data, _ in passes])
            )
            np.testing.assert_array_equal(
                file["label"][:, 0, 0, 0], torch.cat([label for _, label in passes])
            )
            assert file["data"].dtype == np.float32


def test_hdf5_output_stays_out_of_the_way(load_text, tmp_path):
    """A net cut elsewhere does not write, gradients pass it by, and to compile is not to run."""
    torch = pytest.importorskip("torch")
    path = tmp_path / "out.h5"
    relu = 'layer { name: "relu" type: "ReLU" bottom: "data" top: "r" }'
    net = load_text(output_net(path, tail=relu))
    module = netspec.compile(net)
    netspec.compile(net, outputs=["r"])(data=torch.ones(2, 3))
    assert not path.exists()
    data = torch.ones(2, 3, requires_grad=True)
    module(data=data, label=torch.ones(2))["r"].sum().backward()
    assert data.grad is not None
    assert path.exists()


def test_faults_of_hdf5_output(load_text, tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("h5py")
    for text, message in (
        (output_net("", data=(2, 3)), "'file_name' must name the HDF5 file to write"),
        (output_net("x", data=(3, 3)), "the two bottoms hold 3 and 2 items"),
        (
            output_net("x", data=(2, 1, 1, 1, 1)),
            "'data' has 5 axes, but 1 to 4 can be written",
        ),
        (output_net("x", 'bottom: "data"'), "takes 2 bottoms, got 1"),
        (
            output_net("x").replace('type: "HDF5Output"', 'type: "HDF5Output" top: "t"'),
            "takes 0 tops, got 1",
        ),
    ):
        with pytest.raises(NetspecError, match=message):
            load_text(text)
    module = netspec.compile(load_text(output_net(tmp_path / "none" / "out.h5")))
    with pytest.raises(NetspecError, match=r"layer 'out': '.*out.h5' can't be written"):
        module(data=torch.ones(2, 3), label=torch.ones(2))
    module = netspec.compile(load_text(output_net(tmp_path / "out.h5")))
    module(data=torch.ones(2, 3), label=torch.ones(2))
    with pytest.raises(NetspecError, match="a row of 'data' is 4×1×1 in this pass, 3×1×1 in"):
        module(data=torch.ones(2, 4), label=torch.ones(2))
    with pytest.raises(NetspecError, match="its bottoms hold 3 and 2 items in this pass"):
        module(data=torch.ones(3, 3), label=torch.ones(2))


def test_unread_sources_need_no_numpy():
    import subprocess
    import sys

    text = "import sys, netspec.layers, netspec.pipeline\n"
    text += "print([n for n in ('numpy', 'torch', 'h5py', 'PIL', 'lmdb') if n in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, check=True
        ).stdout
        == "[]\n"
    )


def test_hdf5_output_outlives_what_torch_does_to_graphs(load_text, tmp_path):
    torch = pytest.importorskip("torch")
    h5py = pytest.importorskip("h5py")
    module = netspec.compile(load_text(output_net(tmp_path / "out.h5")))
    module.graph.eliminate_dead_code()
    module.recompile()
    module(data=torch.ones(2, 3), label=torch.ones(2))
    torch.compile(module, backend="eager")(data=torch.ones(2, 3), label=torch.ones(2))
    with h5py.File(tmp_path / "out.h5") as file:
        assert len(file["data"]) == 4


@pytest.mark.parametrize(
    ("kind", "settings", "options"),
    [
        ("Data", "", "--input data=4,3,227,227"),
        ("ImageData", "", "--input data=4,3,227,227"),
        ("ImageData", "is_color: false", "--input data=4,1,227,227"),
        ("HDF5Data", "", "--input data=4,4 --input label=4"),
    ],
)
def test_the_hint_at_shapes_is_enough_to_see_them(tmp_path, capsys, kind, settings, options):
    param = {"Data": "data_param", "ImageData": "image_data_param", "HDF5Data": "hdf5_data_param"}[
        kind
    ]
    path = tmp_path / "net.prototxt"
    path.write_text(
        f'layer {{ name: "d" type: "{kind}" top: "data" top: "label" {param} {{ source: "none" '
        f"batch_size: 4 {settings} }} }}"
    )
    assert main(["shapes", str(path)]) == 0
    assert f", such as {options}\n" in capsys.readouterr().err
    assert main(["shapes", str(path), *options.split()]) == 0
