"""What the pages say is so.

Commands parse, their files exist or are made by the commands before them, snippets run, links
resolve.
"""

from __future__ import annotations

import argparse
import ast
import re
import shlex
import shutil
from pathlib import Path

import pytest

from netspec.cli import COMMANDS
from netspec.cli.parser import command_parser, spelled, unknown_word
from netspec.making.sample_digits import sample_sets
from tests.conftest import ROOT
from tests.pictures import SSD, picture, small_net, untrained_ssd

MODEL_READMES = sorted(ROOT.glob("models/*/readme.md"))
DOCS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted(ROOT.glob("docs/*.md")),
]
PAGES = [*DOCS, *MODEL_READMES]
# what a path in a readme begins with, unless the reader brings the file
OURS = ("models/", "tools/", "tests/", "examples/", "data/")


def commands(text: str) -> list[str]:
    """The command lines of a readme: what is indented and begins with a program's name."""
    return [
        match[1].split("#")[0].strip()
        for match in re.finditer(r"^    ((?:netspec|python|make|torchrun) .*)$", text, re.MULTILINE)
    ]


def named(path: Path) -> str:
    """A page's path from the root, for the tests' names."""
    return str(path.relative_to(ROOT))


ALL = [
    pytest.param(line, id=f"{named(path)}: {line}")
    for path in PAGES
    for line in commands(path.read_text())
]


def parsed(line: str) -> argparse.Namespace:
    """The arguments of a netspec command, by its own parser.

    Raises: argparse.ArgumentError, AssertionError.
    """
    words = shlex.split(line)
    _, name, *arguments = words[words.index("netspec") :]
    if name == "help":
        assert arguments[0] in COMMANDS
        return argparse.Namespace(command="help")
    parser = command_parser(name, COMMANDS[name])
    parser.exit_on_error = False
    arguments = spelled(arguments, parser)
    assert unknown_word(arguments, parser) is None
    return argparse.Namespace(command=name, **vars(parser.parse_args(arguments)))


@pytest.mark.parametrize("line", ALL)
def test_command_line_is_understood(line: str) -> None:
    program, *words = shlex.split(line)
    if "netspec" in (program, *words):
        parsed(line)
    elif program == "python":
        assert (ROOT / words[0]).is_file()
    else:
        assert program == "make"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_no_command_of_a_page_is_refused_for_what_an_earlier_one_left(page: Path) -> None:
    left: set[str] = set()
    for line in commands(page.read_text()):
        if not line.startswith("netspec train models/"):
            continue
        args = parsed(line)
        written = {args.solver_file} | {path for path in (args.log, args.caffe_log) if path}
        assert args.resume or args.overwrite or not written & left, line
        left |= written


def made_by(line: str) -> list[str]:
    """The files that a command of a readme leaves behind."""
    if line == "make train":
        return [
            path for sample in sample_sets() for path in (sample.train, sample.test, sample.mean)
        ]
    if not line.startswith("netspec"):
        return []
    args = parsed(line)
    subcommand = getattr(args, "dataset_command", "")
    if subcommand == "sample":
        return [
            path
            for sample in sample_sets(args.only)
            for path in (sample.train, sample.test, sample.mean)
        ]
    if subcommand == "import-idx":
        return [args.out, f"{args.out}/mnist_train_lmdb", f"{args.out}/mnist_test_lmdb"]
    if subcommand == "build":
        return [args.out, f"{args.out}/labels.txt"]
    if args.command == "train" and args.max_iter:
        prefix = re.search(
            r'^snapshot_prefix: "?([\w/]+)', (ROOT / args.solver_file).read_text(), re.MULTILINE
        )
        return [f"{prefix[1]}_iter_{args.max_iter}.caffemodel"] if prefix else []
    return [
        str(value)
        for name in ("out", "target", "log", "caffe_log")
        if (value := getattr(args, name, None))
    ]


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_files_of_the_commands_are_there_or_made_before(path: Path) -> None:
    made: set[str] = set()
    for line in commands(path.read_text()):
        new = made_by(line)
        words = [word.partition("=")[2] or word for word in shlex.split(line)]
        assert [
            word
            for word in words
            if word.startswith(OURS) and not (ROOT / word).exists() and word not in made | {*new}
        ] == []
        made.update(new)


@pytest.mark.parametrize("path", MODEL_READMES, ids=named)
def test_a_models_readme_makes_the_data_that_its_net_reads(path: Path) -> None:
    lines = commands(path.read_text())
    train = next(line for line in lines if line.startswith("netspec train"))
    assert any(
        line == f"netspec dataset sample --only {path.parent.name}"
        for line in lines[: lines.index(train)]
    )
    made = {file for line in lines[: lines.index(train)] for file in made_by(line)}
    net = next(path.parent.glob("train_val.*")).read_text()
    read = set(re.findall(r'(?:source|mean_file): "?([\w/.]+)', net))
    assert read
    assert read <= made


def anchors(text: str) -> set[str]:
    """The fragments by which a repository browser reaches a page's headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_links_resolve(path: Path) -> None:
    text = path.read_text()
    for link in re.findall(r"\]\(([^) ]+)\)", text) + re.findall(r'src="([^"]+)"', text):
        if link.startswith("https://"):
            continue
        file, _, fragment = link.partition("#")
        target = path.parent / file if file else path
        assert target.exists(), link
        assert not fragment or fragment in anchors(target.read_text()), link


def test_the_readme_is_short_and_links_every_page_of_docs() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    assert [path.name for path in ROOT.glob("docs/*.md") if f"(docs/{path.name})" not in text] == []


def test_make_has_the_targets_that_pages_name() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = {
        target
        for path in PAGES
        for target in re.findall(r"(?:`|^    )make ([a-z-]+)", path.read_text(), re.MULTILINE)
    }
    assert {"train", "test", "bench", "lint", "docs", "wheel"} <= targets
    assert [
        target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)
    ] == []


def test_table_of_layers_is_that_of_the_registry(capsys: pytest.CaptureFixture[str]) -> None:
    from netspec.cli import main

    assert main(["layers", "--format", "markdown"]) == 0
    page = (ROOT / "docs" / "layers.md").read_text()
    assert page.endswith(
        f"<!-- netspec layers --format markdown -->\n\n{capsys.readouterr().out}"
    ), "run `make docs`"


def snippets(page: str) -> list[str]:
    """The Python of a page, block by block."""
    return re.findall(
        r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL
    )


def run_and_compare(code: str, names: dict[str, object]) -> int:
    """Runs a block and compares each value that a line shows in its comment.

    Returns how many there were.
    """
    shown = 0
    for node in ast.parse(code).body:
        line = code.splitlines()[node.lineno - 1]
        value = None
        if isinstance(node, ast.Expr):
            value = eval(compile(ast.Expression(node.value), "snippet", "eval"), names)
        else:
            exec(compile(ast.Module([node], []), "snippet", "exec"), names)
        try:
            expected = ast.literal_eval(line.partition("# ")[2])
        except (SyntaxError, ValueError):
            continue  # a comment in words, or none
        shown += 1
        assert value == expected or tuple(value) == expected, line  # type: ignore[arg-type]
    return shown


def test_the_readmes_python_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert run_and_compare("\n".join(snippets("README.md")), {}) == 1


def test_the_python_of_nets_and_modules_shows_what_comes_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    assert [run_and_compare(code, names) for code in snippets("docs/python_api.md")[:2]] == [3, 1]


TRAINED = """
layer { name: "data" type: "DummyData" top: "data" top: "label" \
dummy_data_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" \
inner_product_param { num_output: 4 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def test_the_python_of_weights_batches_and_solvers_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On smaller nets under the same names: what it says of values is tested where these stand."""
    import netspec

    folder = tmp_path / "models" / "mnist_alexnet"
    shutil.copytree(
        ROOT / "models" / "mnist_alexnet",
        folder,
        ignore=shutil.ignore_patterns("*.caffemodel", "*.solverstate*"),
    )
    (folder / "train_val.prototxt").write_text(TRAINED)
    (folder / "solver.prototxt").write_text(
        f'net: "{folder}/train_val.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: '
        f'110 snapshot_prefix: "{folder}/mnist_alexnet"'
    )
    monkeypatch.chdir(tmp_path)
    net = netspec.loads(TRAINED)
    for name in ("bvlc_alexnet.caffemodel", "fine_tuned.safetensors"):
        netspec.save_weights(netspec.compile(net), name)
    names: dict[str, object] = {"netspec": netspec, "net": net}
    blocks = snippets("docs/python_api.md")[2:-2]
    assert len(blocks) == 5
    for code in blocks:
        run_and_compare(code, names)
    solver = names["solver"]
    assert isinstance(solver, netspec.Solver)
    assert solver.iter == 110


def test_the_python_of_pictures_and_export_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On smaller nets under the same names."""
    import netspec

    monkeypatch.chdir(tmp_path)
    small_net(tmp_path)
    shutil.copy("net.caffemodel", "alexnet.caffemodel")
    shutil.copy(SSD, "ssd.prototxt")
    untrained_ssd(tmp_path / "ssd.caffemodel")
    Path("synset_words.txt").write_text("".join(f"n{i} name\n" for i in range(6)))
    Path("labelmap.prototxt").write_text(
        "".join(f'item {{ name: "n{i}" label: {i} }}\n' for i in range(1, 11))
    )
    for name in ("cat.jpg", "street.jpg"):
        picture(tmp_path / name)
    module = netspec.compile("deploy.prototxt", weights="net.caffemodel")
    names: dict[str, object] = {"netspec": netspec, "module": module}
    blocks = snippets("docs/python_api.md")[-2:]
    assert [run_and_compare(code, names) for code in blocks] == [0, 1]
    assert capsys.readouterr().out.count("cat.jpg") == 3
