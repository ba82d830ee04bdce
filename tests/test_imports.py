"""A module imports only from the rooms above its own, and nowhere in a circle.

The way of the data has one direction.
"""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import netspec

PACKAGE = Path(netspec.__file__).parent
# docs/architecture.md has this list
ROOMS = [
    "hint",
    "atomic",
    "diagnostics",
    "extras",
    "cores",
    "read_file",
    "plugins",
    "schema",
    "syntax",
    "text_table",
    "graph",
    "options",
    "files",
    "layers",
    "passes",
    "stores",
    "readers",
]
ROOMS += [
    "pipeline",
    "making",
    "listener",
    "signals",
    "weights",
    "solver",
    "advice",
    "check_file",
    "diff",
    "draw",
    "page",
    "exporters",
    "logs",
    "pytorch",
    "serving",
    "cli",
    "pycaffe",
]
FILES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if path.name not in ("__init__.py", "__main__.py") or path.parent != PACKAGE
)
# write_atomically raises NetspecError: these two stand side by side on top
LEVEL_TOP = {"atomic", "diagnostics"}


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "netspec" and len(parts) > 1 else None


def imported(tree: ast.Module) -> set[str]:
    """What the code imports; what only its types name does not count."""
    names = set()
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_up(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert own in ROOMS, "a new room: give it its place in ROOMS and in docs/architecture.md"
    for module in imported(ast.parse(path.read_text())):
        room = room_of(module)
        if room in ROOMS and not {room, own} <= LEVEL_TOP:
            assert ROOMS.index(room) <= ROOMS.index(own), f"{own} imports {module}"
        if own not in ("pytorch", "pycaffe"):
            assert module.split(".")[0] != "torch", f"{own} imports torch"


def test_no_modules_import_one_another() -> None:
    paths = {
        ".".join(("netspec", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(
            ".__init__"
        ): path
        for path in PACKAGE.rglob("*.py")
    }
    graph = {}
    for module, path in paths.items():
        # of `from netspec.layers import find_spec`, find_spec is no module, but netspec.layers is
        # one
        found = {
            name if name in paths else name.rpartition(".")[0]
            for name in imported(ast.parse(path.read_text()))
        }
        graph[module] = found & paths.keys() - {module}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules that import one another: {' ← '.join(error.args[1])}")
