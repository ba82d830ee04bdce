"""docs/add_a_layer.md, word for word.

A type from outside in every command, from a file and from an installed package.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "add_a_layer.md").read_text()
BLOCKS = dict(re.findall(r"^`([\w.]+)`:\n\n```\w*\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = re.findall(r"^    netspec (.*)$", PAGE, re.MULTILINE)
NETSPEC = [sys.executable, "-m", "netspec"]
FORWARD = """
import torch, netspec
module = netspec.compile("net.prototxt", {plugins}seed=1)
x = torch.randn(2, 3, requires_grad=True)
weight, bias = module.params["ip"]
torch.nn.init.normal_(weight)
ip = x @ weight.T + bias
assert torch.allclose(module(x)["ip"], ip * torch.tanh(torch.nn.functional.softplus(2 * ip)))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in BLOCKS.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(filter(None, [environment.pop("PYTHONPATH", ""), str(ROOT)]))
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, **environment},
    )


def test_the_page_shows_what_it_needs() -> None:
    assert sorted(BLOCKS) == ["mish.py", "net.prototxt"]
    assert [command.split()[0] for command in COMMANDS] == [
        "check",
        "shapes",
        "draw",
        "convert",
        "layers",
    ]


def test_the_pages_commands(folder: Path) -> None:
    results = [run(*NETSPEC, *shlex.split(command)) for command in COMMANDS]
    assert [result.returncode for result in results] == [0] * len(results), [
        result.stderr for result in results
    ]
    assert all("plugin mish.py: layer type Mish" in result.stderr for result in results)
    assert "Mish" in results[1].stdout
    assert (
        "mish_param: {beta: 2}" in (folder / "net.yaml").read_text()
        or "beta: 2" in (folder / "net.yaml").read_text()
    )
    assert "How steep the softplus is" in results[4].stdout
    assert run(*NETSPEC, "check", "net.yaml", "--plugin", "mish.py").returncode == 0


def test_its_module_computes(folder: Path) -> None:
    result = run(sys.executable, "-c", FORWARD.format(plugins='plugins=["mish.py"], '))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "beta: 2",
            "beta: -2",
            "net.prototxt:3:76: error: layer 'act': 'beta' must be positive, got -2",
        ),
        ("beta: 2", "bata: 2", "hint: did you mean 'beta'?"),
        ('"Mish"', '"Mush"', "hint: did you mean 'Mish'?"),
    ],
)
def test_its_faults_have_their_lines(folder: Path, old: str, new: str, message: str) -> None:
    (folder / "net.prototxt").write_text(BLOCKS["net.prototxt"].replace(old, new))
    result = run(*NETSPEC, "check", "net.prototxt", "--plugin", "mish.py")
    assert result.returncode == 1
    assert message in result.stderr


def test_without_the_plugin_its_field_is_unknown(folder: Path) -> None:
    result = run(*NETSPEC, "check", "net.prototxt")
    assert result.returncode == 1
    # a fork's type of that name has no parameters
    assert "'layer' has no field 'mish_param'" in result.stderr


def test_a_package_is_found_when_a_word_is_not_known(folder: Path) -> None:
    """As pip lays it: the package, and its metadata with the entry points of the page."""
    site = folder / "site"
    package, metadata = site / "netspec_mish", site / "netspec_mish-0.1.dist-info"
    package.mkdir(parents=True)
    metadata.mkdir()
    layers, _, builders = BLOCKS["mish.py"].partition("def build_mish")
    (package / "__init__.py").touch()
    (package / "layers.py").write_text(f"{layers}SPECS = [Mish]\n")
    (package / "pytorch.py").write_text(f"def build_mish{builders}".replace("SPECS = [Mish]\n", ""))
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: netspec-mish\nVersion: 0.1\n")
    toml = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert toml is not None
    points = re.sub(r'\[project.entry-points."([^"]+)"\]', r"[\1]", toml[1])
    (metadata / "entry_points.txt").write_text(re.sub(r'"|#.*', "", points))
    result = run(*NETSPEC, "check", "net.prototxt", PYTHONPATH=str(site))
    assert (result.returncode, "plugin netspec-mish 0.1: layer type Mish" in result.stderr) == (
        0,
        True,
    ), result.stderr
    result = run(sys.executable, "-c", FORWARD.format(plugins=""), PYTHONPATH=str(site))
    assert result.returncode == 0, result.stderr
    (folder / "plain.prototxt").write_text(BLOCKS["net.prototxt"].splitlines()[0])
    assert "plugin" not in run(*NETSPEC, "check", "plain.prototxt", PYTHONPATH=str(site)).stderr, (
        "not imported where it is not needed"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 +", "the plugin 'bad.py' fails in line 1: SyntaxError"),
        ("x = 1\nx.y", "the plugin 'bad.py' fails in line 2: AttributeError"),
        ("", "the plugin 'bad.py' defines no layer type"),
        (
            "from netspec.layers.neuron import ReLU\nSPECS = [ReLU]",
            "the plugin 'bad.py' defines layer type 'ReLU', which exists",
        ),
    ],
)
def test_a_plugin_that_fails_is_reported(folder: Path, text: str, message: str) -> None:
    (folder / "bad.py").write_text(text)
    result = run(*NETSPEC, "check", "net.prototxt", "--plugin", "bad.py")
    assert result.returncode == 1
    assert message in result.stderr
    assert "Traceback" not in result.stderr
