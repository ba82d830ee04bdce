"""Shell completion: what bash itself completes with the script.

The other shells' scripts are whole.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from netspec.cli import COMMANDS, main
from netspec.cli.completion import SHELLS
from tests.conftest import ROOT

pytest.importorskip("shtab")


ASK = """
source "$1"; shift
function=$(complete -p netspec); function=${function##*-F }; function=${function%% *}
for line; do
  COMP_WORDS=($line)
  [[ $line == *" " ]] && COMP_WORDS+=("")
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  $function
  echo "${COMPREPLY[*]}"
done
"""


@pytest.fixture
def script(tmp_path: Path, capsys: pytest.CaptureFixture) -> Path:
    assert main(["completion", "bash"]) == 0
    path = tmp_path / "netspec.bash"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    return path


def completed(script: Path, *lines: str) -> list[list[str]]:
    """What bash offers behind each line, as `complete` has it registered for netspec."""
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", str(script), *lines],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.split() for line in done.stdout.splitlines()]


def test_bash_takes_the_script(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_bash_completes_commands_options_choices_and_files(script: Path) -> None:
    asked = {
        "netspec ": [*COMMANDS, "help"],
        "netspec tr": ["train"],
        "netspec dataset b": ["build"],
        "netspec help sha": ["shapes"],
        "netspec train --max": ["--max-iter"],
        "netspec draw net out.png --rankdir ": ["TB", "LR", "BT", "RL"],
        "netspec dataset build --resize": ["--resize-width", "--resize-height"],
        "netspec draw models/bvlc_alexnet/t": ["models/bvlc_alexnet/train_val.prototxt"],
        "netspec train --weights READ": ["README.md"],
        "netspec dataset build --root mod": ["models"],
        "netspec layers Pool": ["Pooling"],
        "netspec dataset sample --only mn": ["mnist_alexnet"],
    }
    assert completed(script, *asked) == list(asked.values())


@pytest.mark.parametrize("shell", SHELLS)
def test_each_script_names_every_command(
    shell: str, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)
    # fish stops at a short option of several letters, as Caffe's flags are
    assert " -s gpu" not in text
    if shutil.which(shell):
        (tmp_path / "script").write_text(text, encoding="utf-8")
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


def test_other_shells_are_refused(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        main(["completion", "nu"])
    assert "choose from 'bash', 'zsh', 'fish'" in capsys.readouterr().err
