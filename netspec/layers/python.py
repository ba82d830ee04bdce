"""Layers written in Python. Source: Caffe's PythonLayer."""

from __future__ import annotations

from typing import Any

from netspec.graph import Layer, Shape
from netspec.layers.example import PYTHON, ROWS, Example
from netspec.layers.layer_context import LayerContext, Stop, input_options
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec

HOW_TO_ALLOW = (
    "if you trust it: --allow-python-layers on the command line, allow_python_layers=True in Python"
)


class Python(Spec):
    """A layer written as a Python class, which `module` and `layer` name.

    It runs only where the user allows it.

    The class has pycaffe's methods setup(bottom, top), reshape(bottom, top), forward(bottom, top)
    and backward(top, propagate_down, bottom), over lists of blobs with .data, .diff, .shape and
    .reshape(…). It finds its text as self.param_str and the phase as self.phase;
    self.blobs.add_blob(…) adds a param. It computes on the CPU, in single precision, and can't be
    exported. Without bottoms it is a data layer that the module itself runs in each forward pass.
    The module is looked for in the net's folder, then as Python does, then in the working
    directory.

    Shapes: what its reshape gives its tops.
    """

    type = "Python"
    param = "python_param"
    bottoms = (0, None)
    tops = (0, None)
    keeps_places = False
    in_place = True
    has_side_effects = True
    shown = (Setting("module", "{}", True), Setting("layer", "{}", True))
    example = Example(
        ROWS, 'python_param { module: "my_layers" layer: "Double" param_str: "2" }', code=PYTHON
    )

    def evidence(self, message: Any) -> bool | None:
        from netspec.layers.faster_rcnn import stands_in  # only a net with a Python layer asks

        p = message.python_param
        return False if stands_in(p.module, p.layer) else None

    def passes_scale(self, layer: Layer) -> bool:
        return False  # of many losses it does not depend on the top's

    def check(self, context: LayerContext) -> None:
        for name, what in (("module", "the Python module"), ("layer", "the class in that module")):
            if not getattr(context.param, name):
                context.error(f"'{name}' must name {what}", name)
        if context.options.allow_python_layers or _is_given(context):
            return
        message = (
            f"{context.layer.label} would run the Python code of "
            f"'{context.param.module}.{context.param.layer}', which is not allowed"
        )
        span, hint = context.layer.spans.at("type"), HOW_TO_ALLOW
        if not context.layer.bottoms and context.layer.tops:  # it is a data layer
            hint += (
                "; to see shapes without it, give "
                f"{input_options(context.layer.tops, (1, 3, 224, 224))}"
            )
        if not context.options.require_shapes:  # a drawing needs no shapes, and so none of its code
            context.report.warning(f"{message}; its shapes are unknown", span, hint)
        else:
            context.report.error(message, span, hint)
        raise Stop()

    def infer(self, context: LayerContext) -> list[Shape]:
        if not context.options.allow_python_layers:  # the shapes are given
            return [context.given[top] for top in context.layer.tops]
        # only a net with such a layer pays for it
        from netspec.layers.python_object import Instance

        context.layer.prepared = instance = Instance(context.layer)
        instance.set_up()
        for blob in instance.blobs:
            context.add_param(tuple(blob.shape))
            context.params[-1].filler = None  # setup may have filled it
        return [tuple(blob.shape) for blob in instance.tops]


def _is_given(context: LayerContext) -> bool:
    """Whether the user gives the shapes of a data layer, so that its code need not run for them."""
    return (
        not context.layer.bottoms
        and bool(context.layer.tops)
        and all(top in context.given for top in context.layer.tops)
    )


SPECS = (Python,)
