"""`netspec layers`: every type is listed, has a page, and an example that loads and runs."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import netspec
from netspec.cli import main
from netspec.cli.layers import families, layer_page, markdown_table, summary
from netspec.graph import shape_text
from netspec.layers import SPECS, all_specs
from netspec.layers.parameter_fields import parameter_fields
from netspec.schema import caffe_pb2
from netspec.schema.comments import schema_comments


def test_lists_every_type_once(capsys):
    assert main(["layers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ")]
    assert sorted(listed) == sorted(spec.type for spec in all_specs().values())
    assert lines[0] == "data"
    assert "  Pooling" in "\n".join(lines)
    assert max(map(len, lines)) <= 160


@pytest.mark.parametrize("name", sorted(SPECS))
def test_every_type_has_a_page(name, capsys):
    assert main(["layers", name]) == 0
    page = capsys.readouterr().out
    spec = SPECS[name]
    assert page.startswith(f"{name}\n  {summary(spec)[:40]}")
    assert "Shapes: " in page
    assert "  bottoms: " in page
    if spec.param:
        message = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name[spec.param].message_type
        assert f"{spec.param} {{ … }}" in page
        for field in message.fields:
            assert re.search(rf"^  {field.name}: \S.*\n      \S", page, re.MULTILINE), field.name
    assert "Every layer also takes name, type, bottom" in page
    assert f'    type: "{name}"' in page.rpartition("\nExample\n")[2]
    assert max(map(len, page.splitlines())) <= 150


def test_the_page_of_pooling():
    page = layer_page("Pooling")
    for line in (
        "  bottoms: 1, tops: 1 to 2",
        "  pool: MAX, AVE, STOCHASTIC (default MAX)",
        "  stride: a whole number, not negative (default 1)",
        "  global_pooling: true or false (default false)",
        "  Shapes: data 1×64×56×56 → out 1×64×28×28",
    ):
        assert f"\n{line}\n" in page
    assert "Default MAX" not in page  # shown by the head of the field


def test_settings_that_several_types_share():
    assert [field.name for field in parameter_fields("ImageData")] == [
        "image_data_param",
        "transform_param",
    ]
    assert [field.name for field in parameter_fields("SoftmaxWithLoss")] == [
        "softmax_param",
        "loss_param",
    ]
    assert [field.name for field in parameter_fields("Deconvolution")] == ["convolution_param"]
    assert parameter_fields("Split") == []
    page = layer_page("Convolution")
    assert "\nweight_filler { … }\n" not in page
    assert page.count("How the first values of a parameter are made") == 1
    assert 'type: a text in quotes (default "constant")' in page


def test_every_entry_of_the_schema_has_a_comment():
    comments = schema_comments()
    for name, message in caffe_pb2.DESCRIPTOR.message_types_by_name.items():
        entries = [name, *(f"{name}.{field.name}" for field in message.fields)]
        for enum in message.enum_types:
            entries += [
                f"{name}.{enum.name}",
                *(f"{name}.{enum.name}.{value.name}" for value in enum.values),
            ]
        assert not [entry for entry in entries if not comments.get(entry)]


@pytest.mark.parametrize("name", sorted(SPECS))
def test_every_example_loads(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example = SPECS[name].example
    page = layer_page(name).rpartition("\nExample\n")[2]
    text = "\n".join(line[2:] for line in page.splitlines())
    if example.code:
        code, text = text.split("\nlayer {", 1)
        (tmp_path / "my_layers.py").write_text(code)
        text = f"layer {{{text}"
    (tmp_path / "net.prototxt").write_text(
        re.sub(r"^(Shapes|Params|It runs|Where).*", "", text, flags=re.MULTILINE)
    )
    # the others' shapes are known by their settings
    inputs = example.inputs if name == "HDF5Data" else None
    try:
        for phase in ("TRAIN", "TEST"):
            net = netspec.load(
                "net.prototxt", phase, inputs=inputs, allow_python_layers=bool(example.code)
            )
            assert net.layers[-1].type == name
            for blob in net.layers[-1].top_blobs:
                assert blob.shape is not None
                assert example.code or f"{blob.name} {shape_text(blob.shape)}" in page
    finally:
        sys.modules.pop("my_layers", None)
        while str(tmp_path) in sys.path:
            sys.path.remove(str(tmp_path))


def test_a_file_of_the_examples_name_is_not_read(tmp_path, monkeypatch):
    """A page is the same in every folder."""
    before = layer_page("Data")
    (tmp_path / "train_lmdb").mkdir()
    (tmp_path / "train_lmdb" / "data.mdb").write_bytes(b"damaged")
    monkeypatch.chdir(tmp_path)
    assert layer_page("Data") == before


def test_an_unknown_type_is_reported(capsys):
    assert main(["layers", "Poling"]) == 1
    assert (
        capsys.readouterr().err
        == "error: there is no layer type 'Poling'\n  hint: did you mean 'Pooling'?\n"
    )
    assert main(["layers", "pooling"]) == 1
    assert "did you mean 'Pooling'?" in capsys.readouterr().err
    assert main(["layers", "Qwertz"]) == 1
    assert "hint: `netspec layers` lists the types" in capsys.readouterr().err


def test_the_table_of_the_readme(capsys):
    assert main(["layers", "--format", "markdown"]) == 0
    table = capsys.readouterr().out
    assert table == markdown_table()
    rows = table.splitlines()
    assert len(rows) == 2 + len(all_specs())
    assert {row.count("|") - row.count("\\|") for row in rows} == {10}
    assert (
        rows[2]
        == f"| data | `Input` |  | 0 | 1 or more | yes | yes | yes | {summary(SPECS['Input'])} |"
    )
    assert sum(row.startswith("| ") and not row.startswith("|  |") for row in rows) == 1 + len(
        families()
    )


def test_needs_nothing_heavy():
    text = (
        "import sys\nfrom netspec.cli import main\nmain(['layers'])\nmain(['layers', 'Python'])\n"
        "main(['layers', 'Data'])\n"
    )
    text += (
        "print([n for n in ('numpy', 'torch', 'yaml', 'h5py', 'PIL', 'lmdb') if n in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "[]"
