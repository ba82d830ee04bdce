"""What tests share: the reference folder, and a way to write a net and load it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec.diagnostics import Report
from netspec.graph import Net

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "tests" / "reference"


@pytest.fixture
def reference() -> Path:
    return REFERENCE


@pytest.fixture
def load_text(tmp_path: Path) -> Callable[..., Net]:
    """Loads a net from its text."""

    def load(text: str, suffix: str = ".prototxt", **options: object) -> Net:
        path = tmp_path / f"net{suffix}"
        path.write_text(text)
        return netspec.load(path, **options)

    return load


@pytest.fixture
def load_warned(tmp_path: Path) -> Callable[..., Net]:
    """Loads a net from its text and holds its warnings against parts of them, in their order."""

    def load(text: str, *warnings: str, **options: Any) -> Net:
        path, report = tmp_path / "net.prototxt", Report()
        path.write_text(text)
        net = netspec.load(path, report=report, **options)
        messages = [diagnostic.message for diagnostic in report.diagnostics]
        assert len(messages) == len(warnings), messages
        for part, message in zip(warnings, messages, strict=True):
            assert part in message
        return net

    return load
