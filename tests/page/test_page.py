"""The page's text: what it holds, and that nothing of a net's file becomes markup or script."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from netspec.cli import main
from netspec.draw.blocks import find_blocks
from netspec.options import NetOptions
from netspec.page.load_page import load_page
from netspec.page.pictures import Budget, add_values, add_weights
from netspec.page.write_page import page_html
from tests.nets import net_text

HOSTILE = "</script><script>alert(1)</script><!--<b onclick=x>&lt;"


class Elements(HTMLParser):
    """The names of a document's elements, and the text of its data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [name for name, _ in attrs]


def data_of(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1])


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.prototxt"
    path.write_text(
        'name: "small"\n'
        + net_text(
            'type: "Convolution" top: "y" param { lr_mult: 2 }'
            " convolution_param { num_output: 4 kernel_size: 3 }",
            x=(2, 3, 5, 5),
        )
        + 'layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }\n'
    )
    return path


def test_what_the_page_knows_of_a_layer(net: Path) -> None:
    data = load_page(net).data
    layer = data["layers"][1]
    assert layer["type"] == "Convolution"
    assert layer["tops"] == [["y", [2, 4, 3, 3]]]
    assert layer["count"] == 4 * 3 * 9 + 4
    assert layer["macs"] == 4 * 3 * 9 * 9  # of one item
    assert ["Receptive field", "3×3"] in layer["costs"]
    assert layer["lines"] == [[3, 3]]
    assert [p["lr"] for p in layer["params"]] == ["2", "1"]
    fields = {field["path"]: field for field in layer["fields"]}
    assert fields["convolution_param.kernel_size"]["value"] == "3"
    assert "window" in fields["convolution_param.kernel_size"]["meaning"]
    assert data["layers"][2]["inPlace"]
    assert [(edge["from"], edge["to"], edge["shape"]) for edge in data["edges"]] == [
        (0, 1, "3×5×5"),
        (1, 2, "4×3×3"),
        (2, None, "4×3×3"),
    ]


def test_nothing_of_a_net_becomes_markup_or_script(tmp_path: Path) -> None:
    quoted = HOSTILE.replace('"', '\\"')
    path = tmp_path / "net.prototxt"
    path.write_text(
        f"# {HOSTILE}\n"
        f'name: "{quoted}"\n'
        f'layer {{ name: "{quoted}" type: "Input" top: "{quoted}"'
        " input_param { shape { dim: 1 } } }\n"
        f'layer {{ name: "x" type: "{quoted}" bottom: "{quoted}" top: "y" }}\n'
    )
    options = NetOptions(allow_unknown=True)
    data = load_page(path, options=options).data
    page = page_html(data)
    harmless = page_html({**data, "name": "net", "layers": [], "source": ""})
    assert Elements(page).names == Elements(harmless).names
    assert "onclick" not in Elements(page).attributes
    assert data_of(page)["layers"][0]["name"] == HOSTILE


def test_the_policy_allows_the_page_alone(net: Path) -> None:
    page = page_html(load_page(net).data)
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', page)[1]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "connect-src" not in policy
    assert "://" not in re.sub(r"http://www.w3.org/2000/svg", "", page)


def test_weights_and_values_within_the_budget(net: Path) -> None:
    data = load_page(net).data
    weights = {"l": [np.ones((4, 3, 3, 3), np.float32), np.zeros(4, np.float32)]}
    add_weights(data, weights, Budget(10**6))
    first, second, filters = data["layers"][1]["weights"]
    assert first["caption"] == "0: 4×3×3×3, mean 1, deviation 0, zeros 0.0%"
    assert sum(first["histogram"]) == 108
    assert second["caption"].endswith("zeros 100.0%")
    assert filters["image"].startswith("data:image/png;base64,")
    budget = Budget(10)
    add_values(data, {"l": np.random.default_rng(1).random((4, 3, 3), np.float32)}, budget)
    assert "image" not in data["layers"][1]["maps"][0]
    assert budget.left_out == ["l"]


def test_blocks_by_their_names() -> None:
    names = ["data", "inception_3a/1x1", "inception_3a/relu", "inception_3a/output", "pool"]
    assert find_blocks(names) == []  # one is no repetition
    names += ["res2a_branch1", "bn2a_branch1", "scale2a_branch1", "res2a", "res2b_x", "fc"]
    assert [(block.name, block.start, block.end) for block in find_blocks(names)] == [
        ("inception_3a", 1, 4),
        ("res2a", 5, 9),
    ]


def test_the_command(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["draw", "net.prototxt", "net.html"]) == 0
    assert data_of(Path("net.html").read_text())["name"] == "small"
    assert main(["draw", "net.prototxt", "net.html"]) == 0  # a page may be drawn anew
    Path("other.html").write_text("<!doctype html><p>mine</p>")
    assert main(["draw", "net.prototxt", "other.html"]) == 1
    assert "'other.html' already exists" in capsys.readouterr().err
    assert main(["draw", "net.prototxt", "net.html", "--theme", "caffe"]) == 1
    assert "a page has light and dark" in capsys.readouterr().err
    assert main(["draw", "net.prototxt", "net.html", "--image", "a.png"]) == 1
    assert "give --weights too" in capsys.readouterr().err
