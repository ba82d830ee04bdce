"""The package's own classes and functions as text for a file without the package.

What a definition refers to comes along: functions, classes and constants before it, imports of
torch, numpy and the standard library at the file's head. Numbers of a protobuf enum become a small
class of constants, NetspecError a ValueError.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from typing import Any

from netspec.diagnostics import NetspecError

_ERROR = '''class NetspecError(ValueError):
    """An input that a layer can't take."""

    def __init__(self, message: str, *place_and_hint: object) -> None:
        super().__init__(message)
'''
_REPLACED = {"LayerModule": "nn.Module", "Span": "str"}
# only for those who print a module, or load a weight file of Caffe's into it
_METHODS_LEFT_OUT = ("extra_repr", "from_file", "blobs")
_FOREIGN = ("torch", "numpy", *sys.stdlib_module_names)


@dataclass(slots=True)
class _Source:
    """A module of the package: its text and the statements that bind its global names."""

    name: str
    lines: list[str]
    bindings: dict[str, ast.stmt] = field(default_factory=dict)


@cache
def _source(module: str) -> _Source:
    loaded = importlib.import_module(module)
    assert loaded.__file__ is not None
    with open(loaded.__file__, encoding="utf-8") as file:
        text = file.read()
    source = _Source(module, text.splitlines())
    for statement in ast.parse(text).body:
        for name in _bound(statement):
            source.bindings[name] = statement
    return source


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The global names that a statement binds."""
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        for alias in statement.names:
            yield alias.asname or alias.name.partition(".")[0]
    elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        yield statement.target.id
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            yield from (node.id for node in ast.walk(target) if isinstance(node, ast.Name))


class Definitions:
    """What a file defines and imports, in the order that it needs.

    Args: taken: names that the file has for itself.
    """

    def __init__(self, taken: set[str]) -> None:
        self.texts: list[str] = []
        self._taken = set(taken)
        self.imports: set[str] = set()
        self._names: dict[tuple[str, str], str] = {}  # (module, name) → its name in the file
        self._enums: dict[str, dict[str, int]] = {}  # message → its numbers that are read
        self._raises = False
        self.objects: dict[int, str] = {}  # of objects that have a name where they are used, by id

    def add(self, defined: Any) -> str:
        """Adds a class or a function of the package; returns its name in the file.

        Raises: NetspecError where it needs more of the package than text can hold.
        """
        return self._add(defined.__module__, defined.__qualname__)

    def has(self, name: str) -> bool:
        """Whether the file defines a name."""
        return name in self._taken

    def use(self, statement: str) -> None:
        """Adds an import statement."""
        self.imports.add(statement)

    @property
    def numbers(self) -> list[str]:
        """The classes of constants that stand for protobuf's enums, and the error class."""
        found = [
            f"class {name}:  # numbers of caffe.proto\n"
            + "".join(
                f"    {key} = {value}\n" for key, value in sorted(values.items(), key=itemgetter(1))
            )
            for name, values in sorted(self._enums.items())
        ]
        return found + [_ERROR] * self._raises

    def _add(self, module: str, name: str) -> str:
        if (module, name) in self._names:
            return self._names[module, name]
        source = _source(module)
        if name not in source.bindings:
            raise NetspecError(f"'{name}' of {module} can't be written to a file")
        statement = source.bindings[name]
        if isinstance(statement, ast.ImportFrom):  # a name that the module only passes on
            original = next(a.name for a in statement.names if (a.asname or a.name) == name)
            return self._add(statement.module or "", original)
        new = self._names[module, name] = self._free(name, module)
        self.texts.append(self._text(source, statement, name, new))
        return new

    def _free(self, name: str, module: str) -> str:
        """A name that the file does not have yet; a second one has its module's name appended."""
        new, count = name, 1
        while new in self._taken:
            new = f"{name}_{module.rpartition('.')[2]}" + (str(count) if count > 1 else "")
            count += 1
        self._taken.add(new)
        return new

    def _text(self, source: _Source, statement: ast.stmt, name: str, new: str) -> str:
        """The text of a definition with its references as the file names them."""
        # line, from column, to column, what stands there, what shall
        edits: list[tuple[int, int, int, str, str]] = []
        if new != name and isinstance(statement, ast.Assign | ast.AnnAssign):
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            edits.append((target.lineno, target.col_offset, target.end_col_offset or 0, name, new))
        local = _local_names(statement)
        left_out = _left_out(statement)
        for node in ast.walk(statement):
            line = getattr(node, "lineno", 0)
            if any(line in lines for lines in left_out):
                continue
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                text = self._reference(source, node.id) if node.id not in local else node.id
                if text != node.id:
                    edits.append((line, node.col_offset, node.end_col_offset or 0, node.id, text))
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                self._add_number(source, node.value.id, node.attr)
        first = min(
            [statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))]
        )
        while source.lines[first - 2].startswith("#"):
            first -= 1
        lines = dict(enumerate(source.lines[first - 1 : statement.end_lineno], first))
        for line, start, end, what, text in sorted(edits, reverse=True):
            # columns are bytes of UTF-8
            raw = lines[line].encode()
            if raw[start:end].decode() != what:  # Python 3.11 places names in f-strings wrongly
                raise NetspecError(f"'{name}' of {source.name} can't be written to a file")
            lines[line] = (raw[:start] + text.encode() + raw[end:]).decode()
        if new != name and isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            lines[statement.lineno] = lines[statement.lineno].replace(name, new, 1)
        kept = [text for number, text in lines.items() if not any(number in r for r in left_out)]
        text = "\n".join(kept)
        return _without_doubled_blank_lines(text).rstrip() + "\n"

    def _reference(self, source: _Source, name: str) -> str:
        """What a global name is called in the file, once what it names is there."""
        if name in _REPLACED:
            if name == "LayerModule":
                self.use("from torch import nn")
            return _REPLACED[name]
        if name == "NetspecError":
            self._raises = True
            return name
        statement = source.bindings.get(name)
        if statement is None:  # a builtin, or a name that only types need
            return name
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            return self._imported(statement, name)
        return self._add(source.name, name)

    def _imported(self, statement: ast.Import | ast.ImportFrom, name: str) -> str:
        alias = next(a for a in statement.names if (a.asname or a.name.partition(".")[0]) == name)
        renamed = f" as {alias.asname}" if alias.asname else ""
        if isinstance(statement, ast.Import):
            self.use(f"import {alias.name}{renamed}")
            return name
        module = statement.module or ""
        if module.partition(".")[0] in _FOREIGN:
            self.use(f"from {module} import {alias.name}{renamed}")
            return name
        if module.endswith("_pb2"):
            self._taken.add(alias.name)
            return alias.name
        return self._add(module, alias.name)

    def _add_number(self, source: _Source, message: str, name: str) -> None:
        """Notes a number of an enum, where `message.name` is one."""
        statement = source.bindings.get(message)
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").endswith("_pb2"):
            schema = importlib.import_module(statement.module or "")
            number = getattr(getattr(schema, message), name)
            self._enums.setdefault(message, {})[name] = int(number)


def _local_names(statement: ast.stmt) -> set[str]:
    """Names that a function binds for itself, or a class body."""
    if not isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return set()
    bound = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and not _is_read(n)}
    return bound | {n.arg for n in ast.walk(statement) if isinstance(n, ast.arg)}


def _is_read(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Load)


def _left_out(statement: ast.stmt) -> list[range]:
    """The lines of the methods that a file does without."""
    if not isinstance(statement, ast.ClassDef):
        return []
    return [
        range(part.lineno, (part.end_lineno or 0) + 1)
        for part in statement.body
        if isinstance(part, ast.FunctionDef) and part.name in _METHODS_LEFT_OUT
    ]


def _without_doubled_blank_lines(text: str) -> str:
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text
