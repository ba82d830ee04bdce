"""What is drawn: a golden file, then a test for each thing that Caffe's tool gets wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netspec.diagnostics import NetspecError, Report
from netspec.draw.dot import dot_text
from netspec.draw.load_phases import load_phases
from netspec.graph import Net
from tests.nets import input_text

GOLDEN = Path(__file__).parent / "golden"
MODELS = Path(__file__).parents[2] / "models"
INPUT = input_text("data", (2, 3, 8, 8)) + "\n"


class Drawn:
    """A DOT text, its boxes by the first words of their labels, and its arrows between these."""

    def __init__(self, text: str) -> None:
        self.text = text
        labels = re.findall(r"^ *(\w+) \[label=<(.*?)>(?: \w+=.*)?\]$", text, re.MULTILINE)
        self.boxes = {
            node: "|".join(re.findall(r">([^<>]+)<", f">{label}<")) for node, label in labels
        }
        self.arrows = [
            (self.name(tail), self.name(head), attributes)
            for tail, head, attributes in re.findall(r"^ *(\w+) -> (\w+)(.*)$", text, re.MULTILINE)
        ]

    def name(self, node: str) -> str:
        return self.boxes[node].split("|")[0]

    def box(self, name: str) -> str:
        return next(label for label in self.boxes.values() if label.split("|")[0] == name)

    def arrow(self, tail: str, head: str) -> str:
        return next(
            attributes for one, other, attributes in self.arrows if (one, other) == (tail, head)
        )


@pytest.fixture
def nets_of(tmp_path: Path) -> Callable[..., list[Net]]:
    def build(text: str, phase: str = "ALL") -> list[Net]:
        path = tmp_path / "net.prototxt"
        path.write_text(text, encoding="utf-8")
        return load_phases(path, phase)

    return build


@pytest.fixture
def drawn(nets_of: Callable[..., list[Net]]) -> Callable[..., Drawn]:
    def build(text: str, phase: str = "ALL", **options: object) -> Drawn:
        return Drawn(dot_text(nets_of(text, phase), **options))

    return build


@pytest.mark.parametrize(
    ("name", "options"),
    [("two_phases", {}), ("two_phases_lr", {"rankdir": "LR", "display_lrm": True})],
)
def test_golden(name, options):
    """To renew the files after a change of the drawing.

    netspec draw two_phases.prototxt two_phases.dot, and look at the picture.
    """
    text = dot_text(load_phases(GOLDEN / "two_phases.prototxt"), **options)
    assert text == (GOLDEN / f"{name}.dot").read_text(encoding="utf-8")
    assert text == dot_text(load_phases(GOLDEN / "two_phases.prototxt"), **options)


def test_alexnet():
    picture = Drawn(dot_text(load_phases(MODELS / "bvlc_alexnet" / "train_val.prototxt")))
    assert "TRAIN and TEST · 60,965,224 parameters" in picture.text
    assert picture.box("conv1") == "conv1|Convolution · 34.9 k params|96 filters 11×11 · stride 4"
    assert (
        picture.box("conv2") == "conv2|Convolution · 307 k params|256 filters 5×5 · pad 2 · group 2"
    )
    assert picture.box("norm1") == "norm1|LRN|across 5 channels · α 0.0001 · β 0.75"
    assert "96×55×55" in picture.arrow("relu1", "norm1")
    assert "256×6×6" in picture.arrow("pool5", "fc6")


def test_in_place_layers_are_a_chain_in_order(drawn):
    picture = drawn(
        INPUT
        + """layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
          convolution_param { num_output: 2 kernel_size: 1 } }
        layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
        layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }
        layer { name: "norm" type: "LRN" bottom: "conv" top: "norm" }"""
    )
    ways = [(tail, head) for tail, head, _ in picture.arrows]
    assert ways == [
        ("data", "conv"),
        ("conv", "relu"),
        ("relu", "drop"),
        ("drop", "norm"),
        ("norm", "norm"),
    ]
    assert picture.box("drop") == "drop|&#160; |Dropout · ratio 0.5"


def test_a_branch_taken_before_an_in_place_write_leaves_there(drawn):
    picture = drawn(
        INPUT
        + """layer { name: "a" type: "Convolution" bottom: "data" top: "a"
          convolution_param { num_output: 2 kernel_size: 1 } }
        layer { name: "early" type: "Pooling" bottom: "a" top: "early"
          pooling_param { kernel_size: 2 } }
        layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }
        layer { name: "late" type: "Pooling" bottom: "a" top: "late"
          pooling_param { kernel_size: 2 } }"""
    )
    ways = [(tail, head) for tail, head, _ in picture.arrows]
    assert ("a", "early") in ways
    assert ("relu", "late") in ways
    assert ("a", "late") not in ways


def test_data_layers_that_stand_in_for_each_other_share_a_box():
    picture = Drawn(dot_text(load_phases(GOLDEN / "two_phases.prototxt")))
    assert len(picture.boxes) == 8
    rows = picture.box("data").split("|")
    assert rows[:3] == ["data", "Data", "TRAIN"]
    assert rows.index("TEST") > rows.index("train_lmdb · batch 64 · crop 20")


@pytest.mark.parametrize(("phase", "tag"), [("ALL", True), ("TEST", False)])
def test_a_layer_of_one_phase_has_a_tag_where_both_are_drawn(phase, tag):
    picture = Drawn(dot_text(load_phases(GOLDEN / "two_phases.prototxt", phase)))
    assert ("TEST" in picture.box("accuracy").split("|")) == tag
    assert ("style=dashed" in picture.arrow("ip", "accuracy")) == tag
    assert ("TRAIN" in picture.text) == tag


def test_an_arrow_past_a_layer_of_one_phase_says_when_it_is_taken(drawn):
    picture = drawn(
        INPUT
        + """layer { name: "drop" type: "Dropout" bottom: "data" top: "data"
          include { phase: TRAIN } }
        layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
          inner_product_param { num_output: 2 } }"""
    )
    assert "in TEST only" in picture.arrow("data", "ip")
    assert "only" not in picture.arrow("drop", "ip")


def test_arrows_name_the_blob_where_its_name_is_not_the_layers(drawn):
    picture = drawn(
        """layer { name: "in" type: "Input" top: "data" top: "side"
          input_param { shape { dim: 4 dim: 3 } } }
        layer { name: "sum" type: "Eltwise" bottom: "data" bottom: "side" top: "sum" }"""
    )
    labels = [
        attributes.split("label=<&#160;")[1].split(">")[0] for _, _, attributes in picture.arrows
    ]
    assert labels == ["data 3", "side 3", "3"]


def test_outputs_are_shown_but_not_the_losses(drawn):
    assert drawn(INPUT + 'layer { name: "prob" type: "Softmax" bottom: "data" top: "out" }').arrows[
        -1
    ][:2] == ("prob", "out")
    loss = drawn(
        'layer { name: "in" type: "Input" top: "a" top: "b" input_param { shape { dim: 4 } } }'
    )
    assert [head for _, head, _ in loss.arrows] == ["a", "b"]


def test_names_with_special_characters(drawn):
    name = r"a<b> \"q\" & {x|y} \\N \\"
    picture = drawn(
        f'name: "{name}"\nlayer {{ name: "{name}" type: "Input" top: "{name}" '
        "input_param { shape { dim: 1 } } }"
    )
    assert picture.text.startswith('digraph "a<b> \\"q\\" & {x|y} /N /" {')
    box = next(line for line in picture.text.splitlines() if line.startswith("  n0 "))
    assert r"<B>a&lt;b&gt; &quot;q&quot; &amp; {x|y} <FONT>\</FONT>N <FONT>\</FONT></B>" in box
    assert r'tooltip="a<b> \"q\" & {x|y} \\N \\ (Input), line 2"' in box


def test_names_that_mean_something_to_graphviz_or_come_twice(drawn):
    layers = "".join(
        f'layer {{ name: "{name}" type: "ReLU" bottom: "data" top: "{top}" }}'
        for name, top in [("node", "n1"), ("n1", "edge"), ("n1", "x")]
    )
    picture = drawn(INPUT + layers)
    assert [
        label.split("|")[0] for node, label in picture.boxes.items() if node.startswith("n")
    ] == ["data", "node", "n1", "n1"]


def test_layers_without_a_name_and_endless_names(drawn):
    picture = drawn(
        'layer { type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } } '
        'layer { type: "ReLU" bottom: "data" top: "data" }'
        f'layer {{ name: "{"x" * 5000}" type: "ReLU" bottom: "data" top: "data" }}'
    )
    assert list(picture.boxes.values())[:2] == ["Input|batch 1", "ReLU"]
    assert "x" * 201 not in picture.text


def test_shared_params_count_once(drawn):
    layer = """layer {{ name: "{0}" type: "InnerProduct" bottom: "data" top: "{0}"
        param {{ name: "w" }} param {{ name: "b" }} inner_product_param {{ num_output: 2 }} }}"""
    picture = drawn(INPUT + layer.format("one") + layer.format("two"))
    assert "386 parameters" in picture.text
    assert picture.box("two") == "two|InnerProduct · params of one|2 outputs"


def test_lr_mults_only_on_request(drawn):
    net = (
        INPUT
        + """layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" param { lr_mult: 1 }
          param { lr_mult: 2.5 }
        inner_product_param { num_output: 2 } }"""
    )
    assert "lr mult 1, 2.5" in drawn(net, display_lrm=True).box("ip")
    assert "lr mult" not in drawn(net).text


def test_layers_of_one_front_name_get_a_frame(drawn):
    names = ["b/1x1", "b/relu", "b/3x3", "b/pool"]
    layers = "".join(
        f'layer {{ name: "{name}" type: "ReLU" bottom: "data" top: "{name}" }}' for name in names
    )
    picture = drawn(INPUT + layers)
    assert "<B>b</B>" in picture.text
    assert picture.box("1x1")
    assert "subgraph" not in drawn(INPUT + layers[: layers.rindex("layer")]).text


def test_a_label_that_many_read_is_plugged_in(drawn):
    data = (
        'layer { name: "in" type: "Input" top: "data" top: "label" '
        "input_param { shape { dim: 4 dim: 3 } shape { dim: 4 } } }"
    )
    reader = (
        'layer {{ name: "loss{0}" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" '
        'top: "loss{0}" }}'
    )
    two, three = (drawn(data + "".join(map(reader.format, range(n)))) for n in (2, 3))
    assert ("in", "loss0") in [
        (tail, head)
        for tail, head, attributes in two.arrows
        if "label " in attributes or "label>" in attributes
    ]
    assert [(tail, head) for tail, head, _ in three.arrows if tail == "label"] == [
        ("label", f"loss{i}") for i in range(3)
    ]
    assert ("in", "label") in [(tail, head) for tail, head, _ in three.arrows]
    # below the source, and one that the three share
    assert list(three.boxes.values()).count("label") == 2


def test_data_need_not_be_there(drawn):
    picture = drawn(
        'layer { name: "data" type: "Data" top: "data" '
        'data_param { source: "no/such_lmdb" batch_size: 8 } }'
        'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" '
        "inner_product_param { num_output: 2 } }"
    )
    assert "parameters" not in picture.text
    assert picture.box("data") == "data|Data|such_lmdb · batch 8"
    assert "label" not in picture.arrow("data", "ip")


def test_a_net_of_one_phase_only_is_drawn(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } '
        "include { phase: TRAIN } }"
        'layer { name: "relu" type: "ReLU" bottom: "data" top: "relu" }'
    )
    report = Report()
    nets = load_phases(path, report=report)
    assert [net.phase for net in nets] == ["TRAIN"]
    assert "only the TRAIN net is drawn" in report.diagnostics[-1].message
    with pytest.raises(NetspecError, match="'data'"):
        load_phases(path, "TEST")


def test_nothing_to_draw(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text('name: "empty"')
    with pytest.raises(NetspecError, match="no layers"):
        load_phases(path)


def test_the_old_format_is_upgraded(drawn):
    picture = drawn(
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4 '
        'layers { name: "r" type: RELU bottom: "data" top: "r" }'
    )
    assert [(tail, head) for tail, head, _ in picture.arrows] == [("input", "r"), ("r", "r")]


def test_a_shortcut_bends_and_not_the_way_past_it(drawn):
    picture = drawn(
        INPUT
        + """layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
          convolution_param { num_output: 3 kernel_size: 1 } }
        layer { name: "sum" type: "Eltwise" bottom: "data" bottom: "conv" top: "sum" }"""
    )
    assert "weight" in picture.arrow("conv", "sum")
    assert "weight" not in picture.arrow("data", "sum")


def test_dot_text_needs_no_graphviz():
    code = (
        "import sys, netspec.draw.dot, netspec.draw.render; sys.exit(any(name in sys.modules for "
        "name in ('graphviz', 'torch')))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False
        ).returncode
        == 0
    )


def test_caffes_colours():
    """Those of its python/caffe/draw.py; a layer in place has one of its own."""
    text = dot_text(load_phases(GOLDEN / "two_phases.prototxt"), theme="caffe")
    fills = dict(fills_of(text))
    assert fills["conv1"] == "#ff5050"
    assert fills["pool1"] == "#ff9900"
    assert fills["ip"] == "#cc33ff"
    assert fills["relu1"] == fills["drop1"] == "#90ee90"
    assert fills["data"] == fills["loss"] == "#6495ed"


def fills_of(text: str) -> list[tuple[str, str]]:
    found = re.findall(r'fillcolor="(#\w+)".* tooltip="(\w+) \(', text)
    return [(name, fill) for fill, name in found]


def test_dark_paper_and_no_shapes():
    nets = load_phases(GOLDEN / "two_phases.prototxt")
    assert 'bgcolor="#0f141b"' in dot_text(nets, theme="dark")
    assert "4×20×20" in dot_text(nets)
    assert "4×20×20" not in dot_text(nets, has_shapes=False)
    assert "label" in Drawn(dot_text(nets, has_shapes=False)).arrow("data", "loss")
