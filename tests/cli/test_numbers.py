"""Numbers as options take them.

What is none is reported in words, with status 2, by every command alike.
"""

from __future__ import annotations

import pytest

from netspec.cli import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("train s --max-iter 1e5", "argument --max-iter: must be a whole number from 1, got '1e5'"),
        (
            "train s --max-iter 3000000000",
            "argument --max-iter: must be at most 2147483647, got '3000000000'",
        ),
        ("train s --batch-size 0", "argument --batch-size: must be a whole number from 1, got '0'"),
        ("train s --workers -1", "argument --workers: must be a whole number from 0, got '-1'"),
        ("test n w --workers two", "argument --workers: must be a whole number from 0, got 'two'"),
        ("train s --keep-last -1", "argument --keep-last: must be a whole number from 1, got '-1'"),
        ("train s --base-lr nan", "argument --base-lr: must be a finite number, got 'nan'"),
        ("train s --base-lr small", "argument --base-lr: must be a finite number, got 'small'"),
        (
            "train s --level high",
            "argument --level/-level: must be a whole number that fits into 32 bits, got 'high'",
        ),
        (
            "time n --level -2147483649",
            (
                "argument --level/-level: must be a whole number that fits into 32 bits, "
                "got '-2147483649'"
            ),
        ),
        (
            "time n --iterations 1" + "0" * 5000,
            "argument --iterations/-iterations: must be at most 2147483647, got '1000",
        ),
        (
            "test n w --iterations each",
            "argument --iterations/-iterations: must be a whole number from 1, or all, got 'each'",
        ),
        (
            "test n w --iterations 9999999999",
            "argument --iterations/-iterations: must be at most 2147483647, got '9999999999'",
        ),
        ("view n --port x", "argument --port: must be from 0 to 65535, got 'x'"),
        ("serve n --port 70000", "argument --port: must be from 0 to 65535, got '70000'"),
        ("serve n --max-wait -1", "argument --max-wait: must be from 0 to 10000, got '-1'"),
        (
            "classify a --model n --resize x",
            "argument --resize/--images_dim: must be H,W, from 1 to 16384, got 'x'",
        ),
        (
            "solver schedule s --points few",
            "argument --points: must be a whole number from 1, got 'few'",
        ),
        (
            "solver schedule s --max-iter 2147483648",
            "argument --max-iter: must be at most 2147483647, got '2147483648'",
        ),
    ],
)
def test_what_is_no_number_is_reported(
    words: str, said: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
