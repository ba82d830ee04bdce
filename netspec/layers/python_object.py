"""The object of a Python layer.

The user's class, the blobs that it works on, and a stand-in for the module caffe.

Source: pycaffe's Blob and Layer, Caffe's PythonLayer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from math import prod
from operator import index
from types import ModuleType
from typing import TYPE_CHECKING, Any

from netspec import graph
from netspec.diagnostics import Diagnostic, NetspecError, Source, Span, note
from netspec.files.paths import net_path
from netspec.hint import Hint, did_you_mean
from netspec.layers.user_modules import UserModules, caffe_at_hand, is_caffe_installed

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRAIN, TEST = 0, 1  # as in Caffe's enum Phase
_METHODS = ("setup", "reshape", "forward")  # and backward, where a gradient is asked for
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_STAND_IN_ONLY = "netspec stands in for caffe with Layer, TRAIN and TEST only"
_passed_through = ContextVar("exceptions of Python layers are passed through", default=False)


class Blob:
    """What a Python layer sees of a blob.

    Memory is made when it is first looked at, filled with zeros.
    """

    def __init__(self, shape: tuple[int, ...] | None = None) -> None:
        self._shape = shape
        self._data: NDArray[Any] | None = None  # flat; may hold more than the shape needs
        self._diff: NDArray[Any] | None = None

    @property
    def is_shaped(self) -> bool:
        return self._shape is not None

    @property
    def shape(self) -> list[int]:
        return list(self._shape or ())

    @property
    def count(self) -> int:
        return prod(self._shape or ())

    num = property(lambda self: self._axis(0))
    channels = property(lambda self: self._axis(1))
    height = property(lambda self: self._axis(2))
    width = property(lambda self: self._axis(3))

    def _axis(self, i: int) -> int:
        if len(self.shape) > 4:
            raise ValueError(
                "num, channels, height and width are for blobs of at most 4 axes, "
                f"this one has {len(self.shape)}"
            )
        return self.shape[i] if i < len(self.shape) else 1

    def reshape(self, *shape: int) -> None:
        """Sets the sizes. The values stay as far as there is room, as in Caffe."""
        sizes = tuple(index(size) for size in shape)
        if min(sizes, default=0) < 0:
            raise ValueError(f"a blob can't have a negative size, got {sizes}")
        self._shape = sizes

    @property
    def data(self) -> NDArray[Any]:
        self._data = self._room(self._data)
        return self._data[: self.count].reshape(self._shape or ())

    @property
    def diff(self) -> NDArray[Any]:
        self._diff = self._room(self._diff)
        return self._diff[: self.count].reshape(self._shape or ())

    def _room(self, flat: NDArray[Any] | None) -> NDArray[Any]:
        if flat is not None and flat.size >= self.count:
            return flat
        from numpy import float32, zeros  # a net without Python layers needs no numpy

        return zeros(self.count, float32)

    def hold(self, data: NDArray[Any]) -> None:
        """Shows an array as the blob's data, and takes its shape."""
        self._shape, self._data = data.shape, data.reshape(-1)

    def hold_diff(self, diff: NDArray[Any] | None) -> None:
        """Shows an array as the blob's diff; None makes it zeros."""
        self._diff = None if diff is None else diff.reshape(-1)


class BlobVec(list[Blob]):
    """The params of a layer."""

    def add_blob(self, *shape: int) -> None:
        blob = Blob()
        blob.reshape(*shape)
        self.append(blob)


class Layer:
    """What user code finds as caffe.Layer where no Caffe is installed."""

    type = "Python"
    param_str = ""
    phase = TEST
    blobs = BlobVec()  # each object has its own

    param_str_ = property(lambda self: self.param_str)  # its name before 2015

    def __init__(self, param: Any = None) -> None:
        self.blobs = BlobVec()


class Instance:
    """The object of a user's class with the blobs that it works on.

    Its faults become diagnostics.
    """

    def __init__(self, layer: graph.Layer, modules: UserModules | None = None) -> None:
        self.layer = layer
        self.modules = modules or UserModules(net_path(layer))
        self.bottoms = [Blob(blob.shape) for blob in layer.bottom_blobs]
        # computed in place, bottom and top are one blob
        self.tops = [
            self.bottoms[i] if name in layer.bottoms[i : i + 1] else Blob()
            for i, name in enumerate(layer.tops)
        ]
        self.object: Any = None
        self._is_taken = False

    @property
    def blobs(self) -> BlobVec:
        return self.object.blobs

    def take(self) -> Instance:
        """Itself when first asked, then another one that is set up anew.

        Two modules share no object.
        """
        if not self._is_taken:
            self._is_taken = True
            return self
        other = Instance(self.layer, self.modules)
        other.set_up()
        return other

    def set_up(self) -> None:
        """Makes the object and runs its setup and reshape. Raises: NetspecError."""
        p = self.layer.message.python_param
        user_class = self._load_class()
        with self._reporting(f"'{p.layer}' can't be made"):
            self.object = _make(user_class, self.layer.message)
        self.object.param_str = p.param_str
        self.object.phase = TRAIN if self.layer.phase == "TRAIN" else TEST
        self.call("setup", self.bottoms, self.tops)
        self.reshape()

    def reshape(self) -> None:
        """Runs its reshape. Raises: NetspecError, also where a top has no shape after it."""
        self.call("reshape", self.bottoms, self.tops)
        for i, blob in enumerate(self.tops):
            if not blob.is_shaped:
                hint = (
                    f"its reshape does it: top[{i}].reshape(*bottom[0].shape), "
                    "or with the sizes as numbers"
                )
                raise NetspecError(
                    f"{self.layer.label}: its setup and reshape give top "
                    f"'{self.layer.tops[i]}' no shape",
                    self._span("top", i),
                    hint,
                )

    def call(self, method: str, *arguments: object) -> None:
        """Runs a method of the object. Raises: NetspecError for whatever it raises."""
        if not hasattr(self.object, method) and not _passed_through.get():
            message = (
                f"{self.layer.label}: the class '{self.layer.message.python_param.layer}' has no "
                f"method '{method}'"
            )
            raise NetspecError(message, self._span("python_param", "layer"))
        with self._reporting(f"its {method} failed"):
            getattr(self.object, method)(*arguments)

    def _load_class(self) -> Any:
        p = self.layer.message.python_param
        try:
            with caffe_at_hand(_stand_in()):
                module = self.modules.load(p.module)
        except ModuleNotFoundError as error:
            if _passed_through.get():
                raise
            if error.name is None or not f"{p.module}.".startswith(f"{error.name}."):
                raise self._fault(f"'{p.module}' can't be imported", error) from error
            hint = (
                "it is looked for in the net's folder, on PYTHONPATH and in the working directory"
            )
            message = f"{self.layer.label}: there is no Python module '{p.module}'"
            raise NetspecError(message, self._span("python_param", "module"), hint) from None
        except (Exception, SystemExit) as error:
            if _passed_through.get():
                raise
            raise self._fault(f"'{p.module}' can't be imported", error) from error
        found = getattr(module, p.layer, None)
        if not isinstance(found, type):
            classes = [name for name, value in vars(module).items() if isinstance(value, type)]
            message = f"{self.layer.label}: the module '{p.module}' has no class '{p.layer}'"
            raise NetspecError(
                message, self._span("python_param", "layer"), did_you_mean(p.layer, classes)
            )
        for method in () if _passed_through.get() else _METHODS:
            if not hasattr(found, method):
                message = f"{self.layer.label}: the class '{p.layer}' has no method '{method}'"
                raise NetspecError(
                    message,
                    self._span("python_param", "layer"),
                    f"a Python layer has {', '.join(_METHODS)} and backward",
                )
        return found

    @contextmanager
    def _reporting(self, what: str) -> Iterator[None]:
        try:
            with caffe_at_hand(_stand_in()), self.modules.found():
                yield
        except NetspecError:
            raise
        except (Exception, SystemExit) as error:
            if _passed_through.get():
                raise
            raise self._fault(what, error) from error

    def _fault(self, what: str, error: BaseException) -> NetspecError:
        text = str(error).strip().split("\n")[0]
        message = f"{self.layer.label}: {what}: {type(error).__name__}{f': {text}' if text else ''}"
        hint = (
            Hint(_STAND_IN_ONLY)
            if "caffe" in text
            and not is_caffe_installed()
            and isinstance(error, (ImportError, AttributeError))
            else None
        )
        raised = raised_at(error)
        return NetspecError(
            Diagnostic("error", message, self._span("type"), hint, [raised] if raised else [])
        )

    def _span(self, *path: str | int) -> Span | None:
        return self.layer.spans.at(*path)


@contextmanager
def exceptions_passed_through() -> Iterator[None]:
    """What user code raises comes out as it is, as in pycaffe, and not as a diagnostic."""
    token = _passed_through.set(True)
    try:
        yield
    finally:
        _passed_through.reset(token)


def _make(user_class: Any, message: Any) -> Any:
    if not issubclass(user_class, Layer):
        # derived from a real caffe.Layer, whose constructor takes what only Caffe has
        user_class = type(user_class)(
            user_class.__name__, (Layer, user_class), {"__module__": user_class.__module__}
        )
    made = user_class(message)
    vars(made).setdefault("blobs", BlobVec())  # an __init__ of its own may not have called ours
    return made


@cache
def _stand_in() -> ModuleType:
    module = ModuleType("caffe", f"{_STAND_IN_ONLY}.")
    vars(module).update(Layer=Layer, TRAIN=TRAIN, TEST=TEST)
    return module


def raised_at(error: BaseException) -> Diagnostic | None:
    """A note that shows the line of the user's own code from which an exception came."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return _line_note(error.filename, error.lineno)
    from sysconfig import get_path  # only a fault needs these two
    from traceback import extract_tb

    own, installed = [], []
    for frame in extract_tb(error.__traceback__):
        if frame.filename.startswith((get_path("purelib"), get_path("platlib"))):
            installed.append(frame)
        elif not frame.filename.startswith(("<", get_path("stdlib"), _PACKAGE)):
            own.append(frame)
    last = own[-1:] or installed[:1]
    return _line_note(last[0].filename, last[0].lineno or 1) if last else None


def _line_note(path: str, number: int) -> Diagnostic | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return None
    lines = text.split("\n")
    if number > len(lines):
        return None
    line = lines[number - 1]
    start = sum(len(each) + 1 for each in lines[: number - 1]) + len(line) - len(line.lstrip())
    return note(
        f"raised here: {line.strip()}",
        Span(Source(path, text), start, start + max(1, len(line.strip()))),
    )
