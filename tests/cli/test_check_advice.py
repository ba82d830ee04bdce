"""`netspec check` with advice: options, comments that silence rules, pages, output formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netspec.advice import RULES
from netspec.cli import main
from tests.conftest import ROOT

DATA = """layer { name: "data" type: "DummyData" top: "data" top: "label"
  dummy_data_param { shape { dim: [8, 3, 9, 9] } shape { dim: 8 } } }
"""
FC = """layer {
  name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 10 }
}
"""
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }\n'
NET = DATA + FC + LOSS
ADVICE = "net.prototxt:5:3: advice: layer 'fc' has no 'weight_filler': its weights start at 0"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def check(
    capsys: pytest.CaptureFixture[str], text: str, *arguments: str, name: str = "net.prototxt"
) -> tuple[int, str, str]:
    Path(name).write_text(text)
    status = main(["check", name, *arguments])
    return status, *capsys.readouterr()


def test_advice_is_told_and_does_not_fail(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = check(capsys, NET)
    assert (status, out) == (0, "net.prototxt: TRAIN and TEST net: 1 piece of advice\n")
    assert err.splitlines() == [
        f"{ADVICE} [no-weight-filler]",
        "  inner_product_param { num_output: 10 }",
        "  ^^^^^^^^^^^^^^^^^^^",
        '  hint: such as weight_filler { type: "xavier" } or { type: "msra" }',
    ]
    colored = check(capsys, NET, "--color", "always")[2]
    assert "\x1b[1;35madvice\x1b[0m" in colored
    assert "[no-weight-filler]" in colored


@pytest.mark.parametrize(
    ("arguments", "status", "what"),
    [
        (["--strict"], 1, "1 error"),
        (["--no-advice"], 0, "no faults"),
        (["--no-advice", "--strict"], 0, "no faults"),
        (["--select", "dead-end"], 0, "no faults"),
        (["--select", "dead-end,no-weight-filler"], 0, "1 piece of advice"),
        (["--select=dead-end", "--select=no-weight-filler"], 0, "1 piece of advice"),
        (["--ignore", "no-weight-filler"], 0, "no faults"),
        (["--ignore", "dead-end"], 0, "1 piece of advice"),
        (["--phase", "TEST"], 0, "no faults"),
    ],
)
def test_options(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, what: str
) -> None:
    assert check(capsys, NET, *arguments)[:2] == (
        status,
        f"net.prototxt: {'TEST' if '--phase' in arguments else 'TRAIN and TEST'} net: {what}\n",
    )


MARK = "# netspec: ignore[no-weight-filler]"


@pytest.mark.parametrize(
    "text",
    [
        f"{MARK}\n{NET}",
        f"# netspec: dialect ssd\n{MARK} weights come from a file\n{NET}",
        DATA + MARK + "\n" + FC + LOSS,
        DATA + FC.replace("layer {", f"layer {{  {MARK}") + LOSS,
        DATA + FC.replace("10 }", f"10 }}  {MARK}") + LOSS,
        DATA + FC.replace("  inner", f"  {MARK}\n  inner") + LOSS,
        DATA + FC.replace("10 }", "10 }  #netspec:ignore[ dead-end ,no-weight-filler]") + LOSS,
    ],
)
def test_comments_that_silence(capsys: pytest.CaptureFixture[str], text: str) -> None:
    status, out, err = check(capsys, text, "--select", "no-weight-filler", "--strict")
    assert (status, err) == (0, "")
    assert out.endswith(": no faults\n")


@pytest.mark.parametrize(
    "text",
    [
        DATA + FC + MARK + "\n" + LOSS,
        DATA + FC.replace('"fc" type', f'"fc" {MARK}\ntype') + LOSS,
        DATA + FC.replace("}\n", f"}}  {MARK}\n").replace(f"10 }}  {MARK}", "10 }") + LOSS,
        DATA + FC + LOSS + MARK,
    ],
)
def test_comments_at_another_place_silence_nothing(
    capsys: pytest.CaptureFixture[str], text: str
) -> None:
    _, out, err = check(capsys, text)
    assert out.endswith(": 1 warning, 1 piece of advice\n")
    assert "warning: 'ignore[no-weight-filler]' silences nothing" in err
    assert "  hint: leave the comment out" in err


def test_of_two_comments_the_nearest_has_the_use(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, err = check(capsys, f"{MARK}\n{DATA}{MARK}\n{FC}{LOSS}")
    assert out.endswith(": 1 warning\n")
    assert "net.prototxt:1:19: warning: 'ignore[no-weight-filler]' silences nothing" in err


def test_a_text_that_looks_like_a_comment(capsys: pytest.CaptureFixture[str]) -> None:
    for name in (f"'{MARK}'", f'"it\'s {MARK}"', f'"\\" {MARK}"'):
        out = check(capsys, f"name: {name}\n{NET}")[1]
        assert out.endswith(": 1 piece of advice\n")


def test_comments_of_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    main(["convert", "net.prototxt", "net.yaml"] if Path("net.prototxt").write_text(NET) else [])
    lines = Path("net.yaml").read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("  - name: fc"))
    for where, expected in (
        (f"{lines[at]}  {MARK}", "no faults"),
        (f"  {MARK}\n{lines[at]}", "no faults"),
        (f"  # it's\n{lines[at]}  {MARK}", "no faults"),
        (lines[at], "1 piece of advice"),
    ):
        text = "\n".join([*lines[:at], where, *lines[at + 1 :]])
        assert check(capsys, text, name="net.yaml")[1].splitlines()[-1].endswith(f": {expected}")


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("ignore[no-wieght-filler]", "there is no rule 'no-wieght-filler'"),
        ("ignore[]", "'ignore' names no rule"),
        ("ignore", "'ignore' names no rule"),
        ("ignore[dead-end]", "'ignore[dead-end]' silences nothing"),
    ],
)
def test_wrong_comments(capsys: pytest.CaptureFixture[str], comment: str, message: str) -> None:
    _, out, err = check(capsys, f"# netspec: {comment}\n{NET}")
    assert out.endswith(": 1 warning, 1 piece of advice\n")
    assert f"net.prototxt:1:{19 if '[n' in comment or '[d' in comment else 1}: warning: " in err
    assert message in err
    assert ("did you mean 'no-weight-filler'?" in err) == ("wieght" in comment)


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.reads_files])
def test_a_rule_that_looks_at_files_may_be_silenced_in_vain(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert check(capsys, f"# netspec: ignore[{name}]\n{NET}", "--ignore", "no-weight-filler") == (
        0,
        "net.prototxt: TRAIN and TEST net: no faults\n",
        "",
    )


def test_comments_for_what_was_not_looked_at_are_not_blamed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    silenced = f"{MARK}\n{NET}"
    assert check(capsys, silenced, "--phase", "TEST")[2] == ""
    assert check(capsys, silenced, "--select", "dead-end")[2] == ""
    assert check(capsys, silenced, "--no-advice")[2] == ""
    staged = FC.replace('"fc" type', '"x" type').replace("top:", 'include { stage: "x" } top:')
    kept = FC.replace("10", '10 weight_filler { type: "xavier" }')
    assert check(capsys, DATA + kept + f"{MARK}\n" + staged + LOSS)[2] == ""


def test_a_solver_and_its_net(capsys: pytest.CaptureFixture[str]) -> None:
    Path("net.prototxt").write_text(f"# netspec: ignore[dead-end]\n{NET}")
    solver = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 9\n'
    _, out, err = check(capsys, solver, name="solver.prototxt")
    # what its comments are for is told where the net is checked itself
    assert out == "solver.prototxt: solver and its net: 1 piece of advice\n"
    assert "net.prototxt:6:3: advice:" in err
    _, out, err = check(capsys, solver, "net.prototxt", name="solver.prototxt")
    assert out.splitlines() == [
        "solver.prototxt: solver: no faults",
        "net.prototxt: TRAIN and TEST net: 1 warning, 1 piece of advice",
        "2 files, 1 warning, 1 piece of advice",
    ]
    assert err.count("advice:") == 1


def test_pages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--explain"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()] == list(RULES)
    for name, rule in RULES.items():
        assert main(["check", "--explain", name]) == 0
        out = capsys.readouterr().out
        assert out.startswith(f"{name}: {rule.summary}\n\n{rule.why}\n")
        for text in (*rule.bad.values(), *rule.good.values()):
            assert all(f"  {line}\n" in out for line in text.splitlines() if line)
        assert f"# netspec: ignore[{name}]" in out
        assert max(map(len, out.splitlines())) <= 100


def test_the_page_of_docs_is_that_of_the_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--explain", "--format", "markdown"]) == 0
    page = (ROOT / "docs" / "advice.md").read_text()
    marker = "<!-- netspec check --explain --format markdown -->"
    assert page.endswith(f"{marker}\n\n{capsys.readouterr().out}"), "run `make docs`"


def test_other_formats(capsys: pytest.CaptureFixture[str]) -> None:
    (file,) = json.loads(check(capsys, NET, "--format", "json")[1])
    (fault,) = file["diagnostics"]
    assert (fault["severity"], fault["rule"]) == ("advice", "no-weight-filler")
    (run,) = json.loads(check(capsys, NET, "--format", "sarif")[1])["runs"]
    (result,), (rule,) = run["results"], run["tool"]["driver"]["rules"]
    assert (result["ruleId"], result["ruleIndex"], result["level"]) == (rule["id"], 0, "note")
    assert rule["shortDescription"]["text"] == RULES["no-weight-filler"].summary
    (strict,) = json.loads(check(capsys, NET, "--format", "sarif", "--strict")[1])["runs"]
    assert strict["results"][0]["level"] == "error"
    out = check(capsys, NET, "--format", "github")[1]
    assert out.startswith(
        "::notice file=net.prototxt,line=5,endLine=5,col=3,endColumn=22,title=no-weight-filler::"
    )


@pytest.mark.parametrize(
    "path",
    sorted([*ROOT.glob("models/*/*.prototxt"), *ROOT.glob("models/*/*.yaml")]),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_our_own_files_need_no_advice(
    capsys: pytest.CaptureFixture[str], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["check", "--format", "json", str(path)]) == 0
    (file,) = json.loads(capsys.readouterr().out)
    assert [each for each in file["diagnostics"] if each["rule"]] == []
