"""protobuf's text format with spans and comments kept: lexer, parser, printer."""

from __future__ import annotations

import re
from bisect import bisect_left

from netspec.diagnostics import ERROR, Diagnostic, NetspecError, Source, Span, note
from netspec.syntax.tree import MAX_DEPTH, MAX_PARTS, STRING, WORD, Block, Field, Scalar

TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\v\f]+)
      | (?P<comment>\#[^\n]*)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>0[xX][0-9a-fA-F]++(?![\w.])
          | (?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?[fF]?(?![\w.]))
      | (?P<string>"(?:[^"\\\n]++|\\.)*+" | '(?:[^'\\\n]++|\\.)*+')
      | (?P<punctuation>[{}<>\[\]:;,-])
      | (?P<bad>.)""",
    re.VERBOSE,
)
_ESCAPE = re.compile(
    rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL
)
_SIMPLE_ESCAPES = {
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
}
_SIMPLE_ESCAPES |= {c: c for c in (b"\\", b"'", b'"', b"?")}
_CLOSING = {"{": "}", "<": ">"}

# A token is (kind, text, start, end); the last one has the kind "end".
Token = tuple[str, str, int, int]


def parse(source: Source) -> Block:
    """Parses a prototxt into its tree.

    Raises: NetspecError at the first place that is not text format.
    """
    return _Parser(source).file()


class _Parser:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.tokens: list[Token] = []
        # token index → (text, stands on the line of the token before)
        self.comments: dict[int, list[tuple[str, bool]]] = {}
        self.at = 0
        self._read_tokens()
        self.commented = list(self.comments)  # in ascending order

    def _read_tokens(self) -> None:
        text, tokens, newline = self.source.text, self.tokens, True
        for match in TOKEN.finditer(text):
            kind = match.lastgroup
            if kind == "space":
                newline = newline or "\n" in match[0]
            elif kind == "comment":
                self.comments.setdefault(len(tokens), []).append(
                    (match[0][1:].strip(), not newline)
                )
            elif kind == "bad":
                # reported when the parser comes here, so that a file's first fault is reported
                tokens.append(("bad", match[0], match.start(), match.end()))
                break
            else:
                tokens.append((kind or "", match[0], match.start(), match.end()))
                newline = False
                if len(tokens) > MAX_PARTS:
                    message = (
                        f"the text has more than {MAX_PARTS:,} words, numbers and signs, "
                        "the most that is read"
                    )
                    raise NetspecError(message, Span(self.source, match.start(), match.end()))
        tokens.append(("end", "end of the file", len(text), len(text)))

    def _refused(self, start: int) -> NetspecError:
        """What is wrong with a place where no token begins."""
        char = self.source.text[start]
        rest = self.source.text[start:].split("\n", 1)[0]
        if char in "\"'":
            return NetspecError(
                "this string has no closing quote on its line",
                Span(self.source, start, start + len(rest)),
            )
        if char.isdigit() or char == ".":
            word = re.match(r"[\w.]+", rest)
            end = start + (word.end() if word else 1)
            return NetspecError(
                f"'{self.source.text[start:end]}' is not a number",
                Span(self.source, start, end),
                "numbers look like 3, 0x1F, 0.5, 1e-4 or 1.f",
            )
        shown = f"'{char}'" if char.isprintable() else f"the character U+{ord(char):04X}"
        if "\udc80" <= char <= "\udcff":
            shown = f"the byte 0x{ord(char) - 0xDC00:02X}, which is no UTF-8,"
        hint = (
            'texts stand in plain quotes: "'
            if char in "“”„‟«»‘’‚"
            else "a field and its value have a ':' between them"
            if char == "="
            else None
        )
        return NetspecError(
            f"{shown} has no meaning in a prototxt", Span(self.source, start, start + 1), hint
        )

    def _span(self, first: Token, last: Token) -> Span:
        return Span(self.source, first[2], last[3])

    def _expected(self, what: str, unclosed: Token | None = None) -> NetspecError:
        token = self.tokens[self.at]
        if token[0] == "bad":
            return self._refused(token[2])
        got = token[1] if token[0] == "end" else f"'{token[1]}'"
        notes = (
            [note(f"this '{unclosed[1]}' is not closed", self._span(unclosed, unclosed))]
            if unclosed
            else []
        )
        return NetspecError(
            Diagnostic(ERROR, f"expected {what}, got {got}", self._span(token, token), notes=notes)
        )

    def file(self) -> Block:
        block = self._fields(None, 0)
        block.span = Span(self.source, 0, len(self.source.text))
        return block

    def _fields(self, opening: Token | None, depth: int) -> Block:
        """Fields up to the closing brace of `opening`, which stays unread, or the file's end."""
        closing = _CLOSING[opening[1]] if opening else "end of the file"
        if depth > MAX_DEPTH:
            raise NetspecError(
                f"blocks are nested deeper than {MAX_DEPTH}",
                self._span(self.tokens[self.at], self.tokens[self.at]),
            )
        fields: list[Field] = []
        while self.tokens[self.at][1] != closing:
            if self.tokens[self.at][0] != "word":
                what = "a field name" + (f" or '{closing}'" if opening else "")
                raise self._expected(what, opening if self.tokens[self.at][0] == "end" else None)
            fields.append(self._field(depth))
        block = Block(fields, None)
        block.dangling = [text for text, _ in self.comments.pop(self.at, ())]
        return block

    def _field(self, depth: int) -> Field:
        first = self.at
        name = self.tokens[first]
        self.at += 1
        colon = self._accept(":")
        if not colon and self.tokens[self.at][1] not in ("{", "<", "["):
            raise self._expected(f"':' or '{{' after '{name[1]}'")
        bare = self.tokens[self.at] if not colon else None
        is_list = self._accept("[")
        values = self._list(depth) if is_list else [self._value(depth)]
        # a list of blocks needs no colon
        if bare and not all(isinstance(value, Block) for value in values):
            raise NetspecError(f"expected ':' after '{name[1]}', got '['", self._span(bare, bare))
        if (
            colon
            and not is_list
            and self.tokens[self.at - 1][0] == "word"
            and self.tokens[self.at][1] in (":", "{", "<")
        ):
            missing = (
                f"expected a value after '{name[1]}:', got the next field, "
                f"'{self.tokens[self.at - 1][1]}'"
            )
            raise NetspecError(missing, self._span(name, name))
        field = Field(name[1], self._span(name, name), values, is_list)
        self._accept(";") or self._accept(",")
        if self.comments:
            self._take_comments(field, first)
        behind = self.comments.get(self.at)
        if behind and behind[0][1]:
            field.trailing = behind.pop(0)[0]
        return field

    def _take_comments(self, field: Field, first: int) -> None:
        """Hangs the comments between a field's tokens on it, once its blocks have theirs."""
        start = bisect_left(self.commented, first)
        for i in self.commented[start : bisect_left(self.commented, self.at, start)]:
            field.comments += [text for text, _ in self.comments.pop(i, ())]

    def _accept(self, text: str) -> bool:
        found = self.tokens[self.at][1] == text and self.tokens[self.at][0] == "punctuation"
        self.at += found
        return found

    def _list(self, depth: int) -> list[Scalar | Block]:
        values: list[Scalar | Block] = []
        if self._accept("]"):
            return values
        while True:
            values.append(self._value(depth))
            if self._accept("]"):
                return values
            if not self._accept(","):
                raise self._expected("',' or ']' in the list")

    def _value(self, depth: int) -> Scalar | Block:
        kind, text, _, _ = token = self.tokens[self.at]
        if kind == "string":
            return self._string()
        if kind in ("word", "number"):
            self.at += 1
            return Scalar(WORD, text, self._span(token, token))
        if text == "-" and self.tokens[self.at + 1][0] == "bad":
            raise self._refused(self.tokens[self.at + 1][2])
        if text == "-" and self.tokens[self.at + 1][0] in ("word", "number"):
            last = self.tokens[self.at + 1]
            self.at += 2
            return Scalar(WORD, "-" + last[1], self._span(token, last))
        if kind == "punctuation" and text in _CLOSING:
            self.at += 1
            block = self._fields(token, depth + 1)
            block.span = self._span(token, self.tokens[self.at])
            self.at += 1
            return block
        raise self._expected("a value")

    def _string(self) -> Scalar:
        first = last = self.tokens[self.at]
        parts = []
        while self.tokens[self.at][0] == "string":  # strings that follow one another are one
            last = self.tokens[self.at]
            parts.append(self._unescape(last))
            self.at += 1
        span = self._span(first, last)
        return Scalar(STRING, span.text, span, b"".join(parts))

    def _unescape(self, token: Token) -> bytes:
        def replace(match: re.Match[bytes]) -> bytes:
            octal, hexadecimal, short, long, char = match.groups()
            if octal:
                return bytes([int(octal, 8) & 0xFF])
            if hexadecimal:
                return bytes([int(hexadecimal, 16)])
            code = int(short or long or b"110000", 16)
            if code < 0x110000 and not 0xD800 <= code < 0xE000:
                return chr(code).encode()
            if char in _SIMPLE_ESCAPES:
                return _SIMPLE_ESCAPES[char]
            raise NetspecError(
                f"'{match[0].decode(errors='replace')}' is not an escape of a string",
                self._span(token, token),
            )

        return _ESCAPE.sub(replace, token[1][1:-1].encode(errors="surrogateescape"))


def print_tree(block: Block, indent: str = "") -> str:
    """The text of a bound tree: a field a line, two spaces of indent, comments where they stood."""
    lines: list[str] = []
    for field in block.fields:
        lines += [f"{indent}# {comment}".rstrip() for comment in field.comments]
        for i, value in enumerate(field.values):
            behind = (
                f"  # {field.trailing}" if field.trailing and i == len(field.values) - 1 else ""
            )
            if isinstance(value, Block):
                inner = print_tree(value, indent + "  ")
                lines.append(f"{indent}{field.name} {{\n{inner}{indent}}}{behind}")
            else:
                lines.append(f"{indent}{field.name}: {scalar_text(value)}{behind}")
    lines += [f"{indent}# {comment}".rstrip() for comment in block.dangling]
    return "".join(line + "\n" for line in lines)


def scalar_text(scalar: Scalar) -> str:
    """A typed scalar as prototxt: strings quoted and escaped, everything else as its text."""
    if scalar.kind != STRING:
        return scalar.text
    value = scalar.value
    text = value.decode(errors="surrogateescape") if isinstance(value, bytes) else str(value)
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if char == "\n":
        return "\\n"
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\{code - 0xDC00:03o}"
    return char if char.isprintable() else "".join(f"\\{byte:03o}" for byte in char.encode())
