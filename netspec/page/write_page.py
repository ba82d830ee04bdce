"""The page's text: its data, style and script in one file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from typing import Any

from netspec.draw.style import PALETTE

SCRIPTS = [
    f"{name}.js" for name in ("state", "layout", "diagram", "inspector", "table", "source", "page")
]


def page_html(data: dict[str, Any], is_live: bool = False) -> str:
    """One HTML document.

    A Content-Security-Policy allows its own style and script and pictures that stand in it, and
    nothing else; a live page may also ask the server that it came from.
    """
    style, script = _style(), "\n".join(["'use strict';", *map(_static, SCRIPTS)])
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; "
        f"base-uri 'none'; form-action 'none'"
    )
    if is_live:
        policy += "; connect-src 'self'"
    parts = {
        "policy": policy,
        "title": escape(f"{data['name']} – netspec"),
        "style": style,
        "script": script,
        "data": json_text({**data, "live": is_live}),
    }
    text = _static("page.html")
    pieces = text.split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        filled += [parts[name], rest]
    return "".join(filled)


def json_text(data: dict[str, Any]) -> str:
    """JSON in which nothing can end a script element, or begin a comment there."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _style() -> str:
    hues = [f".f-{name} {{ --hue: {colours.line}; }}" for name, colours in PALETTE.items()]
    return "\n".join([_static("page.css"), *hues])


def _static(name: str) -> str:
    return files("netspec.page").joinpath("static", name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
