"""Layer types from outside: packages that are installed, and single files that a user names.

A plugin is a module with `SPECS`, its layer types (netspec.layers.spec.Spec), and `BUILDERS`, what
lowers them. A package names its module for each by the entry points `netspec.layers` and
`netspec.pytorch`, so that torch is imported only where it is needed; a file has both. Importing one
runs its code: installed ones are imported when a net has a word that netspec does not know, files
when they are named.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from netspec.diagnostics import NetspecError, os_reason

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

LAYERS, PYTORCH = "netspec.layers", "netspec.pytorch"  # the groups of entry points
on_load: list[Callable[[Plugin], None]] = []  # who wants to know of each that is used


class Plugin:
    """A module with layer types, and where its builders are.

    They are in the module itself, or at an entry point.
    """

    def __init__(self, origin: str, module: ModuleType, builders: EntryPoint | None = None) -> None:
        self.origin = origin  # a file, or a package with its version
        self.module, self.builders = module, builders
        # its layer types, as instances
        self.specs: list[Any] = [
            spec() if isinstance(spec, type) else spec for spec in getattr(module, "SPECS", ())
        ]
        for listen in on_load:
            listen(self)

    def find_builders(self) -> Mapping[str, Any]:
        """Its builders by layer type; imports torch. Raises: NetspecError."""
        module = self.module if self.builders is None else _imported(self.builders)
        found: Mapping[str, Any] = getattr(module, "BUILDERS", {})
        return found


_named: dict[Path, Plugin] = {}


def load_plugins(paths: Iterable[str | Path]) -> None:
    """Runs files that define layer types, each once in a process. Raises: NetspecError."""
    for path in paths:
        file = Path(path).resolve()
        if file not in _named:
            _named[file] = Plugin(str(path), _run(file, str(path)))


def plugins(installed: bool = True) -> list[Plugin]:
    """The files that were named, and the packages that are installed. Raises: NetspecError."""
    return [*_named.values(), *(_installed() if installed else ())]


@cache
def _installed() -> tuple[Plugin, ...]:
    # only a net with a word that is not known pays for it
    from importlib.metadata import entry_points

    builders = {
        (point.dist and point.dist.name, point.name): point for point in entry_points(group=PYTORCH)
    }
    found = []
    for point in entry_points(group=LAYERS):
        origin = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
        found.append(
            Plugin(
                origin, _imported(point), builders.get((point.dist and point.dist.name, point.name))
            )
        )
    return tuple(found)


def _imported(point: EntryPoint) -> ModuleType:
    try:
        module: ModuleType = point.load()
    except Exception as error:
        raise NetspecError(
            f"the plugin '{point.value}' can't be imported: {os_reason(error)}",
            None,
            "fix or uninstall it",
        ) from error
    return module


def _run(file: Path, shown: str) -> ModuleType:
    from importlib.util import module_from_spec, spec_from_file_location

    if not file.is_file():
        raise NetspecError(f"the plugin '{shown}' does not exist")
    name = f"netspec_plugin_{len(_named)}_{file.stem}"
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise NetspecError(f"the plugin '{shown}' is no Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        line = _line_in(error, str(file))
        raise NetspecError(
            f"the plugin '{shown}' fails{line}: {type(error).__name__}: {os_reason(error)}"
        ) from error
    if not getattr(module, "SPECS", None):
        raise NetspecError(
            f"the plugin '{shown}' defines no layer type",
            None,
            "SPECS lists its layer types: see docs/add_a_layer.md",
        )
    return module


def _line_in(error: BaseException, file: str) -> str:
    if isinstance(error, SyntaxError) and error.filename == file:
        return f" in line {error.lineno}"
    found, traceback = "", error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == file:
            found = f" in line {traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found
