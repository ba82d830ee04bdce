"""`netspec convert` of nets and solvers: the same message in the other syntax, comments kept, nothing half-written."""

from __future__ import annotations

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
NETS = sorted([*ROOT.glob("models/*/*.prototxt"), *REFERENCE.glob("upgrade/*.prototxt"), *REFERENCE.glob("solvers/adam/*.prototxt")])


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def convert(capsys: pytest.CaptureFixture, source: str, target: str, status: int = 0) -> str:
    """Converts, and returns what goes to stderr; nothing goes to stdout."""
    assert main(["convert", source, target]) == status
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_to_yaml_and_back(capsys: pytest.CaptureFixture) -> None:
    Path("net.prototxt").write_text(NET)
    assert convert(capsys, "net.prototxt", "net.yaml") == ""
    assert Path("net.yaml").read_text() == IN_YAML
    convert(capsys, "net.yaml", "back.prototxt")
    back = Path("back.prototxt").read_text()
    assert back.splitlines()[:5] == ["# a net", 'name: "net"  # its name', "layer {", "  # the data", '  name: "data"']
    assert text_format.Parse(back, caffe_pb2.NetParameter()) == text_format.Parse(NET, caffe_pb2.NetParameter())


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
    assert Path("a.prototxt").read_text() == 'layer {\n  name: "a"\n  bottom: "x"\n  bottom: "y"\n}  # c\n'
    Path("a.yaml").write_text("{name: 'a', input: ['x'], layer: [{}]}")
    convert(capsys, "a.yaml", "b.yaml")
    assert Path("b.yaml").read_text() == "name: a\ninput: x\nlayer:\n  - {}\n"


def test_an_old_net_stays_old(capsys: pytest.CaptureFixture) -> None:
    Path("old.prototxt").write_text('layers { type: RELU blobs_lr: 1 }\ninput: "a"\ninput_dim: [1, 2, 3, 4]\n')
    convert(capsys, "old.prototxt", "old.yaml")
    assert Path("old.yaml").read_text() == "layers:\n  - type: RELU\n    blobs_lr: 1\ninput: a\ninput_dim: [1, 2, 3, 4]\n"


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
    err = convert(capsys, "net.prototxt", "net.yaml", status=1)
    assert "net.prototxt:1:1: error: a net has no field 'nme'" in err
    assert "net.prototxt:2:9: error: 'layer' has no field 'kernel_size'" in err
    assert Path("net.yaml").read_text() == "old"
    assert sorted(path.name for path in Path().iterdir()) == ["net.prototxt", "net.yaml"]


def test_what_is_wrong_with_the_graph_does_not_matter(capsys: pytest.CaptureFixture) -> None:
    Path("net.prototxt").write_text('layer { name: "a" type: "Nonsense" bottom: "nowhere" }')
    assert convert(capsys, "net.prototxt", "net.yaml") == ""


def test_faults_of_the_command(capsys: pytest.CaptureFixture) -> None:
    Path("net.prototxt").write_text(NET)
    assert "error: file 'none.prototxt' does not exist" in convert(capsys, "none.prototxt", "a.yaml", status=1)
    assert "a net can't become 'net.caffemodel'" in convert(capsys, "net.prototxt", "net.caffemodel", status=1)
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
