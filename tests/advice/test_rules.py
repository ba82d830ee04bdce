"""Each rule finds its page's bad example, and nothing is found in the good one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from netspec.advice import RULES
from netspec.advice.rule import Rule
from netspec.check_file import CheckOptions, check_file
from netspec.diagnostics import ADVICE, Diagnostic

ALL = CheckOptions(rules=tuple(RULES.values()))
EVERY = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def told(files: Mapping[str, str]) -> list[Diagnostic]:
    for name, text in files.items():
        Path(name).write_text(text)
    return check_file(next(iter(files)), ALL).diagnostics


def rules_of(files: Mapping[str, str]) -> list[str]:
    return [each.rule or each.message for each in told(files)]


def net(*layers: str) -> dict[str, str]:
    return {"net.prototxt": "\n".join(layers)}


@EVERY
def test_bad_example(rule: Rule, folder: Path) -> None:
    (found,) = told(rule.bad)
    assert (found.severity, found.rule) == (ADVICE, rule.name)
    assert found.hint is not None
    assert found.span is not None
    assert found.span.line > 0
    assert found.message[0].islower() or found.message[0] == "'"


@EVERY
def test_good_example(rule: Rule, folder: Path) -> None:
    assert told(rule.good) == []


@EVERY
def test_the_page_is_whole(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.name)
    assert not rule.summary.endswith(".")
    assert rule.net or rule.solver or rule.text
    assert rule.why.endswith(".")
    assert rule.bad != rule.good


DATA = """layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: [8, 3, 9, 9] } shape { dim: 8 } } }"""
INPUT = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: [8, 3, 9, 9] } } }"""
FC = """layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }"""
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }'


def test_no_weight_filler_passes_over_what_is_not_trained(folder: Path) -> None:
    bare = FC.replace('weight_filler { type: "xavier" }', "")
    assert rules_of(net(DATA, bare, LOSS)) == ["no-weight-filler"]
    assert rules_of(net(DATA, bare.replace("top:", "param { lr_mult: 0 } top:"), LOSS)) == []
    assert rules_of(net(INPUT, bare)) == []
    owner = FC.replace("top:", 'param { name: "w" } top:')
    user = bare.replace('"fc"', '"fc2"').replace("top:", 'param { name: "w" } top:')
    second = LOSS.replace('"fc"', '"fc2"').replace('"loss"', '"loss2"')
    assert rules_of(net(DATA, owner, user, LOSS, second)) == []


def test_batch_norm(folder: Path) -> None:
    norm = 'layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" %s }'
    scale = 'layer { name: "s" type: "Scale" bottom: "bn" top: "s" %s }'
    dense = FC.replace('bottom: "data"', 'bottom: "s"')
    stored = norm % "batch_norm_param { use_global_stats: true }"
    assert rules_of(net(DATA, stored, scale % "", dense, LOSS)) == ["global-stats"]
    assert rules_of(net(DATA, stored, scale % "param { lr_mult: 0 }", dense, LOSS)) == []


def test_dead_ends_and_unread_tops_are_those_of_nets_that_train(folder: Path) -> None:
    relu = 'layer { name: "relu" type: "ReLU" bottom: "fc" top: "relu" }'
    assert rules_of(net(DATA, FC, relu, LOSS)) == ["dead-end"]
    assert rules_of(net(INPUT, FC, relu)) == []
    silence = 'layer { name: "silence" type: "Silence" bottom: "relu" }'
    assert rules_of(net(DATA, FC, relu, silence, LOSS)) == []
    accuracy = LOSS.replace("SoftmaxWithLoss", "Accuracy").replace('"loss"', '"accuracy"')
    assert rules_of(net(DATA, FC, accuracy, LOSS)) == []
    logged = LOSS.replace('"loss"', '"logged"').replace("top:", "loss_weight: 0 top:")
    assert rules_of(net(DATA, FC, logged, LOSS)) == []


def test_pooling(folder: Path) -> None:
    data = INPUT.replace("9, 9", "%d, %d")
    pool = """layer { name: "pool" type: "Pooling" bottom: "data" top: "pool"
      pooling_param { kernel_size: 2 stride: 2 %s } }"""
    assert rules_of(net(data % (8, 8), pool % "")) == []
    assert rules_of(net(data % (8, 9), pool % "round_mode: FLOOR")) == []
    (found,) = told(net(data % (8, 9), pool % ""))
    message = found.message
    assert "its top is 4×5" in message
    assert "it would be 4×4" in message


READ = """layer { name: "data" type: "Data" top: "data" top: "label"
  data_param { source: "train_lmdb" backend: LMDB batch_size: 10 } %s }"""


def test_labels(folder: Path) -> None:
    dense = FC.replace("10", "%d")
    (found,) = told(net(READ % "", dense % 9, LOSS))
    assert found.message == (
        "'fc' has 9 outputs, for the labels 0 to 8, but record 9 ('00000009') of 'train_lmdb' "
        "has label 9"
    )
    assert found.span is not None
    assert found.span.text == "9"
    assert found.hint is not None
    assert found.hint.text == "num_output: 10, or more"
    # 64 of the 100 records are looked at: there may be more labels
    assert rules_of(net(READ % "", dense % 11, LOSS)) == []
    ignoring = LOSS.replace("top:", "loss_param { ignore_label: 9 } top:")
    assert rules_of(net(READ % "", dense % 9, ignoring)) == []


@pytest.mark.parametrize(
    ("labels", "outputs", "hint"),
    [
        ((1, 2, 3), 3, "labels count from 0"),
        ((0, 1, 2), 4, "num_output: 3"),
        ((0, 1, 2), 3, None),
        ((0, -1, 2), 3, "num_output: 3, or more"),
    ],
)
def test_labels_of_a_list(
    folder: Path, labels: tuple[int, ...], outputs: int, hint: str | None
) -> None:
    Path("list.txt").write_text("".join(f"{label}.png {label}\n" for label in labels))
    data = """layer { name: "data" type: "ImageData" top: "data" top: "label"
      image_data_param { source: "list.txt" batch_size: 3 new_height: 8 new_width: 8 } }"""
    found = told(net(data, FC.replace("10", str(outputs)), LOSS))
    assert [str(each.hint) for each in found] == ([hint] if hint else [])


def test_random_test_data_is_advised_against_in_test_alone(folder: Path) -> None:
    for settings, expected in (
        ("transform_param { mirror: true }", ["random-test-data"]),
        ("transform_param { mirror: true } include { phase: TRAIN }", []),
        ("transform_param { crop_size: 8 }", []),
        ("transform_param { crop_size: 8 } phase: TRAIN", ["random-test-data"]),
    ):
        assert rules_of(net(READ % settings, FC, LOSS)) == expected, settings


SOLVER = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 9 test_interval: 3\n'


@pytest.mark.parametrize(
    ("iterations", "batch", "part"),
    [
        (9, 10, "10 of them are left out each time"),
        (11, 10, "some of them count more than once"),
        (10, 10, ""),
        (3, 40, ""),
        (2, 40, "20 of them are left out each time"),
    ],
)
def test_size_of_the_test_set(folder: Path, iterations: int, batch: int, part: str) -> None:
    data = (READ % "").replace("batch_size: 10", f"batch_size: {batch}")
    files = {
        "solver.prototxt": SOLVER + f"test_iter: {iterations}",
        **net(data, FC, LOSS),
    }
    found = told(files)
    assert [part in each.message for each in found] == ([True] if part else [])


@pytest.mark.parametrize(
    ("state", "unknown"),
    [
        ('train_state { stage: ["wide", "wde"] }', ["wde"]),
        ('train_state { stage: "wide" } test_iter: 1 test_state { stage: "tset" }', ["tset"]),
        ('train_state { stage: "wide" } test_iter: 1 test_state { stage: "wide" }', []),
    ],
)
def test_stages(folder: Path, state: str, unknown: list[str]) -> None:
    staged = FC.replace("top:", 'exclude { not_stage: "wide" } exclude { stage: "x" } top:')
    wide = FC.replace("top:", 'include { not_stage: "wide" } top:')
    solver = SOLVER if "test_iter" in state else SOLVER.replace("test_interval: 3", "")
    found = told({"solver.prototxt": solver + state, **net(DATA, staged, wide, LOSS)})
    assert [each.span.text.strip('"') for each in found if each.rule == "unknown-stage"] == unknown


def test_stages_of_a_nets_own_state(folder: Path) -> None:
    (found,) = told(net('state { stage: "y" }', DATA, FC, LOSS))
    assert (found.rule, found.hint.text) == (
        "unknown-stage",
        "no include or exclude rule has a stage",
    )


INPUT_FIELDS = 'input: "b" input_dim: [1, 2, 3, 4]'


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (INPUT_FIELDS, ["'input'"]),
        (
            'layers { name: "a" type: RELU bottom: "b" top: "a" } '
            'layers { name: "c" type: RELU bottom: "a" top: "c" }',
            ["'input'", "'layers'"],
        ),
        (
            'layer { name: "a" type: "DummyData" top: "a" dummy_data_param '
            "{ num: 1 channels: 2 height: 3 width: 4 } }",
            ["'num'"],
        ),
    ],
)
def test_deprecated_fields(folder: Path, text: str, names: list[str]) -> None:
    found = told(net(INPUT_FIELDS if "layers" in text else "", text))
    assert [each.message.split(" ")[0] for each in found] == names


def test_unread_fields_of_each_type_are_not_those_that_it_reads(folder: Path) -> None:
    softmax = LOSS.replace("top:", "softmax_param { axis: 1 } loss_param { normalize: false } top:")
    assert rules_of(net(DATA, FC, softmax)) == ["deprecated-field"]
    segnet = softmax.replace("normalize", "weight_by_label_freqs: true normalize")
    assert "deprecated-field" not in rules_of(net(DATA, FC, segnet))
    assert rules_of(net(READ % "transform_param { crop_size: 3 }", FC, LOSS)) == []
    (found,) = told(net(DATA, FC.replace("top:", "relu_param { negative_slope: 1 } top:"), LOSS))
    assert found.hint is not None
    assert found.hint.text == "it reads 'inner_product_param'"


def test_rules_are_told_only_where_nothing_is_wrong(folder: Path) -> None:
    files = net(DATA, FC.replace('weight_filler { type: "xavier" }', "x: 1"), LOSS)
    assert [each.severity for each in told(files)] == ["error"]
