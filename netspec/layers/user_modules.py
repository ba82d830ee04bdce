"""The Python modules of a net's own code.

Found in its folder, and kept apart from those of other nets with the same names.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module, invalidate_caches
from importlib.machinery import PathFinder
from types import ModuleType

# What was imported from the folders beside nets, by these folders: nets of one folder share it.
_OWN: dict[tuple[str, ...], dict[str, ModuleType]] = {}


class UserModules:
    """Where the code of a net's Python layers is looked for.

    It is looked for in the net's folder first, as Python looks beside a script, and in the working
    directory last.
    """

    def __init__(self, path: str) -> None:
        """path: the net's file, or "" where it has none."""
        net_folder = os.path.dirname(os.path.abspath(path)) if path else ""
        self.first = [net_folder] if net_folder else []
        self.last = [folder for folder in [os.getcwd()] if folder != net_folder]
        self._tops: set[str] = set()  # the modules of the net's folder
        self._own = _OWN.setdefault((*self.first, *self.last), {})

    def load(self, name: str) -> ModuleType:
        """Imports a module. Raises: whatever importing it raises."""
        from pkgutil import iter_modules

        invalidate_caches()  # it may have been written a moment ago
        self._tops = {module.name for module in iter_modules(self.first)} - sys.stdlib_module_names
        with self.found():
            return import_module(name)

    def has(self, name: str) -> bool:
        """Whether a module of that name is there to import. Runs no code, unlike importing it."""
        if name in sys.modules:
            return True
        invalidate_caches()
        folders: list[str] = [*self.first, *sys.path, *self.last]
        parts = name.split(".")
        for i in range(len(parts)):
            found = PathFinder.find_spec(".".join(parts[: i + 1]), folders)
            if found is None:
                return False
            folders = list(found.submodule_search_locations or ())
        return True

    @contextmanager
    def found(self) -> Iterator[None]:
        """While code runs that was loaded here, it can import more.

        Afterwards sys.path and sys.modules are as they were.
        """
        before = dict(sys.modules)
        usual = set(map(os.path.abspath, sys.path))
        last = [folder for folder in self.last if folder not in usual]
        # of the same names
        others = {
            top for top in self._tops & before.keys() if _folder_of(before[top]) not in self.first
        }
        hidden = {name for name in before if name.partition(".")[0] in others} if others else set()
        for name in hidden:
            del sys.modules[name]
        sys.modules.update(self._own)
        sys.path[:] = [*self.first, *sys.path, *last]
        try:
            yield
        finally:
            for folder in (*self.first, *last):
                if folder in sys.path:
                    sys.path.remove(folder)
            self._put_away(
                before, hidden, {folder for folder in (*self.first, *last) if folder not in usual}
            )

    def _put_away(self, before: dict[str, ModuleType], hidden: set[str], beside: set[str]) -> None:
        """Keeps what was imported from the folders beside for the next time.

        The program finds its own modules again.
        """
        now = dict(sys.modules)
        for name, module in now.items():
            top = name.partition(".")[0]
            if before.get(name) is not module and (
                name in hidden or _folder_of(now.get(top)) in beside
            ):
                self._own[name] = module
        for name in hidden | self._own.keys():
            if name in before:
                sys.modules[name] = before[name]
            else:
                sys.modules.pop(name, None)


def _folder_of(module: ModuleType | None) -> str | None:
    """The folder of sys.path in which a module that is no part of a package was found."""
    spec = getattr(module, "__spec__", None)
    if spec is None:
        return None
    places = list(spec.submodule_search_locations or ()) or [spec.origin or ""]
    return os.path.dirname(os.path.abspath(places[0]))


@contextmanager
def caffe_at_hand(stand_in: ModuleType) -> Iterator[None]:
    """While user code is imported or runs, `import caffe` finds the stand-in without a Caffe."""
    if "caffe" in sys.modules or is_caffe_installed():
        yield
        return
    sys.modules["caffe"] = stand_in
    try:
        yield
    finally:
        sys.modules.pop("caffe", None)


@cache
def is_caffe_installed() -> bool:
    """Whether Python finds a package of that name."""
    from importlib.util import find_spec

    found = find_spec("caffe")
    # a mere folder of that name is no package
    return found is not None and found.origin is not None
