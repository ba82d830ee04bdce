"""The example of a layer type.

A small net that loads, and the rule of its shapes, which `netspec layers TYPE` shows.
"""

from __future__ import annotations

from typing import NamedTuple

from netspec.graph import Shape

FILLER = 'weight_filler { type: "xavier" }'
PYTHON = """\
# my_layers.py
import caffe  # netspec stands in for it where no Caffe is installed


class Double(caffe.Layer):
    def setup(self, bottom, top):
        self.factor = float(self.param_str)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = self.factor * top[0].diff
"""


class Example(NamedTuple):
    """A layer: what it reads, the text of its settings, what it makes."""

    bottoms: dict[str, Shape]
    settings: str = ""
    tops: tuple[str, ...] = ("out",)
    shapes: str = ""  # the rule, where neither the layer's docstring nor the example says it
    inputs: dict[str, Shape] = {}  # shapes to give where its files are not there
    code: str = ""  # the Python file that it names

    def text(self, type_name: str) -> str:
        """The net's text; the layer is named like its type."""
        lines = [
            (
                f'layer {{ name: "{name}" type: "Input" top: "{name}" '
                f"input_param {{ shape {{ {' '.join(f'dim: {dim}' for dim in shape)} }} }} }}"
            )
            for name, shape in self.bottoms.items()
        ]
        ends = [f'bottom: "{name}"' for name in self.bottoms] + [
            f'top: "{name}"' for name in self.tops
        ]
        return "\n".join(
            [
                *lines,
                (
                    f'layer {{ name: "{type_name.lower()}" '
                    f'type: "{type_name}" {" ".join(ends)} {self.settings} }}'
                ),
            ]
        )


IMAGES: dict[str, Shape] = {"data": (1, 3, 224, 224)}
MAPS: dict[str, Shape] = {"data": (1, 64, 56, 56)}
ROWS: dict[str, Shape] = {"data": (32, 10)}
SCORES: dict[str, Shape] = {"scores": (32, 10), "label": (32,)}
SEQUENCE: dict[str, Shape] = {"data": (16, 8, 100), "cont": (16, 8)}
DATA = ("data", "label")
TRANSFORM = (
    "transform_param { crop_size: 227 mirror: true mean_value: 104 mean_value: 117 "
    "mean_value: 123 }"
)
CROPPED: dict[str, Shape] = {"data": (64, 3, 227, 227), "label": (64,)}
WINDOW = "floor((H + 2·pad - (dilation·(kernel - 1) + 1)) / stride) + 1"
SAME = "the top has the first bottom's"
SCALAR = "the loss is a scalar"
