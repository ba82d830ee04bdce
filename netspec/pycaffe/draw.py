"""caffe.draw: a net as a picture, by netspec's own drawing. Source: python/caffe/draw.py."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from google.protobuf import text_format

from netspec.atomic import write_atomically
from netspec.diagnostics import Report, Source
from netspec.draw.dot import dot_text
from netspec.draw.load_phases import load_phases
from netspec.draw.render import FORMATS, picture
from netspec.extras import missing_package
from netspec.options import NetOptions
from netspec.schema.caffe_pb2 import Phase


def draw_net(
    caffe_net: Any,
    rankdir: str = "LR",
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
) -> bytes:
    """The picture of a NetParameter.

    Args:
        rankdir: where the data flow to: LR, RL, TB or BT.
        ext: the format: png, svg, pdf, jpg, or dot, the graph's text.
        phase: caffe.TRAIN or caffe.TEST; None lays both over each other.
        display_lrm: show the learning rate multipliers of the params.

    Raises: NetspecError where there is nothing to draw, or it can't be drawn.
    """
    form = FORMATS.get(f".{ext.lower()}")
    if form is None or form == "mmd":
        formats = ", ".join(suffix[1:] for suffix in FORMATS if suffix != ".mmd")
        raise ValueError(f"there is no format '{ext}': {formats}")
    dot = _dot_text(caffe_net, rankdir, phase, display_lrm)
    return dot.encode() if form == "dot" else picture(dot, form)


def _dot_text(caffe_net: Any, rankdir: str, phase: int | None, display_lrm: bool) -> str:
    source = Source(caffe_net.name or "<net>", text_format.MessageToString(caffe_net))
    which = "ALL" if phase is None else Phase.Name(phase)
    nets = load_phases(source, which, NetOptions(allow_unknown=True), Report())
    return dot_text(nets, rankdir, display_lrm)


def get_pydot_graph(
    caffe_net: Any,
    rankdir: str,
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> Any:
    """The picture of a NetParameter as a graph of pydot's.

    Args: rankdir, phase, display_lrm: as of `draw_net`.
    Raises: as `draw_net`, and NetspecError where pydot is not installed.
    """
    try:
        pydot: Any = import_module("pydot")
    except ModuleNotFoundError:
        raise missing_package("pydot", "caffe.draw.get_pydot_graph") from None

    (graph,) = pydot.graph_from_dot_data(_dot_text(caffe_net, rankdir, phase, display_lrm))
    if not label_edges:
        for edge in graph.get_edges():
            edge.get_attributes().pop("label", None)
    return graph


def draw_net_to_file(
    caffe_net: Any,
    filename: str,
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """Draws a NetParameter to a file, whose suffix is the format. Raises: as `draw_net`."""
    ext = filename.rpartition(".")[2]
    write_atomically(filename, draw_net(caffe_net, rankdir, ext, phase, display_lrm))
