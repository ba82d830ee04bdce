"""`import caffe` means netspec.pycaffe, while a script runs or a Python layer's code does."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

from netspec.layers.python_object import exceptions_passed_through

OWN = "netspec.pycaffe"


class CaffeFinder:
    """Finds caffe and its modules in netspec.pycaffe: each is one module under both names."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module of caffe that there is, None for all others."""
        own = own_name(name)
        if own is None or find_spec(own) is None:
            return None
        is_package = name in ("caffe", "caffe.proto")
        return ModuleSpec(name, self, is_package=is_package)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """None: the module is there already, or is made by its own import."""

    def exec_module(self, module: ModuleType) -> None:
        """Puts the module itself in the place of the one that was to be filled."""
        name = module.__name__
        own = own_name(name)
        assert own is not None
        self.found.add(name)
        sys.modules[name] = import_module(own)


def own_name(name: str) -> str | None:
    """What a module of caffe is called here; None for what is none."""
    first, dot, rest = name.partition(".")
    return f"{OWN}{dot}{rest}" if first == "caffe" else None


_FINDER = CaffeFinder()


def install() -> None:
    """From now on `import caffe` means netspec.pycaffe, also where a Caffe is installed."""
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


@contextmanager
def running_user_code() -> Iterator[None]:
    """While code of a Python layer runs, `import caffe` finds this; what it raises comes out as is.

    Afterwards nothing named caffe is left, unless it was there before.
    """
    with exceptions_passed_through():
        if "caffe" in sys.modules:
            yield
            return
        before = set(sys.meta_path)
        install()
        sys.modules["caffe"] = import_module(OWN)
        try:
            yield
        finally:
            if _FINDER not in before:
                sys.meta_path.remove(_FINDER)
                for name in ("caffe", *_FINDER.found):
                    sys.modules.pop(name, None)
