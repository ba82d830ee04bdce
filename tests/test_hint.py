"""A hint: its text, and the names that it suggests as data."""

from __future__ import annotations

from pathlib import Path

import pytest

import netspec
from netspec.diagnostics import NetspecError
from netspec.hint import Hint, as_hint, did_you_mean


def test_a_suggested_name_is_data() -> None:
    hint = did_you_mean("num_outputs", ["kernel_size", "num_output"])
    assert hint == Hint("did you mean 'num_output'?", ("num_output",))
    assert str(hint) == "did you mean 'num_output'?"
    assert did_you_mean("stride", ["num_output"]) is None


def test_a_text_suggests_no_names() -> None:
    assert as_hint("give it a 'type'") == Hint("give it a 'type'", ())
    assert as_hint("") is None


def hint_of_missing(path: Path) -> Hint | None:
    with pytest.raises(NetspecError) as caught:
        netspec.load(path)
    return caught.value.diagnostics[0].hint


def test_a_missing_file_suggests_a_path(tmp_path: Path) -> None:
    net = tmp_path / "nets" / "net.prototxt"
    net.parent.mkdir()
    net.touch()
    assert hint_of_missing(tmp_path / "nets/ne.prototxt") == Hint(
        f"did you mean '{net}'?", (str(net),)
    )
    assert hint_of_missing(tmp_path / "net/net.prototxt") == Hint(
        f"folder '{tmp_path}/net' does not exist; did you mean '{net.parent}'?", (str(net.parent),)
    )
