"""What tests share: the reference folder, and a way to write a net and load it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import netspec
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
