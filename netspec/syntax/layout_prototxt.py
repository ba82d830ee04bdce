"""The one layout of a prototxt: where its lines break, what stands between its words.

It works on the tokens, so that numbers, escapes and comments stay as they were written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from netspec.syntax.prototxt import TOKEN

WIDTH = 100  # columns of a message or list on one line
_INDENT = "  "


class _Token(NamedTuple):
    kind: str
    text: str
    newlines: int  # between the token before and this one


@dataclass(slots=True)
class _Comment:
    text: str
    after_blank: bool


@dataclass(slots=True)
class _Text:
    """A scalar: one word or number, or strings that follow one another and are one."""

    parts: list[str]


@dataclass(slots=True)
class _List:
    items: list[_Comment | _Item] = field(default_factory=list)


@dataclass(slots=True)
class _Message:
    opening_comment: str | None = None  # behind the opening brace, on its line
    items: list[_Comment | _Item] = field(default_factory=list)
    is_one_line: bool = True  # was it written so?


_Value = _Text | _List | _Message


@dataclass(slots=True)
class _Item:
    """A field, or without a name a value of a list."""

    name: str
    value: _Value
    after_blank: bool = False
    comments: list[str] = field(default_factory=list)  # from between its words: they go above it
    trailing: str | None = None
    behind: list[_Comment] = field(default_factory=list)  # more from before its separator


def layout_prototxt(text: str) -> str:
    """The text in netspec's layout; it must be one that `prototxt.parse` takes."""
    reader = _Reader(list(_tokens(text)))
    return "".join(line + "\n" for line in _lines(reader.items(("",)), ""))


def comments_of_prototxt(text: str) -> list[str]:
    """Every comment of a text, in order."""
    return [token.text for token in _tokens(text) if token.kind == "comment"]


def _tokens(text: str) -> Iterator[_Token]:
    newlines = 0
    for match in TOKEN.finditer(text):
        kind = match.lastgroup or ""
        if kind == "space":
            newlines += match[0].count("\n")
            continue
        yield _Token(kind, match[0].rstrip() if kind == "comment" else match[0], newlines)
        newlines = 0
    yield _Token("end", "", newlines)


class _Reader:
    """Takes the tokens apart into fields and comments."""

    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens = tokens
        self.at = 0

    def items(self, closing: tuple[str, ...]) -> list[_Comment | _Item]:
        """The fields and comments up to a closing sign, which stays unread."""
        items: list[_Comment | _Item] = []
        while self.tokens[self.at].text not in closing:
            token = self.tokens[self.at]
            after_blank = token.newlines > 1 and bool(items)
            if token.kind == "comment":
                self.at += 1
                items.append(_Comment(token.text, after_blank))
                continue
            item = self.item(closing == ("]",))
            item.after_blank = after_blank
            items.append(item)
            items += item.behind
        return items

    def item(self, is_in_list: bool) -> _Item:
        comments: list[str] = []
        name = "" if is_in_list else self._next(comments).text
        self._accept(":", comments)
        item = _Item(name, self._value(comments))
        item.comments = comments
        item.trailing = self._trailing()
        if self._after_comments().text in (";", ","):
            while self.tokens[self.at].kind == "comment":
                item.behind.append(_Comment(self._next().text, False))
            self.at += 1
            item.trailing = item.trailing or (None if item.behind else self._trailing())
        return item

    def _value(self, comments: list[str]) -> _Value:
        token = self._next(comments)
        if token.text in ("{", "<"):
            return self._message()
        if token.text == "[":
            values = _List(self.items(("]",)))
            self.at += 1
            return values
        if token.text == "-":
            return _Text(["-" + self._next(comments).text])
        parts = [_quoted(token.text)]
        while token.kind == "string" and self._after_comments().kind == "string":
            parts.append(_quoted(self._next(comments).text))
        return _Text(parts)

    def _message(self) -> _Message:
        first = self.at
        message = _Message(self._trailing())
        message.items = self.items(("}", ">"))
        self.at += 1
        inside = self.tokens[first : self.at]
        message.is_one_line = not any(t.newlines or t.kind == "comment" for t in inside)
        return message

    def _next(self, comments: list[str] | None = None) -> _Token:
        """The next token; where comments are collected, the next one that is none."""
        while comments is not None and self.tokens[self.at].kind == "comment":
            comments.append(self.tokens[self.at].text)
            self.at += 1
        self.at += 1
        return self.tokens[self.at - 1]

    def _after_comments(self) -> _Token:
        at = self.at
        while self.tokens[at].kind == "comment":
            at += 1
        return self.tokens[at]

    def _accept(self, text: str, comments: list[str]) -> None:
        if self._after_comments().text == text:
            self._next(comments)

    def _trailing(self) -> str | None:
        token = self.tokens[self.at]
        if token.kind != "comment" or token.newlines:
            return None
        self.at += 1
        return token.text


def _quoted(text: str) -> str:
    """A string in double quotes, where that changes nothing else in it."""
    is_plain = text[0] == "'" and '"' not in text and "\\" not in text
    return f'"{text[1:-1]}"' if is_plain else text


def _lines(items: list[_Comment | _Item], indent: str, end: str = "") -> Iterator[str]:
    """The lines of fields or of a list's values, `end` behind each value but the last."""
    last = max((i for i, item in enumerate(items) if isinstance(item, _Item)), default=0)
    for i, item in enumerate(items):
        if item.after_blank:
            yield ""
        if isinstance(item, _Comment):
            yield indent + item.text
            continue
        yield from (indent + comment for comment in item.comments)
        *lines, line = _item_lines(item, indent)
        yield from lines
        line += end if i < last else ""
        yield f"{line}  {item.trailing}" if item.trailing else line


def _item_lines(item: _Item, indent: str) -> Iterator[str]:
    value, is_field = item.value, bool(item.name)
    text = _one_line(value)
    name = item.name + (" " if isinstance(value, _Message) else ": ") if is_field else ""
    if text is not None and (len(indent + name + text) <= WIDTH or _is_unbreakable(value)):
        yield indent + name + text
    elif isinstance(value, _Text):
        yield f"{indent}{name}".rstrip() if is_field else indent + value.parts[0]
        yield from (f"{indent}{_INDENT}{part}" for part in value.parts[0 if is_field else 1 :])
    elif isinstance(value, _List):
        yield f"{indent}{name}["
        yield from _lines(value.items, indent + _INDENT, ",")
        yield f"{indent}]"
    else:
        opening = value.opening_comment
        yield f"{indent}{name}{{" + (f"  {opening}" if opening else "")
        yield from _lines(value.items, indent + _INDENT)
        yield f"{indent}}}"


def _is_unbreakable(value: _Value) -> bool:
    return not (value.parts[1:] if isinstance(value, _Text) else value.items)


def _one_line(value: _Value) -> str | None:
    """A value on one line, however long; None for what takes more.

    That is a message that was written on more lines, and all that holds a comment.
    """
    if isinstance(value, _Text):
        return " ".join(value.parts)
    texts: list[str] = []
    for item in value.items:
        text = None if isinstance(item, _Comment) else _one_line(item.value)
        if isinstance(item, _Comment) or text is None or item.comments or item.trailing:
            return None
        colon = " " if isinstance(item.value, _Message) else ": "
        texts.append(item.name + colon + text if item.name else text)
    if isinstance(value, _List):
        return f"[{', '.join(texts)}]"
    if not texts:
        return None if value.opening_comment else "{}"
    return f"{{ {' '.join(texts)} }}" if value.is_one_line else None
