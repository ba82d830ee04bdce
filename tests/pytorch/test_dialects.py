"""Which of a type's rules a layer follows: by itself, by its weights, by the dialect, or none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import netspec
from netspec.diagnostics import NetspecError, Report
from netspec.hint import Hint
from tests.nets import net_text

BARE = net_text('type: "BN" top: "y"', x=(2, 3, 4, 4))


def spec_name(text: str, **options: object) -> str:
    return netspec.loads(text, **options).layer("l").spec_name


def test_the_layers_own_fields_come_first() -> None:
    text = net_text('type: "BN" top: "y" bn_param { bn_mode: INFERENCE }', x=(2, 3, 4, 4))
    assert spec_name(text) == spec_name(text, dialect="pspnet") == "BN (segnet)"


def test_then_the_dialect_of_the_caller_then_of_the_file() -> None:
    assert spec_name(BARE, dialect="pspnet") == "BN (pspnet)"
    assert spec_name("# netspec: dialect segnet\n" + BARE) == "BN (segnet)"
    assert spec_name("# netspec: dialect segnet\n" + BARE, dialect="pspnet") == "BN (pspnet)"


def test_without_either_it_is_checked_and_not_computed() -> None:
    report = Report()
    net = netspec.loads(BARE, report=report)
    assert net.blobs["y"].shape == (2, 3, 4, 4)
    (warning,) = report.diagnostics
    assert (warning.severity, str(warning.hint)) == (
        "warning",
        "--dialect segnet or pspnet, or the comment '# netspec: dialect NAME' in the file",
    )
    with pytest.raises(NetspecError, match="layer type 'BN' has several rules"):
        netspec.compile(net)


@pytest.mark.parametrize(("dialect", "blobs"), [("segnet", 2), ("pspnet", 4)])
def test_the_weights_distinguish_rules(tmp_path: Path, dialect: str, blobs: int) -> None:
    path, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    path.write_text(BARE)
    module = netspec.compile(path, dialect=dialect)
    assert len(module.params["l"]) == blobs
    netspec.save_weights(module, weights)
    again = netspec.compile(path, weights=weights)
    x = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(again(x=x)["y"], module(x=x)["y"])


def test_a_dialect_that_does_not_exist() -> None:
    with pytest.raises(NetspecError, match="there is no dialect 'sdd'") as caught:
        netspec.loads(BARE, dialect="sdd")
    assert caught.value.diagnostics[0].hint == Hint("did you mean 'ssd'?", ("ssd",))
    with pytest.raises(NetspecError, match="there is no dialect 'caffe2'") as caught:
        netspec.loads("# netspec: dialect caffe2\n" + BARE)
    assert caught.value.diagnostics[0].span is not None
    assert caught.value.diagnostics[0].span.text == "caffe2"
