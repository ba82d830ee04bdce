"""BatchNorm, Scale and Bias taken into the layer of weights before or behind them.

With fixed statistics each is a factor and a shift for each channel, which a Convolution,
Deconvolution or InnerProduct can have in its own params.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from netspec.diagnostics import Report
from netspec.graph import Blob, Layer, Net
from netspec.layers.window import window_of
from netspec.options import NetOptions
from netspec.passes.build_graph import build_graph
from netspec.passes.count_cost import count_cost
from netspec.passes.infer_shapes import infer_shapes
from netspec.schema.caffe_pb2 import LayerParameter

_PARAMS = {
    "Convolution": "convolution_param",
    "DepthwiseConvolution": "convolution_param",
    "ConvolutionDepthwise": "convolution_param",
    "Deconvolution": "convolution_param",
    "InnerProduct": "inner_product_param",
}


@dataclass(frozen=True, slots=True)
class Fold:
    """A layer of weights and the layers that it takes in, in file order."""

    base: Layer
    front: tuple[Layer, ...]
    behind: tuple[Layer, ...]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that go."""
        return (*self.front, *self.behind)


def fold_batchnorm(
    net: Net, outputs: Iterable[str] | None = None, among: Iterable[Layer] | None = None
) -> tuple[Net, list[Fold]]:
    """The net without the layers that others can take in, and which these are.

    The blob behind a fold keeps its name; those inside it go. A layer stays where another layer
    reads a blob inside the fold, where it is an output, or where params are shared. Below a layer
    of weights that pads its bottom nothing is folded into it: the zeros of the pad do not pass
    through the folded layers.

    Args:
        net: with every shape known.
        outputs: blobs that have to stay; None is the net's own.
        among: layers that may be folded; None is all.
    """
    ends = net.outputs if outputs is None else outputs
    folds = _Plan(net, ends, net.layers if among is None else among).folds
    if not folds:
        return net, []
    gone = {layer for fold in folds for layer in fold.layers}
    changed = {fold.base: fold for fold in folds}
    kept = [layer for layer in net.layers if layer not in gone]
    placed = [
        (_message(changed[each]) if each in changed else each.message, each.spans) for each in kept
    ]
    shapes = {name: net.first_version(name).shape or () for name in (*net.inputs, *net.sources)}
    has_code = any(layer.prepared is not None for layer in kept)
    options = NetOptions(net.phase, inputs=shapes, allow_python_layers=has_code)
    report = Report(allow_unknown=True)  # of what it warns, the net itself has been warned
    made = build_graph(net.name, net.phase, placed, report, options=options, known=kept)
    infer_shapes(made, options, report)
    report.raise_errors()
    count_cost(made)
    for layer, old in zip(made.layers, kept, strict=True):
        layer.not_computed = list(old.not_computed)
        if old in changed:
            last = (old, *changed[old].behind)[-1].top_blobs[0]
            made.value_names[layer.top_blobs[0]] = net.value_name(last)
    made.force_backward, made.path = net.force_backward, net.path
    return made, folds


class _Plan:
    """Which layers are folded into which."""

    def __init__(self, net: Net, outputs: Iterable[str], among: Iterable[Layer]) -> None:
        self.among = set(among)
        self.kept = {net.blob(name) for name in outputs}
        names = Counter(p.name for layer in net.layers for p in layer.params if p.name)
        self.shared = {
            layer
            for layer in net.layers
            if any(p.owner or names[p.name] > 1 for p in layer.params if p.name)
        }
        bases = [layer for layer in net.layers if self._is_base(layer)]
        behind = {base: self._behind(base) for base in bases}
        taken = {layer for chain in behind.values() for layer in chain}
        folds = [Fold(base, self._front(base, taken), behind[base]) for base in bases]
        self.folds = [fold for fold in folds if fold.layers]

    def _is_base(self, layer: Layer) -> bool:
        if layer.spec_name not in _PARAMS or not self._is_single(layer):
            return False
        axes = len(layer.bottom_blobs[0].shape or ())
        return axes > 1 and layer.field(_PARAMS[layer.spec_name]).axis % axes == 1

    def _is_single(self, layer: Layer) -> bool:
        """Whether it has one bottom, one top, params of its own, and no term of the objective."""
        return (
            layer in self.among
            and len(layer.bottom_blobs) == len(layer.top_blobs) == 1
            and layer not in self.shared
            and not any(layer.loss_weights)
        )

    def _is_folded(self, layer: Layer) -> bool:
        rule = _AFFINE.get(layer.spec_name)
        return rule is not None and self._is_single(layer) and rule(layer)

    def _reader(self, blob: Blob) -> Layer | None:
        """The one layer that reads a blob, where no one else sees its values."""
        if len(blob.consumers) != 1 or blob in self.kept:
            return None
        reader, index = blob.consumers[0]
        is_itself = blob.overwritten_by(reader.bottom_writes[index]) is None
        return reader if is_itself else None

    def _behind(self, base: Layer) -> tuple[Layer, ...]:
        found: list[Layer] = []
        reader = self._reader(base.top_blobs[0])
        while reader is not None and self._is_folded(reader):
            found.append(reader)
            reader = self._reader(reader.top_blobs[0])
        return tuple(found)

    def _front(self, base: Layer, taken: set[Layer]) -> tuple[Layer, ...]:
        if not _is_uniform(base):
            return ()
        found: list[Layer] = []
        blob, reader = base.bottom_blobs[0], base
        while self._reader(blob) is reader and self._is_folded(blob.producer):
            (bottom,) = blob.producer.bottom_blobs
            # a term of the objective is an output where nothing writes over it
            if blob.producer in taken or bottom.producer.loss_weights[bottom.top_index]:
                break
            reader, blob = blob.producer, bottom
            found.insert(0, reader)
        # the base reads at its own place, where another layer may have written in between
        others = [
            write
            for write in blob.memory.writes[blob.writes_before :]
            if write.producer not in found
        ]
        return () if others else tuple(found)


def _is_uniform(base: Layer) -> bool:
    """Whether each value of the top is made of as many values of each channel of the bottom."""
    if base.spec_name == "InnerProduct":
        return True
    if base.spec_name == "Deconvolution":
        return False
    sizes = (base.bottom_blobs[0].shape or ())[2:]
    window = window_of(base.field("convolution_param"), len(sizes))
    overhangs = [window.overhang(size, i) for i, size in enumerate(sizes)]
    return not any(window.pad) and not any(overhangs)


def _message(fold: Fold) -> LayerParameter:
    """The base's message as it is with the layers in it."""
    base, made = fold.base, LayerParameter()
    made.CopyFrom(base.message)
    made.ClearField("blobs")  # values that are no longer its own
    if fold.front:
        made.bottom[0] = fold.front[0].bottoms[0]
    if fold.behind:
        made.top[0] = fold.behind[-1].tops[0]
    getattr(made, _PARAMS[base.spec_name]).ClearField("bias_term")  # true
    return made


def _has_global_stats(layer: Layer) -> bool:
    p = layer.field("batch_norm_param")
    stated = p.use_global_stats if p.HasField("use_global_stats") else layer.phase == "TEST"
    return bool(stated)


def _is_along_channels(name: str) -> Callable[[Layer], bool]:
    def rule(layer: Layer) -> bool:
        axes = len(layer.bottom_blobs[0].shape or ())
        shape = layer.params[0].shape
        return not shape or (len(shape) == 1 and layer.field(name).axis % axes == 1)

    return rule


def _is_inference(layer: Layer) -> bool:
    p = layer.field("bn_param")
    return bool(p.BNMode.Name(p.bn_mode) == "INFERENCE")


def _is_frozen(layer: Layer) -> bool:
    return layer.phase == "TEST" or bool(layer.field("bn_param").frozen)


# Types that are a factor and a shift for each channel: whether a layer of the type is that.
_AFFINE: dict[str, Callable[[Layer], bool]] = {
    "BatchNorm": _has_global_stats,
    "Scale": _is_along_channels("scale_param"),
    "Bias": _is_along_channels("bias_param"),
    "BN (segnet)": _is_inference,
    "BN (pspnet)": _is_frozen,
}
