"""Blocks of layers as one box: which are found, what stands in them, the arrows between them."""

from __future__ import annotations

from netspec.draw.blocks import find_blocks
from netspec.draw.dot import dot_text
from netspec.draw.load_phases import load_phases
from tests.draw.test_dot import Drawn
from tests.page.resnet import resnet_text

INPUT = (
    'layer { name: "data" type: "Input" top: "data" top: "label"'
    " input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 }"
    " shape { dim: 2 dim: 1 dim: 8 dim: 8 } } }\n"
)


def conv(name: str, bottom: str, outputs: int = 3) -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}"'
        f" convolution_param {{ num_output: {outputs} kernel_size: 1 }} }}\n"
    )


def block(name: str, bottom: str) -> str:
    """A block with a shortcut: its bottom is read twice."""
    return (
        conv(f"{name}/1", bottom)
        + conv(f"{name}/2", f"{name}/1")
        + f'layer {{ name: "{name}/sum" type: "Eltwise" bottom: "{bottom}" bottom: "{name}/2"'
        f' top: "{name}/sum" }}\n'
    )


def drawn(tmp_path, text: str, **options: object) -> Drawn:
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    return Drawn(dot_text(load_phases(path), **options))


def ways(picture: Drawn) -> list[tuple[str, str]]:
    return [(tail, head) for tail, head, _ in picture.arrows]


def test_blocks_by_the_names_of_published_nets() -> None:
    nets = {
        # MobileNet: the kind of layer differs before the number
        "conv1 conv2_1/dw conv2_1/dw/bn relu2_1/dw conv2_2/sep conv2_2/sep/bn relu2_2/sep": (
            "conv2_1",
            "conv2_2",
        ),
        # DenseNet
        "conv2_1/x1/bn relu2_1/x1 concat_2_1 conv2_2/x1/bn relu2_2/x1 concat_2_2": (
            "conv2_1",
            "conv2_2",
        ),
        # VGG: no parts, so that a stage is a block
        "conv1_1 relu1_1 conv1_2 pool1 conv2_1 relu2_1 pool2": ("conv1", "conv2"),
        "fire2/squeeze fire2/relu fire2/concat fire3/squeeze fire3/relu fire3/concat": (
            "fire2",
            "fire3",
        ),
        # SSD: a block that goes on later is another one
        "conv4 conv4_bn conv4_relu conv5 conv5_bn conv5_relu conv4_loc conv4_loc_perm conv4_conf": (
            "conv4",
            "conv5",
            "conv4_loc…",
        ),
        "data conv relu pool": (),
    }
    for names, found in nets.items():
        assert tuple(block.name for block in find_blocks(names.split())) == found


def test_a_block_has_its_layers_params_and_shape_and_each_blob_one_arrow(tmp_path) -> None:
    net = INPUT + block("a", "data") + block("b", "a/sum") + conv("end", "b/sum", 5)
    picture = drawn(tmp_path, net, fold="all")
    assert picture.box("a") == "a|3 layers · 24 params|3×8×8"
    assert ways(picture) == [
        ("data", "a"),
        ("data", "label"),
        ("a", "b"),
        ("b", "end"),
        ("end", "end"),
    ]
    unfolded = drawn(tmp_path, net, fold="none").text.split("\n")[1]
    assert unfolded == picture.text.split("\n")[1]  # the title with the number of params


def test_only_large_nets_fold_by_themselves(tmp_path) -> None:
    small = INPUT + block("a", "data") + block("b", "a/sum")
    assert "3 layers" not in drawn(tmp_path, small).text
    large = drawn(tmp_path, resnet_text(50))
    assert large.box("res2a") == "res2a|16 layers · 76.3 k params|256×56×56"
    assert ("res2a", "res2b") in ways(large)
    assert len(large.boxes) == 4 + 1 + 16 + 3 + 1 + 1
    assert "16 layers" not in drawn(tmp_path, resnet_text(50), fold="none").text


def test_a_block_with_several_outputs_names_them_on_its_arrows(tmp_path) -> None:
    net = INPUT + block("a", "data") + block("b", "a/sum") + conv("x", "a/1") + conv("y", "b/sum")
    picture = drawn(tmp_path, net, fold="all")
    assert "a/1 3×8×8" in picture.arrow("a", "x")
    assert "a/sum 3×8×8" in picture.arrow("a", "b")
    assert "b/sum" not in picture.arrow("b", "y")


def test_losses_in_blocks_share_the_label_and_are_no_outputs(tmp_path) -> None:
    loss = (
        'layer {{ name: "{0}/loss" type: "SoftmaxWithLoss" bottom: "{0}/2" bottom: "label"'
        ' top: "{0}/loss" }}\n'
    )
    net = INPUT
    for name in "abc":
        net += conv(f"{name}/1", "data") + conv(f"{name}/2", f"{name}/1") + loss.format(name)
    picture = drawn(tmp_path, net, fold="all")
    assert ("label", "a") in ways(picture)
    assert picture.box("a") == "a|3 layers · 24 params"


def test_what_only_one_phase_has_is_marked(tmp_path) -> None:
    test_only = " include { phase: TEST } }"
    net = INPUT + block("a", "data") + block("b", "a/sum").replace(" }\n", test_only + "\n")
    picture = drawn(tmp_path, net, fold="all")
    assert "TEST" in picture.box("b").split("|")
    assert "style=dashed" in picture.arrow("a", "b")
