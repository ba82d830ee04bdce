"""Batch normalisation as the forks have it: BN in one layer, and BatchNorm of intel and NVIDIA.

Source: HyeonwooNoh/caffe's, alexgkendall/caffe-segnet's and hszhao/PSPNet's BNLayer, intel/caffe's
and NVIDIA/caffe's BatchNormLayer.
"""

from __future__ import annotations

from typing import Any

from netspec.graph import Layer, Shape
from netspec.layers.example import MAPS, SAME, Example
from netspec.layers.kept import BOTTOM_ALONE
from netspec.layers.layer_context import LayerContext
from netspec.layers.normalization import BatchNorm, normalising
from netspec.layers.operations import Operations
from netspec.layers.setting import Setting
from netspec.layers.spec import Spec
from netspec.schema.forks import stated

_OLD_FIELDS = ("var_eps", "moving_average", "decay", "across_spatial", "axis", "icnet")
_SEGNET_FIELDS = ("scale_filler", "shift_filler", "bn_mode")
_PSPNET_FIELDS = ("slope_filler", "bias_filler", "momentum", "eps", "frozen")


class _BN(Spec):
    type = "BN"
    param = "bn_param"
    in_place = True

    def stated_fields(self, message: Any) -> set[str]:
        """The names of the fields that a layer's bn_param states."""
        p = stated(message, self.param)
        return set() if p is None else {field.name for field, _ in p.ListFields()}

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom = channelled(context)
        self.add_params(context, (1, bottom[1], 1, 1))
        statistics = [(1, bottom[1], 1, 1)] * (len(context.layer.top_blobs) - 1)
        return [bottom, *statistics]

    def add_params(self, context: LayerContext, shape: Shape) -> None:
        """Adds the params, each with a value a channel."""
        raise NotImplementedError

    def macs(self, layer: Layer) -> int:
        return layer.top_blobs[0].count * 2


class SegNetBN(_BN):
    """Normalises each channel by the batch in every phase, then a scale and a shift.

    With bn_mode INFERENCE the statistics are in the scale and the shift, which are all that is
    left. A second and a third top are the mean and the variance.

    Source: HyeonwooNoh/caffe's and alexgkendall/caffe-segnet's BNLayer.
    """

    rule = "segnet"
    blob_count = 2
    dialects = ("segnet",)
    differs = "scale_filler, shift_filler or bn_mode"
    tops = (1, 3)
    keeps = BOTTOM_ALONE
    shown = (Setting("bn_mode", "{}"),)
    example = Example(
        MAPS,
        'bn_param { scale_filler { type: "constant" value: 1 } '
        'shift_filler { type: "constant" value: 0.001 } }',
        shapes=f"{SAME}; those of the statistics are 1×C×1×1",
    )

    def evidence(self, message: Any) -> bool | None:
        fields = self.stated_fields(message)
        if fields & {*_OLD_FIELDS, *_PSPNET_FIELDS}:
            return False
        return True if fields & set(_SEGNET_FIELDS) or len(message.top) > 1 else None

    def check(self, context: LayerContext) -> None:
        if len(context.layer.top_blobs) > 1 and context.param.bn_mode:
            context.error("INFERENCE takes no statistics: it has one top", "top", 1)

    def infer(self, context: LayerContext) -> list[Shape]:
        axes = len(context.bottoms[0])
        if axes > 4:
            raise context.stop(
                f"SegNet's BN takes a blob of at most 4 axes, got {axes}",
                "bottom",
                0,
                notes=[context.made_here(0)],
            )
        return super().infer(context)

    def add_params(self, context: LayerContext, shape: Shape) -> None:
        for filler in ("scale_filler", "shift_filler"):
            context.add_param(shape, filler)  # without a filler 0, as in the fork

    def operations(self, layer: Layer) -> Operations:
        return normalising(layer, from_batch=True)


class PSPNetBN(_BN):
    """Normalises each channel, then a slope and a bias; keeps running statistics.

    The batch's statistics count in TRAIN, the running ones in TEST and, with `frozen`, everywhere:
    then nothing is learned.

    Source: hszhao/PSPNet's and yjxiong/caffe's BNLayer.
    """

    rule = "pspnet"
    keeps = BOTTOM_ALONE
    blob_count = 4
    dialects = ("pspnet", "happynear")
    differs = "slope_filler, bias_filler, momentum, eps or frozen"
    shown = (
        Setting("momentum", "momentum {}"),
        Setting("eps", "eps {}"),
        Setting("frozen", "frozen"),
    )
    example = Example(
        MAPS,
        'bn_param { slope_filler { type: "constant" value: 1 } '
        'bias_filler { type: "constant" value: 0 } momentum: 0.95 }',
        shapes=SAME,
    )

    def evidence(self, message: Any) -> bool | None:
        fields = self.stated_fields(message)
        if fields & {*_OLD_FIELDS, *_SEGNET_FIELDS} or len(message.top) > 1:
            return False
        return True if fields & set(_PSPNET_FIELDS) else None

    def check(self, context: LayerContext) -> None:
        if not context.param.eps >= 0:
            context.error(f"'eps' must be at least 0, got {context.param.eps:g}", "eps")

    def add_params(self, context: LayerContext, shape: Shape) -> None:
        for filler in ("slope_filler", "bias_filler"):
            context.add_param(shape, filler)
        if context.param.frozen:
            for param in context.params:
                param.lr_mult = param.decay_mult = 0.0
        context.add_param(shape, learned=False)
        context.add_param(shape, default=float(context.param.frozen), learned=False)

    def operations(self, layer: Layer) -> Operations:
        from_batch = layer.phase == "TRAIN" and not layer.field(self.param).frozen
        return normalising(layer, from_batch)


class OlderBN(_BN):
    """A BN of 2015, with moving averages: its shapes alone.

    Source: weiliu89/caffe (fcn), happynear/caffe-windows of 2015, tianzhi0549/CTPN, whose BNLayers
    differ from one another.
    """

    rule = "moving average"
    differs = "var_eps, moving_average or decay"
    not_computed = "the forks with 'moving_average' have several rules for it"
    example = Example(MAPS, "bn_param { moving_average: true decay: 0.05 }", shapes=SAME)

    def evidence(self, message: Any) -> bool | None:
        return bool(self.stated_fields(message) & set(_OLD_FIELDS))

    def add_params(self, context: LayerContext, shape: Shape) -> None:
        for filler in ("scale_filler", "shift_filler"):
            context.add_param(shape, filler)
        for _ in range(2):
            context.add_param(shape, learned=False)


_INTEL_FIELDS = ("stats_batch_size", "use_weight_bias", "bias_term", "filler", "relu")
_HAPPYNEAR_FIELDS = ("disable_mean", "disable_variance")


class IntelBatchNorm(BatchNorm):
    """Caffe's BatchNorm over `stats_batch_size` images at a time.

    That is the rule of the CAFFE engine; what the MKL engines learn beside it is not computed.

    Source: intel/caffe's BatchNormLayer.
    """

    rule = "intel"
    dialects = ("intel",)
    differs = "stats_batch_size"
    takes = frozenset({"stats_batch_size", "use_weight_bias"})
    example = Example(
        {"data": (4, 64, 56, 56)}, "batch_norm_param { stats_batch_size: 2 }", shapes=SAME
    )

    def evidence(self, message: Any) -> bool | None:
        p = message.batch_norm_param
        return any(stated(p, name) is not None for name in _INTEL_FIELDS) or None

    def check(self, context: LayerContext) -> None:
        super().check(context)
        if stated(context.param, "use_weight_bias"):  # false is what the CAFFE engine does
            context.not_computed(
                "'use_weight_bias' acts in intel's MKL engines alone", "use_weight_bias"
            )

    def infer(self, context: LayerContext) -> list[Shape]:
        size, bottom = stated(context.param, "stats_batch_size") or 0, context.bottoms[0]
        is_train = context.layer.phase == "TRAIN" and not context.param.use_global_stats
        if size and bottom and bottom[0] % size and is_train:
            raise context.stop(
                f"'stats_batch_size' {size} does not divide the {bottom[0]} images of the batch",
                "stats_batch_size",
                notes=[context.made_here(0)],
            )
        return super().infer(context)


class NvidiaBatchNorm(Spec):
    """Normalises each channel and, with `scale_bias` or a filler, scales and shifts it.

    The running statistics stand as they are, with `eps` in the variance; the factor beside them is
    always 1.

    Source: NVIDIA/caffe's BatchNormLayer.
    """

    type = "BatchNorm"
    rule = "nvidia"
    dialects = ("nvidia",)
    differs = "scale_bias or scale_filler"
    takes = frozenset({"scale_bias", "scale_filler", "bias_filler"})
    param = "batch_norm_param"
    keeps = BOTTOM_ALONE
    in_place = True
    shown = (Setting("eps", "eps {}"),)
    example = Example(MAPS, "batch_norm_param { scale_bias: true }", shapes=SAME)

    def evidence(self, message: Any) -> bool | None:
        p = message.batch_norm_param
        if any(stated(p, name) is not None for name in (*_INTEL_FIELDS, *_HAPPYNEAR_FIELDS)):
            return False
        return (
            True if any(stated(p, n) is not None for n in ("scale_bias", "scale_filler")) else None
        )

    def infer(self, context: LayerContext) -> list[Shape]:
        bottom = channelled(context)
        for size, value in ((bottom[1], 0), (bottom[1], 0), (1, 1)):
            context.add_param((size,), default=value, learned=False)
        if has_scale(context.param):
            context.add_param((bottom[1],), "scale_filler", 1.0)
            context.add_param((bottom[1],), "bias_filler")
            for param in context.params[3:]:
                param.lr_mult = 1.0  # whatever the file says, as in the fork
        return [bottom]

    def macs(self, layer: Layer) -> int:
        return layer.top_blobs[0].count

    def operations(self, layer: Layer) -> Operations:
        return normalising(layer, from_batch=layer.phase == "TRAIN")


def has_scale(p: Any) -> bool:
    """Whether NVIDIA's BatchNorm learns a scale and a bias."""
    fillers = [stated(p, name) is not None for name in ("scale_filler", "bias_filler")]
    return bool(stated(p, "scale_bias")) or any(fillers)


def channelled(context: LayerContext) -> Shape:
    """The first bottom's shape, which must have an axis of channels."""
    bottom = context.bottoms[0]
    if len(bottom) < 2:
        raise context.stop(
            f"{context.spec.type} takes a blob of at least 2 axes (N×C), got {len(bottom)}",
            "bottom",
            0,
            notes=[context.made_here(0)],
        )
    return bottom


SPECS: tuple[type[Spec], ...] = (SegNetBN, PSPNetBN, OlderBN, IntelBatchNorm, NvidiaBatchNorm)
