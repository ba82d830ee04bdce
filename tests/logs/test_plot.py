"""Pictures of curves: what is in them, in every format, whatever the numbers and names are."""

from __future__ import annotations

import builtins
import struct
import xml.etree.ElementTree as ElementTree
from math import inf, nan
from pathlib import Path

import pytest

from netspec.diagnostics import NetspecError
from netspec.logs.panels import run_panels
from netspec.logs.plot import Curve, Panel, check_picture_path, draw_panels, plot_panels
from netspec.logs.run import Row, Run

pytest.importorskip("matplotlib")

FALLING = Curve("a.log", "train", [0, 10, 20, 30], [3.0, 2.0, 1.5, 1.25])
TESTED = Curve("a.log", "test", [0, 20], [3.0, 1.75], is_marked=True)


def texts(path: Path) -> list[str]:
    """Every text of an SVG, as its reader sees it."""
    return [
        "".join(element.itertext())
        for element in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")
    ]


def test_png(tmp_path: Path) -> None:
    for count, height in ((1, 446), (3, 1137)):
        plot_panels([Panel("loss", [FALLING, TESTED])] * count, "iteration", tmp_path / "a.PNG")
        content = (tmp_path / "a.PNG").read_bytes()
        assert content.startswith(b"\x89PNG\r\n")
        assert struct.unpack(">II", content[16:24]) == (1152, height)
    assert [path.name for path in tmp_path.iterdir()] == ["a.PNG"]


def test_pdf(tmp_path: Path) -> None:
    plot_panels([Panel("loss", [FALLING])], "iteration", tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


def test_svg_has_its_words_and_is_the_same_each_time(tmp_path: Path) -> None:
    other = Curve("runs/_b $x$.log", "train", [0, 30], [2.0, 1.0])
    panels = [
        Panel("loss", [FALLING, TESTED, other]),
        Panel("learning rate", [Curve("a.log", "", [0, 40_000], [0.1, 0.001])], log_from=10),
    ]
    plot_panels(panels, "iteration", tmp_path / "a.svg")
    assert {
        "iteration",
        "loss",
        "learning rate",
        "train",
        "test",
        "a.log",
        "runs/_b $x$.log",
        "40,000",
        "0.01",
    } <= set(texts(tmp_path / "a.svg"))
    plot_panels(panels, "iteration", tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_names_are_shown_only_where_there_are_several(tmp_path: Path) -> None:
    plot_panels([Panel("loss", [FALLING])], "iteration", tmp_path / "a.svg")
    assert "a.log" in texts(tmp_path / "a.svg")
    assert "train" not in texts(tmp_path / "a.svg")


@pytest.mark.parametrize(
    "name", ["x" * 300, "_hidden", "$\\frac{", "训练.log", "a\nb\0c", "\udcff", ""]
)
def test_any_name(tmp_path: Path, name: str) -> None:
    curves = [Curve(name, name, [0, 1], [1, 2]), Curve(name + "2", name + "2", [0, 1], [2, 3])]
    plot_panels([Panel(name, curves)], name, tmp_path / "a.svg")
    assert max(map(len, texts(tmp_path / "a.svg"))) <= 71
    plot_panels([Panel("loss", curves)], "x", tmp_path / "a.png")


def test_the_first_number_that_is_none_is_reported(tmp_path: Path) -> None:
    curves = [
        Curve("a", "train", [0, 1, 2, 3], [1.0, 2.0, nan, nan]),
        Curve("b", "train", [0, 1], [inf, 1.0]),
    ]
    plot_panels([Panel("loss", curves, log_from=1)], "iteration", tmp_path / "a.svg")
    shown = texts(tmp_path / "a.svg")
    assert (shown.count("nan ×"), shown.count("× inf")) == (1, 1)


def test_the_axis_reaches_as_far_as_the_run_did() -> None:
    left, right = (
        draw_panels([Panel("loss", [Curve("a", "train", [0, 100], [1.0, nan])])], "x")
        .axes[0]
        .get_xlim()
    )
    assert left <= 0
    assert right >= 100


def test_an_output_that_is_empty_at_times() -> None:
    rows = [
        Row(i, 0.0, outputs={"accuracy": values})
        for i, values in enumerate(([], [0.5], [0.25, 0.75]))
    ]
    assert run_panels([Run("a", tests=[rows])])[0][0].curves[0].ys == [0.5, 0.25]


def test_a_curve_without_points(tmp_path: Path) -> None:
    plot_panels(
        [Panel("loss", [Curve("a", "train", [], []), FALLING])], "iteration", tmp_path / "a.png"
    )
    assert (tmp_path / "a.png").stat().st_size > 5000


@pytest.mark.parametrize(
    "ys", [[nan, nan], [inf, -inf], [0.0, 0.0], [-1.0, 5.0], [1e-300, 1e300], [0.0, 5.0]]
)
def test_any_numbers(tmp_path: Path, ys: list[float]) -> None:
    plot_panels([Panel("loss", [Curve("a", "", [0, 1], ys)], log_from=10)], "x", tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_one_point_is_seen() -> None:
    figure = draw_panels(
        [
            Panel(
                "loss",
                [Curve("a", "train", [5], [1.0]), Curve("a", "test", [5], [2.0], is_marked=True)],
            )
        ],
        "x",
    )
    assert [line.get_marker() for line in figure.axes[0].lines] == [".", "o"]


def test_when_an_axis_is_logarithmic() -> None:
    def scale(ys: list[float], log_from: float = 10) -> str:
        return (
            draw_panels([Panel("", [Curve("", "", range(len(ys)), ys)], log_from)], "")
            .axes[0]
            .get_yscale()
        )

    assert scale([0.1, 0.01]) == "log"
    assert scale([0.1, 0.02]) == "linear"
    assert scale([0.1, 0.001, 0.0]) == "log"
    assert scale([0.1, -0.001]) == "linear"
    assert scale([0.1, 0.0001], inf) == "linear"


def test_curves_below_each_other_all_show() -> None:
    curves = [Curve(run, "", [0, 1], [0.1, 0.1]) for run in "abc"]
    widths = [
        line.get_linewidth() for line in draw_panels([Panel("rate", curves)], "x").axes[0].lines
    ]
    assert widths[0] > widths[1] > widths[2]


def test_many_points_make_a_small_picture(tmp_path: Path) -> None:
    ys = [1 + (i * 7919 % 1000) / 1000 for i in range(100_000)]
    plot_panels(
        [Panel("loss", [Curve("a", "train", range(100_000), ys)])], "iteration", tmp_path / "a.svg"
    )
    assert (tmp_path / "a.svg").stat().st_size < 2_000_000


@pytest.mark.parametrize(
    ("name", "words"), [("a.bmp", "by the suffix '.bmp'"), ("a", "without a suffix")]
)
def test_a_format_that_is_unknown(name: str, words: str) -> None:
    with pytest.raises(
        NetspecError,
        match=f"no picture format is known {words}\n  hint: the formats are .png, .svg, .pdf",
    ):
        check_picture_path(name)


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(NetspecError, match=r"hint: pip install 'netspec\[plot\]'"):
        check_picture_path("a.png")


def test_pyplot_stays_out() -> None:
    """The pictures need no display, and leave the user's own figures alone."""
    import subprocess
    import sys

    code = (
        "import sys; from netspec.logs.plot import *; plot_panels([Panel('', [Curve('', '', [0], "
        "[1])])], '', 'a.svg'); "
    )
    code += "assert 'matplotlib.pyplot' not in sys.modules"
    code = code.replace("plot_panels(", "draw_panels(").replace(", 'a.svg')", ")")
    subprocess.run([sys.executable, "-c", code], check=True)


RUN = Run(
    "runs/a.jsonl",
    train=[
        Row(0, 0.0, 3.0, 0.1, {"loss": [3.0], "accuracy": [0.0]}),
        Row(10, 7200.0, 2.0, 0.01, {"loss": [2.0], "accuracy": [0.5]}, epoch=2.0),
    ],
    tests=[
        [Row(0, 1.0, 3.5, outputs={"loss": [3.5], "accuracy": [0.1], "top-5": [0.2]})],
        [Row(10, 14400.0, None, outputs={"miou": [0.3, 0.4]})],
    ],
    loss_outputs={"loss"},
    knows_epochs=True,
)


RATED = [("train accuracy", [0, 0.5]), ("test 0 accuracy", [0.1]), ("test 0 top-5", [0.2])]


def test_the_panels_of_a_run() -> None:
    panels, label = run_panels([RUN])
    assert label == "iteration"
    assert [panel.y_label for panel in panels] == ["loss", "accuracy", "learning rate"]
    assert [(curve.name, curve.xs, curve.ys) for curve in panels[0].curves] == [
        ("train", [0, 10], [3, 2]),
        ("test 0", [0], [3.5]),
    ]
    assert [(curve.name, curve.ys) for curve in panels[1].curves] == [
        ("train accuracy", [0, 0.5]),
        ("test 0 accuracy", [0.1]),
        ("test 0 top-5", [0.2]),
    ]
    assert [(curve.name, curve.ys) for curve in panels[2].curves] == [("", [0.1, 0.01])]
    assert {curve.run for panel in panels for curve in panel.curves} == {"a.jsonl"}


def test_what_and_x() -> None:
    panels, label = run_panels([RUN], ["TOP", "loss"], "epochs")
    assert [panel.y_label for panel in panels] == ["test 0 top-5", "loss"]
    assert (label, panels[1].curves[0].xs) == ("epoch", [0, 2])
    panels, label = run_panels([RUN], ["lr"], "seconds")
    assert (label, panels[0].curves[0].xs) == ("time (hours)", [0, 2])


def test_what_a_run_does_not_report() -> None:
    with pytest.raises(
        NetspecError,
        match=r"'runs/a.jsonl' has no 'acuracy'\n  hint: did you mean 'accuracy'",
    ):
        run_panels([RUN], ["acuracy"])
    with pytest.raises(
        NetspecError, match="has no 'miou'\n  hint: there is loss, accuracy, lr, top-5"
    ):
        run_panels([RUN], ["miou"])
    vectors = Run("c.log", tests=[[Row(0, 0.0, outputs={"miou": [0.3, 0.4], "none": []})]])
    with pytest.raises(
        NetspecError,
        match=("no 'loss, accuracy or lr'\n  hint: an output of several elements is no curve"),
    ):
        run_panels([vectors])
    bare = Run("b.log", [Row(0, None, 1.0)])
    with pytest.raises(NetspecError, match=r"'b.log' does not hold the number of records"):
        run_panels([RUN, bare], x="epochs")
    with pytest.raises(NetspecError, match=r"'b.log' does not hold the time of each row"):
        run_panels([RUN, bare], x="seconds")
    assert [panel.y_label for panel in run_panels([bare])[0]] == ["loss"]


def test_runs_are_distinguished_by_their_folders() -> None:
    runs = [Run(name, [Row(0, 0.0, 1.0)]) for name in ("x/a/train.log", "x/b/train.log")]
    assert [curve.run for curve in run_panels(runs)[0][0].curves] == ["a/train.log", "b/train.log"]
    assert [curve.run for curve in run_panels([runs[0], runs[0]])[0][0].curves] == [
        "x/a/train.log (1)",
        "x/a/train.log (2)",
    ]
