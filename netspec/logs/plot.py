"""Curves in panels below each other, as a picture file.

It knows nothing of logs: Panel and Curve say what is drawn.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf, isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netspec.atomic import write_atomically
from netspec.diagnostics import NetspecError
from netspec.extras import missing_package

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = {".png": "png", ".svg": "svg", ".pdf": "pdf"}
WIDTH, PANEL_HEIGHT, DPI = 8.0, 2.4, 144  # inches, inches, dots an inch
INK, MUTED, GRID = "#1e293b", "#475569", "#e2e8f0"
# one a run, in order
COLOURS = ("#2563eb", "#d9480f", "#2b8a3e", "#9c36b5", "#c99700", "#0c8599", "#e64980", "#5c4033")
DASHES = ("-", "--", ":", "-.")  # one a name in a panel, in order
MARKS = ("o", "s", "^", "D", "v", "P")
MAX_MARKS = 40  # on one curve
LONGEST_NAME = 70  # characters of a run's name that are shown
RC: Any = {
    "axes.formatter.useoffset": False,
    "font.size": 9,
    "svg.fonttype": "none",  # text stays text: it can be searched and edited
    "svg.hashsalt": "netspec",  # the same curves give the same bytes
    "pdf.fonttype": 42,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "text.color": INK,
    "text.usetex": False,
}


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of points. Runs differ by colour, the names in a panel by dashes and marks."""

    run: str  # whose curve it is: told above the picture
    name: str  # what it tells: told in the panel, where that has several
    xs: Sequence[float]
    ys: Sequence[float]
    is_marked: bool = False  # few points that matter each: drawn bold, with marks


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves over one y axis."""

    y_label: str
    curves: Sequence[Curve]
    # the ratio of the largest to the smallest value from which the axis is logarithmic
    log_from: float = inf


def plot_panels(panels: Sequence[Panel], x_label: str, path: str | Path) -> None:
    """Draws panels below each other over one x axis into a file, whose suffix is the format.

    Raises: NetspecError where the format is unknown, matplotlib is missing, or the file can't be
        written.
    """
    check_picture_path(path)
    with _settings():
        save_figure(draw_panels(panels, x_label), path)


def check_picture_path(path: str | Path) -> None:
    """Raises NetspecError where a picture could not be written under this name.

    It is called before anything is computed for it.
    """
    _format(path)
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise missing_package("matplotlib", "a plot") from None


def save_figure(figure: Figure, path: str | Path) -> None:
    """Writes a figure into a file, whose suffix is the format: .png, .svg or .pdf.

    Raises: NetspecError.
    """
    form = _format(path)
    buffer = io.BytesIO()
    dates: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with _settings():
        figure.savefig(buffer, format=form, dpi=DPI, metadata=dates.get(form))
    write_atomically(path, buffer.getvalue())


def _format(path: str | Path) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        asked = f"by the suffix '{suffix}'" if suffix else "without a suffix"
        raise NetspecError(
            f"'{path}': no picture format is known {asked}",
            hint="the formats are " + ", ".join(FORMATS),
        )
    return FORMATS[suffix]


@contextmanager
def _settings() -> Iterator[None]:
    """matplotlib's settings for our pictures; pyplot and its global state stay out of it."""
    import matplotlib

    with matplotlib.rc_context(RC), warnings.catch_warnings():
        # a file name in a script that the font lacks
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def draw_panels(panels: Sequence[Panel], x_label: str) -> Figure:
    """The figure that plot_panels writes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 0.7 + PANEL_HEIGHT * len(panels)), layout="constrained")
    every = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    runs = list(dict.fromkeys(curve.run for panel in panels for curve in panel.curves))
    colours = {run: COLOURS[i % len(COLOURS)] for i, run in enumerate(runs)}
    for axes, panel in zip(every, panels, strict=True):
        _draw_panel(axes, panel, colours)
    every[-1].set_xlabel(_label(x_label))
    every[-1].xaxis.set_major_formatter(lambda x, _: f"{x:,.10g}")
    figure.align_ylabels()
    _name_runs(figure, colours)
    return figure


def _draw_panel(axes: Axes, panel: Panel, colours: dict[str, str]) -> None:
    styles = _styles(panel)
    for i, curve in enumerate(panel.curves):
        style = styles[curve.name]
        # wider, so that it shows below the others
        covered = sum(
            (later.xs, later.ys) == (curve.xs, curve.ys) for later in panel.curves[i + 1 :]
        )
        _draw_curve(
            axes,
            curve,
            {**style, "linewidth": style["linewidth"] + min(1.4 * covered, 6)},
            colours[curve.run],
        )
    axes.set_ylabel(_label(panel.y_label))
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.01)
    values = [y for curve in panel.curves for y in map(_drawable, curve.ys) if not isnan(y)]
    # one value but for rounding: its digits would fill the axis
    if values and max(values) - min(values) < 1e-4 * abs(max(values)):
        axes.set_ylim(*sorted((0.95 * max(values), 1.05 * max(values))))
    if (
        values
        and min(values) >= 0
        and max(values) >= panel.log_from * min((y for y in values if y > 0), default=inf)
    ):
        axes.set_yscale("log", nonpositive="mask")
        axes.yaxis.set_major_formatter(lambda y, _: f"{y:g}")
    if len(styles) > 1:
        _name_curves(axes, styles)


def _draw_curve(axes: Axes, curve: Curve, style: dict[str, Any], colour: str) -> None:
    if not curve.xs:
        return
    style = {**style, "markevery": max(1, len(curve.xs) // MAX_MARKS)}
    axes.plot(curve.xs, [_drawable(y) for y in curve.ys], color=colour, **style)
    # matplotlib leaves out the xs of gaps
    axes.update_datalim([(x, 0) for x in (min(curve.xs), max(curve.xs))], updatey=False)
    # a number that is none leaves a gap: the first of them says so, for that is where a run breaks
    lost = next(
        ((x, y) for x, y in zip(curve.xs, curve.ys, strict=True) if isnan(_drawable(y))), None
    )
    if lost is not None:
        is_early = lost[0] < (min(curve.xs) + max(curve.xs)) / 2
        text, side = (f"× {lost[1]:g}", "left") if is_early else (f"{lost[1]:g} ×", "right")
        axes.text(
            lost[0],
            0.97,
            text,
            ha=side,
            va="center",
            color=colour,
            fontsize=8,
            transform=axes.get_xaxis_transform(),
        )


def _drawable(y: float) -> float:
    """A value, or nan where no axis could hold it, or 0 where it is as good as that."""
    size = abs(y)
    return y if 1e-100 < size < 1e100 else 0.0 if size < 1 else nan


def _styles(panel: Panel) -> dict[str, dict[str, Any]]:
    """How the curves of each name are drawn, in any colour.

    Where there are marked ones, these are bold and the others pale.
    """
    kinds = {curve.name: curve.is_marked for curve in panel.curves}
    styles: dict[str, dict[str, Any]] = {}
    for name, is_marked in kinds.items():
        number = sum(kinds[earlier] == is_marked for earlier in styles)
        if is_marked:
            mark = {
                "marker": MARKS[number % len(MARKS)],
                "markersize": 4.5,
                "markeredgecolor": "white",
                "markeredgewidth": 0.6,
            }
            styles[name] = {"linewidth": 1.5, "zorder": 3, **mark}
        else:
            weight = {"linewidth": 0.8, "alpha": 0.5} if any(kinds.values()) else {"linewidth": 1.1}
            alone = all(len(curve.xs) == 1 for curve in panel.curves if curve.name == name)
            styles[name] = {
                "linestyle": DASHES[number % len(DASHES)],
                "marker": "." if alone else None,
                **weight,
            }
    return styles


def _name_curves(axes: Axes, styles: dict[str, dict[str, Any]]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=MUTED, **style) for style in styles.values()]
    axes.legend(
        handles,
        [_label(name) for name in styles],
        frameon=False,
        fontsize=8,
        loc="best",
        handlelength=2.6,
    )


def _name_runs(figure: Figure, colours: dict[str, str]) -> None:
    """Each run's colour above the panels; of a single run only the name."""
    from matplotlib.lines import Line2D

    labels = [_label(run) for run in colours]
    if len(labels) == 1:
        figure.suptitle(labels[0], fontsize=10, x=0.01, ha="left")
        return
    columns = max(1, min(len(labels), 105 // (max(map(len, labels)) + 7)))
    handles = [Line2D([], [], color=colour, linewidth=2.5) for colour in colours.values()]
    figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        fontsize=9,
        handlelength=1.5,
    )


def _label(name: str) -> str:
    """A name as text.

    Cut in the middle where it is long, and never read as a formula or as a label to hide.
    """
    if len(name) > LONGEST_NAME:
        name = name[: LONGEST_NAME // 2] + "…" + name[-(LONGEST_NAME // 2) + 1 :]
    name = "".join(char if char.isprintable() else "�" for char in name).replace("$", r"\$")
    return f" {name}" if name.startswith("_") else name
