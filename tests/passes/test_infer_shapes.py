"""Shapes: given inputs, unknown sizes, shared params, bounds, and faults.

A fault shows both shapes and where each came from.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from netspec.diagnostics import NetspecError, Report
from netspec.graph import Net
from tests.nets import input_text
from tests.passes.test_build_graph import layer

IMAGE = input_text("data", (2, 3, 8, 8)) + "\n"
DATA = """layer {
  name: "db" type: "Data" top: "data" top: "label"
  data_param { source: "no_such_database" batch_size: 4 }
  transform_param { mirror: true }
}
"""
DENSE = "inner_product_param { num_output: 5 }"


def faults(load: Callable[..., Net], text: str, **options: object) -> list[str]:
    """Each fault as it is rendered, without the folder's name."""
    with pytest.raises(NetspecError) as caught:
        load(text, **options)
    return [_short(d.render()) for d in caught.value.diagnostics]


def _short(rendered: str) -> str:
    lines = []
    for line in rendered.splitlines():
        head, found, rest = line.partition("net.prototxt:")
        lines.append(found + rest if found and head.startswith("/") else line)
    return "\n".join(lines)


def test_shapes_and_params(load_text: Callable[..., Net]) -> None:
    text = IMAGE + layer(
        "c", "Convolution", "data", "c", "convolution_param { num_output: 6 kernel_size: 3 }"
    )
    net = load_text(
        text + layer("r", "ReLU", "c", "c") + layer("f", "InnerProduct", "c", "f", DENSE)
    )
    assert {name: blob.shape for name, blob in net.blobs.items()} == {
        "data": (2, 3, 8, 8),
        "c": (2, 6, 6, 6),
        "f": (2, 5),
    }
    assert [[param.shape for param in made.params] for made in net.layers] == [
        [],
        [(6, 3, 3, 3), (6,)],
        [],
        [(5, 216), (5,)],
    ]


def test_given_inputs_stand_in(load_text: Callable[..., Net]) -> None:
    text = IMAGE + layer("f", "InnerProduct", "data", "f", DENSE)
    net = load_text(text, inputs={"data": (7, 2)})
    assert (net.blobs["data"].shape, net.blobs["f"].shape) == ((7, 2), (7, 5))
    assert load_text(text, inputs={"data": [1, 2]}).blobs["data"].shape == (1, 2)
    net = load_text('layer { name: "i" type: "Input" top: "data" }\n', inputs={"data": (3,)})
    assert net.blobs["data"].shape == (3,)


def test_given_inputs_stand_in_for_a_database(load_text: Callable[..., Net]) -> None:
    net = load_text(DATA + layer("s", "Silence", "label", ""), inputs={"data": (4, 3, 9, 9)})
    assert {name: blob.shape for name, blob in net.blobs.items()} == {
        "data": (4, 3, 9, 9),
        "label": (4,),
    }


def test_wrong_inputs(load_text: Callable[..., Net]) -> None:
    near = "\n  hint: did you mean 'data'?"
    assert faults(load_text, IMAGE, inputs={"dta": (1,)}) == [
        f"net.prototxt: error: the net '' has no input 'dta'; it has data{near}"
    ]
    assert faults(load_text, IMAGE, inputs={"data": (1, -2)}) == [
        "net.prototxt: error: the shape given for 'data' has a negative dimension: 1×-2"
    ]


def test_a_database_of_unknown_size(load_text: Callable[..., Net], tmp_path: Path) -> None:
    text = (
        DATA + layer("s", "Silence", "label", "") + layer("f", "InnerProduct", "data", "f", DENSE)
    )
    (fault,) = faults(load_text, text)
    assert fault.startswith(
        "net.prototxt:3:24: error: layer 'db': the size of its data is unknown: "
        "the database 'no_such_database' does not exist\n"
    )
    assert (
        "to see shapes without it, give the sizes of its records, such as --input data=4,3,227,227"
        in fault
    )
    report = Report()
    net = load_text(text, require_shapes=False, report=report)
    assert [(d.severity, d.span.line) for d in report.diagnostics if d.span] == [("warning", 3)]
    assert {name: blob.shape for name, blob in net.blobs.items()} == {
        "data": None,
        "label": None,
        "f": None,
    }
    assert net.layer("f").params == []


def test_lenient_errors_are_still_errors(load_text: Callable[..., Net]) -> None:
    text = (
        DATA
        + layer("s", "Silence", "label", "")
        + layer("f", "InnerProduct", "dta", "f", DENSE)
        + layer("p", "LRN", "data", "p", "lrn_param { local_size: 2 }")
    )
    assert [
        fault.split(": ")[2].split("\n")[0]
        for fault in faults(load_text, text, require_shapes=False)
    ] == [
        "layer 'db'",
        "layer 'f' reads blob 'dta', which no earlier layer makes",
        "layer 'p'",
    ]


def test_a_damaged_file_is_one_of_the_faults(load_text: Callable[..., Net], tmp_path: Path) -> None:
    """A mean file or database that can't be read does not hide what else is wrong."""
    (tmp_path / "mean.binaryproto").write_bytes(b"\xff\xff not a blob")
    text = (
        DATA.replace("mirror: true", f'mean_file: "{tmp_path}/mean.binaryproto"')
        + layer("r", "ReLU", "nowhere", "r")
        + layer("s", "Silence", "data label", "")
    )
    found = faults(load_text, text)
    assert len(found) == 2
    assert "mean.binaryproto" in found[0]
    assert "reads blob 'nowhere'" in found[1]


def test_an_unread_top_of_a_data_layer(load_text: Callable[..., Net]) -> None:
    report = Report()
    load_text(DATA, inputs={"data": (4, 3, 9, 9), "label": (4,)}, report=report)
    first, second = (_short(d.render()).split("\n") for d in report.in_order())
    assert (
        first[0] == "net.prototxt:2:32: warning: no layer reads blob 'data', which layer 'db' makes"
    )
    assert (
        second[0]
        == "net.prototxt:2:44: warning: no layer reads blob 'label', which layer 'db' makes"
    )
    assert (
        second[3] == "  hint: a layer of type Silence with bottom 'label' says that this is meant"
    )


def test_an_unread_top_that_a_broken_layer_names(load_text: Callable[..., Net]) -> None:
    text = DATA + 'layer { name: "a" type: "Accuracy" bottom: "data" botom: "label" top: "a" }'
    (fault,) = faults(load_text, text, inputs={"data": (4, 3)})
    assert "'layer' has no field 'botom'" in fault


def test_a_shape_fault_names_both_shapes_and_their_origin(load_text: Callable[..., Net]) -> None:
    text = (
        IMAGE
        + layer("p", "Pooling", "data", "p", "pooling_param { kernel_size: 2 stride: 2 }")
        + layer("e", "Eltwise", "data p", "e")
    )
    (fault,) = faults(load_text, text)
    assert fault == (
        "net.prototxt:3:58: error: layer 'e': 'data' (2×3×8×8) and 'p' (2×3×4×4) "
        "must agree in every axis\n"
        '  layer { name: "e" type: "Eltwise" bottom: "data" bottom: "p" top: "e"  }\n'
        "  " + " " * 57 + "^^^\n"
        "net.prototxt:1:41: note: 'data' is 2×3×8×8 (N×C×H×W) and made here\n"
        "net.prototxt:2:55: note: 'p' is 2×3×4×4 (N×C×H×W) and made here"
    )


def test_a_shape_fault_points_to_the_field(load_text: Callable[..., Net]) -> None:
    window = "convolution_param {\n  num_output: 6\n  pad: 0\n  kernel_size: 9\n}"
    (fault,) = faults(load_text, IMAGE + layer("c", "Convolution", "data", "c", window))
    assert fault.startswith(
        "net.prototxt:5:16: error: layer 'c': a window of 9 does not fit into a height of 8"
    )


BOUNDS = {
    "blob": (
        (
            'layer { name: "i" type: "Input" top: "data" '
            "input_param { shape { dim: 65536 dim: 65536 } } }"
        ),
        (
            "net.prototxt:1:38: error: layer 'i': blob 'data' (65536×65536) "
            "would have 4294967296 values, more than 2147483647"
        ),
    ),
    "axes": (
        (
            'layer { name: "i" type: "Input" top: "data" '
            f"input_param {{ shape {{ dim: [{', '.join(['1'] * 33)}] }} }} }}"
        ),
        (
            "net.prototxt:1:38: error: layer 'i': blob 'data' (1×1×1×1×1×1×1×1×…) "
            "would have 33 axes, more than 32"
        ),
    ),
    "param": (
        IMAGE
        + layer("f", "InnerProduct", "data", "f", "inner_product_param { num_output: 2147483647 }"),
        (
            "net.prototxt:2:25: error: layer 'f': param 0 would hold 2147483647×192 values, "
            "more than 2147483647"
        ),
    ),
}


@pytest.mark.parametrize(("text", "expected"), BOUNDS.values(), ids=BOUNDS)
def test_bounds(load_text: Callable[..., Net], text: str, expected: str) -> None:
    (fault,) = faults(load_text, text)
    assert fault.split("\n")[0] == expected


def test_a_blob_of_nothing_is_allowed(load_text: Callable[..., Net]) -> None:
    net = load_text(
        IMAGE.replace("dim: 2", "dim: 0") + layer("f", "InnerProduct", "data", "f", DENSE)
    )
    assert net.blobs["f"].shape == (0, 5)


def shared(first: str, second: str, rest: str = "") -> str:
    """Two dense layers over the same blob, with these params."""
    return (
        IMAGE
        + layer("a", "InnerProduct", "data", "a", f"{first} {DENSE}")
        + layer("b", "InnerProduct", "data", "b", f"{second} {rest or DENSE}")
    )


def test_shared_params_have_an_owner(load_text: Callable[..., Net]) -> None:
    net = load_text(
        shared(
            'param { name: "w" lr_mult: 3 } param { name: "b" }',
            'param { name: "w" } param { name: "b" decay_mult: 0 }',
        )
    )
    a, b = net.layer("a"), net.layer("b")
    assert [param.owner for param in a.params] == [None, None]
    assert [param.owner for param in b.params] == [("a", 0), ("a", 1)]
    # what any of them gives, counts
    assert (b.params[0].lr_mult, b.params[1].decay_mult, a.params[1].decay_mult) == (3, 0, 0)


def test_params_without_a_name_are_not_shared(load_text: Callable[..., Net]) -> None:
    net = load_text(shared("param { lr_mult: 1 }", 'param { name: "" }'))
    assert [param.owner for param in net.layer("b").params] == [None, None]


def test_params_are_shared_within_a_layer(load_text: Callable[..., Net]) -> None:
    text = IMAGE + layer(
        "a",
        "Scale",
        "data",
        "a",
        'param { name: "x" } param { name: "x" } scale_param { bias_term: true }',
    )
    assert [param.owner for param in load_text(text).layer("a").params] == [None, ("a", 0)]


SHARING = {
    "another shape": (
        shared(
            'param { name: "w" }', 'param { name: "w" }', "inner_product_param { num_output: 6 }"
        ),
        [
            "layer 'b' shares param 'w' with another shape, 6×192",
            "it is 5×192 in layer 'a', which owns it",
        ],
    ),
    "another shape of as many values": (
        shared(
            'param { name: "w" }',
            'param { name: "w" }',
            "inner_product_param { num_output: 5 transpose: true }",
        ),
        [
            "layer 'b' shares param 'w' with another shape, 192×5",
            "with 'share_mode: PERMISSIVE' only the number of values must agree",
            "it is 5×192 in layer 'a', which owns it",
        ],
    ),
    "permissive with another number": (
        shared(
            'param { name: "w" }',
            'param { name: "w" share_mode: PERMISSIVE }',
            "inner_product_param { num_output: 6 }",
        ),
        [
            "layer 'b' shares param 'w' as 6×192: 1152 values, not 960",
            "it is 5×192 in layer 'a', which owns it",
        ],
    ),
    "another lr_mult": (
        shared('param { name: "w" lr_mult: 1 }', 'param { name: "w" lr_mult: 2 }'),
        ["layer 'b': 'lr_mult' of the shared param 'w' is 2 here, but 1 above"],
    ),
    "another decay_mult": (
        shared('param { name: "w" decay_mult: 0 }', 'param { name: "w" decay_mult: 1 }'),
        ["layer 'b': 'decay_mult' of the shared param 'w' is 1 here, but 0 above"],
    ),
    "more params than there are": (
        shared("param { } param { } param { lr_mult: 1 }", ""),
        [
            "layer 'a' has 2 params, but 3 'param' entries",
            "each entry sets lr_mult, decay_mult and name of one param, in order",
        ],
    ),
}


@pytest.mark.parametrize(("text", "expected"), SHARING.values(), ids=SHARING)
def test_sharing_faults(load_text: Callable[..., Net], text: str, expected: list[str]) -> None:
    with pytest.raises(NetspecError) as caught:
        load_text(text)
    (fault,) = caught.value.diagnostics
    assert [
        fault.message,
        *([str(fault.hint)] if fault.hint else []),
        *(note.message for note in fault.notes),
    ] == expected


def test_permissive_sharing(load_text: Callable[..., Net]) -> None:
    text = shared(
        'param { name: "w" }',
        'param { name: "w" share_mode: PERMISSIVE }',
        "inner_product_param { num_output: 5 transpose: true }",
    )
    assert load_text(text).layer("b").params[0].owner == ("a", 0)


def test_the_third_user_of_a_param_is_held_against_the_second(
    load_text: Callable[..., Net],
) -> None:
    text = shared('param { name: "w" }', 'param { name: "w" lr_mult: 2 }')
    text += layer("c", "InnerProduct", "data", "c", f'param {{ name: "w" lr_mult: 3 }} {DENSE}')
    (fault,) = faults(load_text, text)
    assert "layer 'c': 'lr_mult' of the shared param 'w' is 3 here, but 2 above" in fault
