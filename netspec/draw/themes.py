"""The colours of a picture: on light paper, on dark paper, or those of Caffe's draw_net.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from netspec.draw import style
from netspec.draw.fold_blocks import FoldedBlock
from netspec.draw.merge_phases import Node
from netspec.draw.style import Colours


class Theme(NamedTuple):
    """What a picture is drawn in. `palette` is by family; `types` and `in_place` go before it."""

    paper: str
    ink: str
    muted: str
    edge: str
    plug: Colours
    frame: Colours
    block: Colours
    tags: Mapping[str, str]
    tag_ink: str
    palette: Mapping[str, Colours]
    types: Mapping[str, Colours] = {}
    in_place: Colours | None = None

    def colours(self, node: Node) -> Colours:
        """The colours of a box."""
        if isinstance(node, FoldedBlock):
            return self.block
        layer = node.layer
        if self.in_place and len(layer.bottoms) == 1 and layer.tops == layer.bottoms:
            return self.in_place
        return self.types.get(layer.type) or self.palette[style.family(layer.type)]


def _mixed(colour: str, paper: str, share: float) -> str:
    """A colour thinned over paper."""
    pairs = ((int(colour[i : i + 2], 16), int(paper[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(one * share + other * (1 - share)):02x}" for one, other in pairs)


_NIGHT, _BLACK, _GREY = "#0f141b", "#000000", "#e0e0e0"
LIGHT = Theme(
    paper="#ffffff",
    ink="#1e293b",
    muted="#475569",
    edge="#64748b",
    plug=Colours("#ffffff", "#64748b"),
    frame=Colours("#f8fafc", "#cbd5e1"),
    block=Colours("#f1f5f9", "#64748b"),
    tags={"TRAIN": "#b45309", "TEST": "#1d4ed8"},
    tag_ink="#ffffff",
    palette=style.PALETTE,
)
DARK = Theme(
    paper=_NIGHT,
    ink="#e3e9f1",
    muted="#b4c0d0",
    edge="#8292a8",
    plug=Colours(_NIGHT, "#8292a8"),
    frame=Colours("#161d27", "#2a3442"),
    block=Colours("#1c2531", "#8292a8"),
    tags={"TRAIN": "#f2c265", "TEST": "#9dbdff"},
    tag_ink=_NIGHT,
    palette={
        name: Colours(_mixed(line, _NIGHT, 0.26), line) for name, (_, line) in style.PALETTE.items()
    },
)
# Source: python/caffe/draw.py, whose layers in place have a style of their own
CAFFE = Theme(
    paper="#ffffff",
    ink=_BLACK,
    muted=_BLACK,
    edge=_BLACK,
    plug=Colours(_GREY, _BLACK),
    frame=Colours("#f7f7f7", "#b0b0b0"),
    block=Colours("#ffffff", _BLACK),
    tags=LIGHT.tags,
    tag_ink=LIGHT.tag_ink,
    palette=dict.fromkeys(style.PALETTE, Colours("#6495ed", _BLACK)),
    types={
        "Convolution": Colours("#ff5050", _BLACK),
        "Deconvolution": Colours("#ff5050", _BLACK),
        "Pooling": Colours("#ff9900", _BLACK),
        "InnerProduct": Colours("#cc33ff", _BLACK),
    },
    in_place=Colours("#90ee90", _BLACK),
)
THEMES = {"light": LIGHT, "dark": DARK, "caffe": CAFFE}
