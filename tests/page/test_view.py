"""`netspec view`: what the server shows while the file is wrong."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from netspec.cli import main

GOOD = """layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 4 } }
"""


def answer(url: str) -> dict:
    with urllib.request.urlopen(f"{url}net.json") as reply:  # noqa: S310 - this machine's own
        return json.load(reply)


def wait_for(url: str, is_there: Callable[[dict], bool]) -> dict:
    for _ in range(100):
        found = answer(url)
        if is_there(found):
            return found
        time.sleep(0.1)
    raise AssertionError(found)


def test_a_wrong_edit_is_an_error_and_a_mended_one_a_net(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(GOOD.replace('bottom: "data"', 'bottom: "dta"'))
    command = [sys.executable, "-m", "netspec", "view", str(path), "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = re.match(r"(http://127\.0\.0\.1:\d+/) shows ", process.stdout.readline())[1]
        try:
            first = answer(url)
            assert first["net"] is None
            assert [fault["severity"] for fault in first["faults"]] == ["error"]
            with urllib.request.urlopen(url) as page:  # noqa: S310
                assert b'"name":"fc"' in page.read()  # drawn as far as it goes
            path.write_text(GOOD)
            found = wait_for(url, lambda found: found["net"] is not None)
            assert found["faults"] == []
            path.write_text("layer {")
            found = wait_for(url, lambda found: found["net"] is None)
            assert found["faults"][0]["line"] == 1
        finally:
            process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_a_file_that_does_not_exist(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(GOOD)
    assert main(["view", str(tmp_path / "nett.prototxt"), "--no-browser"]) == 1
    err = capsys.readouterr().err
    assert "does not exist" in err
