"""What a drawing shows of each layer type, and in which colours: the tables, and the few rules that no table holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from google.protobuf.message import Message

from netspec.graph import Layer
from netspec.syntax.bind import float_text


class Colours(NamedTuple):
    """A family's colours: a pale fill that dark text reads well on, and a line of the same hue."""

    fill: str
    line: str


INK, MUTED, EDGE, PAPER = "#1e293b", "#475569", "#64748b", "#ffffff"
TAG_COLOURS = {"TRAIN": "#b45309", "TEST": "#1d4ed8"}
GROUP = Colours("#f8fafc", "#cbd5e1")

PALETTE = {
    "data": Colours("#e2e8f0", "#64748b"),
    "convolution": Colours("#d6e6fa", "#3b78bd"),
    "pooling": Colours("#fde8c8", "#d08a2c"),
    "normalization": Colours("#d2efeb", "#2a8c80"),
    "inner_product": Colours("#e8dcf8", "#8259bd"),
    "neuron": Colours("#e0f2d8", "#649f48"),
    "recurrent": Colours("#dfe1fb", "#5d61c4"),
    "loss": Colours("#fbdcdc", "#c4504f"),
    "python": Colours("#fdf3c0", "#a98f1f"),
    "shape": Colours("#eeece8", "#8a8478"),
}

FAMILIES = {
    "data": ("Data", "ImageData", "HDF5Data", "WindowData", "MemoryData", "DummyData", "Input", "Parameter", "HDF5Output"),
    "convolution": ("Convolution", "Deconvolution", "Im2col"),
    "pooling": ("Pooling", "SPP"),
    "normalization": ("LRN", "BatchNorm", "MVN", "Scale", "Bias"),
    "inner_product": ("InnerProduct", "Embed"),
    "neuron": (
        *("ReLU", "PReLU", "ELU", "Sigmoid", "TanH", "Dropout", "BNLL", "AbsVal", "Power", "Exp", "Log"),
        *("Swish", "Clip", "Threshold", "Softmax"),
    ),
    "recurrent": ("LSTM", "RNN", "Recurrent"),
    "loss": (
        *("SoftmaxWithLoss", "EuclideanLoss", "HingeLoss", "SigmoidCrossEntropyLoss", "InfogainLoss", "ContrastiveLoss"),
        *("MultinomialLogisticLoss", "Accuracy"),
    ),
    "python": ("Python",),
}  # every other type only moves or combines values: "shape"
_FAMILY_OF = {type_: family for family, types in FAMILIES.items() for type_ in types}


class Setting(NamedTuple):
    """A field of a layer's own parameter message and how it reads; left out at its default unless `always`."""

    field: str
    text: str
    always: bool = False


_OUTPUTS, _NO_BIAS = Setting("num_output", "{} outputs", True), Setting("bias_term", "no bias")
_POINT = (Setting("base", "base {}"), Setting("scale", "scale {}"), Setting("shift", "shift {}"))
_AXES = (Setting("axis", "axis {}"), Setting("num_axes", "num_axes {}"))
_IGNORED = (Setting("ignore_label", "ignores label {}"), Setting("normalization", "normalised by {}"))

SETTINGS: dict[str, tuple[str, tuple[Setting, ...]]] = {
    "Accuracy": ("accuracy_param", (Setting("top_k", "top {}", True), Setting("axis", "axis {}"), *_IGNORED[:1])),
    "ArgMax": ("argmax_param", (Setting("top_k", "top {}", True), Setting("axis", "axis {}"), Setting("out_max_val", "with values"))),
    "BatchNorm": ("batch_norm_param", (Setting("use_global_stats", "global statistics"), Setting("eps", "eps {}"))),
    "Bias": ("bias_param", _AXES),
    "Clip": ("clip_param", (Setting("min", "from {}", True), Setting("max", "to {}", True))),
    "Concat": ("concat_param", (Setting("axis", "axis {}"),)),
    "ContrastiveLoss": ("contrastive_loss_param", (Setting("margin", "margin {}", True), Setting("legacy_version", "legacy"))),
    "Crop": ("crop_param", (Setting("axis", "axis {}"), Setting("offset", "offset {}"))),
    "Dropout": ("dropout_param", (Setting("dropout_ratio", "ratio {}", True),)),
    "ELU": ("elu_param", (Setting("alpha", "alpha {}", True),)),
    "Eltwise": ("eltwise_param", (Setting("operation", "{}", True), Setting("coeff", "coeff {}"))),
    "Embed": ("embed_param", (_OUTPUTS, Setting("input_dim", "{} words", True), _NO_BIAS)),
    "Exp": ("exp_param", _POINT),
    "Flatten": ("flatten_param", (Setting("axis", "from axis {}"), Setting("end_axis", "to axis {}"))),
    "HDF5Output": ("hdf5_output_param", (Setting("file_name", "{}", True),)),
    "HingeLoss": ("hinge_loss_param", (Setting("norm", "{}", True),)),
    "InfogainLoss": ("infogain_loss_param", (Setting("axis", "axis {}"),)),
    "InnerProduct": (
        "inner_product_param",
        (_OUTPUTS, Setting("axis", "axis {}"), Setting("transpose", "transposed"), _NO_BIAS),
    ),
    "LSTM": ("recurrent_param", (_OUTPUTS, Setting("expose_hidden", "hidden state exposed"))),
    "Log": ("log_param", _POINT),
    "MVN": ("mvn_param", (Setting("across_channels", "across channels"), Setting("normalize_variance", "mean only"))),
    "PReLU": ("prelu_param", (Setting("channel_shared", "one slope"),)),
    "Power": ("power_param", (Setting("power", "power {}"), Setting("scale", "scale {}"), Setting("shift", "shift {}"))),
    "Python": ("python_param", (Setting("module", "{}", True), Setting("layer", "{}", True))),
    "RNN": ("recurrent_param", (_OUTPUTS, Setting("expose_hidden", "hidden state exposed"))),
    "ReLU": ("relu_param", (Setting("negative_slope", "slope {}"),)),
    "Reduction": ("reduction_param", (Setting("operation", "{}", True), Setting("axis", "from axis {}"), Setting("coeff", "coeff {}"))),
    "Reshape": ("reshape_param", (Setting("axis", "from axis {}"), Setting("num_axes", "num_axes {}"))),
    "SPP": ("spp_param", (Setting("pool", "{}", True), Setting("pyramid_height", "{} levels", True))),
    "Scale": ("scale_param", (*_AXES, Setting("bias_term", "with bias"))),
    "SigmoidCrossEntropyLoss": ("loss_param", _IGNORED),
    "Slice": ("slice_param", (Setting("axis", "axis {}"), Setting("slice_point", "at {}"))),
    "Softmax": ("softmax_param", (Setting("axis", "axis {}"),)),
    "SoftmaxWithLoss": ("loss_param", _IGNORED),
    "Swish": ("swish_param", (Setting("beta", "beta {}"),)),
    "Threshold": ("threshold_param", (Setting("threshold", "above {}", True),)),
    "Tile": ("tile_param", (Setting("tiles", "{} times", True), Setting("axis", "axis {}"))),
}


def family(layer_type: str) -> str:
    """The family of a layer type: a row of PALETTE.

    >>> family("Convolution"), family("Concat")
    ('convolution', 'shape')
    """
    return _FAMILY_OF.get(layer_type, "shape")


def settings(layer: Layer) -> list[str]:
    """The settings of a layer that matter to a reader, each a few words."""
    message = layer.message
    custom = _CUSTOM.get(layer.type)
    shown = list(custom(layer)) if custom else _listed(layer)
    weights = [float_text(w) for w, top in zip(layer.loss_weights, layer.top_blobs, strict=False) if message.loss_weight and w != 1]
    if any(weight != "0" for weight in weights):
        shown.append("loss weight " + ", ".join(weights))
    return shown


def count_text(count: int) -> str:
    """A count that a glance takes in: exact while it is short, then in three digits.

    >>> [count_text(n) for n in (520, 9472, 34944, 999999, 37752832)]
    ['520', '9,472', '34.9 k', '1 M', '37.8 M']
    """
    if count < 10_000:
        return f"{count:,}"
    value, unit = float(count), ""
    for bigger in ("k", "M", "G", "T"):
        if value < 999.5:
            break
        value, unit = value / 1000, bigger
    return f"{value:.3g} {unit}".strip()


def sizes_text(sizes: Iterable[int]) -> str:
    """Sizes along the axes: 3×1."""
    return "×".join(map(str, sizes))


def _listed(layer: Layer) -> list[str]:
    name, rows = SETTINGS.get(layer.type, ("", ()))
    if not name:
        return []
    message = getattr(layer.message, name)
    shown = []
    for row in rows:
        if row.always or _differs(message, row.field):
            value = _value_text(message, row.field)
            shown.append(row.text.removesuffix("s" if value == "1" else "").format(value))
    return [text for text in shown if text]


def _differs(message: Message, field: str) -> bool:
    """Whether a field says something else than its default. A label to ignore is never a default."""
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    value = getattr(message, field)
    if descriptor.is_repeated:
        return bool(value)
    return value != descriptor.default_value or (field == "ignore_label" and message.HasField(field))


def _value_text(message: Message, field: str) -> str:
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    value = getattr(message, field)
    values = value if descriptor.is_repeated else [value]
    if descriptor.enum_type is not None:
        return ", ".join(descriptor.enum_type.values_by_number[item].name for item in values)
    return ", ".join(float_text(item) if isinstance(item, float) else str(item) for item in values)


# What a table can't say: sizes that several fields spell, and data layers with their transformer.


def _spatial_axes(layer: Layer) -> int:
    """The number of axes a kernel runs over; 2 where the bottom's shape isn't known."""
    shape = layer.bottom_blobs[0].shape if layer.bottom_blobs else None
    return max(1, len(shape) - 2) if shape else 2


def _sizes(message: Message, field: str, default: int, axes: int) -> tuple[int, ...]:
    """One size an axis, whether the file spells `field`, a list of it, or `field`_h and `field`_w."""
    stem = field.removesuffix("_size")
    across = [f"{stem}_h", f"{stem}_w"]
    if any(name in message.DESCRIPTOR.fields_by_name and message.HasField(name) for name in across):
        return tuple(getattr(message, name) for name in across)
    value = getattr(message, field, [])  # pooling has no dilation
    values = [value] if isinstance(value, int) else list(value)
    return tuple(values) if len(values) > 1 else tuple(values or [default]) * axes


def _around(message: Message, axes: int) -> list[str]:
    """Stride, pad and dilation where they do something: 'stride 4', 'pad 1×0'."""
    shown = []
    for field, default in (("stride", 1), ("pad", 0), ("dilation", 1)):
        sizes = _sizes(message, field, default, axes)
        if any(size != default for size in sizes):
            shown.append(f"{field} {sizes[0] if len(set(sizes)) == 1 else sizes_text(sizes)}")
    return shown


def _convolution(layer: Layer) -> list[str]:
    message = layer.message.convolution_param
    axes = _spatial_axes(layer)
    kernel = sizes_text(_sizes(message, "kernel_size", 0, axes))
    filters = f"{message.num_output} filter{'s' if message.num_output != 1 else ''} " if message.num_output else ""
    shown = [filters + kernel, *_around(message, axes)]
    if message.group > 1:
        shown.append(f"group {message.group}")
    return shown if message.bias_term or layer.type == "Im2col" else [*shown, "no bias"]


def _pooling(layer: Layer) -> list[str]:
    message = layer.message.pooling_param
    method = _value_text(message, "pool")
    if message.global_pooling:
        return [f"{method} over everything"]
    axes = _spatial_axes(layer)
    shown = [f"{method} {sizes_text(_sizes(message, 'kernel_size', 0, axes))}", *_around(message, axes)]
    return [*shown, "rounds down"] if message.round_mode else shown


def _lrn(layer: Layer) -> list[str]:
    message = layer.message.lrn_param
    size = message.local_size
    shown = [f"within {size}×{size}" if message.norm_region else f"across {size} channels"]
    rows = (Setting("alpha", "α {}", True), Setting("beta", "β {}", True), Setting("k", "k {}"))
    return shown + [row.text.format(_value_text(message, row.field)) for row in rows if row.always or _differs(message, row.field)]


def _reshape(layer: Layer) -> list[str]:
    return ["to " + sizes_text(layer.message.reshape_param.shape.dim), *_listed(layer)]


def _data(layer: Layer) -> list[str]:
    """Where records come from, how many at a time, and what the transformer does to each."""
    message = layer.message
    own: Any = next((getattr(message, name) for name in _DATA_PARAMS if message.HasField(name)), None)
    source = getattr(own, "source", "").replace("\\", "/").rstrip("/").rpartition("/")[2]
    shown = [source] if source else []
    shape = layer.top_blobs[0].shape if layer.top_blobs else None
    batch = getattr(own, "batch_size", 0) or (shape[0] if shape else 0)
    shown += [f"batch {batch}"] if batch else []
    transform = message.transform_param
    if getattr(own, "new_height", 0):
        shown.append(f"resized to {own.new_height}×{own.new_width}")
    shown += [f"crop {transform.crop_size}"] if transform.crop_size else []
    shown += ["mirror"] if transform.mirror else []
    shown += ["minus mean"] if transform.mean_file or transform.mean_value else []
    shown += [f"scale {float_text(transform.scale)}"] if transform.scale != 1 else []
    return [*shown, "shuffled"] if getattr(own, "shuffle", False) else shown


_DATA_PARAMS = ("data_param", "image_data_param", "hdf5_data_param", "window_data_param", "memory_data_param")

_CUSTOM: dict[str, Callable[[Layer], list[str]]] = {
    **dict.fromkeys(("Convolution", "Deconvolution", "Im2col"), _convolution),
    **dict.fromkeys(("Data", "ImageData", "HDF5Data", "WindowData", "MemoryData", "DummyData", "Input"), _data),
    "LRN": _lrn,
    "Pooling": _pooling,
    "Reshape": _reshape,
}
