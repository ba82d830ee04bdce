"""DOT text → a picture file, by graphviz where it is installed, else by a renderer that pip installs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from netspec.atomic import write_atomically
from netspec.diagnostics import NetspecError

FORMATS = {".png": "png", ".svg": "svg", ".pdf": "pdf", ".jpg": "jpg", ".jpeg": "jpg", ".dot": "dot"}
PURE_FORMATS = ("png", "svg")  # what graphviz-pure writes
RASTER_FORMATS = ("png", "jpg")
DPI = 144
LONGEST_SIDE = 9000  # pixels; a longer picture is drawn smaller, for few viewers open it
_GET_DOT = "'apt-get install graphviz' (or brew, conda, dnf) brings it"


def picture_format(path: str | Path) -> str:
    """The format that a file's suffix asks for. Raises: NetspecError where nothing here can write it."""
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        asked = f"by the suffix '{suffix}'" if suffix else "without a suffix"
        raise NetspecError(f"'{path}': no picture format is known {asked}", hint="the formats are " + ", ".join(FORMATS))
    form = FORMATS[suffix]
    if form == "dot" or _find("dot"):
        return form
    if form not in PURE_FORMATS:
        hint = f"{_GET_DOT}; .png, .svg and .dot work without it"
        raise NetspecError(f"'{path}': a {suffix} needs graphviz's 'dot', which is not installed", hint=hint)
    if not _find("graphviz-pure"):
        hint = f"{_GET_DOT}; 'pip install graphviz-pure' does for .png and .svg"
        raise NetspecError(f"'{path}': neither graphviz's 'dot' nor graphviz-pure is installed", hint=hint)
    return form


def render(dot: str, path: str | Path) -> None:
    """Draws DOT text into a file, whose suffix is the format. Raises: NetspecError."""
    form = picture_format(path)
    if form == "dot":
        return write_atomically(path, dot.encode())
    if form in RASTER_FORMATS:
        start, end = dot.split("\n", 1)
        inches = LONGEST_SIDE / DPI
        dot = f'{start}\n  graph [dpi={DPI} size="{inches:g},{inches:g}"]\n{end}'
    draw = _by_graphviz if _find("dot") else _by_graphviz_pure
    return write_atomically(path, draw(dot.encode(), form))


def _by_graphviz(dot: bytes, form: str) -> bytes:
    import graphviz  # a tenth of a second that only drawing pays

    try:
        return bytes(graphviz.pipe("dot", form, dot, quiet=True))
    except graphviz.CalledProcessError as error:
        raise _failed("dot", error.stderr) from None
    except (graphviz.ExecutableNotFound, OSError) as error:
        raise NetspecError(f"graphviz's 'dot' can't be run: {error}", hint=_GET_DOT) from None


def _by_graphviz_pure(dot: bytes, form: str) -> bytes:
    program = _find("graphviz-pure") or "graphviz-pure"
    try:
        done = subprocess.run([program, f"-T{form}"], input=dot, capture_output=True, check=True)
    except subprocess.CalledProcessError as error:
        raise _failed("graphviz-pure", error.stderr) from None
    except OSError as error:
        raise NetspecError(f"'{program}' can't be run: {error.strerror or error}") from None
    return done.stdout


def _find(program: str) -> str | None:
    """A program of the PATH, or one that pip put beside this Python, whose folder need not be on the PATH."""
    return shutil.which(program) or (shutil.which(program, path=str(Path(sys.executable).parent)) if program == "graphviz-pure" else None)


def _failed(program: str, stderr: bytes | str | None) -> NetspecError:
    text = stderr.decode(errors="replace") if isinstance(stderr, bytes) else stderr or ""
    lines = text.strip().splitlines()
    return NetspecError(f"'{program}' could not draw the net: {lines[-1] if lines else 'it gave no reason'}")
