"""Fields, words and layer types that netspec does not know: kept, drawn, reported once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import netspec
from netspec.cli import main
from netspec.diagnostics import Report, Source
from netspec.graph import Net
from netspec.pipeline import read_net
from netspec.schema import forks_pb2
from netspec.schema.forks import stated
from netspec.schema.history import V1_FORK_TYPES

Load = Callable[..., Net]
INPUT = (
    'layer { name: "in" type: "Input" top: "d" input_param { shape { dim: 1 dim: 3'
    " dim: 8 dim: 8 } } }\n"
)
DENSE = (
    'layer { name: "ip" type: "InnerProduct" bottom: "d" top: "ip"'
    " inner_product_param { num_output: 2 } }\n"
)
FOREIGN = (
    INPUT + 'layer { name: "w" type: "Warp" bottom: "d" top: "w" warp_param { kind: SPLINE'
    " scale: 1.5 } }\n"
    + 'layer { name: "v" type: "Warp" bottom: "w" top: "v" warp_param { kind: SPLINE scale: 2 } }\n'
    + 'layer { name: "r" type: "ReLU" bottom: "v" top: "r" }\n'
    + DENSE
)
EVERY_KIND = r"""my_text: "a b"
layer {
  name: "x"
  type: "Foreign"
  top: "x"
  foreign_param {
    word: WORD
    text: "WORD"
    number_text: "3"
    number: 3
    real: -1.5e-3
    huge: inf
    none: nan
    flag: true
    flag_text: "true"
    quoted: "it's \"so\" \\ \n"
    many: 1
    many: 2
    deep {
      a: 1
    }
    deep {
    }
    one {
      b: "~"
    }
  }
}
"""


@pytest.fixture(autouse=True)
def _in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_prototxt_to_yaml_and_back_keeps_unknown_fields_and_their_kinds() -> None:
    Path("net.prototxt").write_text(EVERY_KIND)
    assert main(["convert", "net.prototxt", "net.yaml"]) == 0
    assert main(["convert", "net.yaml", "back.prototxt"]) == 0
    assert Path("back.prototxt").read_text() == EVERY_KIND
    assert main(["convert", "back.prototxt", "again.yaml"]) == 0
    assert Path("again.yaml").read_text() == Path("net.yaml").read_text()


def test_yaml_to_prototxt_gives_unknown_scalars_their_kinds() -> None:
    Path("net.yaml").write_text(
        "foreign_param: {a: word, b: 'word', c: 3, d: .inf, e: a/b c, f: ~, g: [1, x], h: -.nan}\n"
        "layer: []\n"
    )
    assert main(["convert", "net.yaml", "net.prototxt"]) == 0
    expected = 'foreign_param { a: word b: "word" c: 3 d: inf e: "a/b c" f { } g: 1 g: x h: nan }'
    assert " ".join(Path("net.prototxt").read_text().split()) == expected


def test_convert_keeps_what_is_wrong_as_it_stands(capsys: pytest.CaptureFixture) -> None:
    text = (
        'name: "3"\nname: "b"\nlayer {\n  type: "Pooling"\n  pooling_param: 5\n  top'
        " {\n    a: 1\n  }\n}\n"
    )
    Path("net.prototxt").write_text(text)
    assert main(["convert", "net.prototxt", "net.yaml"]) == 0
    assert "error" not in capsys.readouterr().err
    assert main(["convert", "net.yaml", "back.prototxt"]) == 0
    assert Path("back.prototxt").read_text() == text


def test_a_text_that_is_not_utf8_is_not_written_to_yaml(capsys: pytest.CaptureFixture) -> None:
    Path("net.prototxt").write_bytes(b'foreign: "\xff"\nlayer { name: "a" type: "ReLU" }')
    assert main(["convert", "net.prototxt", "net.yaml"]) == 1
    assert "net.prototxt:1:10: error: this text is not UTF-8" in capsys.readouterr().err
    assert main(["convert", "net.prototxt", "back.prototxt"]) == 0
    assert Path("back.prototxt").read_text().startswith('foreign: "\\377"\n')


def test_upgrade_keeps_what_it_does_not_know() -> None:
    Path("net.prototxt").write_text(
        'kind: "mine"  # ours\n'
        'layers { name: "p" type: POOLING bottom: "d" top: "p" blobs_lr: 1 mine: 3\n'
        "  pooling_param { pool: FOREIGN kernel_size: 2 } }\n"
        'layers { name: "q" type: FOREIGN_KIND bottom: "p" top: "q" mine_param { a: WORD } }\n'
    )
    assert main(["convert", "--upgrade", "net.prototxt", "new.prototxt"]) == 0
    text = Path("new.prototxt").read_text()
    for kept in (
        'kind: "mine"  # ours',
        "mine: 3",
        "pool: FOREIGN",
        'type: "FOREIGN_KIND"',
        "mine_param {\n    a: WORD\n  }",
    ):
        assert text.count(kept) == 1, kept


def test_shapes_goes_on_behind_an_unknown_layer(capsys: pytest.CaptureFixture) -> None:
    Path("net.prototxt").write_text(FOREIGN)
    assert main(["shapes", "net.prototxt"]) == 0
    out, err = capsys.readouterr()
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line}
    assert rows["w"][4] == rows["v"][4] == rows["r"][4] == "unknown"
    assert rows["ip"][4] == "1×2"
    assert err.count("there is no layer type 'Warp'") == 1
    assert err.count("'layer' has no field 'warp_param'") == 1
    assert "error" not in err


def test_a_picture_shows_the_unknown_layer() -> None:
    Path("net.prototxt").write_text(FOREIGN)
    assert main(["draw", "net.prototxt", "net.dot"]) == 0
    dot = Path("net.dot").read_text()
    assert dot.count("there is no layer type") == 0
    for edge in ("n0 -> n1", "n1 -> n2", "n2 -> n3", "n0 -> n4"):
        assert edge in dot


def test_a_net_with_faults_is_drawn(capsys: pytest.CaptureFixture) -> None:
    Path("net.prototxt").write_text(INPUT + DENSE.replace('"d"', '"nowhere"', 1))
    assert main(["draw", "net.prototxt", "net.dot"]) == 0
    assert "warning: layer 'ip' reads blob 'nowhere'" in capsys.readouterr().err
    assert "nowhere" in Path("net.dot").read_text()
    Path("net.prototxt").write_text(INPUT + "layer {")
    assert main(["draw", "net.prototxt", "other.dot"]) == 1
    assert not Path("other.dot").exists()


@pytest.mark.parametrize("command", ["check", "shapes", "draw", "convert", "time", "test"])
def test_strict_makes_warnings_errors(command: str, capsys: pytest.CaptureFixture) -> None:
    # two layers of one name: a warning
    Path("net.prototxt").write_text(INPUT + DENSE + DENSE.replace('top: "ip"', 'top: "b"'))
    more = {"draw": ["a.dot"], "convert": ["a.yaml"], "test": ["a.caffemodel"]}.get(command, [])
    if command == "convert":  # which looks at the fields alone
        Path("net.prototxt").write_text("mine: 3\n" + INPUT)
    assert main([command, "net.prototxt", *more, "--strict"]) == 1
    out, err = capsys.readouterr()
    assert "error: " in err
    assert "warning" not in out + err
    assert sorted(path.name for path in Path().iterdir()) == ["net.prototxt"]


def test_strict_holds_for_the_solvers_files(capsys: pytest.CaptureFixture) -> None:
    data = (
        'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 2'
        " dim: 3 } } }\n"
    )
    Path("net.prototxt").write_text(data + DENSE + DENSE.replace('top: "ip"', 'top: "b"'))
    Path("solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 1 '
    )
    for command in (["train"], ["solver", "schedule"]):
        assert main([*command, "solver.prototxt", "--strict"]) == 1
        assert "error: two layers are named 'ip'" in capsys.readouterr().err


def test_what_is_not_known_is_not_computed(load_text: Load) -> None:
    for text, what in (
        (
            DENSE.replace("num_output: 2", "num_output: 2 mine: 3"),
            "'inner_product_param' has no field",
        ),
        (DENSE.replace("} }", "} pooling_param { pool: MINE } }"), "'pool' is MINE"),
        (DENSE.replace("InnerProduct", "Warp"), "there is no layer type 'Warp'"),
    ):
        net = load_text(INPUT + text, allow_unknown=True)
        with pytest.raises(netspec.NetspecError, match=f"layer 'ip': {what}"):
            netspec.compile(net)


V1 = 'input: "d" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 }\n'


def test_v1_words_of_forks_become_todays_types() -> None:
    for word, type_name in (
        ("BN", "BN"),
        ("UNPOOLING", "Unpooling"),
        ("CROP", "Crop"),
        ("IMAGE_SEG_DATA", "ImageSegData"),
        ("ROIPOOLING", "ROIPooling"),
        ("RELU6", "ReLU6"),
        ("NORMALIZE", "Normalize"),
        ("BATCH_NORM", "BatchNorm"),
        ("INTERP", "Interp"),
        ("MY_OWN", "MY_OWN"),
    ):
        text = V1 + f'layers {{ name: "a" type: {word} bottom: "d" top: "a" }}'
        message, _ = read_net(Source("net.prototxt", text), Report(allow_unknown=True))
        assert message.layer[-1].type == type_name


def test_every_v1_word_of_a_fork_has_its_type() -> None:
    assert set(forks_pb2.V1LayerFields.LayerType.keys()) == set(V1_FORK_TYPES)


def test_v1_params_of_forks_move_along() -> None:
    text = (
        'layers { name: "a" type: UNPOOLING bottom: "d" top: "a" unpooling_param {'
        " kernel_size: 3 } }"
    )
    report = Report()
    message, spans = read_net(Source("net.prototxt", V1 + text), report)
    assert not report.diagnostics
    assert stated(message.layer[-1], "unpooling_param").kernel_size == 3
    place = spans.at("layer", 1, "unpooling_param", "kernel_size")
    assert place is not None
    assert place.text == "3"


def test_no_phase_meets_a_rule_of_phase_run(load_text: Load) -> None:
    text = INPUT + DENSE.replace("} }", "} include { phase: RUN } }")
    assert [layer.name for layer in load_text(text).layers] == ["in"]
    text = text.replace("include", "exclude")
    assert [layer.name for layer in load_text(text, phase="TRAIN").layers] == ["in", "ip"]


def test_a_database_of_a_fork_is_data_that_are_not_there(capsys: pytest.CaptureFixture) -> None:
    Path("net.prototxt").write_text(
        'layer { name: "d" type: "Data" top: "d" data_param { source: "x" batch_size: 2'
        " backend: IMAGEDB } }\n" + DENSE
    )
    for command in (
        ["check", "net.prototxt"],
        ["shapes", "net.prototxt"],
        ["draw", "net.prototxt", "a.dot"],
    ):
        assert main(command) == 0, capsys.readouterr().err


def test_an_unknown_name_shows_where_it_is_known_from(capsys: pytest.CaptureFixture) -> None:
    Path("net.prototxt").write_text(
        INPUT
        + 'layer { name: "h" type: "Hotspot" bottom: "d" top: "h" hotspot_param { } }\n'
        + 'layer { name: "q" type: "Quux" bottom: "d" top: "q" multinode { } }\n'
        + 'layer { name: "r" type: "Relu" bottom: "d" top: "r" }\n'
    )
    assert main(["check", "net.prototxt"]) == 1
    err = capsys.readouterr().err
    assert "hint: a layer type of happynear/caffe-windows (hotspot_param); a file of your" in err
    assert "hint: a field of happynear/caffe-windows" in err
    assert "hint: a file of your own can define it, --plugin FILE.py: docs/add_a_layer.md" in err
    assert "hint: a field of intel/caffe" in err
    assert "hint: did you mean 'ReLU'?" in err


def test_the_list_of_known_names_has_what_netspec_lacks_in_caffes_messages() -> None:
    from netspec.schema import caffe_pb2
    from netspec.schema.extensions import extension
    from netspec.schema.known_names import _known_names

    for name in _known_names():
        message, _, field = name.rpartition(".")
        if message:
            owner = caffe_pb2.DESCRIPTOR.message_types_by_name[message]
            assert field not in owner.fields_by_name, name
            assert extension(owner, field) is None, name


def test_words_of_nvidias_types_bind(load_text: Load) -> None:
    report = Report()
    net = load_text(
        "default_forward_type: FLOAT16 default_backward_math: FLOAT\n"
        + INPUT
        + DENSE.replace("} }", "} forward_type: FLOAT16 backward_math: FLOAT }"),
        report=report,
    )
    assert len(report.diagnostics) == 1
    assert "chosen for speed in a fork" in report.diagnostics[0].message
    assert not net.layers[-1].not_computed


def test_an_unknown_layer_may_have_any_number_of_params(load_text: Load) -> None:
    layer = DENSE.replace("InnerProduct", "Warp").replace(
        "} }", "} param { lr_mult: 1 } param { lr_mult: 2 } blobs { data: 1 } }"
    )
    report = Report()
    load_text(INPUT + layer, allow_unknown=True, report=report)
    assert [reported.severity for reported in report.diagnostics] == ["warning"]


def test_the_other_phases_faults_do_not_stop_a_drawing(capsys: pytest.CaptureFixture) -> None:
    only = "include { phase: TRAIN } } }"
    Path("net.prototxt").write_text(INPUT.replace("} } }", "} } " + only[:-2]) + DENSE)
    assert main(["draw", "net.prototxt", "net.dot"]) == 0
    assert "only the TRAIN net is drawn" in capsys.readouterr().err
    assert main(["draw", "net.prototxt", "net.dot", "--strict"]) == 1
