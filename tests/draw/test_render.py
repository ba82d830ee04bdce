"""Every format, with graphviz's dot and without it."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from PIL import Image

from netspec.cli import main
from netspec.diagnostics import NetspecError
from netspec.draw import render as render_module
from netspec.draw.render import picture_format, render
from tests.page.resnet import resnet_text

ROOT = Path(__file__).parents[2]
NET = str(ROOT / "tests" / "draw" / "golden" / "two_phases.prototxt")
ALEXNET = "models/bvlc_alexnet/train_val.prototxt"
SIGNATURES = {
    ".png": b"\x89PNG\r\n",
    ".svg": b"<?xml",
    ".pdf": b"%PDF",
    ".jpg": b"\xff\xd8\xff",
    ".jpeg": b"\xff\xd8\xff",
    ".dot": b"digraph",
}
needs_dot = pytest.mark.skipif(
    shutil.which("dot") is None, reason="graphviz's dot is not installed"
)
needs_pure = pytest.mark.skipif(
    render_module._find("graphviz-pure") is None, reason="graphviz-pure is not installed"
)


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
@pytest.mark.parametrize("suffix", [*SIGNATURES, ".SVG"])
def test_each_suffix_without_dot(suffix, tmp_path):
    out = tmp_path / f"net{suffix}"
    assert main(["draw", NET, str(out)]) == 0
    assert out.read_bytes().startswith(SIGNATURES[suffix.lower()])
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@needs_pure
@pytest.mark.usefixtures("without_dot")
def test_a_jpeg_is_the_png_at_twice_the_size(tmp_path):
    for name in ("net.png", "net.jpg"):
        assert main(["draw", NET, str(tmp_path / name)]) == 0
    with Image.open(tmp_path / "net.png") as png, Image.open(tmp_path / "net.jpg") as jpg:
        assert all(
            abs(2 * small - large) <= 2 for small, large in zip(png.size, jpg.size, strict=True)
        )
        # dark text on white
        assert jpg.convert("L").getextrema()[0] < 60 < 250 < jpg.convert("L").getpixel((2, 2))


def put_dot(folder: Path, script: str) -> None:
    (folder / "dot").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "dot").chmod(0o755)


HALF_INSTALLED = {
    "no plugins": (
        "echo 'There is no layout engine support for \"dot\"' >&2; exit 1",
        "There is no layout engine support",
    ),
    "no such format": (
        "echo 'Format: \"png\" not recognized. Use one of:' >&2; exit 1",
        "not recognized",
    ),
    "crashes": ("kill -SEGV $$", "killed by signal 11"),
    "says nothing": ("exit 3", "ended with status 3"),
    "writes nothing": ("exit 0", "is no "),
    "writes something else": ("echo usage: dot", "is no "),
}


@needs_pure
@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf", ".jpg"])
@pytest.mark.parametrize(("script", "reason"), HALF_INSTALLED.values(), ids=HALF_INSTALLED)
def test_a_dot_that_fails_is_noted_once_and_graphviz_pure_draws(
    script, reason, suffix, tmp_path, monkeypatch, capsys
):
    put_dot(tmp_path, script)
    monkeypatch.setenv("PATH", str(tmp_path))
    out = tmp_path / f"net{suffix}"
    assert main(["draw", NET, str(out)]) == 0
    assert out.read_bytes().startswith(SIGNATURES[suffix])
    error = capsys.readouterr().err
    assert reason in error
    assert (
        error.count("note: 'dot' could not draw the net")
        == error.count("graphviz-pure has drawn it instead")
        == 1
    )


def test_a_dot_that_fails_alone_is_an_error(tmp_path, monkeypatch):
    put_dot(tmp_path, HALF_INSTALLED["no plugins"][0])
    monkeypatch.setattr(render_module, "_find", {"dot": "dot"}.get)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        NetspecError, match=r"no layout engine support(.|\n)*pip install graphviz-pure"
    ):
        render("digraph {\n}\n", tmp_path / "net.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["dot"]


def test_no_renderer_at_all(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
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


def test_an_unwritable_place_is_reported_before_the_net_is_read(tmp_path, capsys):
    assert main(["draw", "no/such.prototxt", str(tmp_path / "nowhere" / "net.dot")]) == 1
    assert (
        f"folder '{tmp_path / 'nowhere'}' does not exist\n  hint: mkdir -p "
        in capsys.readouterr().err
    )
    assert main(["draw", "no/such.prototxt", str(tmp_path)]) == 1
    assert "can't be written: it is a folder" in capsys.readouterr().err


def test_a_wrong_net_leaves_the_old_picture(tmp_path, capsys):
    net, out = tmp_path / "net.prototxt", tmp_path / "net.png"
    net.write_text('layer { name: "a" type: "Relu" bottom: "x" top: "y"')
    old = (ROOT / "docs" / "AlexNet.png").read_bytes()
    out.write_bytes(old)
    assert main(["draw", str(net), str(out)]) == 1
    assert f"{net}:1:" in capsys.readouterr().err
    assert out.read_bytes() == old
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.png", "net.prototxt"]


@pytest.mark.parametrize(
    "place", [pytest.param("dot", marks=needs_dot), pytest.param("pure", marks=needs_pure)]
)
def test_text_that_a_renderer_refuses_is_reported(place, tmp_path, monkeypatch):
    if place == "pure":
        monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NetspecError, match="could not draw the net"):
        render("digraph {\n n0 [label=<<B>]\n", tmp_path / "net.svg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "place", [pytest.param("dot", marks=needs_dot), pytest.param("pure", marks=needs_pure)]
)
def test_special_characters_are_in_the_picture(place, tmp_path, monkeypatch):
    net = tmp_path / "net.prototxt"
    net.write_text(
        r'name: "<&> \\G" layer { name: "a<b> \"q\" \\N é" type: "Input" top: "\\T|x" '
        r"input_param { shape { dim: 1 dim: 2 } } }"
        r' layer { type: "ReLU" bottom: "\\T|x" top: " " } '
        r'layer { name: "\001\n" type: "ReLU" bottom: " " top: "]]>" }',
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
@pytest.mark.parametrize(
    "place", [pytest.param("dot", marks=needs_dot), pytest.param("pure", marks=needs_pure)]
)
def test_each_direction(place, rankdir, tmp_path, monkeypatch):
    if place == "pure":
        monkeypatch.setenv("PATH", str(tmp_path))
    out = tmp_path / "net.png"
    assert (
        main(
            [
                "draw",
                NET,
                str(out),
                "--rankdir",
                rankdir.lower(),
                "--phase",
                "train",
                "--display_lrm",
            ]
        )
        == 0
    )
    width, height = struct.unpack(">II", out.read_bytes()[16:24])
    assert (height > width) == (rankdir in ("TB", "BT"))


@pytest.mark.parametrize(
    "place", [pytest.param("dot", marks=needs_dot), pytest.param("pure", marks=needs_pure)]
)
def test_a_long_net_is_no_endless_png(place, tmp_path, monkeypatch):
    if place == "pure":
        monkeypatch.setenv("PATH", str(tmp_path))
    out = tmp_path / "net.png"
    render("digraph {\n" + "".join(f"n{i} -> n{i + 1};\n" for i in range(200)) + "}\n", out)
    assert max(struct.unpack(">II", out.read_bytes()[16:24])) <= render_module.LONGEST_SIDE + 10


def test_a_picture_of_many_boxes_is_announced(tmp_path, capsys, monkeypatch) -> None:
    net = tmp_path / "net.prototxt"
    net.write_text(resnet_text(50))
    said = []

    def draw(*args: object) -> None:
        said.append(capsys.readouterr().err)

    monkeypatch.setattr("netspec.cli.draw.render", draw)
    monkeypatch.setattr("netspec.cli.draw.MANY_BOXES", 100)
    assert main(["draw", str(net), str(tmp_path / "net.svg"), "--fold", "none"]) == 0
    assert "boxes may take minutes to draw" in said[0]  # before it is drawn
    assert "--fold all" in said[0]
    assert main(["draw", str(net), str(tmp_path / "net.svg"), "--fold", "all"]) == 0
    assert not said[1]


def test_text_too_small_to_read_is_told(tmp_path, capsys):
    net, out = tmp_path / "net.prototxt", str(tmp_path / "net.png")
    net.write_text(resnet_text(50))
    told = f"warning: '{out}' is too small to read: its text is about"
    assert main(["draw", str(net), out, "--fold", "none"]) == 0
    error = capsys.readouterr().err
    assert told in error
    assert "--fold all draws each block of layers as one box; .svg" in error
    assert main(["draw", str(net), out]) == 0
    assert told not in capsys.readouterr().err
    names = "".join(
        f'layer {{ name: "l{i}" type: "Sigmoid" bottom: "x{i}" top: "x{i + 1}" }}'
        for i in range(300)
    )
    net.write_text('layer { name: "in" type: "Input" top: "x0" }' + names)
    assert main(["draw", str(net), out]) == 0
    error = capsys.readouterr().err
    assert told in error
    assert "hint: .svg and .html stay sharp" in error  # there is no block to fold


def draw_net(*arguments: str | Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/draw_net.py", *map(str, arguments)]
    environment = {**os.environ, **({"PATH": str(path)} if path else {})}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@needs_pure
def test_caffes_tool_on_a_machine_without_graphviz(tmp_path):
    (tmp_path / "bin").mkdir()
    out = tmp_path / "AlexNet_structure.jpg"
    done = draw_net("--rankdir", "TB", ALEXNET, out, path=tmp_path / "bin")
    assert (done.returncode, done.stdout) == (0, f"Drawing net to {out}\n"), done.stderr
    with Image.open(out) as picture:
        assert picture.format == "JPEG"
        assert picture.height > 4 * picture.width


def test_caffes_tool_has_caffes_flags_and_defaults(tmp_path):
    out = tmp_path / "net.dot"
    assert draw_net(NET, out).returncode == 0
    assert "rankdir=LR" in out.read_text(encoding="utf-8")
    assert "TRAIN and TEST" in out.read_text(encoding="utf-8")
    assert draw_net("--rankdir=RL", "--phase", "TEST", "--display_lrm", NET, out).returncode == 0
    text = out.read_text(encoding="utf-8")
    assert "rankdir=RL" in text
    assert "lr mult" in text
    assert "TRAIN" not in text
    assert draw_net("--theme", "caffe", "--no-shapes", "--fold=all", NET, out).returncode == 0
    assert "#ff5050" in out.read_text(encoding="utf-8")
    assert draw_net("--phase", "BOTH", NET, out).returncode == 2
    refused = draw_net(NET, tmp_path / "net.raw")  # which Caffe's documentation names
    assert refused.returncode == 1
    assert "no picture format is known by the suffix '.raw'" in refused.stderr
