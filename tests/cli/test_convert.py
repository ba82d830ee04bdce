"""`netspec convert` of nets and solvers.

The same message in the other syntax, comments kept, nothing half-written.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format

from netspec.cli import main
from netspec.schema import caffe_pb2
from tests.conftest import REFERENCE, ROOT
from tests.syntax.messages import read

NET = """# a net
name: "net"  # its name
layer {
  # the data
  name: "data"
  type: "Input"
  top: "data"
  input_param { shape: { dim: [1, 3] } }
}
"""
IN_YAML = """# a net
name: net  # its name
layer:
  - # the data
    name: data
    type: Input
    top: data
    input_param:
      shape:
        - dim: [1, 3]
"""
NETS = sorted(
    [
        # protobuf's own reader knows no field of a fork
        *(path for path in ROOT.glob("models/*/*.prototxt") if path.parent.name != "ssd_digits"),
        *REFERENCE.glob("upgrade/*.prototxt"),
        *REFERENCE.glob("solvers/adam/*.prototxt"),
    ]
)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def convert(
    capsys: pytest.CaptureFixture, source: str, target: str, *options: str, status: int = 0
) -> str:
    """Converts, and returns what goes to stderr; nothing goes to stdout."""
    assert main(["convert", source, target, *options]) == status
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_to_yaml_and_back(capsys: pytest.CaptureFixture) -> None:
    Path("net.prototxt").write_text(NET)
    assert convert(capsys, "net.prototxt", "net.yaml") == ""
    assert Path("net.yaml").read_text() == IN_YAML
    convert(capsys, "net.yaml", "back.prototxt")
    back = Path("back.prototxt").read_text()
    assert back.splitlines()[:5] == [
        "# a net",
        'name: "net"  # its name',
        "layer {",
        "  # the data",
        '  name: "data"',
    ]
    assert text_format.Parse(back, caffe_pb2.NetParameter()) == text_format.Parse(
        NET, caffe_pb2.NetParameter()
    )


@pytest.mark.parametrize("path", NETS, ids=lambda path: str(path.relative_to(ROOT)))
def test_there_and_back(capsys: pytest.CaptureFixture, path: Path) -> None:
    convert(capsys, str(path), "there.yml")
    convert(capsys, "there.yml", "back.prototxt")
    kind = caffe_pb2.SolverParameter if "solver" in path.name else caffe_pb2.NetParameter
    expected = text_format.Parse(path.read_text(), kind())
    assert text_format.Parse(Path("back.prototxt").read_text(), kind()) == expected
    assert read(Path("there.yml").read_text(), kind(), ".yaml") == expected
    for name in ("there.yml", "back.prototxt"):
        assert Path(name).read_text().count("#") == path.read_text().count("#")


def test_within_a_syntax_it_tidies_up(capsys: pytest.CaptureFixture) -> None:
    Path("a.prototxt").write_text("layer<name:'a'bottom:['x','y']>#c")
    convert(capsys, "a.prototxt", "a.prototxt")
    assert (
        Path("a.prototxt").read_text()
        == 'layer {\n  name: "a"\n  bottom: "x"\n  bottom: "y"\n}  # c\n'
    )
    Path("a.yaml").write_text("{name: 'a', input: ['x'], layer: [{}]}")
    convert(capsys, "a.yaml", "b.yaml")
    assert Path("b.yaml").read_text() == "name: a\ninput: x\nlayer:\n  - {}\n"


def test_an_old_net_stays_old(capsys: pytest.CaptureFixture) -> None:
    Path("old.prototxt").write_text(
        'layers { type: RELU blobs_lr: 1 }\ninput: "a"\ninput_dim: [1, 2, 3, 4]\n'
    )
    convert(capsys, "old.prototxt", "old.yaml")
    assert (
        Path("old.yaml").read_text()
        == "layers:\n  - type: RELU\n    blobs_lr: 1\ninput: a\ninput_dim: [1, 2, 3, 4]\n"
    )


def test_a_solver_of_one_field(capsys: pytest.CaptureFixture) -> None:
    Path("solver.prototxt").write_text('net: "a"')
    convert(capsys, "solver.prototxt", "solver.yaml")
    assert Path("solver.yaml").read_text() == "net: a\n"


def test_an_empty_file(capsys: pytest.CaptureFixture) -> None:
    Path("empty.prototxt").write_text("# nothing\n")
    convert(capsys, "empty.prototxt", "empty.yaml")
    assert Path("empty.yaml").read_text() == "# nothing\n"
    Path("empty.yaml").write_text("")
    convert(capsys, "empty.yaml", "empty.prototxt")
    assert Path("empty.prototxt").read_text() == ""


def test_a_wrong_net_is_not_written(capsys: pytest.CaptureFixture) -> None:
    Path("net.prototxt").write_text('nme: "a"\nlayer { kernel_size: 3 }\n')
    Path("net.yaml").write_text("old")
    err = convert(capsys, "net.prototxt", "net.yaml", "--strict", status=1)
    assert "net.prototxt:1:1: error: a net has no field 'nme'" in err
    assert "net.prototxt:2:9: error: 'layer' has no field 'kernel_size'" in err
    assert Path("net.yaml").read_text() == "old"
    assert sorted(path.name for path in Path().iterdir()) == ["net.prototxt", "net.yaml"]


def test_what_is_wrong_with_the_graph_does_not_matter(capsys: pytest.CaptureFixture) -> None:
    Path("net.prototxt").write_text('layer { name: "a" type: "Nonsense" bottom: "nowhere" }')
    assert convert(capsys, "net.prototxt", "net.yaml") == ""


def test_faults_of_the_command(capsys: pytest.CaptureFixture) -> None:
    Path("net.prototxt").write_text(NET)
    assert "error: file 'none.prototxt' does not exist" in convert(
        capsys, "none.prototxt", "a.yaml", status=1
    )
    assert "a net can't become 'net.caffemodel'" in convert(
        capsys, "net.prototxt", "net.caffemodel", status=1
    )
    assert "can't be written" in convert(capsys, "net.prototxt", "none/net.yaml", status=1)
    with pytest.raises(SystemExit) as caught:
        main(["convert", "net.prototxt"])
    assert caught.value.code == 2


def test_bytes_that_are_no_utf8_stay_in_comments(capsys: pytest.CaptureFixture) -> None:
    Path("net.prototxt").write_bytes(b"# caf\xe9\nname: 'a'\n")
    convert(capsys, "net.prototxt", "net.yaml")
    assert Path("net.yaml").read_bytes() == b"# caf\xe9\nname: a\n"
    convert(capsys, "net.yaml", "back.prototxt")
    assert Path("back.prototxt").read_bytes() == b'# caf\xe9\nname: "a"\n'


OLD = """# the whole net
name: "V0"  # its name
# the input
input: "data"  # images
input_dim: 1 input_dim: 3 input_dim: 12 input_dim: 12
# padding
layers {
  layer { name: "pad1" type: "padding" pad: 2  # two
  }
  bottom: "data" top: "pad1"
}
# a convolution
layers {
  layer {
    # kind
    type: "conv"
    name: "conv1"  # named
    num_output: 6
    weight_filler { type: "gaussian"  # normal
      std: 0.01
      # end of filler
    }
    blobs_lr: 1.  # slow
    weight_decay: 2.  # decays
    # end of inner
  }
  bottom: "pad1" top: "conv1"
  # end of outer
}  # behind
# last words
"""
OLD_UPGRADED = """# the whole net
name: "V0"  # its name
# the input
layer {
  name: "input"
  type: "Input"
  top: "data"
  input_param {
    shape {
      dim: 1
      dim: 3
      dim: 12
      dim: 12
    }
  }
}  # images
# a convolution
layer {
  name: "conv1"  # named
  # kind
  type: "Convolution"
  # end of inner
  bottom: "data"
  top: "conv1"
  param {
    lr_mult: 1
    decay_mult: 2  # decays
  }  # slow
  convolution_param {
    num_output: 6
    # padding
    pad: 2  # two
    weight_filler {
      type: "gaussian"  # normal
      std: 0.01
      # end of filler
    }
  }
  # end of outer
}  # behind
# last words
"""


def upgrade(
    capsys: pytest.CaptureFixture, source: str, target: str, *options: str, status: int = 0
) -> str:
    assert main(["convert", "--upgrade", source, target, *options]) == status
    return capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".prototxt", ".yaml"])
@pytest.mark.parametrize("name", ["v0_small", "v1_small", "v2_inputs", "old_solver"])
def test_upgrade_gives_the_originals_result(
    capsys: pytest.CaptureFixture, name: str, suffix: str
) -> None:
    source = str(REFERENCE / f"upgrade/{name}.prototxt")
    if suffix == ".yaml":
        convert(capsys, source, "old.yaml")
        source = "old.yaml"
    assert upgrade(capsys, source, f"new{suffix}").startswith(f"new{suffix}: upgraded ")
    kind = caffe_pb2.SolverParameter if "solver" in name else caffe_pb2.NetParameter
    expected = text_format.Parse(
        (REFERENCE / f"upgrade/{name}.upgraded.prototxt").read_text(), kind()
    )
    assert read(Path(f"new{suffix}").read_text(), kind(), suffix) == expected
    assert (
        upgrade(capsys, f"new{suffix}", f"again{suffix}")
        == f"again{suffix}: the file was in today's format already\n"
    )
    assert Path(f"again{suffix}").read_text() == Path(f"new{suffix}").read_text()


def test_upgrade_keeps_every_comment_at_its_field(capsys: pytest.CaptureFixture) -> None:
    Path("old.prototxt").write_text(OLD)
    assert (
        upgrade(capsys, "old.prototxt", "new.prototxt")
        == "new.prototxt: upgraded V0 layers, input fields\n"
    )
    assert Path("new.prototxt").read_text() == OLD_UPGRADED
    upgrade(capsys, "old.prototxt", "new.yaml")
    assert Path("new.yaml").read_text().count("#") == OLD.count("#")


def test_upgrade_leaves_what_is_of_today_as_it_was_written(capsys: pytest.CaptureFixture) -> None:
    layer = 'layer {\n  top: "y"  # first\n  bottom: "x"\n  type: "ReLU"\n  name: "r"\n}\n'
    Path("old.prototxt").write_text('input: "x" input_shape { dim: 1 }\n' + layer)
    upgrade(capsys, "old.prototxt", "new.prototxt")
    assert Path("new.prototxt").read_text().endswith("}\n" + layer)
    Path("old.prototxt").write_text(layer + '\ninput: "x" input_shape { dim: 1 }\n')
    upgrade(capsys, "old.prototxt", "new.prototxt")
    assert Path("new.prototxt").read_text().endswith("}\n" + layer), (
        "the Input layer is the first, wherever its field stood"
    )


def test_upgrade_refuses(capsys: pytest.CaptureFixture) -> None:
    Path("old.prototxt").write_text(OLD)
    hint = "hint: name another one, or write over it with --overwrite"
    assert hint in upgrade(capsys, "old.prototxt", "./old.prototxt", status=1)
    assert "a net can't become 'a.caffemodel'" in upgrade(
        capsys, "old.prototxt", "a.caffemodel", status=1
    )
    assert "--upgrade keeps every layer" in upgrade(
        capsys, "old.prototxt", "a.prototxt", "--skip-layer", "x", status=1
    )
    Path("wrong.prototxt").write_text('layers {\n layer { type: "convv" } }')
    assert "wrong.prototxt:2:16: error: 'convv' is not a V0 layer type" in upgrade(
        capsys, "wrong.prototxt", "a.prototxt", status=1
    )
    assert "file 'none' does not exist" in upgrade(capsys, "none", "a.prototxt", status=1)
    assert sorted(path.name for path in Path().iterdir()) == ["old.prototxt", "wrong.prototxt"]
    assert Path("old.prototxt").read_text() == OLD
    upgrade(capsys, "old.prototxt", "old.prototxt", "--overwrite")
    assert Path("old.prototxt").read_text() == OLD_UPGRADED


@pytest.mark.parametrize("name", ["v0_small", "v1_small"])
def test_weights_of_an_older_format_become_todays(capsys: pytest.CaptureFixture, name: str) -> None:
    net = text_format.Parse(
        (REFERENCE / f"upgrade/{name}.prototxt").read_text(), caffe_pb2.NetParameter()
    )
    layer = next(layer for layer in net.layers if "conv1" in (layer.name, layer.layer.name))
    blob = (layer.layer if layer.HasField("layer") else layer).blobs.add(
        num=1, channels=1, height=1, width=3, data=[1, 0, 2]
    )
    Path("old.caffemodel").write_bytes(net.SerializeToString())
    assert upgrade(capsys, "old.caffemodel", "new").startswith("new: upgraded V")
    upgraded = caffe_pb2.NetParameter.FromString(Path("new").read_bytes())
    conv1 = next(layer for layer in upgraded.layer if layer.name == "conv1")
    assert list(conv1.blobs) == [blob]
    conv1.ClearField("blobs")
    assert upgraded == text_format.Parse(
        (REFERENCE / f"upgrade/{name}.upgraded.prototxt").read_text(), caffe_pb2.NetParameter()
    )
    assert (
        upgrade(capsys, "new", "again.caffemodel")
        == "again.caffemodel: the file was in today's format already\n"
    )


def test_upgrade_of_weights_refuses(capsys: pytest.CaptureFixture) -> None:
    net = caffe_pb2.NetParameter()
    net.layers.add().layer.type = "convv"
    Path("old.caffemodel").write_bytes(net.SerializeToString())
    assert "error: 'old.caffemodel': 'convv' is not a V0 layer type" in upgrade(
        capsys, "old.caffemodel", "new.caffemodel", status=1
    )
    assert "weights can't become 'new.prototxt'" in upgrade(
        capsys, "old.caffemodel", "new.prototxt", status=1
    )
    Path("text.caffemodel").write_text(OLD)
    assert "'text.caffemodel' is not a caffemodel" in upgrade(
        capsys, "text.caffemodel", "new.caffemodel", status=1
    )
    assert sorted(path.name for path in Path().iterdir()) == ["old.caffemodel", "text.caffemodel"]


@pytest.mark.parametrize(
    "tool", ["upgrade_net_proto_text", "upgrade_solver_proto_text", "upgrade_net_proto_binary"]
)
def test_caffes_own_scripts(tool: str) -> None:
    old = REFERENCE / f"upgrade/{'old_solver' if 'solver' in tool else 'v1_small'}.prototxt"
    if "binary" in tool:
        net = text_format.Parse(old.read_text(), caffe_pb2.NetParameter())
        net.layers[1].blobs.add(data=[0, 1])
        Path("old.caffemodel").write_bytes(net.SerializeToString())
        old = Path("old.caffemodel")
    done = subprocess.run(
        [sys.executable, ROOT / f"tools/{tool}.py", old, "new"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.startswith("new: upgraded ")
    assert Path("new").stat().st_size > 50
