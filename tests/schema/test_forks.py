"""The fields of Caffe's forks: known by their short names in texts, beside Caffe's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from netspec.diagnostics import NetspecError, Report, Source
from netspec.graph import Net
from netspec.pipeline import read_net
from netspec.schema.comments import schema_comments
from netspec.schema.forks import fork_fields, stated, stated_word
from tests.nets import net_text

POOL = 'type: "Pooling" top: "y" pooling_param {{ kernel_size: 2 {} }}'


def layer_of(text: str) -> Any:
    report = Report()
    message, _ = read_net(Source("net.prototxt", text), report)
    report.raise_errors()
    return message.layer[-1]


def test_a_forks_field_in_caffes_own_message() -> None:
    param = layer_of(net_text(POOL.format("ceil_mode: false"), x=(1, 1, 4, 4))).pooling_param
    assert stated(param, "ceil_mode") is False
    assert stated(param, "pad_type") is None
    assert param.kernel_size == 2


def test_a_forks_word_in_caffes_own_enum() -> None:
    text = net_text(
        'type: "SoftmaxWithLoss" top: "y" loss_param { normalization: PRE_FIXED }', x=(2, 3), l=(2,)
    )
    param = layer_of(text).loss_param
    assert stated_word(param, "normalization") == "PRE_FIXED"
    assert not param.HasField("normalization")


def test_a_word_that_no_fork_has_is_reported_with_caffes_words() -> None:
    text = net_text(
        'type: "SoftmaxWithLoss" top: "y" loss_param { normalization: HALF }', x=(2, 3), l=(2,)
    )
    with pytest.raises(NetspecError, match="takes one of FULL, VALID, BATCH_SIZE, NONE, got HALF"):
        layer_of(text)


def test_every_extension_extends_a_message_of_caffes_and_no_field_hides_another() -> None:
    for (owner, name), field in fork_fields().items():
        assert owner.count(".") == 1, owner
        if field.enum_type is None:  # a word's field has the short name of Caffe's own
            assert name not in field.containing_type.fields_by_name, (owner, name)
    numbers = [(owner, field.number) for (owner, _), field in fork_fields().items()]
    assert len(set(numbers)) == len(numbers)


def test_every_message_of_a_fork_says_what_it_is() -> None:
    from netspec.schema import forks_pb2

    comments = schema_comments()
    for name in forks_pb2.DESCRIPTOR.message_types_by_name:
        assert comments.get(f"forks.{name}"), name


def test_a_net_of_caffes_does_not_load_the_forks_schema() -> None:
    code = (
        'import sys, netspec; netspec.loads(\'layer { name: "d" type: "Input" top: "d"'
        " input_param { shape { dim: 1 dim: 2 } } }');"
        " assert 'netspec.schema.forks_pb2' not in sys.modules;"
        " assert 'netspec.layers.detection' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("suffix", [".prototxt", ".yaml"])
def test_the_parameters_of_a_forks_type(load_text: Callable[..., Net], suffix: str) -> None:
    text = net_text('type: "Permute" top: "y" permute_param { order: 0 order: 2 }', x=(2, 3, 4))
    if suffix == ".yaml":
        text = (
            "layer:\n"
            "- {name: x, type: Input, top: [x], input_param: {shape: [{dim: [2, 3, 4]}]}}\n"
            "- {name: l, type: Permute, bottom: [x], top: [y], permute_param: {order: [0, 2]}}\n"
        )
    assert load_text(text, suffix).blobs["y"].shape == (2, 4, 3)
