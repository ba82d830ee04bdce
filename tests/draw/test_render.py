"""Every format, with graphviz's dot and without it."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from netspec.cli import main
from netspec.diagnostics import NetspecError
from netspec.draw import render as render_module
from netspec.draw.render import picture_format, render

ROOT = Path(__file__).parents[2]
NET = str(ROOT / "tests" / "draw" / "golden" / "two_phases.prototxt")
ALEXNET = "models/bvlc_alexnet/train_val.prototxt"
SIGNATURES = {".png": b"\x89PNG\r\n", ".svg": b"<?xml", ".pdf": b"%PDF", ".jpg": b"\xff\xd8\xff", ".jpeg": b"\xff\xd8\xff", ".dot": b"digraph"}
needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz's dot is not installed")
needs_pure = pytest.mark.skipif(render_module._find("graphviz-pure") is None, reason="graphviz-pure is not installed")


@pytest.fixture
def without_dot(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


@needs_dot
@pytest.mark.parametrize("suffix", SIGNATURES)
def test_each_suffix_with_dot(suffix, tmp_path):
    out = tmp_path / f"net{suffix}"
    assert main(["draw", NET, str(out)]) == 0
    assert out.read_bytes().startswith(SIGNATURES[suffix])
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@needs_pure
@pytest.mark.usefixtures("without_dot")
@pytest.mark.parametrize("suffix", [".png", ".svg", ".dot", ".SVG"])
def test_what_works_without_dot(suffix, tmp_path):
    out = tmp_path / f"net{suffix}"
    assert main(["draw", NET, str(out)]) == 0
    assert out.read_bytes().startswith(SIGNATURES[suffix.lower()])


@pytest.mark.usefixtures("without_dot")
@pytest.mark.parametrize("suffix", [".pdf", ".jpg"])
def test_what_needs_dot_says_how_to_get_it(suffix, tmp_path, capsys):
    assert main(["draw", NET, str(tmp_path / f"net{suffix}")]) == 1
    error = capsys.readouterr().err
    assert "needs graphviz's 'dot', which is not installed" in error
    assert "apt-get install graphviz" in error
    assert list(tmp_path.iterdir()) == []


def test_no_renderer_at_all(monkeypatch, tmp_path):
    monkeypatch.setattr(render_module.shutil, "which", lambda *_, **__: None)
    with pytest.raises(NetspecError, match="pip install graphviz-pure"):
        render("digraph {\n}\n", tmp_path / "net.svg")
    render("digraph {\n}\n", tmp_path / "net.dot")


@pytest.mark.parametrize("name", ["net.bmp", "net", "net.", ".png"])
def test_unknown_formats(name):
    with pytest.raises(NetspecError, match="no picture format is known"):
        picture_format(name)


def test_the_format_is_refused_before_the_net_is_read(capsys):
    assert main(["draw", "no/such.prototxt", "net.raw"]) == 1
    assert "'.raw'" in capsys.readouterr().err


def test_an_unwritable_place(tmp_path, capsys):
    assert main(["draw", NET, str(tmp_path / "nowhere" / "net.dot")]) == 1
    assert "can't be written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", [pytest.param("dot", marks=needs_dot), pytest.param("pure", marks=needs_pure)])
def test_text_that_a_renderer_refuses_is_told(place, tmp_path, monkeypatch):
    if place == "pure":
        monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NetspecError, match="could not draw the net"):
        render("digraph {\n n0 [label=<<B>]\n", tmp_path / "net.svg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", [pytest.param("dot", marks=needs_dot), pytest.param("pure", marks=needs_pure)])
def test_special_characters_are_in_the_picture(place, tmp_path, monkeypatch):
    net = tmp_path / "net.prototxt"
    net.write_text(
        r'name: "<&> \\G" layer { name: "a<b> \"q\" \\N é" type: "Input" top: "\\T|x" input_param { shape { dim: 1 dim: 2 } } }'
        r' layer { type: "ReLU" bottom: "\\T|x" top: " " } layer { name: "\001\n" type: "ReLU" bottom: " " top: "]]>" }',
        encoding="utf-8",
    )
    if place == "pure":
        monkeypatch.setenv("PATH", str(tmp_path))
    out = tmp_path / "net.svg"
    assert main(["draw", str(net), str(out)]) == 0
    lines: dict[str, str] = {}
    for text in ElementTree.parse(out).iter("{http://www.w3.org/2000/svg}text"):
        lines[text.get("y")] = lines.get(text.get("y"), "") + (text.text or "")
    shown = [line.replace("\xa0", " ").strip() for line in lines.values()]
    assert {"<&> \\G", 'a<b> "q" \\N é', "\\T|x 2", "ReLU", "]]>"} <= set(shown)


@pytest.mark.parametrize("rankdir", ["TB", "LR", "BT", "RL"])
@pytest.mark.parametrize("place", [pytest.param("dot", marks=needs_dot), pytest.param("pure", marks=needs_pure)])
def test_each_direction(place, rankdir, tmp_path, monkeypatch):
    if place == "pure":
        monkeypatch.setenv("PATH", str(tmp_path))
    out = tmp_path / "net.png"
    assert main(["draw", NET, str(out), "--rankdir", rankdir, "--phase", "train", "--display_lrm"]) == 0
    width, height = struct.unpack(">II", out.read_bytes()[16:24])
    assert (height > width) == (rankdir in ("TB", "BT"))


@pytest.mark.parametrize("place", [pytest.param("dot", marks=needs_dot), pytest.param("pure", marks=needs_pure)])
def test_a_long_net_is_no_endless_png(place, tmp_path, monkeypatch):
    if place == "pure":
        monkeypatch.setenv("PATH", str(tmp_path))
    out = tmp_path / "net.png"
    render("digraph {\n" + "".join(f"n{i} -> n{i + 1};\n" for i in range(200)) + "}\n", out)
    assert max(struct.unpack(">II", out.read_bytes()[16:24])) <= render_module.LONGEST_SIDE + 10


@needs_dot
def test_caffes_tool(tmp_path):
    out = tmp_path / "AlexNet_structure.jpg"
    command = [sys.executable, "tools/draw_net.py", "--rankdir", "TB", ALEXNET, str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"Drawing net to {out}\n"), done.stderr
    assert out.read_bytes().startswith(SIGNATURES[".jpg"])


def test_caffes_tool_has_caffes_defaults(tmp_path):
    out = tmp_path / "net.dot"
    done = subprocess.run([sys.executable, "tools/draw_net.py", NET, str(out)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "rankdir=LR" in out.read_text(encoding="utf-8")
    assert "TRAIN and TEST" in out.read_text(encoding="utf-8")
