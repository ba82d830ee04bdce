"""DOT text to a picture file.

graphviz draws it where it is installed and works, else a renderer that pip installs.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from netspec.atomic import write_atomically
from netspec.diagnostics import NOTE, WARNING, Diagnostic, NetspecError, Report
from netspec.hint import as_hint

FORMATS = {
    ".png": "png",
    ".svg": "svg",
    ".pdf": "pdf",
    ".jpg": "jpg",
    ".jpeg": "jpg",
    ".dot": "dot",
    ".mmd": "mmd",
}
TEXTS = ("dot", "mmd")  # the formats that no renderer makes

PURE_FORMATS = ("png", "svg")  # what graphviz-pure writes; the others are made from its PNG
# the first bytes of a file
STARTS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF", "jpg": b"\xff\xd8\xff"}
DPI = {"png": 144, "jpg": 288}  # a JPEG blurs text of the PNG's size
LONGEST_REASON = 200  # characters of what a renderer says
LONGEST_SIDE = 9000  # pixels; a longer picture is drawn smaller, for few viewers open it
LEAST_TEXT = 10.0  # pixels of a box's text, below which a warning says that it is too small
_TEXT = 10 / 72  # inches of it, where a picture is drawn at its full size
_SHARP = ".svg and .html stay sharp at any size"
_GET_DOT = "'apt-get install graphviz' (or brew, conda, dnf) brings it"
_GET_PURE = "'pip install graphviz-pure' does without it"


def picture_format(path: str | Path) -> str:
    """The format that a file's suffix asks for.

    Raises: NetspecError where no file can be written there.
    """
    if Path(path).is_dir():
        raise NetspecError(f"'{path}' can't be written: it is a folder")
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        asked = f"by the suffix '{suffix}'" if suffix else "without a suffix"
        raise NetspecError(
            f"'{path}': no picture format is known {asked}",
            hint="the formats are " + ", ".join(FORMATS),
        )
    folder = Path(path).parent
    if not folder.is_dir():
        raise NetspecError(
            f"'{path}' can't be written: folder '{folder}' does not exist",
            hint=f"mkdir -p {folder}",
        )
    form = FORMATS[suffix]
    if form not in TEXTS and not _find("dot") and not _find("graphviz-pure"):
        raise NetspecError(
            f"'{path}': neither graphviz's 'dot' nor graphviz-pure is installed",
            hint=f"{_GET_DOT}; {_GET_PURE}",
        )
    return form


def render(
    dot: str, path: str | Path, report: Report | None = None, smaller: str | None = None
) -> None:
    """Draws DOT text into a file, whose suffix is the format.

    A 'dot' that fails, as one without its plugins does, is noted in the report, and graphviz-pure
    draws. A picture that is too large for its text to be read is warned of.

    Args: smaller: how the net could be drawn smaller, for the hint.
    Raises: NetspecError.
    """
    form, report = picture_format(path), report or Report()
    if form == "mmd":
        raise NetspecError(f"'{path}': DOT text is no Mermaid; mermaid_text makes it of the net")
    if form == "dot":
        write_atomically(path, dot.encode())
        return
    drawn, is_pixels = _picture(dot, form, report)
    write_atomically(path, drawn)
    if is_pixels and (size := _text_size(dot, form)) < LEAST_TEXT:
        report.diagnostics.append(
            Diagnostic(
                WARNING,
                f"'{path}' is too small to read: its text is about {max(1, round(size))} pixels "
                f"high, for the picture is bounded by {LONGEST_SIDE} pixels",
                hint=as_hint("; ".join(filter(None, (smaller, _SHARP)))),
            )
        )


def picture(dot: str, form: str, report: Report | None = None) -> bytes:
    """The bytes of a picture in one of the FORMATS but .mmd. Raises: NetspecError."""
    return _picture(dot, form, report)[0]


def _text_size(dot: str, form: str) -> float:
    """The pixels of a box's text, from the size that an SVG of the same picture has."""
    found = re.search(rb'<svg width="([\d.]+)pt" height="([\d.]+)pt"', _picture(dot, "svg")[0])
    assert found is not None  # graphviz writes both
    dpi = DPI.get(form, DPI["jpg"])
    longest = max(map(float, found.groups())) / 72 * dpi
    return _TEXT * dpi * min(1.0, LONGEST_SIDE / longest)


def _picture(dot: str, form: str, report: Report | None = None) -> tuple[bytes, bool]:
    """A picture, and whether it is made of pixels."""
    by_pure = form != "svg"
    if not _find("dot"):
        return _by_graphviz_pure(dot, form), by_pure
    try:
        return _by_graphviz(dot, form), form in DPI
    except NetspecError as error:
        if not _find("graphviz-pure"):
            raise
        # where that fails too, the text is at fault: its error is the one to report
        drawn = _by_graphviz_pure(dot, form)
        reason = error.diagnostics[0].message
    if report is not None:
        note = f"{reason}; graphviz-pure has drawn it instead"
        report.diagnostics.append(Diagnostic(NOTE, note))
    return drawn, by_pure


def _by_graphviz(dot: str, form: str) -> bytes:
    import graphviz  # a tenth of a second that only drawing pays

    try:
        drawn = bytes(graphviz.pipe("dot", form, _sized(dot, form).encode(), quiet=True))
    except graphviz.CalledProcessError as error:
        raise _failed("dot", error.returncode, error.stderr) from None
    except (graphviz.ExecutableNotFound, OSError) as error:
        raise NetspecError(
            f"graphviz's 'dot' can't be run: {error}", hint=f"{_GET_DOT}; {_GET_PURE}"
        ) from None
    if not drawn.startswith(STARTS[form]):
        raise _failed("dot", 0, f"what it wrote is no {form}")
    return drawn


def _by_graphviz_pure(dot: str, form: str) -> bytes:
    program = _find("graphviz-pure") or "graphviz-pure"
    written = form if form in PURE_FORMATS else "png"
    try:
        done = subprocess.run(
            [program, f"-T{written}"],
            input=_sized(dot, form, written).encode(),
            capture_output=True,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise _failed("graphviz-pure", error.returncode, error.stderr) from None
    except OSError as error:
        raise NetspecError(f"'{program}' can't be run: {error.strerror or error}") from None
    return done.stdout if written == form else _from_png(done.stdout, form)


def _sized(dot: str, form: str, written: str = "") -> str:
    """The text with the resolution of a picture of pixels, and with a bound on its size."""
    if (written or form) not in ("png", "jpg"):
        return dot
    start, end = dot.split("\n", 1)
    dpi = DPI.get(form, DPI["jpg"])
    inches = LONGEST_SIDE / dpi
    return f'{start}\n  graph [dpi={dpi} size="{inches:g},{inches:g}"]\n{end}'


def _from_png(png: bytes, form: str) -> bytes:
    """A JPEG, or a PDF of one page that holds the picture."""
    from PIL import Image  # imported only where graphviz isn't there

    out = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        name = {"jpg": "JPEG", "pdf": "PDF"}[form]
        picture.convert("RGB").save(
            out, name, quality=92, subsampling=0, dpi=(DPI["jpg"],) * 2, resolution=DPI["jpg"]
        )
    return out.getvalue()


def _find(program: str) -> str | None:
    """A program of the PATH, or one that pip put where this Python's scripts go.

    That folder need not be on the PATH.
    """
    found = shutil.which(program)
    if found or program != "graphviz-pure":
        return found
    folders = [
        str(Path(sys.executable).parent),
        sysconfig.get_path("scripts"),
        sysconfig.get_path("scripts", f"{os.name}_user"),
    ]
    return shutil.which(program, path=os.pathsep.join(folders))


def _failed(program: str, status: int, stderr: bytes | str | None) -> NetspecError:
    text = stderr.decode(errors="replace") if isinstance(stderr, bytes) else stderr or ""
    lines = [
        line.strip() for line in text.splitlines() if line.strip() and "warning" not in line.lower()
    ]
    ended = f"it was killed by signal {-status}" if status < 0 else f"it ended with status {status}"
    reason = " ".join(lines)[:LONGEST_REASON] or ended
    return NetspecError(
        f"'{program}' could not draw the net: {reason}",
        hint=None if program != "dot" else _GET_PURE,
    )
