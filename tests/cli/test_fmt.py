"""`netspec fmt`: which files it takes, what it writes, its exit status."""

from __future__ import annotations

import io
import os
import textwrap
from pathlib import Path

import pytest

from netspec.cli import main
from netspec.diagnostics import Source
from netspec.schema import caffe_pb2
from netspec.syntax.layout import layout
from tests.conftest import REFERENCE, ROOT
from tests.syntax.messages import read

UGLY = 'name:"n" # net\nlayer{name:"a" type: "Input"\ntop: "a"}\n'
NEAT = 'name: "n"  # net\nlayer {\n  name: "a"\n  type: "Input"\n  top: "a"\n}\n'
V1 = """# a net of old
layers { # conv
  name: "c"  # its name
  type: CONVOLUTION
  bottom: "data"
  top: "c"
  blobs_lr: 1 # weights
  convolution_param { num_output: 2 kernel_size: 1 }
}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def fmt(capsys: pytest.CaptureFixture, *arguments: str) -> tuple[int, str, str]:
    status = main(["fmt", *arguments])
    return status, *capsys.readouterr()


def test_a_file_is_laid_out(capsys: pytest.CaptureFixture) -> None:
    Path("net.prototxt").write_text(UGLY)
    told = "net.prototxt: laid out\n1 file changed\n"
    assert fmt(capsys, "net.prototxt") == (0, "", told)
    assert Path("net.prototxt").read_text() == NEAT
    before = os.stat("net.prototxt").st_ino
    assert fmt(capsys, "net.prototxt") == (0, "", "1 file is laid out already\n")
    assert os.stat("net.prototxt").st_ino == before, "a file that stays is not written"


def test_the_mode_is_kept_and_a_link_stays_one(capsys: pytest.CaptureFixture) -> None:
    Path("real.prototxt").write_text(UGLY)
    os.chmod("real.prototxt", 0o640)
    os.symlink("real.prototxt", "link.prototxt")
    assert fmt(capsys, "link.prototxt")[0] == 0
    assert Path("link.prototxt").is_symlink()
    assert Path("real.prototxt").read_text() == NEAT
    assert os.stat("real.prototxt").st_mode & 0o777 == 0o640


def test_check_names_what_would_change(capsys: pytest.CaptureFixture) -> None:
    Path("a.prototxt").write_text(UGLY)
    Path("b.prototxt").write_text(NEAT)
    told = "1 file would change, 1 file is laid out already\n"
    assert fmt(capsys, "--check", "a.prototxt", "b.prototxt") == (1, "a.prototxt\n", told)
    assert Path("a.prototxt").read_text() == UGLY
    assert fmt(capsys, "--check", "b.prototxt")[:2] == (0, "")


def test_diff(capsys: pytest.CaptureFixture) -> None:
    Path("a.prototxt").write_text('name:"n"')
    status, out, _ = fmt(capsys, "--diff", "a.prototxt")
    assert (status, Path("a.prototxt").read_text()) == (1, 'name:"n"')
    assert out == (
        "--- a.prototxt\n+++ a.prototxt\n@@ -1 +1 @@\n"
        '-name:"n"\n\\ No newline at end of file\n+name: "n"\n'
    )
    assert "\x1b[31m-name" in fmt(capsys, "--diff", "a.prototxt", "--color", "always")[1]


def test_a_folder(capsys: pytest.CaptureFixture) -> None:
    for name in ("x/net.prototxt", "x/y/labels.pbtxt", "x/solver.yaml", "x/.git/net.prototxt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("base_lr:   1\n" if name.endswith("yaml") else UGLY)
    Path("x/broken.yml").write_text("layer:\n  - [\n")
    Path("x/compose.yaml").write_text("services:   {}\n")
    Path("x/notes.yaml").write_text("a: [\n")
    Path("x/readme.txt").write_text(UGLY)
    status, out, err = fmt(capsys, "--check", "x", "x/net.prototxt")
    assert (status, out.split()) == (1, ["x/net.prototxt", "x/solver.yaml", "x/y/labels.pbtxt"])
    assert "x/broken.yml:3:1: error: this is not valid YAML" in err
    assert err.endswith("3 files would change, 1 file failed\n")


def test_an_empty_folder(capsys: pytest.CaptureFixture) -> None:
    Path("x").mkdir()
    told = "warning: folder 'x' holds no nets or solvers\nno files\n"
    assert fmt(capsys, "x") == (0, "", told)


def test_what_can_not_be_read_is_told_and_others_go_on(capsys: pytest.CaptureFixture) -> None:
    Path("a.prototxt").write_text("name: {\n")
    Path("b.prototxt").write_text(UGLY)
    status, out, err = fmt(capsys, "a.prototxt", "none.prototxt", "b.prototxt")
    assert (status, out, Path("b.prototxt").read_text()) == (1, "", NEAT)
    assert Path("a.prototxt").read_text() == "name: {\n"
    assert "a.prototxt:2:1: error: expected a field name or '}'" in err
    assert "file 'none.prototxt' does not exist" in err
    assert err.endswith("1 file changed, 2 files failed\n")


def test_stdin(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    def given(text: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))

    given(UGLY.encode())
    assert fmt(capsys, "-") == (0, NEAT, "")
    given(b"a:   {b: 1}\n")
    assert fmt(capsys, "-", "--stdin-filename", "net.yaml") == (0, "a: {b: 1}\n", "")
    given(UGLY.encode())
    assert fmt(capsys, "-", "--check", "--stdin-filename", "n.prototxt") == (1, "n.prototxt\n", "")
    given(b"a")
    status, out, err = fmt(capsys, "-")
    assert (status, out) == (1, "")
    assert err.startswith("<stdin>:1:2: error: expected ':' or '{'")


def test_a_closed_stdin(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert fmt(capsys, "-") == (1, "", "<stdin>: error: the standard input is closed\n")


def test_upgrade_keeps_comments(capsys: pytest.CaptureFixture) -> None:
    Path("net.prototxt").write_text(V1)
    status, _, err = fmt(capsys, "--upgrade", "net.prototxt")
    assert (status, err) == (0, "net.prototxt: upgraded\n1 file changed\n")
    text = Path("net.prototxt").read_text()
    assert text.startswith('# a net of old\nlayer {\n  # conv\n  name: "c"  # its name\n')
    assert '  type: "Convolution"\n' in text
    assert "    lr_mult: 1\n  }  # weights\n" in text
    assert fmt(capsys, "--upgrade", "net.prototxt")[2] == "1 file is laid out already\n"


@pytest.mark.parametrize("suffix", [".prototxt", ".yaml"])
@pytest.mark.parametrize("name", ["v0_small", "v1_small", "v2_inputs", "old_solver"])
def test_upgrade_gives_what_caffe_gives(
    name: str, suffix: str, capsys: pytest.CaptureFixture
) -> None:
    old = f"net{suffix}"
    assert main(["convert", str(REFERENCE / f"upgrade/{name}.prototxt"), old]) == 0
    assert fmt(capsys, "--upgrade", old)[0] == 0
    expected = (REFERENCE / f"upgrade/{name}.upgraded.prototxt").read_text()
    kind = caffe_pb2.SolverParameter if "solver" in name else caffe_pb2.NetParameter
    assert read(Path(old).read_text(), kind(), suffix) == read(expected, kind())


def test_a_wrong_net_is_laid_out_but_not_upgraded(capsys: pytest.CaptureFixture) -> None:
    Path("net.prototxt").write_text('layers { type:"x" }\n')
    assert fmt(capsys, "net.prototxt")[0] == 0
    status, _, err = fmt(capsys, "--upgrade", "net.prototxt")
    assert status == 1
    assert "net.prototxt:1:16: error: 'type' takes one of" in err
    assert Path("net.prototxt").read_text() == 'layers { type: "x" }\n'


def test_the_page_shows_what_comes_out() -> None:
    page = (ROOT / "docs/fmt_and_diff.md").read_text()
    before, after = (
        textwrap.dedent(page.split(f"{word}:\n\n", 1)[1].split("\n\n", 1)[0]) + "\n"
        for word in ("Before", "After")
    )
    assert layout(Source("net.prototxt", before)) == after
