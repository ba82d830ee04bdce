"""The arrays of a .npy file that NumPy wrote with pickle, read as data.

Nothing that the file names is ever called.

A pickle is a program for a small stack machine. This one knows the instructions that a dict of
lists of arrays needs, and six names, which it takes as labels of data. Whatever else a file asks
for is refused by name.
"""

from __future__ import annotations

import io
import pickletools
import re
import warnings
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from netspec.diagnostics import NetspecError


class Refused(Exception):
    """What the pickle holds that no file of arrays needs, or that does not fit together."""


class _Global:
    """A name that the pickle refers to, as a label."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class _Built:
    """What the pickle makes by a call: an array or a dtype, whose state may come later (BUILD)."""

    __slots__ = ("kind", "value")

    def __init__(self, kind: str, value: Any) -> None:
        self.kind = kind
        self.value = value


_MARK = object()
_KNOWN = {
    "numpy.core.multiarray._reconstruct": "array",
    "numpy._core.multiarray._reconstruct": "array",
    "numpy.core.multiarray.scalar": "scalar",
    "numpy._core.multiarray.scalar": "scalar",
    "numpy.ndarray": "ndarray",
    "numpy.dtype": "dtype",
    "_codecs.encode": "encode",  # how Python 3 writes bytes in protocol 2
}
_DTYPE = re.compile(r"[fiu][1248]|b1|O[48]?")
_PLAIN = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {
    "BININT",
    "BININT1",
    "BININT2",
    "LONG1",
    "LONG4",
    "BINFLOAT",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
}
_BYTES = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
# Python 2's str, which pickletools decodes as latin-1
_OLD_STRINGS = {"BINSTRING", "SHORT_BINSTRING"}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def unpickle_arrays(stream: io.BytesIO) -> Any:
    """The object of a pickle: dicts, lists, tuples, numbers, texts, bytes and numpy arrays.

    Raises: Refused where the pickle holds anything else, or is damaged.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name == "STOP":
                return _Finish()(machine.pop())
            machine.step(opcode.name, argument)
    except Refused:
        raise
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError) as error:
        # pickletools' own errors, and what a stack that does not fit its instructions comes to
        raise Refused(
            "the pickle is damaged or cut short "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__})"
        ) from None
    raise Refused("the pickle has no end")


class _Machine:
    """The stack and the memo of the pickle machine."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.special: dict[str, Callable[[Any], None]] = {
            "PROTO": lambda _: None,
            "FRAME": lambda _: None,
            "MARK": lambda _: self.stack.append(_MARK),
            "EMPTY_DICT": lambda _: self.stack.append({}),
            "EMPTY_LIST": lambda _: self.stack.append([]),
            "TUPLE": lambda _: self.stack.append(tuple(self.pop_to_mark())),
            "APPEND": lambda _: self.append([self.pop()]),
            "APPENDS": lambda _: self.append(self.pop_to_mark()),
            "SETITEM": lambda _: self.set_items([self.pop(), self.pop()][::-1]),
            "SETITEMS": lambda _: self.set_items(self.pop_to_mark()),
            "MEMOIZE": lambda _: self.memo.__setitem__(len(self.memo), self.stack[-1]),
            "BINPUT": lambda index: self.memo.__setitem__(index, self.stack[-1]),
            "LONG_BINPUT": lambda index: self.memo.__setitem__(index, self.stack[-1]),
            "BINGET": lambda index: self.stack.append(self.memo[index]),
            "LONG_BINGET": lambda index: self.stack.append(self.memo[index]),
            "GLOBAL": lambda name: self.push_global(name.replace(" ", ".", 1)),
            "STACK_GLOBAL": lambda _: self.push_global(
                ".".join([_text(self.pop()), _text(self.pop())][::-1])
            ),
            "REDUCE": lambda _: self.reduce(),
            "BUILD": lambda _: self.build(),
        }

    def step(self, name: str, argument: Any) -> None:
        if name in _PLAIN:
            self.stack.append(_PLAIN[name])
        elif name in _VALUES:
            self.stack.append(argument)
        elif name in _BYTES:
            self.stack.append(bytes(argument))
        elif name in _OLD_STRINGS:
            self.stack.append(argument.encode("latin-1"))
        elif name in _TUPLES:
            self.stack.append(tuple([self.pop() for _ in range(_TUPLES[name])][::-1]))
        elif name in self.special:
            self.special[name](argument)
        else:
            raise Refused(f"the pickle has the instruction {name}, which no file of arrays needs")

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise Refused("the pickle is damaged (a mark where a value should be)")
        return value

    def pop_to_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise Refused("the pickle is damaged (no mark)")
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def append(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise Refused("the pickle is damaged (appends to what is no list)")
        self.stack[-1].extend(values)

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise Refused("the pickle is damaged (sets items of what is no dict)")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str | bytes | int):
                raise Refused(f"a dict in the pickle has a key that is a {type(key).__name__}")
            target[key] = value

    def push_global(self, name: str) -> None:
        if name not in _KNOWN:
            raise Refused(
                f"the pickle asks for '{name}', which no file of arrays needs; "
                "nothing of it was run"
            )
        self.stack.append(_Global(_KNOWN[name]))

    def reduce(self) -> None:
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, _Global) or not isinstance(arguments, tuple):
            raise Refused("the pickle is damaged (calls what is no function)")
        if (
            function.name == "encode"
            and len(arguments) == 2
            and _text(arguments[1]) in ("latin1", "latin-1")
        ):
            self.stack.append(_text(arguments[0]).encode("latin-1"))
        elif function.name == "dtype" and arguments:
            self.stack.append(_Built("dtype", _text(arguments[0])))
        elif function.name == "array":
            self.stack.append(_Built("array", np.empty(0, dtype=np.float32)))
        elif function.name == "scalar" and len(arguments) == 2:
            self.stack.append(
                _Built("array", _values(arguments[1], _dtype(arguments[0]), (), False))
            )
        else:
            raise Refused(
                f"the pickle is damaged (calls {function.name} in a way that numpy never writes)"
            )

    def build(self) -> None:
        state, target = self.pop(), self.stack[-1]
        if not isinstance(target, _Built) or not isinstance(state, tuple) or len(state) < 5:
            raise Refused("the pickle is damaged (gives a state to what has none)")
        if target.kind == "dtype":
            if any(part is not None for part in state[2:5]):
                raise Refused("the pickle holds arrays of records, not of numbers")
            target.value = _text(state[1]) + target.value
        else:
            _, shape, dtype, is_fortran, raw = state[:5]
            target.value = (
                raw
                if isinstance(raw, list)
                else _values(raw, _dtype(dtype), shape, bool(is_fortran))
            )


def _values(raw: Any, dtype: np.dtype[Any], shape: Any, is_fortran: bool) -> np.ndarray:
    if (
        not isinstance(raw, bytes)
        or not isinstance(shape, tuple)
        or not all(isinstance(n, int) and n >= 0 for n in shape)
    ):
        raise Refused("an array in the pickle has no proper shape or no bytes")
    if dtype.hasobject or len(shape) > 32 or prod(shape) * dtype.itemsize != len(raw):
        raise Refused(
            f"an array in the pickle has the shape {shape}, but {len(raw):,} bytes of {dtype}"
        )
    return np.frombuffer(raw, dtype=dtype).reshape(shape, order="F" if is_fortran else "C")


def _dtype(built: Any) -> np.dtype[Any]:
    if not isinstance(built, _Built) or built.kind != "dtype":
        raise Refused("an array in the pickle has no dtype")
    order, name = (
        (built.value[:1], built.value[1:]) if built.value[:1] in "<>|=" else ("", built.value)
    )
    if not _DTYPE.fullmatch(name):
        raise Refused(f"an array in the pickle has the dtype '{built.value}', not a number")
    dtype: np.dtype[Any] = np.dtype(order + name)
    return dtype


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, str):
        return value
    raise Refused(f"the pickle is damaged (a {type(value).__name__} where a text should be)")


class _Finish:
    """Puts arrays in place of what was built, lists of tuples, texts of names as bytes."""

    def __init__(self) -> None:
        self.done: dict[int, Any] = {}  # what the pickle refers to often is finished once

    def __call__(self, value: Any, depth: int = 0) -> Any:
        if depth > 8:  # weights lie four deep; a pickle can also hold itself
            raise Refused("the pickle is nested too deep for a dict of layers")
        if isinstance(value, _Global) or (isinstance(value, _Built) and value.kind != "array"):
            raise Refused("the pickle holds a name where data should be")
        if isinstance(value, _Built) and not isinstance(value.value, list):
            return value.value
        if not isinstance(value, _Built | list | tuple | dict):
            return value
        if id(value) not in self.done:
            self.done[id(value)] = self.container(
                value.value if isinstance(value, _Built) else value, depth + 1
            )
        return self.done[id(value)]

    def container(self, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return {
                _text(key) if isinstance(key, bytes) else key: self(item, depth)
                for key, item in value.items()
            }
        return [self(item, depth) for item in value]


def read_npy_object(path: str | Path, raw: bytes) -> Any:
    """The one object in a .npy file of dtype object, or the array of any other .npy file.

    Raises: NetspecError where the file is no .npy, is damaged, or holds what is not plain data.
    """
    stream = io.BytesIO(raw)
    with warnings.catch_warnings():
        # numpy's about files of Python 2, pickletools' about escapes in damaged ones
        warnings.simplefilter("ignore")
        try:
            shape, array = _read_header(stream)
        except Exception as error:
            # the header is a Python literal: ast, tokenize and numpy each have errors of their own
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise NetspecError(f"'{path}' is not a .npy file, or is cut short: {reason}") from None
        if array is not None:
            return array
        try:
            content = unpickle_arrays(stream)
        except Refused as refused:
            raise NetspecError(f"'{path}' can't be read: {refused}") from None
    if prod(shape) != 1 or not isinstance(content, list) or len(content) != 1:
        raise NetspecError(
            f"'{path}' holds {prod(shape)} objects; expected one dict {{layer: [weights, biases]}}"
        )
    return content[0]


def _read_header(stream: io.BytesIO) -> tuple[tuple[int, ...], np.ndarray | None]:
    """The shape that a .npy file says, and its array.

    None in its place where it is of objects and a pickle follows.
    """
    version = np.lib.format.read_magic(stream)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        return shape, None
    stream.seek(0)
    return shape, np.lib.format.read_array(stream, allow_pickle=False)
