"""What differs between two nets, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from netspec.diagnostics import NetspecError, Source
from netspec.diff.compare_nets import NetChanges, compare_nets
from netspec.diff.compare_solvers import compare_solvers
from netspec.diff.net_file import read_net_file
from netspec.options import NetOptions
from netspec.syntax.read import parse_source, read_source
from tests.conftest import REFERENCE, ROOT
from tests.nets import input_text

DATA = input_text("data", (2, 3, 8, 8)) + "\n"
CONV = """layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 } }
"""
RELU = 'layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }\n'
SIZE = "pooling_param { kernel_size: 2 } "
POOL = 'layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" ' + SIZE + "}\n"
NET = DATA + CONV + RELU + POOL


def compared(old: str | Path, new: str | Path, suffix: str = ".prototxt") -> NetChanges:
    """The changes between two texts or files."""
    options = NetOptions(require_shapes=False)
    sources = [
        read_source(text) if isinstance(text, Path) else Source(name + suffix, text)
        for name, text in (("old", old), ("new", new))
    ]
    files = [read_net_file(source, parse_source(source), options) for source in sources]
    return compare_nets(files[0], files[1], options)


def told(changes: NetChanges) -> list[str]:
    """Each change of a field in a line."""
    return [
        f"{name}{each.path}: {each.old.text if each.old else None} → "
        f"{each.new.text if each.new else None} ({each.old_line}, {each.new_line})"
        for name, fields in [
            ("", changes.fields),
            *((f"{change.new.name}.", change.fields) for change in changes.changed),
        ]
        for each in fields
    ]


def test_the_same() -> None:
    assert not compared(NET, NET)
    assert not compared(NET, "# a comment\n" + NET.replace(" }", "\n}"))


def test_a_field_with_both_lines() -> None:
    changes = compared(NET, "\n" + NET.replace("num_output: 4", "num_output: 5"))
    assert told(changes) == ["conv.convolution_param.num_output: 4 → 5 (3, 4)"]
    assert not changes.added
    assert not changes.removed


def test_fields_of_the_net() -> None:
    assert told(compared('name: "a"\n' + NET, NET + "force_backward: true\n")) == [
        'name: "a" → None (1, None)',
        "force_backward: None → true (None, 6)",
    ]


def test_layers_added_and_removed() -> None:
    changes = compared(
        NET, NET.replace(RELU, "") + RELU.replace('"relu"', '"tanh"').replace("ReLU", "TanH")
    )
    assert [(layer.name, layer.line) for layer in changes.removed] == [("relu", 4)]
    assert [(layer.name, layer.type, layer.line) for layer in changes.added] == [
        ("tanh", "TanH", 5)
    ]


def test_a_renamed_layer_is_found_by_type_and_place() -> None:
    changes = compared(NET, NET.replace('name: "relu"', 'name: "relu1"'))
    assert told(changes) == ['relu1.name: "relu" → "relu1" (4, 4)']
    assert not changes.added


def test_every_layer_renamed() -> None:
    changes = compared(NET, NET.replace('name: "', 'name: "net/'))
    assert [change.new.name for change in changes.changed] == [
        "net/data",
        "net/conv",
        "net/relu",
        "net/pool",
    ]
    assert not changes.added


def test_the_order_of_layers_does_not_matter() -> None:
    other = 'layer { name: "other" type: "TanH" bottom: "data" top: "other" }\n'
    assert not compared(NET + other, DATA + other + CONV + RELU + POOL)


def test_an_in_place_write_before_or_after_a_reader_does() -> None:
    changes = compared(NET, DATA + CONV + POOL + RELU)
    assert told(changes) == [
        "pool.bottom[0]: 'conv' of layer 'relu' → 'conv' of layer 'conv' (5, 4)"
    ]
    assert not changes.added


def test_what_an_added_in_place_layer_writes_is_no_change_of_its_reader() -> None:
    changes = compared(NET, DATA + CONV + POOL)
    assert [layer.name for layer in changes.removed] == ["relu"]
    assert not changes.changed


def test_a_new_name_for_the_same_values_is_told_so() -> None:
    renamed = RELU.replace('top: "conv"', 'top: "relu"') + POOL.replace(
        'bottom: "conv"', 'bottom: "relu"'
    )
    changes = compared(NET, DATA + CONV + renamed)
    notes = {change.new.name: [each.note for each in change.fields] for change in changes.changed}
    assert notes == {"relu": [""], "pool": ["the same layer's values"]}


def test_a_stated_default_is_the_same_as_none() -> None:
    assert not compared(NET, NET.replace("kernel_size: 3", "kernel_size: 3 group: 1 axis: 1"))


def test_a_field_without_a_default_is_not() -> None:
    norm = 'layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" %s }\n'
    stated = norm % "batch_norm_param { use_global_stats: false }"
    assert told(compared(DATA + norm % "", DATA + stated)) == [
        "bn.batch_norm_param.use_global_stats: None → false (None, 2)"
    ]
    # an empty rule is met by both phases
    ruled = POOL.replace("bottom", "include { %s } bottom")
    assert told(compared(DATA + CONV + ruled % "", DATA + CONV + ruled % "phase: TRAIN")) == [
        "pool.include[0].phase: None → TRAIN (None, 4)"
    ]


def test_lists_and_blocks() -> None:
    params = CONV.replace("bottom", "param { lr_mult: 1 } %s bottom")
    assert told(compared(DATA + params % "", DATA + params % "param { lr_mult: 2 }")) == [
        "conv.param[1]: None → { lr_mult: 2 } (None, 2)"
    ]
    shaped = DATA.replace("dim: 2 ", "dim: 4 ")
    assert told(compared(DATA, shaped)) == [
        "data.input_param.shape[0].dim: [2, 3, 8, 8] → [4, 3, 8, 8] (1, 1)"
    ]


def test_layers_of_one_name_are_told_apart_by_their_rules() -> None:
    data = (
        'layer { name: "data" type: "DummyData" top: "data" include { phase: TRAIN }\n'
        "  dummy_data_param { shape { dim: 4 dim: 3 } } }\n"
    )
    test = data.replace("TRAIN", "TEST").replace("dim: 4", "dim: 2")
    assert not compared(data + test, test + data)
    assert told(compared(data + test, test.replace("dim: 2", "dim: 5") + data)) == [
        "data.dummy_data_param.shape[0].dim: [2, 3] → [5, 3] (4, 2)"
    ]


def test_prototxt_against_yaml(tmp_path: Path) -> None:
    from netspec.cli.convert import convert_text

    source = ROOT / "models/bvlc_alexnet/train_val.prototxt"
    convert_text(str(source), str(tmp_path / "net.yaml"))
    assert not compared(source, tmp_path / "net.yaml")


@pytest.mark.parametrize("name", ["v0_small", "v1_small", "v2_inputs"])
def test_old_formats_against_todays(name: str) -> None:
    old = REFERENCE / f"upgrade/{name}.prototxt"
    new = REFERENCE / f"upgrade/{name}.upgraded.prototxt"
    assert not compared(old, new)


def test_an_old_formats_fields_have_their_own_lines() -> None:
    old = (
        'layers {\n  name: "ip"\n  type: INNER_PRODUCT\n  bottom: "data"\n  top: "ip"\n'
        "  blobs_lr: 1\n  inner_product_param { num_output: 2 }\n}\n"
    )
    new = (
        'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"\n'
        "  param { lr_mult: 2 }\n  inner_product_param { num_output: 2 } }\n"
    )
    assert told(compared(old, new)) == ["ip.param[0].lr_mult: 1 → 2 (6, 2)"]


def test_what_the_schema_does_not_know_is_compared_as_text() -> None:
    field = RELU.replace("bottom", "my_param { a: %d } my_flag: true bottom")
    assert not compared(DATA + CONV + field % 1, DATA + CONV + field % 1 + "# behind\n")
    changes = compared(DATA + CONV + field % 1, DATA + CONV + field % 2)
    assert told(changes) == ["relu.my_param: { a: 1 } → { a: 2 } (4, 4)"]
    assert changes.changed[0].fields[0].note == "a field that netspec does not know"


def test_shapes_and_costs() -> None:
    changes = compared(NET, NET.replace("num_output: 4", "num_output: 8"))
    conv, relu, pool = changes.costs
    assert (conv.old_cost.param_count, conv.new_cost.param_count) == (112, 224)
    assert (conv.old_cost.macs, conv.new_cost.macs) == (2 * 36 * 108, 2 * 36 * 216)
    assert (relu.old_cost.outputs, relu.new_cost.outputs) == (((2, 4, 6, 6),), ((2, 8, 6, 6),))
    assert pool.new.name == "pool"
    (phase,) = changes.phases
    assert phase.phase == "TEST"
    assert phase.old is not None
    assert phase.old[0] == 112


def test_of_another_batch_only_the_batch_differs() -> None:
    changes = compared(NET, NET.replace("dim: 2 ", "dim: 6 "))
    assert [change.only_batch for change in changes.costs] == [True] * 4
    assert changes.phases[0].batches == (2, 6)


def test_each_phase_has_its_costs() -> None:
    train = POOL.replace("bottom", "include { phase: TRAIN } bottom")
    fed = DATA.replace("Input", "DummyData").replace("input_param", "dummy_data_param")
    twice = fed + CONV + train + POOL.replace('"pool"', '"pool2"')
    changes = compared(twice, twice.replace(SIZE, SIZE.replace("2", "3"), 1))
    assert [(change.new.name, change.phases) for change in changes.costs] == [("pool", ["TRAIN"])]


def test_unknown_shapes_are_counted() -> None:
    unknown = NET.replace('"Pooling"', '"MyLayer"')
    assert compared(unknown, unknown).phases[0].not_compared == 1


def test_a_wrong_field_is_an_error() -> None:
    with pytest.raises(NetspecError, match=r"new.prototxt:3:35: error: 'num_output' takes"):
        compared(NET, NET.replace("num_output: 4", "num_output: x"))


def test_solvers() -> None:
    old = parse_source(Source("old.prototxt", 'base_lr: 0.1\nsolver_type: ADAM\nnet: "a"'))
    new = parse_source(Source("new.yaml", "net: a\ntype: Adam\nbase_lr: 0.01\n"))
    (change,) = compare_solvers(old, new)
    assert (change.path, change.old_line, change.new_line) == ("base_lr", 1, 3)
    assert change.new is not None
    assert change.new.json == 0.01
