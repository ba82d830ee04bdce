"""What Caffe keeps for the whole process is as it was at the start, for each test."""

from __future__ import annotations

import pytest

from netspec.pycaffe import mode


@pytest.fixture(autouse=True)
def _process_state(monkeypatch):
    monkeypatch.setattr(mode, "_state", mode._State())
